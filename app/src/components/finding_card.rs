use super::{Sparkline, VerdictMark};
use crate::quality::{Finding, Unexpected};
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

/// The first unexpected values, with the keys of their rows.
#[component]
fn UnexpectedValues(unexpected: Vec<Unexpected>) -> impl IntoView {
    let has_keys = unexpected.iter().any(|value| value.key.is_some());
    let title = match unexpected.len() {
        1 => "The unexpected value".to_owned(),
        count => format!("The first {count} unexpected values"),
    };
    let row = move |Unexpected { value, key }| {
        view! {
            <tr>
                <td>{value}</td>
                {has_keys.then(|| view! { <td>{key}</td> })}
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
                        {has_keys.then(|| view! { <th scope="col">"Key of its row"</th> })}
                    </tr>
                </thead>
                <tbody>{unexpected.into_iter().map(row).collect_view()}</tbody>
            </table>
        </details>
    }
}
