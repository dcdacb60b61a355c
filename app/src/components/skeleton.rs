use leptos::prelude::*;

/// The dashboard's shape while nothing is known: the same boxes, so that nothing moves when they fill.
#[component]
pub fn DashboardSkeleton() -> impl IntoView {
    let panel = || {
        view! {
            <section class="chart-panel shown" aria-hidden="true">
                <header class="panel-head"><span class="skeleton skeleton-title"></span></header>
                <div class="kpi-strip"><div class="skeleton skeleton-strip"></div></div>
                <div class="panel-stage"><p class="panel-message skeleton"></p></div>
            </section>
        }
    };
    view! { <main class="panels" data-columns="2" aria-busy="true">{panel()} {panel()}</main> }
}
