use crate::{format, offline};
use leptos::prelude::*;

/// Says on a page that the service worker made that it is one, and since when; goes away with the page once the server
/// answers.
#[component]
pub fn OfflineBar() -> impl IntoView {
    #[cfg(feature = "hydrate")]
    offline::come_back();
    let seen = offline::last_seen().map_or_else(
        || "the server was not seen from here yet".to_owned(),
        |seen| format!("last seen {}", format::full_instant(seen)),
    );
    view! {
        <p class="offline-bar" role="status">
            <strong>"OFFLINE"</strong>
            {format!(", {seen}. The page comes back by itself.")}
        </p>
    }
}
