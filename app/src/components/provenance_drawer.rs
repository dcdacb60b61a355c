use super::CopyLine;
#[cfg(feature = "hydrate")]
use crate::provenance::ask;
use crate::provenance::{Answer, Candle};
use leptos::{html::Dialog, prelude::*};

/// What the drawer is about, and what is known of it; no answer yet: it is on its way.
#[cfg(feature = "hydrate")]
type Shown = Option<(Candle, Option<Answer>)>;

/// Where a candle came from: opens when the address names one behind its `#`, and closes when it does not.
#[component]
pub fn ProvenanceDrawer() -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    let shown = RwSignal::new(None::<(Candle, Option<Answer>)>);
    let again = RwSignal::new(0_u32);
    #[cfg(feature = "hydrate")]
    let leave = follow(dialog, shown, again);
    #[cfg(not(feature = "hydrate"))]
    let (leave, turn) = (move || (), |_| ());
    #[cfg(feature = "hydrate")]
    let turn = |event: leptos::ev::MouseEvent| turn(&event);
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let title = move || shown.with(|shown| shown.as_ref().map(|(candle, _)| candle.title()).unwrap_or_default());
    view! {
        <dialog
            class="provenance"
            node_ref=dialog
            aria-labelledby="provenance-title"
            on:close=move |_| leave()
            on:click=move |event| {
                // What lies behind it is the dialog itself; its contents fill it.
                if event.target() == event.current_target() {
                    close();
                }
            }
        >
            <div class="provenance-sheet">
                <header class="provenance-head">
                    <h2 id="provenance-title">{title}</h2>
                    <button class="provenance-close" type="button" on:click=move |_| close() aria-label="Close">
                        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d="M4 4l8 8M12 4l-8 8" /></svg>
                    </button>
                </header>
                <div
                    class="provenance-body"
                    aria-live="polite"
                    aria-busy=move || matches!(shown.get(), Some((_, None))).then_some("true")
                    on:click=turn
                >
                    {move || match shown.get() {
                        None => ().into_any(),
                        Some((_, None)) => {
                            view! { <div class="provenance-loading skeleton"><span class="sr-only">"Asking where it came from"</span></div> }.into_any()
                        }
                        Some((candle, Some(Answer::Found(found)))) => view! { <Story candle told=found /> }.into_any(),
                        Some((_, Some(Answer::Unknown(why)))) => {
                            view! {
                                <p class="provenance-nothing">{why}</p>
                                <p class="provenance-hint">"The chart and its data table name the candles that there are."</p>
                            }
                                .into_any()
                        }
                        Some((_, Some(Answer::Failed(why)))) => {
                            view! {
                                <p class="provenance-trouble" role="alert">{why}</p>
                                <button class="button" type="button" on:click=move |_| again.update(|count| *count += 1)>"Try again"</button>
                            }
                                .into_any()
                        }
                    }}
                </div>
            </div>
        </dialog>
    }
}

/// What the server tells of a candle, and how to tell others.
#[component]
fn Story(candle: Candle, told: String) -> impl IntoView {
    let (link, curl) = addresses(&candle);
    view! {
        <div inner_html=told></div>
        <div class="provenance-copies">
            <CopyLine label="Link to this candle" line=link />
            <CopyLine label="The same from the API" line=curl />
        </div>
    }
}

/// A minute that makes up a longer bar takes its place in the history: closing the drawer leads back to the page.
#[cfg(feature = "hydrate")]
fn turn(event: &leptos::ev::MouseEvent) {
    use wasm_bindgen::JsCast;
    let clicked = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let link = clicked.and_then(|clicked| clicked.closest("a[href^='#']").ok().flatten());
    if let Some(candle) = link.and_then(|link| link.get_attribute("href")).as_deref().and_then(Candle::parse) {
        event.prevent_default();
        candle.turn_to();
    }
}

/// The page's address with the candle, and the command that asks the API for the same.
fn addresses(candle: &Candle) -> (String, String) {
    #[cfg(feature = "hydrate")]
    let (origin, page) = {
        let location = window().location();
        let page = [location.pathname(), location.search()].into_iter().flatten().collect::<String>();
        (location.origin().unwrap_or_default(), page)
    };
    #[cfg(not(feature = "hydrate"))]
    let (origin, page) = (String::new(), "/dashboard".to_owned());
    (format!("{origin}{page}{}", candle.hash()), format!("curl -s '{origin}{}'", candle.api()))
}

/// Keeps the drawer as the address says; gives back what is to be done when it was closed by hand.
#[cfg(feature = "hydrate")]
fn follow(dialog: NodeRef<Dialog>, shown: RwSignal<Shown>, again: RwSignal<u32>) -> impl Fn() + Copy + 'static {
    use leptos_router::{
        NavigateOptions,
        hooks::{use_location, use_navigate},
    };

    let location = use_location();
    let asked = RwSignal::new(None::<Candle>);
    // Whether going back leads to the page without the drawer.
    let opened_here = StoredValue::new(false);
    Effect::new(move |before: Option<()>| {
        let candle = location.hash.with(|hash| Candle::parse(hash));
        if asked.with_untracked(Option::is_none) && candle.is_some() {
            opened_here.set_value(before.is_some());
        }
        if asked.with_untracked(|asked| *asked != candle) {
            asked.set(candle);
        }
    });
    Effect::new(move |_| {
        again.track();
        let Some(dialog) = dialog.get() else { return };
        let Some(candle) = asked.get() else {
            shown.set(None);
            dialog.close();
            return;
        };
        shown.set(Some((candle.clone(), None)));
        if !dialog.open() {
            // Refused only when it is not in the document; then there is no page to show it on.
            let _ = dialog.show_modal();
        }
        leptos::task::spawn_local(async move {
            let answer = ask(&candle).await;
            // Another may have been asked for meanwhile.
            if asked.try_get_untracked().flatten().as_ref() == Some(&candle) {
                shown.try_set(Some((candle, Some(answer))));
            }
        });
    });
    let navigate = StoredValue::new_local(use_navigate());
    move || {
        if asked.try_get_untracked().flatten().is_none() {
            return;
        }
        let history = window().history();
        if opened_here.get_value()
            && let Ok(history) = history
        {
            let _ = history.back();
            return;
        }
        let page = format!("{}{}", location.pathname.get_untracked(), window().location().search().unwrap_or_default());
        navigate.with_value(|navigate| {
            navigate(&page, NavigateOptions { scroll: false, replace: true, ..NavigateOptions::default() });
        });
    }
}
