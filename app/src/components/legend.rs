use crate::{
    chart::notes::{Note, shape},
    desk::Desk,
    format,
    format::Direction,
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use market::{Bar, Timeframe};

/// The bar under the crosshair, or the newest: always in the same place, so that it never covers a candle.
#[component]
pub fn Legend(
    #[prop(into)] bar: Signal<Option<Bar>>,
    /// Where the crosshair is, which may be where no bar is.
    #[prop(into)]
    time: Signal<Option<DateTime<Utc>>>,
    /// What is to be said about the bar.
    #[prop(into)]
    notes: Signal<Vec<Note>>,
    #[prop(into)] places: Signal<u32>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    /// Whether a crosshair chose the bar.
    #[prop(into)]
    chosen: Signal<bool>,
) -> impl IntoView {
    let price = move |of: fn(&Bar) -> rust_decimal::Decimal| {
        Memo::new(move |_| {
            bar.get().map_or_else(|| format::UNKNOWN.to_owned(), |bar| format::number(of(&bar), places.get()))
        })
    };
    let change = Memo::new(move |_| {
        let bar = bar.get()?;
        let change = bar.close - bar.open;
        Some((Direction::of(change), format::signed(change, places.get())))
    });
    let zone = expect_context::<Desk>().zone;
    let time = Memo::new(move |_| {
        time.get().map_or_else(|| format::UNKNOWN.to_owned(), |time| zone.get().bar_time(time, timeframe.get()))
    });
    let volume =
        Memo::new(move |_| bar.get().map_or_else(|| format::UNKNOWN.to_owned(), |bar| format::count(bar.volume)));
    view! {
        <div class="legend" class:chosen=move || chosen.get() aria-live=move || if chosen.get() { "polite" } else { "off" }>
            <span class="legend-time" data-legend="time">{time}</span>
            <span class="legend-item"><abbr title="open">"O"</abbr>" "<b data-legend="open">{price(|bar| bar.open)}</b></span>
            <span class="legend-item"><abbr title="high">"H"</abbr>" "<b data-legend="high">{price(|bar| bar.high)}</b></span>
            <span class="legend-item"><abbr title="low">"L"</abbr>" "<b data-legend="low">{price(|bar| bar.low)}</b></span>
            <span class="legend-item"><abbr title="close">"C"</abbr>" "<b data-legend="close">{price(|bar| bar.close)}</b></span>
            <span class=move || format!("legend-item {}", change.with(|c| c.as_ref().map_or("", |(direction, _)| direction.class())))>
                {move || change.get().map(|(direction, text)| view! { <span aria-hidden="true">{direction.arrow()}</span> " " <b>{text}</b> })}
            </span>
            <span class="legend-item"><abbr title="volume in shares">"Vol"</abbr>" "<b data-legend="volume">{volume}</b></span>
            {move || {
                notes
                    .get()
                    .into_iter()
                    .map(|note| view! { <span class="legend-note"><span aria-hidden="true">{shape(&note)}</span> " " {note.text}</span> })
                    .collect_view()
            }}
        </div>
    }
}
