use crate::{
    navigation::{PAGES, Page, current},
    quality::Exported,
    query::Theme,
};
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_query_map};

/// The pages at the bottom of a narrow screen, where a thumb is.
#[component]
pub fn BottomNav() -> impl IntoView {
    if use_context::<Exported>().is_some() {
        return ().into_any();
    }
    let (location, query) = (use_location(), use_query_map());
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let here = Memo::new(move |_| location.pathname.with(|path| current(path).map(|page| page.path)));
    let link = move |page: &'static Page| {
        view! {
            <a
                href=move || theme.get().link(page.path)
                rel="external"
                aria-current=move || (here.get() == Some(page.path)).then_some("page")
            >
                <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=page.icon /></svg>
                <span>{page.name}</span>
            </a>
        }
    };
    view! {
        <nav class="bottom-nav" aria-label="Pages">
            {PAGES.iter().filter(|page| page.listed).map(link).collect_view()}
        </nav>
    }
    .into_any()
}
