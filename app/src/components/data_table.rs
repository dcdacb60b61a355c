use crate::{format, format::Direction};
use leptos::prelude::*;
use market::{Bar, Symbol, Timeframe};

/// Newest bars in the table; all of them are a link away.
const ROWS: usize = 20;

/// The chart's twin for those who read rather than look.
#[component]
pub fn DataTable(
    #[prop(into)] symbol: Signal<Symbol>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    #[prop(into)] bars: Signal<Vec<Bar>>,
    #[prop(into)] places: Signal<u32>,
) -> impl IntoView {
    let newest = Memo::new(move |_| bars.with(|bars| bars.iter().rev().take(ROWS).copied().collect::<Vec<_>>()));
    let all = move || format!("/api/v1/bars?symbol={}&timeframe={}&limit=780&sort=desc", symbol.get(), timeframe.get());
    let row = move |bar: Bar| {
        let places = places.get();
        let direction = Direction::of(bar.close - bar.open);
        view! {
            <tr>
                <th scope="row">
                    <time datetime=bar.time.to_rfc3339()>{format::short_bar_time(bar.time, timeframe.get_untracked())}</time>
                </th>
                <td>{format::number(bar.open, places)}</td>
                <td>{format::number(bar.high, places)}</td>
                <td>{format::number(bar.low, places)}</td>
                <td class=direction.class()>
                    <span class="arrow" aria-hidden="true">{direction.arrow()}</span>
                    {format::number(bar.close, places)}
                </td>
                <td>{format::count(bar.volume)}</td>
            </tr>
        }
    };
    view! {
        <details class="data-table">
            <summary>"Data table" <span class="data-table-hint">{move || format!("newest {} bars", newest.with(Vec::len))}</span></summary>
            <div class="data-table-scroll" tabindex="0" role="region" aria-label=move || format!("Bars of {}", symbol.get())>
                <table>
                    <caption>{move || format!("{} {} bars, New York time", symbol.get(), timeframe.get())}</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            <th scope="col">"Open"</th>
                            <th scope="col">"High"</th>
                            <th scope="col">"Low"</th>
                            <th scope="col">"Close"</th>
                            <th scope="col">"Volume"</th>
                        </tr>
                    </thead>
                    <tbody>{move || newest.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            <p class="data-table-all"><a href=all rel="external">"All of them as JSON"</a></p>
        </details>
    }
}
