use super::CandleChart;
use crate::{
    chart::Crosshair,
    format,
    live::MOST,
    panel::{Content, Panel},
    provenance::Candle,
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// Where a chart is drawn, and where it says why there is none.
#[component]
pub fn PanelStage(
    panel: Panel,
    dark: Signal<bool>,
    crosshair: Crosshair,
    /// Receives the starts of the first and the last bar in view.
    seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
) -> impl IntoView {
    let Panel { desk, symbol, timeframe, content, look, .. } = panel;
    let older = panel.fetches();
    let activated = Callback::new(move |time| {
        let (symbol, timeframe) = (symbol.get_untracked(), timeframe.get_untracked());
        Candle { symbol, time, timeframe }.show();
    });
    let panes = Memo::new(move |_| look.with(|look| look.panes().count()));
    let coarser = Memo::new(move |_| panel.coarser());
    let limit = move || {
        coarser.get().map(|next| {
            let link = desk.view.get().with_timeframe(next).link();
            view! {
                <p class="panel-limit">
                    {format!("The newest {} bars are here. ", format::count(MOST as i64))}
                    <a href=link data-noscroll="true">{format!("Further back, in {next} bars")}</a>
                </p>
            }
        })
    };
    view! {
        <div
            class="panel-stage"
            data-content=move || content.with(Content::name)
            data-panes=move || panes.get().to_string()
        >
            <CandleChart panel dark crosshair activated older seen picture />
            {limit}
            {move || message(panel, content.get())}
        </div>
    }
}

/// What is said in place of bars.
fn message(Panel { symbol, timeframe, .. }: Panel, content: Content) -> AnyView {
    match content {
        Content::Bars => ().into_any(),
        Content::Loading => {
            view! { <p class="panel-message skeleton"><span class="sr-only">"Loading bars"</span></p> }.into_any()
        }
        Content::Empty => {
            view! {
                <div class="panel-message">
                    <p class="panel-message-title">{move || format!("No {} bars of {} yet", timeframe.get(), symbol.get())}</p>
                    <p>"They appear here as soon as the first row is committed. Other symbols are in the picker above."</p>
                </div>
            }
            .into_any()
        }
        Content::Trouble(why) => {
            view! {
                <div class="panel-message trouble" role="status">
                    <p class="panel-message-title">"No bars to show"</p>
                    <p>{why}</p>
                    <p>"The page fills by itself; nothing needs to be reloaded."</p>
                </div>
            }
            .into_any()
        }
    }
}
