use super::{ChartMenu, Compared, Legend, Readings};
use crate::{chart::Crosshair, panel::Panel};
use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// What there is to read above the candles: the bar under the crosshair or the newest, the studies' values at it, and the
/// change of the symbols compared; beside it the chart's menu.
#[component]
pub fn PanelLegend(
    panel: Panel,
    crosshair: Crosshair,
    /// The starts of the first and the last bar in view.
    seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
) -> impl IntoView {
    let Panel { side, desk, symbol, timeframe, series, places, plot, .. } = panel;
    Effect::new(move |_| {
        series.track();
        crosshair.0.set(None);
    });
    // The time looked at in any of the charts, or else the newest bar's.
    let chosen = Memo::new(move |_| crosshair.0.get().map(|pointed| pointed.time));
    let time = Memo::new(move |_| chosen.get().or_else(|| plot.with(|plot| plot.bars.last().map(|bar| bar.time))));
    let index = move || time.get().and_then(|time| plot.with(|plot| plot.bar_at(time)));
    let bar = Memo::new(move |_| index().and_then(|index| plot.with(|plot| plot.bars.get(index).copied())));
    let notes = Memo::new(move |_| {
        let time = time.get();
        time.and_then(|time| panel.notes.with(|notes| notes.get(&time).cloned())).unwrap_or_default()
    });
    // Where there is no bar, there is a name without a value.
    let readings = Memo::new(move |_| plot.with(|plot| plot.readings(index().unwrap_or(usize::MAX))));
    let since = Memo::new(move |_| seen.get().map(|(first, _)| first));
    view! {
        <div class="legend-row">
            <Legend bar time notes places timeframe chosen=Signal::derive(move || chosen.get().is_some()) />
            <ChartMenu side view=desk.view picture />
        </div>
        <Readings readings places />
        <Compared side view=desk.view symbol timeframe plot bar=Signal::derive(index) since zone=desk.zone />
    }
}
