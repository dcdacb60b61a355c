use crate::pipeline::{Percentiles, duration, on_axis};
use leptos::prelude::*;

/// How long one part of the way takes: median and 99th percentile of the last minute, their place on an axis that all
/// parts share, and the same since the start.
#[component]
pub fn HopLatency(
    /// What is measured.
    label: &'static str,
    /// More of it, for who wants to know.
    title: &'static str,
    /// What is measured since; `the server started` or `this page was opened`.
    since: &'static str,
    #[prop(into)] minute: Signal<Option<Percentiles>>,
    #[prop(into)] start: Signal<Option<Percentiles>>,
) -> impl IntoView {
    let p50 = Memo::new(move |_| minute.get().map(|told| told.p50_us));
    let p99 = Memo::new(move |_| minute.get().map(|told| told.p99_us));
    let text = |value: Option<u64>| value.map_or_else(|| crate::format::UNKNOWN.to_owned(), duration);
    let at = |value: Option<u64>| format!("{:.1}", value.map_or(0.0, on_axis));
    let all = Memo::new(move |_| match start.get() {
        Some(told) => format!("{} · {}", duration(told.p50_us), duration(told.p99_us)),
        None => crate::format::UNKNOWN.to_owned(),
    });
    view! {
        <div class="hop-latency">
            <p class="hop-label" title=title>{label}</p>
            <dl>
                <div><dt>"p50"</dt><dd data-p50="">{move || text(p50.get())}</dd></div>
                <div><dt>"p99"</dt><dd data-p99="">{move || text(p99.get())}</dd></div>
            </dl>
            <svg class="hop-range" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                <line class="hop-axis" x1="0" x2="100" y1="3" y2="3" />
                <line
                    class="hop-span"
                    class:unknown=move || p50.get().is_none()
                    x1=move || at(p50.get())
                    x2=move || at(p99.get())
                    y1="3"
                    y2="3"
                />
            </svg>
            <p class="hop-since" title=format!("p50 and p99 since {since}")><span class="sr-only">"p50 and p99 "</span>"since start "<b>{all}</b></p>
        </div>
    }
}
