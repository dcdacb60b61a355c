use super::{
    FreshnessBadge, LayoutMenu, LiveButton, PaletteButton, SimulatedTag, ThemeSwitch, TimePicker, TimeframeSwitch,
    Wordmark,
};
use crate::{
    live::{Live, worst},
    navigation::{PAGES, Page},
    query::{Side, View},
    span::streamed,
};
use leptos::prelude::*;

/// Timeframe, time, layout, theme, and how fresh the whole is. On a narrow screen the timeframes and the choice of chart
/// move to the bottom.
#[component]
pub fn TopBar(view: Memo<View>) -> impl IntoView {
    let live = expect_context::<Live>();
    let heard = Memo::new(move |_| {
        let (symbols, timeframe) = view.with(|view| (view.symbols(), streamed(view.timeframe)));
        symbols
            .iter()
            .filter_map(|symbol| live.series(symbol, timeframe).with(|series| series.heard))
            .max_by_key(|heard| heard.received_at)
    });
    let state = Memo::new(move |_| {
        let (symbols, timeframe) = view.with(|view| (view.symbols(), streamed(view.timeframe)));
        // A symbol without bars is neither fresh nor stale.
        let heard = symbols.iter().filter_map(|symbol| {
            live.series(symbol, timeframe).with(|series| (!series.bars.is_empty()).then_some(series.heard))
        });
        worst(heard.filter_map(|heard| live.freshness(heard))).or_else(|| live.freshness(None))
    });
    let page = move |page: &'static Page| {
        let current = (page.path == "/dashboard").then_some("page");
        view! {
            <a class="top-link" href=move || view.with(|view| view.theme.link(page.path)) rel="external" aria-current=current>
                {page.name}
            </a>
        }
    };
    let tabs = Memo::new(move |_| view.with(|view| view.layout.sides()));
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
            <div class="bottom-bar">
                <nav class="segments side-tabs" aria-label="Chart shown" data-charts=move || tabs.get().len().to_string()>
                    {move || tabs.get().iter().copied().map(tab).collect_view()}
                </nav>
                <TimeframeSwitch view />
            </div>
            <LayoutMenu />
            <TimePicker />
            <LiveButton />
            <span class="top-space"></span>
            <SimulatedTag />
            <Show when=move || view.with(|view| view.span.is_live())>
                <FreshnessBadge state heard id="hops-all" />
            </Show>
            <nav class="page-nav" aria-label="Pages">{PAGES.iter().filter(|page| page.listed).map(page).collect_view()}</nav>
            <a class="top-link" href="/api/openapi.json" rel="external">"API"</a>
            <PaletteButton />
            <ThemeSwitch
                current=Signal::derive(move || view.with(|view| view.theme))
                link=move |theme| view.get().with_theme(theme).link()
            />
        </header>
    }
}
