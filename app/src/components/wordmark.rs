use leptos::prelude::*;

/// The name and its mark: three candles, the middle one hollow.
#[component]
pub fn Wordmark() -> impl IntoView {
    view! {
        <span class="wordmark">
            <svg class="wordmark-sign" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                <path class="filled" d="M5 4v3M5 15v5M3 7h4v8H3z" />
                <path class="hollow" d="M12 2v3M12 17v5M10 5h4v12h-4z" />
                <path class="filled" d="M19 5v5M19 16v3M17 10h4v6h-4z" />
            </svg>
            <span class="wordmark-name">"stockstream"</span>
        </span>
    }
}
