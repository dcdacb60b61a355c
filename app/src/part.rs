//! The parts in which the browser downloads the pages: who reads the watchlist does not pay for the dashboard's charts, nor
//! for the pages of operations. Pages of different parts are reached by loading a document, as all pages are: the server renders
//! them with their data.

use crate::{
    offline,
    pages::{
        Dashboard, Landing, NotFound, OfflinePage, PipelinePage, Quality, QualityRun, QualitySuite, Quarantine,
        QuarantineRecord, StatusPage, WatchlistPage,
    },
    root,
};
use leptos::prelude::*;
use leptos_router::{MatchNestedRoutes, NestedRoute, SsrMode, hooks::use_location, path};

/// The WASM module that has the page at that path, as its files in the package directory are called. A development build
/// has all pages in one, under each of their names.
pub fn module(path: &str) -> &'static str {
    match crate::navigation::current(path).map(|page| page.path) {
        Some("/pipeline" | "/quality" | "/quarantine" | "/status") => "operations",
        Some("/dashboard") => "dashboard",
        _ => "prices",
    }
}

/// A page that is sent when it is whole.
macro_rules! page {
    ($path:tt, $view:ident) => {
        NestedRoute::new(path!($path), $view).ssr_mode(SsrMode::Async)
    };
}

pub fn dashboard() -> impl MatchNestedRoutes + Clone + Send + 'static {
    page!("/dashboard", Dashboard)
}

pub fn prices() -> impl MatchNestedRoutes + Clone + Send + 'static {
    (page!("/", Landing), page!("/watchlist", WatchlistPage))
}

pub fn operations() -> impl MatchNestedRoutes + Clone + Send + 'static {
    (
        page!("/quarantine", Quarantine),
        page!("/quarantine/:topic/:partition/:offset", QuarantineRecord),
        page!("/pipeline", PipelinePage),
        page!("/status", StatusPage),
        page!("/quality", Quality),
        page!("/quality/runs/:id", QualityRun),
        page!("/quality/suites/:name", QualitySuite),
    )
}

/// The root component as the browser downloads it with the dashboard; also what it keeps for when there is no network.
#[component]
pub fn DashboardPart() -> impl IntoView {
    root(dashboard(), || if offline::is_offline() { OfflinePage().into_any() } else { elsewhere("dashboard") })
}

/// The root component as the browser downloads it with the other pages of prices.
#[component]
pub fn PricesPart() -> impl IntoView {
    root(prices(), || elsewhere("prices"))
}

/// The root component as the browser downloads it with the pages of operations.
#[component]
pub fn OperationsPart() -> impl IntoView {
    root(operations(), || elsewhere("operations"))
}

/// What is at an address that `here` has no page for: a page of another part, or nothing. The browser comes to another part
/// by its own history; loading the document there brings what has the page.
fn elsewhere(here: &str) -> AnyView {
    if use_location().pathname.with_untracked(|path| module(path) == here) {
        return NotFound().into_any();
    }
    // The address is that of the page once the router is done with this frame's navigation.
    #[cfg(feature = "hydrate")]
    request_animation_frame(|| drop(window().location().reload()));
    ().into_any()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn the_service_worker_knows_every_page() {
        let worker = include_str!("../js/service_worker.js");
        let pages =
            worker.lines().find(|line| line.starts_with("const PAGES")).expect("it says which addresses are pages");
        for page in crate::navigation::PAGES {
            assert!(pages.contains(page.path.trim_start_matches('/')), "{}", page.path);
        }
    }

    #[test]
    fn every_page_has_its_module() {
        assert_eq!(module("/dashboard"), "dashboard");
        assert_eq!(["/", "/watchlist", "/nowhere", "/qualityx"].map(module), ["prices"; 4]);
        assert_eq!(["/status", "/quality", "/quality/runs/7", "/quarantine/t/0/5"].map(module), ["operations"; 4]);
    }
}
