use leptos::prelude::*;

/// A page, or a part of it, that has nothing to show: what that means, and what to do.
#[component]
pub fn Nothing(#[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <section class="nothing">
            <h2>{title}</h2>
            {children()}
        </section>
    }
}
