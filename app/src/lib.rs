//! The Leptos user interface.
//!
//! `ssr` renders on the server from a [`backend::Backend`] in context; `hydrate` runs in the browser and follows the
//! live stream. This crate knows neither SQL nor Kafka.

#[cfg(feature = "ssr")]
pub mod backend;

use leptos::prelude::*;

/// The whole document, rendered by the server.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let _ = options;
    view! { <!DOCTYPE html><html lang="en"><body><App/></body></html> }
}

/// The root component: router and pages.
#[component]
pub fn App() -> impl IntoView {
    view! { <main></main> }
}
