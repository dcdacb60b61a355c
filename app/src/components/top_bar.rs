use super::{FreshnessBadge, SimulatedTag, SymbolPicker, ThemeSwitch, TimeframeSwitch, Wordmark};
use crate::{
    live::{Live, worst},
    query::{Side, View},
};
use leptos::prelude::*;

/// Symbols, timeframe, theme, and how fresh the whole is. On a narrow screen the timeframes and the choice of chart
/// move to the bottom.
#[component]
pub fn TopBar(view: Memo<View>) -> impl IntoView {
    let live = expect_context::<Live>();
    let heard = Memo::new(move |_| {
        let (symbols, timeframe) = view.with(|view| (view.symbols(), view.timeframe));
        symbols
            .iter()
            .filter_map(|symbol| live.series(symbol, timeframe).with(|series| series.heard))
            .max_by_key(|heard| heard.received_at)
    });
    let state = Memo::new(move |_| {
        let (symbols, timeframe) = view.with(|view| (view.symbols(), view.timeframe));
        // A symbol without bars is neither fresh nor stale.
        let heard = symbols.iter().filter_map(|symbol| {
            live.series(symbol, timeframe).with(|series| (!series.bars.is_empty()).then_some(series.heard))
        });
        worst(heard.filter_map(|heard| live.freshness(heard))).or_else(|| live.freshness(None))
    });
    let tab = move |side: Side| {
        view! {
            <a
                class="segment"
                href=move || view.get().with_side(side).link()
                data-noscroll="true"
                prop:replace=true
                aria-current=move || view.with(|view| view.side == side).then_some("true")
            >
                {move || view.with(|view| view.symbol(side).to_string())}
            </a>
        }
    };
    view! {
        <header class="top-bar">
            <a class="top-home" href=move || view.with(|view| view.theme.link("/")) rel="external" aria-label="stockstream, home">
                <Wordmark />
            </a>
            <div class="top-symbols">
                <SymbolPicker side=Side::A view />
                <SymbolPicker side=Side::B view />
            </div>
            <div class="bottom-bar">
                <nav class="segments side-tabs" aria-label="Chart shown">
                    {tab(Side::A)}
                    {tab(Side::B)}
                </nav>
                <TimeframeSwitch view />
            </div>
            <span class="top-space"></span>
            <SimulatedTag />
            <FreshnessBadge state heard id="hops-all" />
            <a class="top-link" href=move || view.with(|view| view.theme.link("/quarantine")) rel="external">"Quarantine"</a>
            <a class="top-link" href=move || view.with(|view| view.theme.link("/quality")) rel="external">"Quality"</a>
            <a class="top-link" href="/api/openapi.json" rel="external">"API"</a>
            <ThemeSwitch
                current=Signal::derive(move || view.with(|view| view.theme))
                link=move |theme| view.get().with_theme(theme).link()
            />
        </header>
    }
}
