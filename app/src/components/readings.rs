use crate::{format, format::UNKNOWN};
use leptos::prelude::*;
use market::indicator::{Study, Values};

/// What the studies say at the bar of the legend, each with the colour of its line.
#[component]
pub fn Readings(
    #[prop(into)] readings: Signal<Vec<(Study, Values)>>,
    #[prop(into)] places: Signal<u32>,
) -> impl IntoView {
    let studies =
        Memo::new(move |_| readings.with(|readings| readings.iter().map(|(study, _)| *study).collect::<Vec<_>>()));
    let reading = move |(place, study): (usize, Study)| {
        let value = move || {
            readings.with(|readings| {
                readings.get(place).map_or_else(|| UNKNOWN.to_owned(), |(_, values)| text(study, values, places.get()))
            })
        };
        view! {
            <span class=format!("reading line-{}", place % 6 + 1) data-study=study.to_string()>
                <span class="reading-line" aria-hidden="true"></span>
                {study.title()} " " <b>{value}</b>
            </span>
        }
    };
    view! {
        <Show when=move || !studies.with(Vec::is_empty)>
            <div class="readings">
                {move || studies.get().into_iter().enumerate().map(reading).collect_view()}
            </div>
        </Show>
    }
}

/// All values of a study, in the order of its lines. What has the scale of prices has their decimals.
pub fn text(study: Study, values: &Values, places: u32) -> String {
    let places = if study.over_prices() { places } else { 2.max(places) };
    let values = &values[..study.lines().len()];
    values.iter().map(|value| format::reading(*value, places)).collect::<Vec<_>>().join("  ")
}
