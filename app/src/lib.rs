//! The Leptos user interface.
//!
//! `ssr` renders on the server from a [`backend::Backend`] in context; `hydrate` runs in the browser and follows the
//! live stream. This crate knows neither SQL nor Kafka.

#[cfg(feature = "ssr")]
pub mod backend;
pub mod chart;
mod components;
mod desk;
mod follow;
pub mod format;
pub mod freshness;
pub mod initial;
pub mod keyboard;
pub mod layout;
pub mod live;
pub mod navigation;
pub mod offline;
#[cfg(feature = "hydrate")]
mod orders;
mod pages;
pub mod palette;
mod panel;
mod part;
pub mod payload;
pub mod pipeline;
pub mod provenance;
pub mod quality;
pub mod quarantine;
pub mod query;
pub mod span;
pub mod watchlist;
pub mod zone;

use components::{BottomNav, CommandPalette, OfflineBar, PaletteDoor};
#[cfg(feature = "ssr")]
use leptos::nonce;
use leptos::{children::ToChildren, prelude::*};
use leptos_meta::{Html, Title, provide_meta_context};
use leptos_router::{
    MatchNestedRoutes,
    components::{FlatRoutes, FlatRoutesProps, Router},
    hooks::use_query_map,
};
use live::Live;
use pages::NotFound;
pub use part::{DashboardPart, OperationsPart, PricesPart};

/// Starts what shows the app without a network, once the page needs nothing more.
#[cfg(feature = "ssr")]
const REGISTER: &str = "if ('serviceWorker' in navigator) addEventListener('load', () => navigator.serviceWorker.register('/sw.js').catch(() => {}));";

/// The whole document, rendered by the server. No inline style, and no script but those that start the WASM and the service worker.
#[cfg(feature = "ssr")]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    use leptos_meta::MetaTags;
    use leptos_router::location::RequestUrl;
    let stylesheet = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    let asked = use_context::<RequestUrl>().and_then(|url| url.parse().ok());
    let module = part::module(asked.as_ref().map_or("/", |url| url.path()));
    let mut scripts = options.clone();
    scripts.output_name = module.into();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                {use_context::<quality::Exported>().is_none().then(|| view! { <link rel="manifest" href="/manifest.webmanifest" /> })}
                <link rel="preload" href="/fonts/ibm-plex-sans-latin-400-normal.woff2" r#as="font" r#type="font/woff2" crossorigin="" />
                <link rel="preload" href="/fonts/ibm-plex-mono-latin-400-normal.woff2" r#as="font" r#type="font/woff2" crossorigin="" />
                <link rel="stylesheet" href=stylesheet />
                <AutoReload options=options.clone() />
                <HydrationScripts options=scripts />
                {use_context::<quality::Exported>().is_none().then(|| view! { <script nonce=nonce::use_nonce()>{REGISTER}</script> })}
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The root component, with all pages.
#[component]
pub fn App() -> impl IntoView {
    root((part::dashboard(), part::prices(), part::operations()), NotFound)
}

/// Live data, router and pages; `other`: what is at addresses that no page has.
fn root<R, V>(pages: R, other: fn() -> V) -> impl IntoView
where
    R: MatchNestedRoutes + Clone + Send + 'static,
    V: IntoView + 'static,
{
    provide_meta_context();
    let live = Live::new();
    provide_context(live);
    provide_context(PaletteDoor(RwSignal::new(false)));
    #[cfg(feature = "hydrate")]
    live::socket::run(live);
    let pages = move || FlatRoutesProps::builder().fallback(other).children(ToChildren::to_children(|| pages)).build();
    view! {
        <Title formatter=|text: String| if text.is_empty() { "stockstream".to_owned() } else { format!("{text} · stockstream") } />
        {offline::is_offline().then(OfflineBar)}
        <Router>
            <ThemedDocument />
            {FlatRoutes(pages())}
            <BottomNav />
            <CommandPalette />
        </Router>
    }
}

/// Puts the theme and the colours that the URL asks for on the document; without a theme the system decides.
#[component]
fn ThemedDocument() -> impl IntoView {
    let query = use_query_map();
    let theme = move || query.with(|query| query::Theme::parse(query.get_str("theme")).name());
    let colors = move || {
        let (key, value) = query::COLORS;
        query.with(|query| (query.get_str(key) == Some(value)).then_some(value))
    };
    view! { <Html attr:data-theme=theme attr:data-colors=colors /> }
}
