use super::{PageHead, Shortcuts};
use crate::query::Theme;
use leptos::prelude::*;

/// The frame of a page that is read rather than watched: its head, what it says, and the keys.
#[component]
pub fn ReportPage(
    #[prop(into)] theme: Signal<Theme>,
    /// The link to this page in a theme.
    #[prop(into)]
    link: Callback<Theme, String>,
    /// Path of the page in the navigation that this one is or belongs to.
    current: &'static str,
    /// The class of what it says.
    #[prop(default = "report")]
    class: &'static str,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="page">
            <PageHead theme link current />
            <main class=class>{children()}</main>
            <Shortcuts
                view=None
                next_theme=move |()| untrack(|| link.run(theme.get().next()))
                page_link=move |path| theme.get_untracked().link(path)
            />
        </div>
    }
}
