use crate::{format, provenance::operation};
use leptos::prelude::*;
use market::provenance::SourceRow;

/// The row behind the candle, as facts and as JSON, and the rows that it won against.
#[component]
pub fn RowFacts(row: Option<SourceRow>, duplicates: Vec<SourceRow>) -> impl IntoView {
    row.map(|row| {
        let places = format::price_places(&[row.bar]);
        let json = serde_json::to_string_pretty(&row).unwrap_or_default();
        let facts = [
            ("open", format::number(row.bar.open, places)),
            ("high", format::number(row.bar.high, places)),
            ("low", format::number(row.bar.low, places)),
            ("close", format::number(row.bar.close, places)),
            ("volume", format::count(row.bar.volume)),
            ("record_id", row.record_id.to_string()),
            ("last change", operation(row.op).to_owned()),
            ("event time", format::precise_instant(row.event_time)),
        ];
        let fact = |(name, value): (&'static str, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
        view! {
            <section class="provenance-part">
                <h3>"The row"</h3>
                <dl class="row-facts">{facts.map(fact).into_iter().collect_view()}</dl>
                <details class="row-json">
                    <summary>"As JSON"</summary>
                    <pre tabindex="0">{json}</pre>
                </details>
                <Duplicates duplicates />
            </section>
        }
    })
}

/// Rows of the same minute that are not shown.
#[component]
fn Duplicates(duplicates: Vec<SourceRow>) -> impl IntoView {
    (!duplicates.is_empty()).then(|| {
        let row = |row: SourceRow| {
            let places = format::price_places(&[row.bar]);
            view! {
                <li>
                    <b>{format!("record_id {}", row.record_id)}</b>
                    {format!(" closed at {}, event time {}", format::number(row.bar.close, places), format::precise_instant(row.event_time))}
                </li>
            }
        };
        view! {
            <div class="row-duplicates">
                <p>"The source holds this minute more than once. The newest event is shown; these are not:"</p>
                <ul>{duplicates.into_iter().map(row).collect_view()}</ul>
            </div>
        }
    })
}
