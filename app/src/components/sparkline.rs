use crate::quality::trend::{self, HEIGHT, Point, WIDTH};
use leptos::prelude::*;

/// The trend of an expectation: a line through the values of its last runs, a cross where it was not met.
#[component]
pub fn Sparkline(
    /// The oldest first.
    points: Vec<Point>,
) -> impl IntoView {
    trend::draw(&points).map(|drawn| {
        let dot = drawn.dot.map(|(x, y)| {
            view! { <circle class="sparkline-dot" cx=format!("{x:.1}") cy=format!("{y:.1}") r="2.5" /> }
        });
        view! {
            <figure class="sparkline">
                <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="xMinYMid" aria-hidden="true" focusable="false">
                    <path class="sparkline-line" d=drawn.line />
                    <path class="sparkline-cross" d=drawn.crosses />
                    {dot}
                </svg>
                <figcaption>{drawn.words}</figcaption>
            </figure>
        }
    })
}
