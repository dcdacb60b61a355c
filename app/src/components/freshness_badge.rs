use crate::{
    format,
    live::{Heard, Live},
};
use leptos::prelude::*;
use market::Freshness;

/// The state as styles and tests know it.
pub(super) fn name(state: Option<Freshness>) -> &'static str {
    match state {
        None => "connecting",
        Some(Freshness::Live) => "live",
        Some(Freshness::Delayed { .. }) => "delayed",
        Some(Freshness::Stale { .. }) => "stale",
        Some(Freshness::Offline { .. }) => "offline",
        Some(Freshness::Replay { .. }) => "replay",
        Some(Freshness::MarketClosed) => "closed",
    }
}

/// The state in words; until the page knows the time, CONNECTING.
pub(super) fn word(state: Option<Freshness>, live: Live) -> String {
    match (state, live.clock.get()) {
        (Some(state), Some(now)) => format::freshness(state, now),
        _ => "CONNECTING".to_owned(),
    }
}

/// Dot and word; the hops of the newest change on hover and focus.
#[component]
pub fn FreshnessBadge(
    #[prop(into)] state: Signal<Option<Freshness>>,
    #[prop(into)] heard: Signal<Option<Heard>>,
    /// The element id of the explanation.
    #[prop(into)]
    id: String,
) -> impl IntoView {
    let live = expect_context::<Live>();
    let text = Memo::new(move |_| word(state.get(), live));
    let hops = Memo::new(move |_| {
        let heard = heard.get()?;
        let event =
            heard.event_time.map_or_else(|| format::UNKNOWN.to_owned(), |at| format::instant(at, heard.received_at));
        let way =
            heard.event_time.map_or_else(|| format::UNKNOWN.to_owned(), |at| format::seconds(heard.committed_at - at));
        Some((event, way, format::seconds(heard.received_at - heard.committed_at)))
    });
    view! {
        <span class="freshness-badge tip-anchor" data-state=move || name(state.get()) tabindex="0" aria-describedby=id>
            <span class="freshness-dot" aria-hidden="true"></span>
            <span class="freshness-word">{text}</span>
            <span class="tip" role="tooltip" id=id.clone()>
                {move || match hops.get() {
                    None => view! { <span class="tip-line">"No change has arrived since this page was opened."</span> }.into_any(),
                    Some((event, way, last)) => {
                        view! {
                            <span class="tip-line">
                                "Newest change: source committed "<b>{event}</b>
                            </span>
                            <span class="tip-line">"stored by this server after "<b>{way}</b></span>
                            <span class="tip-line">"on this screen after another "<b>{last}</b></span>
                        }
                            .into_any()
                    }
                }}
            </span>
        </span>
    }
}
