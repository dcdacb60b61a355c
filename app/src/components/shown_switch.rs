use crate::{quality::Shown, query::Theme};
use leptos::prelude::*;

/// All there is, or only what is not met: two links, of which the one to what is shown says so.
#[component]
pub fn ShownSwitch(
    shown: Shown,
    theme: Memo<Theme>,
    /// Of the page, which shows all.
    #[prop(into)]
    path: String,
    /// What is chosen from, for those who hear it.
    label: &'static str,
    /// How many there are of all, and of those that are not met, where that is known.
    #[prop(optional)]
    counts: Option<[usize; 2]>,
) -> impl IntoView {
    let choice = |(place, choice): (usize, Shown)| {
        let name = match choice {
            Shown::All => "all",
            Shown::Failed => "not met",
        };
        let name = counts.map_or_else(|| name.to_owned(), |counts| format!("{name} {}", counts[place]));
        let path = choice.link(&path);
        view! {
            <a
                class="segment"
                href=move || theme.get().link(&path)
                rel="external"
                aria-current=(choice == shown).then_some("true")
            >
                {name}
            </a>
        }
    };
    view! {
        <nav class="segments" aria-label=label>{Shown::ALL.into_iter().enumerate().map(choice).collect_view()}</nav>
    }
}
