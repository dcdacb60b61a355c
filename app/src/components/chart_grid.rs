use super::ChartPanel;
use crate::desk::Desk;
use leptos::prelude::*;

/// The charts of the layout. Those that stay when it changes are not touched.
#[component]
pub fn ChartGrid(dark: Signal<bool>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let sides = Memo::new(move |_| desk.view.with(|view| view.sides()));
    let grid = Memo::new(move |_| desk.view.with(|view| view.grid()));
    view! {
        <main
            class="panels"
            data-charts=move || grid.get().count().to_string()
            data-columns=move || grid.get().columns().to_string()
            data-dense=move || grid.get().is_dense().then_some("true")
        >
            <h1 class="sr-only">"Dashboard"</h1>
            <For each=move || sides.get().iter().copied() key=|side| *side let:side>
                // Of no type of its own: what keeps the list would be compiled for all that is in a panel.
                {view! { <ChartPanel side dark /> }.into_any()}
            </For>
        </main>
    }
}
