use crate::quality::Verdict;
use leptos::prelude::*;

/// Whether something is met: a shape and a word, and a colour last.
#[component]
pub fn VerdictMark(verdict: Verdict) -> impl IntoView {
    let (name, word, shape) = match verdict {
        Verdict::Met => ("met", "met", "M3 8.5l3.2 3.2L13 4.5"),
        Verdict::Unmet => ("unmet", "not met", "M4 4l8 8M12 4l-8 8"),
        Verdict::CouldNot => ("could-not", "could not be evaluated", "M8 3v6M8 12.5v.5"),
    };
    view! {
        <span class="verdict-mark" data-verdict=name>
            <svg class="verdict-sign" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
                <path d=shape />
            </svg>
            {word}
        </span>
    }
}
