use super::StillChart;
use crate::{format, live::Series};
use leptos::{html::Div, prelude::*};
use market::{Bar, Symbol, Timeframe};

/// Candles that the SVG shows until the canvas is there.
const STILL_BARS: usize = 120;

/// The candlestick chart: an SVG from the server, a canvas once the browser has the chart's code.
#[component]
pub fn CandleChart(
    #[prop(into)] symbol: Signal<Symbol>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    series: Signal<ArcRwSignal<Series>>,
    dark: Signal<bool>,
    /// Receives the index of the bar under the crosshair.
    hovered: RwSignal<Option<usize>>,
) -> impl IntoView {
    let stage = NodeRef::<Div>::new();
    // What the canvas has reached; without a canvas it stays where the server left it.
    let drawn = RwSignal::new(false);
    let failed = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    {
        use crate::chart::glue::{Progress, attach};
        let progress = attach(stage, symbol, timeframe, series, dark, hovered);
        Effect::new(move |_| {
            drawn.set(progress.get() == Progress::Drawn);
            failed.set(progress.get() == Progress::Failed);
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (dark, hovered);

    let still_bars = Memo::new(move |_| {
        if drawn.get() {
            return Vec::<Bar>::new();
        }
        series.get().with(|series| series.bars[series.bars.len().saturating_sub(STILL_BARS)..].to_vec())
    });
    let description = move || {
        let last = series.get().with(|series| {
            series
                .bars
                .last()
                .map(|bar| format!("last close {}", format::number(bar.close, format::price_places(&series.bars))))
        });
        format!("{} {} candlesticks, {}", symbol.get(), timeframe.get(), last.unwrap_or_else(|| "no bars".to_owned()))
    };
    view! {
        <div class="candle-chart" class:drawn=move || drawn.get()>
            <div
                class="candle-stage"
                role="application"
                tabindex="0"
                aria-label=description
                aria-keyshortcuts="ArrowLeft ArrowRight Home End + - l"
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
