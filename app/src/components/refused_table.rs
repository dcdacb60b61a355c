use super::RefusedState;
use crate::{
    format,
    quarantine::{RefusedRow, STAGES},
    query::Theme,
};
use leptos::prelude::*;

/// Who refused it, in words.
fn stage_words(stage: &str) -> String {
    STAGES.iter().find(|(name, _)| *name == stage).map_or_else(|| stage.to_owned(), |(_, words)| (*words).to_owned())
}

/// Refused records, newest first; each leads to its page. Narrow screens show a card for each, so the roles are said.
#[component]
pub fn RefusedTable(rows: Vec<RefusedRow>, #[prop(into)] theme: Signal<Theme>) -> impl IntoView {
    let line = move |row: RefusedRow| {
        let codes =
            row.codes.iter().map(|code| view! { <code class="refused-code">{code.clone()}</code> }).collect_view();
        let linked = row.clone();
        view! {
            <tr role="row">
                <th scope="row" role="rowheader" class="refused-record">
                    <a href=move || linked.link(theme.get()) rel="external">{row.name()}</a>
                </th>
                <td role="cell"><RefusedState row=row.clone() /></td>
                <td role="cell" class="refused-codes">{codes}</td>
                <td role="cell" class="refused-reason">{row.reason.clone()}</td>
                <td role="cell" class="refused-stage">{stage_words(&row.stage)}</td>
                <td role="cell" class="refused-time">
                    <time datetime=row.received_at.to_rfc3339()>{format::full_instant(row.received_at)}</time>
                </td>
            </tr>
        }
    };
    view! {
        <table class="refused-table" role="table">
            <caption class="sr-only">"Refused records, newest first"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th scope="col" role="columnheader">"Record"</th>
                    <th scope="col" role="columnheader">"State"</th>
                    <th scope="col" role="columnheader">"Codes"</th>
                    <th scope="col" role="columnheader">"Reason"</th>
                    <th scope="col" role="columnheader">"Refused by"</th>
                    <th scope="col" role="columnheader">"Received"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows.into_iter().map(line).collect_view()}</tbody>
        </table>
    }
}
