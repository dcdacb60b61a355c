use crate::{
    chart::Crosshair,
    components::{ChartGrid, DashboardSkeleton, ProvenanceDrawer, ReplayBar, Shortcuts, StatusLine, TopBar},
    desk::{Desk, first_past},
    initial,
    live::{Live, WINDOW, Wanted},
    query::{Theme, View},
    span::streamed,
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;

/// One to nine charts, live.
#[component]
pub fn Dashboard() -> impl IntoView {
    let live = expect_context::<Live>();
    let query = use_query_map();
    let view = Memo::new(move |_| query.with(|query| View::read(|key| query.get(key))));
    provide_context(Crosshair::default());
    let desk = Desk::new(live, view);
    provide_context(desk);
    #[cfg(feature = "hydrate")]
    crate::desk::attend(desk);
    let dark = dark(Signal::derive(move || view.with(|view| view.theme)));

    let first = view.get_untracked();
    let page = Resource::new_blocking(
        || (),
        move |()| {
            initial::load_with_past(first.symbols(), streamed(first.timeframe), WINDOW as u32, first_past(&first))
        },
    );
    Effect::new(move |_| {
        let wanted = view.with(|view| Wanted {
            symbols: view.symbols(),
            timeframe: streamed(view.timeframe),
            bars: WINDOW as u32,
        });
        if live.wanted.with_untracked(|before| before.as_ref() != Some(&wanted)) {
            live.wanted.set(Some(wanted));
        }
    });
    let title = move || view.with(View::title);
    view! {
        <Title text=title />
        <Meta name="description" content="Live candlesticks, volume and statistics of up to nine symbols." />
        <Suspense fallback=DashboardSkeleton>
            {move || Suspend::new(async move {
                let page = page.await;
                desk.seed(&page);
                live.seed(page);
                view! {
                    <div class="dashboard">
                        <TopBar view />
                        <ReplayBar />
                        <ChartGrid dark />
                        <StatusLine />
                        <ProvenanceDrawer />
                        <Shortcuts
                            view=Some(view)
                            next_theme=move |()| {
                                let view = view.get_untracked();
                                let next = view.theme.next();
                                view.with_theme(next).link()
                            }
                            page_link=move |path| view.with_untracked(|view| view.theme.link(path))
                        />
                    </div>
                }
            })}
        </Suspense>
    }
}

/// Whether the page is dark, by its theme or else by the system; a page not yet alive counts as light and draws nothing
/// that depends on it.
fn dark(theme: Signal<Theme>) -> Signal<bool> {
    let system = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        use wasm_bindgen::{JsCast, closure::Closure};
        let Ok(Some(query)) = window().match_media("(prefers-color-scheme: dark)") else { return };
        system.set(query.matches());
        let changed =
            Closure::<dyn FnMut(web_sys::MediaQueryListEvent)>::new(move |event: web_sys::MediaQueryListEvent| {
                system.try_set(event.matches());
            });
        query.set_onchange(Some(changed.as_ref().unchecked_ref()));
        // The list lives as long as the page, and so does its listener.
        changed.forget();
        std::mem::forget(query);
    });
    Signal::derive(move || match theme.get() {
        Theme::Dark => true,
        Theme::Light => false,
        Theme::System => system.get(),
    })
}
