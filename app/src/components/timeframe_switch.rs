use crate::query::View;
use leptos::prelude::*;
use market::Timeframe;

/// The length of a bar, as links: they work before the page is alive. `auto`: as the time in view asks for.
#[component]
pub fn TimeframeSwitch(view: Memo<View>) -> impl IntoView {
    let auto = move || view.with(|view| view.auto);
    let choice = move |timeframe: Timeframe| {
        let is_shown = move || view.with(|view| view.timeframe == timeframe);
        view! {
            <a
                class="segment"
                class:by-itself=move || auto() && is_shown()
                href=move || view.get().with_timeframe(timeframe).link()
                data-noscroll="true"
                aria-current=move || (!auto() && is_shown()).then_some("true")
            >
                {timeframe.to_string()}
            </a>
        }
    };
    // One that the switch does not offer is named by the automatic choice.
    let name = move || {
        let view = view.get();
        if Timeframe::USUAL.contains(&view.timeframe) { "auto".to_owned() } else { format!("auto {}", view.timeframe) }
    };
    view! {
        <nav class="segments timeframe-switch" aria-label="Timeframe">
            {Timeframe::USUAL.map(choice).into_iter().collect_view()}
            <a
                class="segment"
                href=move || view.get().with_auto().link()
                data-noscroll="true"
                aria-current=move || auto().then_some("true")
                title="bars as long as the time in view asks for"
            >
                {name}
            </a>
        </nav>
    }
}
