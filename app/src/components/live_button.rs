use crate::{desk::Desk, span::Span};
use leptos::prelude::*;

/// Goes back to the newest bar of the live stream, and shows whether the charts are there.
#[component]
pub fn LiveButton() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let following = Memo::new(move |_| desk.is_following());
    // A range of the live stream stays; the past is left.
    let link = move || {
        let view = desk.view.get();
        let span = if view.span.is_live() { view.span } else { Span::default() };
        view.with_span(span).link()
    };
    view! {
        <a
            class="live-button"
            href=link
            data-noscroll="true"
            aria-current=move || following.get().then_some("true")
            aria-keyshortcuts="l"
            title=move || if following.get() { "The charts follow the newest bar" } else { "Back to the newest bar (l)" }
            on:click=move |_| desk.go_to_newest()
        >
            <span class="live-dot" aria-hidden="true"></span>
            "Live"
        </a>
    }
}
