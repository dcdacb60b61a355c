use super::{DataTable, KpiStrip, PanelHead, PanelLegend, PanelStage};
use crate::{
    chart::{Crosshair, plot::Plot},
    desk::Desk,
    follow::follower,
    panel::{Content, Panel},
    query::Side,
};
use leptos::prelude::*;
use market::Bar;

/// One chart of the dashboard: its symbol, its last price, statistics, candles and their table.
#[component]
pub fn ChartPanel(side: Side, dark: Signal<bool>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let panel = Panel::new(side, desk);
    let Panel { symbol, timeframe, series, places, plot, content, .. } = panel;
    let stats = panel.stats();
    // The place in the view of whoever uses it: commands are for the chart that was used last.
    let follow = follower();
    let used = move |_| {
        let view = desk.view.get_untracked();
        if view.side != side {
            follow.run((view.with_side(side).link(), true));
        }
    };
    let crosshair = use_context::<Crosshair>().unwrap_or_default();
    on_cleanup(move || {
        desk.away.try_update(|away| away.retain(|of| *of != side));
        crosshair.0.try_update(|pointed| pointed.take_if(|pointed| pointed.side == side));
    });
    let (seen, picture) = (RwSignal::new(None), RwSignal::new(0_u32));
    let newest_readings = Memo::new(move |_| plot.with(|plot| plot.readings(plot.bars.len().wrapping_sub(1))));
    view! {
        <section
            class="chart-panel"
            class:shown=move || desk.view.with(|view| view.side == side)
            data-side=side.letter()
            aria-busy=move || panel.busy.get().then_some("true")
            data-seq=move || series.get().with(|series| series.seq.unwrap_or_default().to_string())
            aria-label=move || format!("{}, chart {}", symbol.get(), side.name())
            on:focusin=used
        >
            <PanelHead panel />
            <KpiStrip
                stats
                places
                timeframe
                loading=Signal::derive(move || content.get() == Content::Loading)
                prefix=format!("kpi-{}", side.letter())
            />
            <PanelLegend panel crosshair seen picture />
            <PanelStage panel dark crosshair seen picture />
            <DataTable
                symbol
                timeframe
                bars=Memo::new(move |_| plot.with(newest))
                places
                notes=panel.notes
                readings=newest_readings
            />
        </section>
    }
}

/// What the table can show, so that an older correction does not rebuild it.
fn newest(plot: &Plot) -> Vec<Bar> {
    plot.bars[plot.bars.len().saturating_sub(20)..].to_vec()
}
