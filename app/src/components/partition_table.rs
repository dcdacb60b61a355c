use crate::{
    format,
    pipeline::{Partition, Pipeline},
};
use leptos::prelude::*;

/// Where every partition is, who writes it, and whether its records add up. A row stays the same row while it changes.
#[component]
pub fn PartitionTable(pipeline: RwSignal<Pipeline>) -> impl IntoView {
    let names = Memo::new(move |_| {
        pipeline.with(|pipeline| pipeline.partitions.iter().map(Partition::name).collect::<Vec<_>>())
    });
    view! {
        <div class="run-table" tabindex="0" role="region" aria-label="Partitions">
            <table class="partition-table">
                <caption class="sr-only">"Partitions"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Partition"</th>
                        <th scope="col">"State"</th>
                        <th scope="col" class="number">"Lag"</th>
                        <th scope="col" class="number">"Next offset"</th>
                        <th scope="col" class="number">"Consumed"</th>
                        <th scope="col" class="number" title="How often the topic began anew">"Life"</th>
                        <th scope="col" class="number" title="Only the writer with the newest fence may commit">"Fence"</th>
                        <th scope="col">"Adds up"</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || names.get() key=Clone::clone children=move |name| view! { <Row pipeline name /> } />
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(pipeline: RwSignal<Pipeline>, name: String) -> impl IntoView {
    let (heading, id) = (name.clone(), name.clone());
    let row = Memo::new(move |_| {
        pipeline.with(|pipeline| pipeline.partitions.iter().find(|row| row.name() == name).cloned())
    });
    // Each cell changes by itself.
    let text = move |of: fn(&Partition) -> Option<String>| {
        Memo::new(move |_| row.with(|row| row.as_ref().and_then(of)).unwrap_or_else(|| format::UNKNOWN.to_owned()))
    };
    let number = move |of: fn(&Partition) -> Option<i64>| {
        Memo::new(move |_| {
            row.with(|row| row.as_ref().and_then(of)).map_or_else(|| format::UNKNOWN.to_owned(), format::count)
        })
    };
    let doing = text(|row| Some(row.doing().to_owned()));
    let kind = Memo::new(move |_| row.with(|row| row.as_ref().and_then(|row| row.state.clone())));
    let reason = Memo::new(move |_| row.with(|row| row.as_ref().and_then(|row| row.reason.clone())));
    let adds_up =
        text(|row| row.counts.map(|counts| if counts.holds() { "✓ yes".to_owned() } else { "✗ no".to_owned() }));
    view! {
        <tr data-partition=id>
            <th scope="row">{heading}</th>
            <td>
                <span class="partition-state" data-state=move || kind.get().unwrap_or_else(|| "elsewhere".to_owned())>{doing}</span>
                {move || reason.get().map(|why| view! { <span class="partition-reason">{why}</span> })}
            </td>
            <td class="number">{number(|row| row.lag)}</td>
            <td class="number">{number(|row| Some(row.next_offset))}</td>
            <td class="number">{number(|row| row.counts.map(|counts| counts.consumed))}</td>
            <td class="number">{number(|row| Some(row.incarnation.into()))}</td>
            <td class="number">{number(|row| row.fence)}</td>
            <td>{adds_up}</td>
        </tr>
    }
}
