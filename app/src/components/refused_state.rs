use crate::quarantine::RefusedRow;
use leptos::prelude::*;

/// What became of a refused record: a shape, a word, and colour last.
#[component]
pub fn RefusedState(row: RefusedRow) -> impl IntoView {
    let word = match (row.state.as_str(), row.outcome) {
        ("redriven", Some(outcome)) => format!("REDRIVEN, {outcome}"),
        (state, _) => state.replace('_', " ").to_uppercase(),
    };
    view! { <span class="refused-state" data-state=row.state>{word}</span> }
}
