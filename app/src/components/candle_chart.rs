use super::StillChart;
use crate::{
    chart::{Crosshair, notes::Notes, plot::Plot},
    format,
    query::Side,
};
use chrono::{DateTime, Utc};
use leptos::{html::Div, prelude::*};
use market::{Bar, Symbol, Timeframe};

/// Candles that the SVG shows until the canvas is there.
const STILL_BARS: usize = 120;

/// The chart: an SVG from the server, a canvas once the browser has the chart's code.
#[component]
pub fn CandleChart(
    side: Side,
    #[prop(into)] symbol: Signal<Symbol>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    plot: RwSignal<Plot>,
    #[prop(into)] notes: Signal<Notes>,
    dark: Signal<bool>,
    #[prop(into)] safe_colors: Signal<bool>,
    crosshair: Crosshair,
    /// Receives the start of the bar that was clicked, or looked at when Enter was pressed.
    activated: Callback<DateTime<Utc>>,
    /// Called while the view is near the first bar.
    older: Callback<()>,
    /// Receives the starts of the first and the last bar in view.
    seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
    /// Whether the prices are made up.
    simulated: Signal<bool>,
) -> impl IntoView {
    let stage = NodeRef::<Div>::new();
    // What the canvas has reached; without a canvas it stays where the server left it.
    let drawn = RwSignal::new(false);
    let failed = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    {
        use crate::{
            chart::glue::{Content, Progress, attach},
            desk::{Desk, watch_view},
        };
        let desk = expect_context::<Desk>();
        let content = Content {
            side,
            symbol,
            plot,
            notes,
            dark,
            safe_colors,
            crosshair,
            activated,
            older,
            framed: Signal::derive(move || desk.framed()),
            newest: desk.newest,
            viewed: watch_view(desk, side),
            seen,
            picture,
            simulated,
        };
        let progress = attach(stage, content);
        Effect::new(move |_| {
            drawn.set(progress.get() == Progress::Drawn);
            failed.set(progress.get() == Progress::Failed);
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (side, notes, dark, safe_colors, crosshair, activated, older, seen, picture, simulated);

    let still_bars = Memo::new(move |_| {
        if drawn.get() {
            return Vec::<Bar>::new();
        }
        plot.with(|plot| plot.bars[plot.bars.len().saturating_sub(STILL_BARS)..].to_vec())
    });
    let description = move || {
        let last = plot.with(|plot| {
            plot.bars
                .last()
                .map(|bar| format!("last close {}", format::number(bar.close, format::price_places(&plot.bars))))
        });
        let kind = plot.with(|plot| plot.look.kind.title());
        format!("{} {}, {kind}, {}", symbol.get(), timeframe.get(), last.unwrap_or_else(|| "no bars".to_owned()))
    };
    view! {
        <div class="candle-chart" class:drawn=move || drawn.get()>
            <div
                class="candle-stage"
                role="application"
                tabindex="0"
                aria-label=description
                aria-keyshortcuts="ArrowLeft ArrowRight Home End + - Enter"
                node_ref=stage
            ></div>
            <div class="candle-still"><StillChart bars=still_bars /></div>
            <Show when=move || failed.get()>
                <p class="candle-note" role="status">
                    "The interactive chart did not load. The picture and the data table show the same bars."
                </p>
            </Show>
        </div>
    }
}
