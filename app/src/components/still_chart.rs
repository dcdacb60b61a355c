use crate::chart::still::{self, HEIGHT, WIDTH};
use leptos::prelude::*;
use market::Bar;

/// Candles as SVG: rising ones hollow, falling ones filled, the last close as a dotted line.
#[component]
pub fn StillChart(#[prop(into)] bars: Signal<Vec<Bar>>) -> impl IntoView {
    let still = Memo::new(move |_| bars.with(|bars| still::draw(bars)));
    let last = move || still.with(|still| still.last.map(|y| format!("M0 {y:.1}H{WIDTH}")).unwrap_or_default());
    view! {
        <svg
            class="still-chart"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            preserveAspectRatio="none"
            aria-hidden="true"
            focusable="false"
        >
            <path class="still-rising" d=move || still.with(|still| still.rising.clone()) />
            <path class="still-falling" d=move || still.with(|still| still.falling.clone()) />
            <path class="still-last" d=last />
        </svg>
    }
}
