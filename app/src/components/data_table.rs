use super::readings;
use crate::{chart::notes::Notes, desk::Desk, format, format::Direction, provenance::Candle};
use leptos::prelude::*;
use market::{
    Bar, Symbol, Timeframe,
    indicator::{Study, Values},
};

/// Newest bars in the table; all of them are a link away.
const ROWS: usize = 20;

/// The chart's twin for those who read rather than look.
#[component]
pub fn DataTable(
    #[prop(into)] symbol: Signal<Symbol>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    #[prop(into)] bars: Signal<Vec<Bar>>,
    #[prop(into)] places: Signal<u32>,
    #[prop(into)] notes: Signal<Notes>,
    /// What the studies say at the newest bar.
    #[prop(into)]
    readings: Signal<Vec<(Study, Values)>>,
) -> impl IntoView {
    let zone = expect_context::<Desk>().zone;
    let newest = Memo::new(move |_| bars.with(|bars| bars.iter().rev().take(ROWS).copied().collect::<Vec<_>>()));
    let all = move || format!("/api/v1/bars?symbol={}&timeframe={}&limit=780&sort=desc", symbol.get(), timeframe.get());
    let row = move |bar: Bar| {
        let places = places.get();
        let direction = Direction::of(bar.close - bar.open);
        let said = notes.with(|notes| {
            let texts =
                notes.get(&bar.time).map(|notes| notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>());
            texts.map(|texts| texts.join("; "))
        });
        let candle = Candle { symbol: symbol.get_untracked(), time: bar.time, timeframe: timeframe.get_untracked() };
        view! {
            <tr>
                <th scope="row">
                    <a href=candle.hash() data-noscroll="true" title="where it came from">
                        <time datetime=bar.time.to_rfc3339()>{zone.get().short_bar_time(bar.time, candle.timeframe)}</time>
                    </a>
                </th>
                <td>{format::number(bar.open, places)}</td>
                <td>{format::number(bar.high, places)}</td>
                <td>{format::number(bar.low, places)}</td>
                <td class=direction.class()>
                    <span class="arrow" aria-hidden="true">{direction.arrow()}</span>
                    {format::number(bar.close, places)}
                </td>
                <td>{format::count(bar.volume)}</td>
                <td class="data-table-notes">{said}</td>
            </tr>
        }
    };
    view! {
        <details class="data-table">
            <summary>"Data table" <span class="data-table-hint">{move || format!("newest {} bars", newest.with(Vec::len))}</span></summary>
            <div class="data-table-scroll" tabindex="0" role="region" aria-label=move || format!("Bars of {}", symbol.get())>
                <table>
                    <caption>{move || format!("{} {} bars, {} time", symbol.get(), timeframe.get(), zone.get().title())}</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            <th scope="col">"Open"</th>
                            <th scope="col">"High"</th>
                            <th scope="col">"Low"</th>
                            <th scope="col">"Close"</th>
                            <th scope="col">"Volume"</th>
                            <th scope="col">"Notes"</th>
                        </tr>
                    </thead>
                    <tbody>{move || newest.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            <Show when=move || !readings.with(Vec::is_empty)>
                <table>
                    <caption>"Indicators at the newest bar"</caption>
                    <tbody>
                        {move || {
                            let places = places.get();
                            readings.get().into_iter().map(|(study, values)| reading(study, values, places)).collect_view()
                        }}
                    </tbody>
                </table>
            </Show>
            <p class="data-table-all"><a href=all rel="external">"All of them as JSON"</a></p>
        </details>
    }
}

fn reading(study: Study, values: Values, places: u32) -> impl IntoView {
    let names = study.lines();
    let title = if names.len() > 1 { format!("{} ({})", study.title(), names.join(", ")) } else { study.title() };
    view! {
        <tr>
            <th scope="row">{title}</th>
            <td>{readings::text(study, &values, places)}</td>
        </tr>
    }
}
