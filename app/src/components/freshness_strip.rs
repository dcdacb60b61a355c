use crate::{
    format,
    freshness::{Span, Verdict},
};
use leptos::prelude::*;

/// Spans of time side by side: full when fresh, cut off when late, low when quiet, a dot when not measured. Shape says
/// it as well as colour.
#[component]
pub fn FreshnessStrip(
    /// The oldest first.
    #[prop(into)]
    spans: Signal<Vec<Span>>,
    /// What a span is: `Minutes`.
    label: &'static str,
) -> impl IntoView {
    let bar = |(index, span): (usize, Span)| {
        let (y, height) = match span.verdict() {
            Verdict::Fresh => (2, 28),
            Verdict::Late => (16, 14),
            Verdict::Quiet => (25, 5),
            Verdict::Unknown => (29, 1),
        };
        view! {
            <rect class="strip-bar" data-verdict=span.verdict().name() x=index * 10 + 1 y=y width="8" height=height>
                <title>{span.sentence()}</title>
            </rect>
        }
    };
    let summary = move || {
        spans.with(|spans| {
            let count = |wanted| spans.iter().filter(|span| span.verdict() == wanted).count();
            format!(
                "{label}: {} fresh, {} late, {} quiet, {} not measured",
                count(Verdict::Fresh),
                count(Verdict::Late),
                count(Verdict::Quiet),
                count(Verdict::Unknown)
            )
        })
    };
    let end = move |first: bool| {
        spans.with(|spans| if first { spans.first().map(|span| span.from) } else { spans.last().map(|span| span.to) })
    };
    let instant = move |first: bool| end(first).map(|at| format::instant(at, end(false).unwrap_or(at)));
    view! {
        <figure class="strip">
            <svg
                viewBox=move || format!("0 0 {} 32", spans.with(Vec::len) * 10)
                preserveAspectRatio="none"
                role="img"
                aria-label=summary
            >
                {move || spans.get().into_iter().enumerate().map(bar).collect_view()}
            </svg>
            <figcaption>
                <span>{move || instant(true)}</span>
                <span class="strip-summary">{summary}</span>
                <span>{move || instant(false)}</span>
            </figcaption>
        </figure>
    }
}
