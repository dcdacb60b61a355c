use crate::{
    format,
    pipeline::{Counts, Pipeline},
    quarantine,
    query::Theme,
};
use leptos::prelude::*;

/// What became of every record, as an equation, and whether it holds.
#[component]
pub fn Conservation(pipeline: RwSignal<Pipeline>, theme: Memo<Theme>) -> impl IntoView {
    let counts = Memo::new(move |_| pipeline.with(Pipeline::counts));
    let broken = Memo::new(move |_| pipeline.with(Pipeline::broken));
    let told = move |of: fn(&Counts) -> i64| {
        Memo::new(move |_| counts.get().as_ref().map(of).map_or_else(|| format::UNKNOWN.to_owned(), format::count))
    };
    let names = Counts::default().fates().map(|(name, _)| name);
    let fate = move |index: usize| {
        let name = names[index];
        let value = Memo::new(move |_| {
            counts.get().map_or_else(|| format::UNKNOWN.to_owned(), |counts| format::count(counts.fates()[index].1))
        });
        let sign = if index == 0 { "=" } else { "+" };
        let label = if name == "quarantined" {
            view! { <a href=move || theme.get().link(quarantine::PATH) rel="external">"quarantined"</a> }.into_any()
        } else {
            name.into_any()
        };
        view! {
            <div data-fate=name>
                <dt>{label}</dt>
                <dd><span class="conservation-sign" aria-hidden="true">{sign}</span>{value}</dd>
            </div>
        }
    };
    let verdict = move || match (counts.get(), broken.get().as_slice()) {
        (None, _) => ("unknown", "The database does not answer, so the counters are not known now.".to_owned()),
        (Some(_), []) => {
            ("holds", "✓ It adds up in every partition: no record was lost, and none was counted twice.".to_owned())
        }
        (Some(_), broken) => ("broken", format!("✗ It does not add up in {}. Please report this.", broken.join(", "))),
    };
    view! {
        <dl class="conservation">
            <div data-fate="consumed"><dt>"consumed"</dt><dd>{told(|counts| counts.consumed)}</dd></div>
            {(0..names.len()).map(fate).collect_view()}
        </dl>
        <p class="conservation-verdict" data-verdict=move || verdict().0>{move || verdict().1}</p>
        <p class="report-note">
            "Of the applied ones, "{told(|counts| counts.tagged)}
            " passed the rules with a remark. Counted since each partition was first read; what is redriven moves from quarantined to its new fate."
        </p>
    }
}
