//! The page without a network. The service worker (`app/js/service_worker.js`) has kept what the app is made of, and shows it
//! with nothing in it: what was seen last may be wrong by now, and is not shown. When the server answers, the page is
//! loaded from there.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// In context where the service worker made the page, and not the server.
#[derive(Clone, Copy, Debug)]
pub struct Offline;

pub fn is_offline() -> bool {
    use_context::<Offline>().is_some()
}

/// Where the browser keeps when the server was last heard.
#[cfg(feature = "hydrate")]
const SEEN: &str = "seen";

/// Keeps that the server was heard.
#[cfg(feature = "hydrate")]
pub fn remember(now: DateTime<Utc>) {
    if let Ok(Some(storage)) = window().local_storage() {
        // A browser that keeps nothing knows of no time, and says so.
        let _ = storage.set_item(SEEN, &now.timestamp().to_string());
    }
}

/// When the server was last heard.
pub fn last_seen() -> Option<DateTime<Utc>> {
    #[cfg(feature = "hydrate")]
    {
        let kept = window().local_storage().ok()??.get_item(SEEN).ok()??;
        DateTime::from_timestamp(kept.parse().ok()?, 0)
    }
    #[cfg(not(feature = "hydrate"))]
    None
}

/// Why there is nothing to show, on a page that the service worker made.
pub fn trouble() -> Option<String> {
    is_offline().then(|| "There is no connection to the server, and prices that may be old are not shown.".to_owned())
}

/// Starts the app in a page with nothing in it.
#[cfg(feature = "hydrate")]
pub fn mount<N: IntoView + 'static>(root: fn() -> N) {
    let Some(body) = document().body() else { return };
    let app = move || {
        provide_context(Offline);
        root().into_view()
    };
    leptos::mount::mount_to_renderer(&body, app).forget();
}

/// Loads the page from the server once that answers.
#[cfg(feature = "hydrate")]
pub fn come_back() {
    use crate::quality::refresh;
    use market::wire::SymbolInfo;
    use std::time::Duration;

    async fn ask() {
        if refresh::fetch::<Vec<SymbolInfo>>("/api/v1/symbols").await.is_some() {
            let _ = window().location().reload();
        }
    }
    refresh::repeat_every(Duration::from_secs(3), ask);
    let online = window_event_listener_untyped("online", |_| leptos::task::spawn_local(ask()));
    on_cleanup(move || online.remove());
}
