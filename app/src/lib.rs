//! The Leptos user interface.
//!
//! `ssr` renders on the server from a [`backend::Backend`] in context; `hydrate` runs in the browser and follows the
//! live stream. This crate knows neither SQL nor Kafka.

#[cfg(feature = "ssr")]
pub mod backend;
pub mod chart;
mod components;
pub mod format;
pub mod initial;
pub mod keyboard;
pub mod live;
#[cfg(feature = "hydrate")]
mod orders;
mod pages;
pub mod payload;
pub mod quality;
pub mod quarantine;
pub mod query;

use leptos::prelude::*;
use leptos_meta::{Html, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    hooks::use_query_map,
    path,
};
use live::Live;
use pages::{Dashboard, Landing, NotFound, Quality, QualityRun, QualitySuite, Quarantine, QuarantineRecord};

/// The whole document, rendered by the server. No inline style, and no script but the one that starts the WASM.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    use leptos_meta::MetaTags;
    let stylesheet = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="preload" href="/fonts/ibm-plex-sans-latin-400-normal.woff2" r#as="font" r#type="font/woff2" crossorigin="" />
                <link rel="preload" href="/fonts/ibm-plex-mono-latin-400-normal.woff2" r#as="font" r#type="font/woff2" crossorigin="" />
                <link rel="stylesheet" href=stylesheet />
                <AutoReload options=options.clone() />
                <HydrationScripts options />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The root component: live data, router and pages.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let live = Live::new();
    provide_context(live);
    #[cfg(feature = "hydrate")]
    live::socket::run(live);
    view! {
        <Title formatter=|text: String| if text.is_empty() { "stockstream".to_owned() } else { format!("{text} · stockstream") } />
        <Router>
            <ThemedDocument />
            <Routes fallback=NotFound>
                <Route path=path!("/") view=Landing ssr=SsrMode::Async />
                <Route path=path!("/dashboard") view=Dashboard ssr=SsrMode::Async />
                <Route path=path!("/quarantine") view=Quarantine ssr=SsrMode::Async />
                <Route path=path!("/quarantine/:topic/:partition/:offset") view=QuarantineRecord ssr=SsrMode::Async />
                <Route path=path!("/quality") view=Quality ssr=SsrMode::Async />
                <Route path=path!("/quality/runs/:id") view=QualityRun ssr=SsrMode::Async />
                <Route path=path!("/quality/suites/:name") view=QualitySuite ssr=SsrMode::Async />
            </Routes>
        </Router>
    }
}

/// Puts the theme that the URL asks for on the document; without one the system decides.
#[component]
fn ThemedDocument() -> impl IntoView {
    let query = use_query_map();
    let theme = move || query.with(|query| query::Theme::parse(query.get_str("theme")).name());
    view! { <Html attr:data-theme=theme /> }
}
