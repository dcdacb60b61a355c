use crate::{format, format::Direction, provenance::Candle};
use leptos::prelude::*;
use market::{Bar, Symbol, Timeframe};

/// The minutes that make up a longer bar, each with a link to where it came from.
#[component]
pub fn MinuteList(symbol: Symbol, minutes: Vec<Bar>, note: Option<String>) -> impl IntoView {
    let places = format::price_places(&minutes);
    let count = minutes.len();
    let row = move |bar: Bar| {
        let candle = Candle { symbol: symbol.clone(), time: bar.time, timeframe: Timeframe::MINUTE_1 };
        let way = Direction::of(bar.close - bar.open);
        view! {
            <tr>
                <th scope="row">
                    <a href=candle.hash()>
                        <time datetime=bar.time.to_rfc3339()>{format::short_bar_time(bar.time, Timeframe::MINUTE_1)}</time>
                    </a>
                </th>
                <td class=way.class()><span class="arrow" aria-hidden="true">{way.arrow()}</span>{format::number(bar.close, places)}</td>
                <td>{format::count(bar.volume)}</td>
            </tr>
        }
    };
    view! {
        <section class="provenance-part">
            <h3>"Made of " <span class="provenance-hint">{format!("{count} one-minute bars, each with a story of its own")}</span></h3>
            {note.map(|note| view! { <p class="provenance-hint">{note}</p> })}
            <table class="minute-list">
                <thead><tr><th scope="col">"Minute, New York"</th><th scope="col">"Close"</th><th scope="col">"Volume"</th></tr></thead>
                <tbody>{minutes.into_iter().map(row).collect_view()}</tbody>
            </table>
        </section>
    }
}
