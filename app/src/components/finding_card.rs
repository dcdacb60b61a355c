use super::{Sparkline, VerdictMark};
use crate::{
    format,
    provenance::Candle,
    quality::{Exported, Finding, Unexpected, provenance_link},
};
use leptos::prelude::*;

/// One expectation and what became of it: verdict, severity, sentence, what was found, and how that went so far.
#[component]
pub fn FindingCard(finding: Finding) -> impl IntoView {
    let Finding { place, kind, sentence, severity, verdict, found, remarks, unexpected, trend, .. } = finding;
    // An expectation that cannot be run here has no sentence but its name.
    let name = (kind != sentence).then(|| view! { <code class="finding-kind">{kind}</code> });
    view! {
        <li class="finding-card" id=format!("expectation-{place}")>
            <p class="finding-head">
                <VerdictMark verdict />
                <span class="finding-severity">{severity}</span>
            </p>
            <div class="finding-words">
                <p class="finding-sentence">{sentence}</p>
                {found.map(|found| view! { <p class="finding-found">{found}</p> })}
                {remarks.into_iter().map(|remark| view! { <p class="finding-remark">{remark}</p> }).collect_view()}
                {(!unexpected.is_empty()).then(|| view! { <UnexpectedValues unexpected /> })}
                {name}
            </div>
            <Sparkline points=trend />
        </li>
    }
}

/// The first unexpected values, each with its row: its key, and its candle, which leads to where the row came from.
#[component]
fn UnexpectedValues(unexpected: Vec<Unexpected>) -> impl IntoView {
    let exported = use_context::<Exported>();
    let has_rows = unexpected.iter().any(|value| value.key.is_some() || value.candle.is_some());
    let title = match unexpected.len() {
        1 => "The unexpected value".to_owned(),
        count => format!("The first {count} unexpected values"),
    };
    let row = move |Unexpected { value, key, candle }| {
        let named = candle.as_deref().and_then(Candle::parse);
        let named = named.map(|named| format!("{}, {}", named.symbol, format::full_instant(named.time)));
        let link = candle.and_then(|hash| provenance_link(&hash, exported.as_ref()));
        let candle = named.map(|words| match link {
            Some(link) => view! { <a href=link rel="external">{words}</a> }.into_any(),
            None => words.into_any(),
        });
        let gap = (key.is_some() && candle.is_some()).then_some(" ");
        view! {
            <tr>
                <td>{value}</td>
                {has_rows.then(|| view! { <td>{key}{gap}{candle}</td> })}
            </tr>
        }
    };
    view! {
        <details class="finding-values">
            <summary>{title}</summary>
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Value"</th>
                        {has_rows.then(|| view! { <th scope="col">"Its row"</th> })}
                    </tr>
                </thead>
                <tbody>{unexpected.into_iter().map(row).collect_view()}</tbody>
            </table>
        </details>
    }
}
