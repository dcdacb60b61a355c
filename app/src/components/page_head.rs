use super::{PaletteButton, ThemeSwitch, Wordmark};
use crate::{
    navigation::{PAGES, Page},
    quality::Exported,
    query::Theme,
};
use leptos::prelude::*;

/// The head of a page that is read rather than watched: home, the other pages, the theme.
#[component]
pub fn PageHead(
    #[prop(into)] theme: Signal<Theme>,
    /// The link to this page in a theme.
    #[prop(into)]
    link: Callback<Theme, String>,
    /// Path of the page in the navigation that this one is or belongs to.
    current: &'static str,
) -> impl IntoView {
    let page = move |page: &'static Page| {
        view! {
            <a
                class="top-link"
                href=move || theme.get().link(page.path)
                rel="external"
                aria-current=(page.path == current).then_some("page")
            >
                {page.name}
            </a>
        }
    };
    if use_context::<Exported>().is_some() {
        return view! { <header class="page-head"><Wordmark /></header> }.into_any();
    }
    view! {
        <header class="page-head">
            <a class="top-home" href=move || theme.get().link("/") rel="external" aria-label="stockstream, home"><Wordmark /></a>
            <nav class="page-nav" aria-label="Pages">
                {PAGES.iter().filter(|page| page.listed).map(page).collect_view()}
            </nav>
            <PaletteButton />
            <ThemeSwitch current=theme link />
        </header>
    }
    .into_any()
}
