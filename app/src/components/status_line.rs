use crate::{
    desk::Desk,
    format,
    live::{Link, Live},
    zone::Zone,
};
use leptos::prelude::*;
use market::wire::PipeState;

fn pipe_word(state: PipeState) -> &'static str {
    match state {
        PipeState::Starting => "starting",
        PipeState::Running => "running",
        PipeState::Retrying => "retrying",
        PipeState::Paused => "paused",
        PipeState::Stopped => "stopped",
    }
}

fn unknown() -> String {
    format::UNKNOWN.to_owned()
}

/// Where the stream is, how the pipeline does, which build this is. What was never told is `—`.
#[component]
pub fn StatusLine() -> impl IntoView {
    let live = expect_context::<Live>();
    let link = move || match live.link.get() {
        Link::Connecting => "connecting",
        Link::Open => "connected",
        Link::Lost { .. } => "offline",
    };
    let head = move || live.head.get().map_or_else(unknown, format::count);
    let pipeline = move || live.pipe.get().map_or(format::UNKNOWN, |pipe| pipe_word(pipe.state));
    let lag = move || live.pipe.get().and_then(|pipe| pipe.lag).map_or_else(unknown, format::count);
    let rate = move || live.pipe.get().map_or_else(unknown, |pipe| format!("{:.1}", pipe.rows_per_second));
    let refused = move || live.quality.get().map_or_else(unknown, |(refused, _)| format::count(refused as i64));
    let tagged = move || live.quality.get().map_or_else(unknown, |(_, tagged)| format::count(tagged as i64));
    let zone = use_context::<Desk>().map(|desk| desk.zone);
    let times = move || match zone.map(|zone| zone.get()) {
        Some(Zone::Local) => "times of this machine",
        _ => "times in New York",
    };
    view! {
        <footer class="status-line">
            <span>"stream " <b data-status="link">{link}</b></span>
            <span>"seq " <b data-status="seq">{head}</b></span>
            <span>"pipeline " <b data-status="pipeline">{pipeline}</b></span>
            <span title="records in Kafka that are not stored yet">"lag " <b>{lag}</b></span>
            <span>"rows/s " <b>{rate}</b></span>
            <span title="rows that the rules refused, in the newest batch">"quarantined " <b>{refused}</b></span>
            <span title="rows that the rules let through with a warning, in the newest batch">"tagged " <b>{tagged}</b></span>
            {move || live.trouble.get().map(|why| view! { <span class="status-trouble" role="status">{why}</span> })}
            <span class="status-space"></span>
            <span>{times}</span>
            <span>"build " <b>{env!("CARGO_PKG_VERSION")}</b></span>
            <span class="status-keys">"keys " <kbd>"?"</kbd></span>
        </footer>
    }
}
