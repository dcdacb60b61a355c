use crate::{
    format,
    quality::{
        BarFindings as Content, Exported, FindingsAsked,
        load::{self, Loaded},
    },
    query::{Side, Theme, View},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use market::{Severity, wire::Finding};

/// What the rules over several bars found and what still holds, by rule and severity. A form and links: it works without a
/// script. Exported pages have none of it: it changes with every bar.
#[component]
pub fn BarFindings(theme: Memo<Theme>) -> impl IntoView {
    let query = use_query_map();
    let asked = query.with_untracked(|query| FindingsAsked::read(|name| query.get(name)));
    let question = asked.clone();
    let is_exported = use_context::<Exported>().is_some();
    let found = Resource::new_blocking(
        || (),
        move |()| {
            let question = question.clone();
            async move { if is_exported { Loaded::Missing } else { load::bar_findings(question).await } }
        },
    );
    view! {
        <Suspense>
            {move || {
                let asked = asked.clone();
                Suspend::new(async move {
                    match found.await {
                        Loaded::Ready(content) => Some(view! { <Listed content asked theme /> }),
                        // The page says already that there is no data.
                        Loaded::Missing | Loaded::Trouble(_) => None,
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn Listed(content: Content, asked: FindingsAsked, theme: Memo<Theme>) -> impl IntoView {
    let rules = content.rules;
    let findings = RwSignal::new(content.page.findings);
    let more = RwSignal::new(content.page.next_cursor.is_some());
    #[cfg(feature = "hydrate")]
    follow(findings, more, &asked);
    let rows = move || {
        let findings = findings.get();
        if findings.is_empty() {
            view! { <p class="report-none">"Nothing that holds now."</p> }.into_any()
        } else {
            let rows = findings.into_iter().map(|finding| view! { <Row finding theme /> }).collect_view();
            view! { <ul class="bar-findings">{rows}</ul> }.into_any()
        }
    };
    let rest = move || {
        more.get().then(|| {
            view! { <p class="report-more">"There are more; "<a href="/api/v1/findings" rel="external">"the API"</a>" has all."</p> }
        })
    };
    view! {
        <section class="report-section" aria-labelledby="findings-title" id="findings">
            <h2 id="findings-title">"Findings"</h2>
            <p class="report-lead">"What the built-in rules find at bars, newest minute first, as long as it holds."</p>
            <Filter rules asked theme />
            {rows}
            {rest}
        </section>
    }
}

/// What to show, as a plain form.
#[component]
fn Filter(rules: Vec<String>, asked: FindingsAsked, theme: Memo<Theme>) -> impl IntoView {
    let choice = |name: &'static str, label: &'static str, values: Vec<String>, current: Option<String>| {
        let options = values.into_iter().map(|value| {
            let selected = current.as_deref() == Some(&value);
            view! { <option value=value.clone() selected=selected>{value.clone()}</option> }
        });
        view! {
            <label class="filter-field">
                {label}
                <select name=name>
                    <option value="">"any"</option>
                    {options.collect_view()}
                </select>
            </label>
        }
    };
    let severities = Severity::ALL.iter().rev().map(|severity| severity.as_str().to_owned()).collect();
    let narrow = asked != FindingsAsked::default();
    view! {
        <form class="filter bar-findings-filter" method="get" action="/quality#findings" aria-label="Which findings">
            {choice("rule", "Rule", rules, asked.rule.clone())}
            {choice("severity", "Severity", severities, asked.severity.clone())}
            {move || theme.get().name().map(|theme| view! { <input type="hidden" name="theme" value=theme /> })}
            <button class="button" type="submit">"Show"</button>
            {narrow
                .then(|| view! { <a class="filter-clear" href=move || theme.get().link("/quality") rel="external">"Clear"</a> })}
        </form>
    }
}

/// One finding: what, where, and the way to the minute on the chart.
#[component]
fn Row(finding: Finding, theme: Memo<Theme>) -> impl IntoView {
    let time = format::full_instant(finding.time);
    let place = match finding.symbol.clone() {
        Some(symbol) => {
            let minute = finding.time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            let name = format!("{symbol} {time}");
            let link = move || {
                let view = View::read(|_| None).with_symbol(Side::A, symbol.clone()).with_theme(theme.get());
                format!("{}#{symbol}@{minute}", view.link())
            };
            view! { <a href=link rel="external">{name}</a> }.into_any()
        }
        None => view! { <time datetime=finding.time.to_rfc3339()>{time}</time> }.into_any(),
    };
    view! {
        <li class="bar-finding" data-severity=finding.severity.as_str()>
            <p class="bar-finding-head">
                <span class="bar-finding-severity">{finding.severity.as_str()}</span>
                <code>{finding.rule}</code>
                <span class="bar-finding-place">{place}</span>
            </p>
            <p class="bar-finding-text">{finding.text}</p>
        </li>
    }
}

/// Asks again and again; what has not changed stays as it is.
#[cfg(feature = "hydrate")]
fn follow(findings: RwSignal<Vec<Finding>>, more: RwSignal<bool>, asked: &FindingsAsked) {
    use crate::quality::refresh;
    use market::wire::FindingsPage;
    let path = asked.api();
    refresh::repeat(move || {
        let path = path.clone();
        async move {
            let Some(page) = refresh::fetch::<FindingsPage>(&path).await else { return };
            more.try_set(page.next_cursor.is_some());
            if findings.try_with_untracked(|before| *before != page.findings) == Some(true) {
                findings.try_set(page.findings);
            }
        }
    });
}
