use crate::keyboard::SHEET;
#[cfg(feature = "hydrate")]
use crate::keyboard::{Action, action};
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
                {SHEET
                    .map(|(keys, meaning)| {
                        view! {
                            <div>
                                <dt><kbd>{keys}</kbd></dt>
                                <dd>{meaning}</dd>
                            </div>
                        }
                    })
                    .into_iter()
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
    use leptos::ev::keydown;
    use leptos_router::{NavigateOptions, hooks::use_navigate};
    use wasm_bindgen::JsCast;
    use web_sys::HtmlElement;

    let navigate = use_navigate();
    let after_g = StoredValue::new(false);
    let handle = window_event_listener(keydown, move |event| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        let in_field =
            target.as_ref().is_some_and(|target| matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA"));
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
            (Action::Dashboard, _) => drop(window().location().assign(&page_link.run("/dashboard"))),
            (Action::Quarantine, _) => drop(window().location().assign(&page_link.run(crate::quarantine::PATH))),
            (Action::Quality, _) => drop(window().location().assign(&page_link.run("/quality"))),
            (Action::Home, _) => drop(window().location().assign(&page_link.run("/"))),
            (Action::Timeframe(timeframe), Some(view)) => {
                go(&view.get_untracked().with_timeframe(timeframe).link(), false)
            }
            (Action::FocusSymbol, Some(_)) => {
                if let Some(picker) =
                    document().get_element_by_id("symbol-a").and_then(|e| e.dyn_into::<HtmlElement>().ok())
                {
                    let _ = picker.focus();
                }
            }
            (Action::Timeframe(_) | Action::FocusSymbol, None) => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}
