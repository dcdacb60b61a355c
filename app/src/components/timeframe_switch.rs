use crate::query::View;
use leptos::prelude::*;
use market::Timeframe;

/// The length of a bar, as links: they work before the page is alive.
#[component]
pub fn TimeframeSwitch(view: Memo<View>) -> impl IntoView {
    let choice = move |timeframe: Timeframe| {
        view! {
            <a
                class="segment"
                href=move || view.get().with_timeframe(timeframe).link()
                data-noscroll="true"
                aria-current=move || view.with(|view| view.timeframe == timeframe).then_some("true")
            >
                {timeframe.as_str()}
            </a>
        }
    };
    view! { <nav class="segments timeframe-switch" aria-label="Timeframe">{Timeframe::ALL.map(choice).into_iter().collect_view()}</nav> }
}
