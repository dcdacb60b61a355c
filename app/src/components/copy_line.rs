use leptos::prelude::*;

/// A line of a terminal with a button that copies it.
#[component]
pub fn CopyLine(
    /// What the line does, in a few words.
    label: &'static str,
    #[prop(into)] line: Signal<String>,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        #[cfg(feature = "hydrate")]
        leptos::task::spawn_local(async move {
            let promise = window().navigator().clipboard().write_text(&line.get_untracked());
            if wasm_bindgen_futures::JsFuture::from(promise).await.is_ok() {
                copied.set(true);
                set_timeout(
                    move || {
                        copied.try_set(false);
                    },
                    std::time::Duration::from_secs(2),
                );
            }
        });
        #[cfg(not(feature = "hydrate"))]
        let _ = copied;
    };
    view! {
        <div class="copy-line">
            <span class="copy-line-label">{label}</span>
            <code class="copy-line-code" tabindex="0">{line}</code>
            <button class="copy-line-button" type="button" on:click=copy aria-label=format!("Copy: {label}")>
                {move || if copied.get() { "copied" } else { "copy" }}
            </button>
        </div>
    }
}
