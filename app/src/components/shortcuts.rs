use crate::keyboard::sheet as lines;
#[cfg(feature = "hydrate")]
use crate::keyboard::{Action, action};
#[cfg(feature = "hydrate")]
use crate::query::Side;
use crate::query::View;
use leptos::{html::Dialog, prelude::*};

/// The keyboard: listens for the whole page, and shows all keys on `?`.
#[component]
pub fn Shortcuts(
    /// The dashboard's state; pages without one only navigate.
    #[prop(optional_no_strip)]
    view: Option<Memo<View>>,
    /// The link to this page in the next theme.
    #[prop(into)]
    next_theme: Callback<(), String>,
    /// The theme's query for the links to other pages.
    #[prop(into)]
    page_link: Callback<&'static str, String>,
) -> impl IntoView {
    let sheet = NodeRef::<Dialog>::new();
    #[cfg(feature = "hydrate")]
    listen(sheet, view, next_theme, page_link);
    #[cfg(not(feature = "hydrate"))]
    let _ = (view, next_theme, page_link);
    view! {
        <dialog class="shortcuts" node_ref=sheet aria-labelledby="shortcuts-title">
            <h2 id="shortcuts-title">"Keys"</h2>
            <dl>
                {lines()
                    .into_iter()
                    .map(|line| {
                        view! {
                            <div>
                                <dt><kbd>{line.keys}</kbd></dt>
                                <dd>{line.meaning}</dd>
                            </div>
                        }
                    })
                    .collect_view()}
            </dl>
            <form method="dialog"><button type="submit">"Close"</button></form>
        </dialog>
    }
}

#[cfg(feature = "hydrate")]
fn listen(
    sheet: NodeRef<Dialog>,
    view: Option<Memo<View>>,
    next_theme: Callback<(), String>,
    page_link: Callback<&'static str, String>,
) {
    use crate::{desk::Desk, span::Span};
    use leptos::ev::keydown;
    use leptos_router::{NavigateOptions, hooks::use_navigate};
    use wasm_bindgen::JsCast;
    use web_sys::HtmlElement;

    let navigate = use_navigate();
    let desk = use_context::<Desk>();
    let after_g = StoredValue::new(false);
    let handle = window_event_listener(keydown, move |event| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        let in_field = target.as_ref().is_some_and(|target| {
            // A slider takes no letters.
            let is_slider = target.get_attribute("type").as_deref() == Some("range");
            !is_slider && matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA")
        });
        if in_field {
            if event.key() == "Escape"
                && let Some(target) = target
            {
                let _ = target.blur();
            }
            return;
        }
        let came_after_g = after_g.get_value();
        after_g.set_value(false);
        let Some(action) = action(&event.key(), came_after_g) else { return };
        let go = |link: &str, replace: bool| {
            navigate(link, NavigateOptions { scroll: false, replace, ..NavigateOptions::default() });
        };
        match (action, view) {
            (Action::AwaitPage, _) => after_g.set_value(true),
            (Action::ToggleHelp, _) => {
                if let Some(sheet) = sheet.get_untracked() {
                    if sheet.open() {
                        sheet.close();
                    } else {
                        let _ = sheet.show_modal();
                    }
                }
            }
            (Action::NextTheme, _) => go(&next_theme.run(()), true),
            // Other pages are rendered by the server, with their data.
            (Action::Page(path), _) => drop(window().location().assign(&page_link.run(path))),
            (Action::Timeframe(timeframe), Some(view)) => {
                go(&view.get_untracked().with_timeframe(timeframe).link(), false)
            }
            (Action::FocusSymbol, _) => {
                let side = view.map_or(Side::A, |view| view.with_untracked(|view| view.side));
                let own = format!("symbol-{}", side.letter());
                let field = [&own, "symbol-filter"].into_iter().find_map(|id| document().get_element_by_id(id));
                let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) else { return };
                let _ = field.focus();
            }
            (Action::Live, Some(view)) => {
                desk.inspect(Desk::go_to_newest);
                let view = view.get_untracked();
                if !view.span.is_live() {
                    go(&view.with_span(Span::default()).link(), false);
                }
            }
            (Action::Replay, Some(view)) => {
                let view = view.get_untracked();
                let link = if view.span.is_replay() {
                    desk.and_then(|desk| {
                        desk.toggle_play();
                        desk.link_to_here()
                    })
                } else {
                    desk.and_then(|desk| desk.day_to_play()).map(|span| view.clone().with_span(span).link())
                };
                if let Some(link) = link {
                    go(&link, view.span.is_replay());
                }
            }
            (Action::Layout { back }, Some(view)) => {
                let next = view.with_untracked(|view| view.layout.next(back));
                if let Some(desk) = desk {
                    go(&untrack(|| desk.laid_out(next)), false);
                }
            }
            (Action::Alone, Some(view)) => {
                let view = view.get_untracked();
                let alone = !view.alone;
                go(&view.with_alone(alone).link(), false);
            }
            (Action::NextChart, Some(view)) => {
                let view = view.get_untracked();
                let next = view.next_side();
                go(&view.with_side(next).link(), true);
                request_animation_frame(move || focus_chart(next));
            }
            (
                Action::Timeframe(_)
                | Action::Live
                | Action::Replay
                | Action::Layout { .. }
                | Action::Alone
                | Action::NextChart,
                None,
            ) => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}

/// Arrows and zoom are the focused chart's.
#[cfg(feature = "hydrate")]
fn focus_chart(side: Side) {
    use wasm_bindgen::JsCast;
    let stage = document().query_selector(&format!("[data-side={}] .candle-stage", side.letter()));
    if let Some(stage) = stage.ok().flatten().and_then(|stage| stage.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = stage.focus();
    }
}
