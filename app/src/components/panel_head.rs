use super::{FreshnessBadge, SimulatedTag, SymbolPicker, TimeMark};
use crate::{
    format,
    format::Direction,
    panel::{Content, Panel},
};
use leptos::prelude::*;
use rust_decimal::Decimal;

/// The head of a chart: its symbol, its last price and change, how fresh it is, and a way to give it the whole page.
#[component]
pub fn PanelHead(panel: Panel) -> impl IntoView {
    let Panel { side, live, desk, symbol, series, places, content, .. } = panel;
    let last = Memo::new(move |_| series.get().with(|series| series.bars.last().map(|bar| bar.close)));
    let heard = Memo::new(move |_| series.get().with(|series| series.heard));
    let state = Memo::new(move |_| live.freshness(heard.get()));
    let is_live = Memo::new(move |_| desk.view.with(|view| view.span.is_live()));
    let last_text =
        move || last.get().map_or_else(|| format::UNKNOWN.to_owned(), |last| format::number(last, places.get()));
    let day_change = Memo::new(move |_| {
        let previous = series.get().with(|series| format::previous_close(&series.bars))?;
        let change = last.get()? - previous;
        let percent = change.checked_div(previous)? * Decimal::ONE_HUNDRED;
        let text = format!("{} ({})", format::signed(change, places.get()), format::signed_percent(Some(percent)));
        Some((Direction::of(change), text))
    });
    view! {
        <header class="panel-head">
            <h2 class="panel-symbol sr-only">{move || symbol.get().to_string()}</h2>
            <SymbolPicker side view=desk.view />
            <span class=flash(last) data-panel="last">{last_text}</span>
            <span
                class=move || format!("panel-change {}", day_change.with(|c| c.as_ref().map_or("", |(way, _)| way.class())))
                title="against the last close of the exchange day before"
            >
                {move || match day_change.get() {
                    Some((way, text)) => view! { <span aria-hidden="true">{way.arrow()}</span> " " {text} <span class="panel-since">" vs prev close"</span> }.into_any(),
                    None => view! { <span class="panel-since">{format::UNKNOWN}</span> }.into_any(),
                }}
            </span>
            <span class="panel-tags">
                <SimulatedTag />
                <Show when=move || !is_live.get()><TimeMark /></Show>
                <Show when=move || is_live.get() && !matches!(content.get(), Content::Empty)>
                    <FreshnessBadge state heard id=format!("hops-{}", side.letter()) />
                </Show>
                <AloneLink panel />
            </span>
        </header>
    }
}

/// The class of the last price: two names for one animation, so that it starts anew at each change; none before the first.
fn flash(last: Memo<Option<Decimal>>) -> impl Fn() -> &'static str {
    let count = RwSignal::new(0_u32);
    Effect::new(move |before: Option<Option<Decimal>>| {
        let now = last.get();
        if before.is_some_and(|before| before.is_some() && before != now) {
            count.update(|count| *count = count.wrapping_add(1));
        }
        now
    });
    move || match count.get() {
        0 => "panel-last",
        count if count % 2 == 1 => "panel-last flash-odd",
        _ => "panel-last flash-even",
    }
}

/// Gives the chart the whole page, or its place among the others again.
#[component]
fn AloneLink(panel: Panel) -> impl IntoView {
    let Panel { side, desk, .. } = panel;
    let alone = Memo::new(move |_| desk.view.with(|view| view.alone));
    let several = move || desk.view.with(|view| view.layout.count() > 1);
    let name = move || match (alone.get(), side.name()) {
        (true, _) => "All charts again".to_owned(),
        (false, name) => format!("Chart {name} alone"),
    };
    view! {
        <Show when=several>
            <a
                class="panel-alone"
                href=move || {
                    let view = desk.view.get().with_side(side);
                    let alone = !view.alone;
                    view.with_alone(alone).link()
                }
                data-noscroll="true"
                aria-label=name
                aria-keyshortcuts="f"
                title=move || format!("{} (f)", name())
            >
                <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                    <path d=move || {
                        if alone.get() { "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5" } else { "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5" }
                    } />
                </svg>
            </a>
        </Show>
    }
}
