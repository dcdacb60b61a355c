use crate::{desk::Desk, span::Span};
use leptos::prelude::*;

/// Says of a chart that what it shows is not now: a day that is played, or a window of the past.
#[component]
pub fn TimeMark() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let playing = move || desk.player.with(|player| player.as_ref().is_some_and(|player| player.playing));
    let text = move || match desk.view.with(|view| view.span) {
        Span::Replay { speed, .. } if playing() => format!("REPLAY {speed}×"),
        Span::Replay { .. } => "REPLAY paused".to_owned(),
        _ => "PAST".to_owned(),
    };
    view! {
        <span
            class="time-mark"
            data-mark=move || if desk.view.with(|view| view.span.is_replay()) { "replay" } else { "past" }
            title="Not live. The live stream goes on meanwhile; l goes back to it."
        >
            {text}
        </span>
    }
}
