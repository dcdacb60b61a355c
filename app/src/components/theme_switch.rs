use crate::query::Theme;
use leptos::prelude::*;

fn glyph(theme: Theme) -> (&'static str, &'static str) {
    match theme {
        Theme::System => ("System theme", "M3 5h18v11H3zM9 20h6M12 16v4"),
        Theme::Light => (
            "Light theme",
            "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
        ),
        Theme::Dark => ("Dark theme", "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"),
    }
}

/// Light, dark or the system's, as links to this page in that theme.
#[component]
pub fn ThemeSwitch(
    #[prop(into)] current: Signal<Theme>,
    /// The link to this page in a theme.
    #[prop(into)]
    link: Callback<Theme, String>,
) -> impl IntoView {
    let choice = move |theme: Theme| {
        let (label, path) = glyph(theme);
        view! {
            <a
                class="segment"
                href=move || link.run(theme)
                data-noscroll="true"
                prop:replace=true
                aria-label=label
                title=label
                aria-current=move || (current.get() == theme).then_some("true")
            >
                <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                    <path d=path />
                </svg>
            </a>
        }
    };
    view! { <nav class="segments theme-switch" aria-label="Theme">{Theme::ALL.map(choice).into_iter().collect_view()}</nav> }
}
