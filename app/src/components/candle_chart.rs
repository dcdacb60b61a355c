use super::StillChart;
use crate::{chart::Crosshair, format, panel::Panel};
#[cfg(feature = "hydrate")]
use crate::{
    chart::glue::{Content, Progress, attach},
    desk::watch_view,
};
use chrono::{DateTime, Utc};
use leptos::{html::Div, prelude::*};
use market::Bar;

/// Candles that the SVG shows until the canvas is there.
const STILL_BARS: usize = 120;

/// The chart: an SVG from the server, a canvas once the browser has the chart's code.
#[component]
pub fn CandleChart(
    panel: Panel,
    dark: Signal<bool>,
    crosshair: Crosshair,
    /// Receives the start of the bar that was clicked, or looked at when Enter was pressed.
    activated: Callback<DateTime<Utc>>,
    /// Called while the view is near the first bar.
    older: Callback<()>,
    /// Receives the starts of the first and the last bar in view.
    seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
) -> impl IntoView {
    let stage = NodeRef::<Div>::new();
    // What the canvas has reached; without a canvas it stays where the server left it.
    let drawn = RwSignal::new(false);
    let failed = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    {
        let progress = attach(stage, content(panel, dark, crosshair, activated, older, seen, picture));
        Effect::new(move |_| {
            drawn.set(progress.get() == Progress::Drawn);
            failed.set(progress.get() == Progress::Failed);
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (panel.simulated, dark, crosshair, activated, older, seen, picture);

    let still_bars = Memo::new(move |_| if drawn.get() { Vec::new() } else { newest(panel) });
    view! {
        <div class="candle-chart" class:drawn=move || drawn.get()>
            <div
                class="candle-stage"
                role="application"
                tabindex="0"
                aria-label=move || description(panel)
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

/// What the canvas shows, and what it tells.
#[cfg(feature = "hydrate")]
fn content(
    panel: Panel,
    dark: Signal<bool>,
    crosshair: Crosshair,
    activated: Callback<DateTime<Utc>>,
    older: Callback<()>,
    seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    picture: RwSignal<u32>,
) -> Content {
    let Panel { side, desk, symbol, plot, notes, simulated, .. } = panel;
    Content {
        side,
        symbol: symbol.into(),
        plot,
        notes: notes.into(),
        dark,
        safe_colors: Signal::derive(move || desk.view.with(|view| view.safe_colors)),
        crosshair,
        activated,
        older,
        framed: Signal::derive(move || desk.framed()),
        newest: desk.newest,
        viewed: watch_view(desk, side),
        seen,
        picture,
        simulated,
    }
}

/// The bars of the SVG.
fn newest(panel: Panel) -> Vec<Bar> {
    panel.plot.with(|plot| plot.bars[plot.bars.len().saturating_sub(STILL_BARS)..].to_vec())
}

/// The chart in words: what is drawn, and the last close.
fn description(panel: Panel) -> String {
    let Panel { symbol, timeframe, plot, .. } = panel;
    let (kind, last) = plot.with(|plot| {
        let places = || format::price_places(&plot.bars);
        let last = plot.bars.last().map(|bar| format!("last close {}", format::number(bar.close, places())));
        (plot.look.kind.title(), last)
    });
    format!("{} {}, {kind}, {}", symbol.get(), timeframe.get(), last.unwrap_or_else(|| "no bars".to_owned()))
}
