use crate::live::Live;
use leptos::prelude::*;

/// Says that prices are made up, wherever they are.
#[component]
pub fn SimulatedTag() -> impl IntoView {
    let live = expect_context::<Live>();
    let simulated =
        Memo::new(move |_| live.source.with(|source| source.as_ref().is_some_and(|source| source.simulated)));
    view! {
        <Show when=move || simulated.get()>
            <span class="simulated-tag" title="These prices come from a seeded generator, not from an exchange.">
                "SIMULATED"
            </span>
        </Show>
    }
}
