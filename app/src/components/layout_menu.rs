use crate::{desk::Desk, layout::Layout};
use leptos::prelude::*;

/// How many charts there are, and how they are placed, as links: they work before the page is alive.
#[component]
pub fn LayoutMenu() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let current = Memo::new(move |_| desk.view.with(|view| view.layout));
    let choice = move |layout: Layout| {
        view! {
            <li>
                <a
                    class="choice"
                    href=move || desk.laid_out(layout)
                    data-noscroll="true"
                    aria-current=move || (current.get() == layout).then_some("true")
                >
                    <LayoutIcon layout=Signal::stored(layout) />
                    {layout.title()}
                </a>
            </li>
        }
    };
    view! {
        <button
            type="button"
            class="layout-button"
            popovertarget="layout-menu"
            aria-label=move || format!("Layout: {}", current.get().title())
            aria-keyshortcuts="v"
            title="How many charts (v)"
        >
            <LayoutIcon layout=current.into() />
        </button>
        <div id="layout-menu" class="layout-menu" popover="auto">
            <h3>"Layout"</h3>
            <ul>{Layout::OFFERED.map(choice).into_iter().collect_view()}</ul>
        </div>
    }
}

#[component]
fn LayoutIcon(layout: Signal<Layout>) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            <path d=move || layout.get().icon() />
        </svg>
    }
}
