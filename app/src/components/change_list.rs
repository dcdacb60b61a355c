use super::RefusedState;
use crate::{
    format,
    provenance::{absence, columns, operation},
    quarantine::RefusedRow,
    query::Theme,
};
use leptos::prelude::*;
use market::provenance::{ChangeEvent, ChangeOutcome, RecordPlace, RefusedChange};

fn name(place: &RecordPlace) -> String {
    format!("{}[{}]@{}", place.topic, place.partition, place.offset)
}

/// What happened to a candle, change by change, and what was refused of the same records.
#[component]
pub fn ChangeList(events: Vec<ChangeEvent>, note: Option<String>, refused: Vec<RefusedChange>) -> impl IntoView {
    let count = events.len();
    view! {
        <section class="provenance-part">
            <h3>"Changes " <span class="provenance-hint">{format!("{count} in the change log, the newest last")}</span></h3>
            {note.map(|note| view! { <p class="provenance-hint">{note}</p> })}
            <ol class="change-list">{events.into_iter().map(|event| view! { <Change event /> }).collect_view()}</ol>
            <Refusals refused />
        </section>
    }
}

#[component]
fn Change(event: ChangeEvent) -> impl IntoView {
    let (outcome, word) = match event.outcome {
        ChangeOutcome::New => ("new", "NEW"),
        ChangeOutcome::Applied => ("applied", "APPLIED"),
        ChangeOutcome::Late => ("late", "LATE, changed nothing"),
        ChangeOutcome::Deleted if event.op == 'd' => ("deleted", "DELETED"),
        ChangeOutcome::Deleted => ("deleted", "MOVED AWAY"),
    };
    let columns = columns(&event.original);
    let differs = columns.iter().filter(|column| column.changed).count();
    let label = format!("Columns before and after the {} at {}", operation(event.op), name(&event.place));
    let caption = label.clone();
    let has_changed = differs > 0;
    let table = (!columns.is_empty()).then(|| {
        let row = |column: crate::provenance::Column| {
            view! {
                <tr class:changed=column.changed>
                    <th scope="row">{column.name}</th>
                    <td>{column.before}</td>
                    <td>{column.after}{column.changed.then(|| view! { <span class="sr-only">" changed"</span> })}</td>
                </tr>
            }
        };
        view! {
            <details class="change-columns" open=has_changed>
                <summary>{if has_changed { format!("Columns, {differs} changed") } else { "Columns".to_owned() }}</summary>
                <div class="change-scroll" tabindex="0" role="region" aria-label=label>
                    <table>
                        <caption class="sr-only">{caption}</caption>
                        <thead><tr><th scope="col">"Column"</th><th scope="col">"Before"</th><th scope="col">"After"</th></tr></thead>
                        <tbody>{columns.into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </details>
        }
    });
    view! {
        <li class="change" data-outcome=outcome>
            <p class="change-head">
                <span class="change-outcome">{word}</span>
                <span>{operation(event.op)}</span>
                <time datetime=event.committed_at.to_rfc3339()>{format::precise_instant(event.committed_at)}</time>
            </p>
            <p class="change-place">
                <code>{name(&event.place)}</code>
                {format!(" seq {}, record_id {}, event time {}", format::count(event.seq), event.record_id, format::precise_instant(event.event_time))}
            </p>
            {absence(event.original.state).map(|why| view! { <p class="provenance-hint">{why}</p> })}
            {table}
        </li>
    }
}

/// Records that were refused, each with a link to its page.
#[component]
fn Refusals(refused: Vec<RefusedChange>) -> impl IntoView {
    (!refused.is_empty()).then(|| {
        let item = |refused: RefusedChange| {
            let RefusedChange { place, received_at, stage, codes, reason, state } = refused;
            let RecordPlace { topic, partition, incarnation, offset } = place;
            let row = RefusedRow { topic, partition, incarnation, offset, received_at, stage, codes, reason: reason.clone(), state, outcome: None };
            let (link, title) = (row.link(Theme::System), row.name());
            view! { <li><a href=link rel="external">{title}</a> " " <RefusedState row /> <span class="rule-found">{reason}</span></li> }
        };
        view! {
            <h4>"Refused of the same records"</h4>
            <ul class="change-refused">{refused.into_iter().map(item).collect_view()}</ul>
        }
    })
}
