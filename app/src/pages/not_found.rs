use crate::components::Wordmark;
use leptos::prelude::*;
use leptos_meta::Title;

/// There is nothing at this address; the server answers with status 404.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <Title text="Not found" />
        <main class="not-found">
            <a class="top-home" href="/" rel="external" aria-label="stockstream, home"><Wordmark /></a>
            <p class="not-found-code">"404"</p>
            <h1>"Nothing trades at this address."</h1>
            <p>
                <a class="button primary" href="/dashboard" rel="external">"Dashboard"</a>
                " "
                <a class="button" href="/" rel="external">"Home"</a>
            </p>
        </main>
    }
}
