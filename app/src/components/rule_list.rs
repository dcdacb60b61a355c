use leptos::prelude::*;
use market::provenance::{RuleOrigin, RuleVerdict};

/// What every rule says of the row, by where the rules are from: those that found something first.
#[component]
pub fn RuleList(verdicts: Vec<RuleVerdict>) -> impl IntoView {
    let origins = [
        (RuleOrigin::Row, "Rules of a row"),
        (RuleOrigin::Suite, "Expectations of suites"),
        (RuleOrigin::Bars, "Rules over several bars"),
    ];
    let of = |origin: RuleOrigin| -> Vec<RuleVerdict> {
        verdicts.iter().filter(|verdict| verdict.origin == origin).cloned().collect()
    };
    origins.map(|(origin, title)| view! { <Rules title verdicts=of(origin) /> }).into_iter().collect_view()
}

#[component]
fn Rules(title: &'static str, mut verdicts: Vec<RuleVerdict>) -> impl IntoView {
    (!verdicts.is_empty()).then(|| {
        let passed = verdicts.iter().filter(|verdict| verdict.passed == Some(true)).count();
        let unknown = verdicts.iter().filter(|verdict| verdict.passed.is_none()).count();
        let mut summary = format!("{passed} of {} passed", verdicts.len());
        if unknown > 0 {
            summary.push_str(&format!(", {unknown} not known"));
        }
        verdicts.sort_by_key(|verdict| match verdict.passed {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        });
        view! {
            <section class="provenance-part">
                <h3>{title} " " <span class="provenance-hint">{summary}</span></h3>
                <ul class="rule-list">{verdicts.into_iter().map(|verdict| view! { <Verdict verdict /> }).collect_view()}</ul>
            </section>
        }
    })
}

/// A shape and a word, and colour last.
#[component]
fn Verdict(verdict: RuleVerdict) -> impl IntoView {
    // What a rule over several bars describes is what it looks for, not what must hold.
    let (passed, broken) =
        if verdict.origin == RuleOrigin::Bars { ("not found", "found") } else { ("passed", "tagged") };
    let (name, word, shape) = match verdict.passed {
        Some(true) => ("met", passed.to_owned(), "M3 8.5l3.2 3.2L13 4.5"),
        Some(false) => ("could-not", format!("{broken}, {}", verdict.severity.as_str()), "M8 3v6M8 12.5v.5"),
        None => ("unknown", "not known".to_owned(), "M4 8h8"),
    };
    let note = if verdict.passed == Some(false) { "rule-found" } else { "rule-note" };
    view! {
        <li class="rule" data-origin=format!("{:?}", verdict.origin).to_lowercase()>
            <span class="verdict-mark" data-verdict=name>
                <svg class="verdict-sign" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=shape /></svg>
                {word}
            </span>
            <code>{verdict.code}</code>
            <span class="rule-text">{verdict.rule}</span>
            {verdict.found.map(|found| view! { <span class=note>{found}</span> })}
        </li>
    }
}
