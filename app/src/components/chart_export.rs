use super::CopyLine;
use crate::{
    palette::{bars_path, curl},
    query::{Side, View},
};
use leptos::prelude::*;

/// What can be taken away from a chart: its picture, its bars, and the request that asks for them.
#[component]
pub fn ChartExport(
    side: Side,
    view: Memo<View>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
) -> impl IntoView {
    let of_side = move || view.get().with_side(side);
    let origin = RwSignal::new(String::new());
    let alive = RwSignal::new(false);
    Effect::new(move |_| {
        alive.set(true);
        #[cfg(feature = "hydrate")]
        origin.set(window().location().origin().unwrap_or_default());
    });
    let name = move || view.with(|view| format!("{}-{}.csv", view.symbol(side), view.timeframe));
    view! {
        <h3>"Take along"</h3>
        <div class="chart-export">
            <a class="choice" href=move || bars_path(&of_side(), true) download=name rel="external">"Bars as CSV"</a>
            <button
                type="button"
                class="choice"
                id=format!("picture-{}", side.letter())
                disabled=move || !alive.get()
                on:click=move |_| picture.update(|count| *count += 1)
            >
                "Picture as PNG"
            </button>
            <CopyLine
                label="The request behind it"
                line=Signal::derive(move || curl(&origin.get(), "/dashboard", Some(&of_side())))
            />
        </div>
    }
}
