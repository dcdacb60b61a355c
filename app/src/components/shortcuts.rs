use crate::keyboard::sheet as lines;
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
    browser::listen(sheet, view, next_theme, page_link);
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
mod browser {
    use crate::{
        desk::Desk,
        follow::follower,
        keyboard::{Action, action},
        layout::Layout,
        query::{Side, View},
        span::Span,
    };
    use leptos::{
        ev::{KeyboardEvent, keydown},
        html::Dialog,
        prelude::*,
    };
    use wasm_bindgen::JsCast;
    use web_sys::HtmlElement;

    pub fn listen(
        sheet: NodeRef<Dialog>,
        view: Option<Memo<View>>,
        next_theme: Callback<(), String>,
        page_link: Callback<&'static str, String>,
    ) {
        let after_g = StoredValue::new(false);
        let page = Page { sheet, view, desk: use_context(), after_g, next_theme, page_link, follow: follower() };
        let handle = window_event_listener(keydown, move |event| {
            if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() || is_typed(&event) {
                return;
            }
            let came_after_g = after_g.get_value();
            after_g.set_value(false);
            if action(&event.key(), came_after_g).is_some_and(|action| page.perform(action)) {
                event.prevent_default();
            }
        });
        on_cleanup(move || handle.remove());
    }

    /// Whether the key is for a field that has the focus; Escape leaves it.
    fn is_typed(event: &KeyboardEvent) -> bool {
        let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        let field = target.filter(|target| {
            // A slider takes no letters.
            let is_slider = target.get_attribute("type").as_deref() == Some("range");
            !is_slider && matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA")
        });
        if let Some(field) = &field
            && event.key() == "Escape"
        {
            let _ = field.blur();
        }
        field.is_some()
    }

    /// What the keys are for.
    #[derive(Clone, Copy)]
    struct Page {
        sheet: NodeRef<Dialog>,
        view: Option<Memo<View>>,
        desk: Option<Desk>,
        /// Whether the key before was a `g`.
        after_g: StoredValue<bool>,
        next_theme: Callback<(), String>,
        page_link: Callback<&'static str, String>,
        follow: Callback<(String, bool)>,
    }

    impl Page {
        /// Returns whether the page has what the action is for.
        fn perform(self, action: Action) -> bool {
            match (action, self.view) {
                (Action::AwaitPage, _) => self.after_g.set_value(true),
                (Action::ToggleHelp, _) => self.toggle_sheet(),
                (Action::NextTheme, _) => self.go(self.next_theme.run(()), true),
                // Other pages are rendered by the server, with their data.
                (Action::Page(path), _) => drop(window().location().assign(&self.page_link.run(path))),
                (Action::FocusSymbol, _) => return self.focus_symbol(),
                (Action::Timeframe(timeframe), Some(view)) => {
                    self.go(view.get_untracked().with_timeframe(timeframe).link(), false);
                }
                (Action::Live, Some(view)) => self.go_live(view.get_untracked()),
                (Action::Replay, Some(view)) => self.replay(view.get_untracked()),
                (Action::Layout { back }, Some(view)) => {
                    self.lay_out(view.with_untracked(|view| view.layout.next(back)));
                }
                (Action::Alone, Some(view)) => {
                    let view = view.get_untracked();
                    let alone = !view.alone;
                    self.go(view.with_alone(alone).link(), false);
                }
                (Action::NextChart, Some(view)) => self.go_to_next_chart(view.get_untracked()),
                (
                    Action::Timeframe(_)
                    | Action::Live
                    | Action::Replay
                    | Action::Layout { .. }
                    | Action::Alone
                    | Action::NextChart,
                    None,
                ) => return false,
            }
            true
        }

        /// With `replace` the link takes the place of the entry in the history.
        fn go(self, link: String, replace: bool) {
            self.follow.run((link, replace));
        }

        fn toggle_sheet(self) {
            let Some(sheet) = self.sheet.get_untracked() else { return };
            if sheet.open() {
                sheet.close();
            } else {
                let _ = sheet.show_modal();
            }
        }

        fn focus_symbol(self) -> bool {
            let side = self.view.map_or(Side::A, |view| view.with_untracked(|view| view.side));
            let own = format!("symbol-{}", side.letter());
            let field = [&own, "symbol-filter"].into_iter().find_map(|id| document().get_element_by_id(id));
            let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) else { return false };
            let _ = field.focus();
            true
        }

        fn go_live(self, view: View) {
            self.desk.inspect(Desk::go_to_newest);
            if !view.span.is_live() {
                self.go(view.with_span(Span::default()).link(), false);
            }
        }

        fn replay(self, view: View) {
            let Some(desk) = self.desk else { return };
            if view.span.is_replay() {
                desk.toggle_play();
                if let Some(link) = desk.link_to_here() {
                    self.go(link, true);
                }
            } else if let Some(day) = desk.day_to_play() {
                self.go(view.with_span(day).link(), false);
            }
        }

        fn lay_out(self, layout: Layout) {
            if let Some(desk) = self.desk {
                self.go(untrack(|| desk.laid_out(layout)), false);
            }
        }

        fn go_to_next_chart(self, view: View) {
            let next = view.next_side();
            self.go(view.with_side(next).link(), true);
            request_animation_frame(move || focus_chart(next));
        }
    }

    /// Arrows and zoom are the focused chart's.
    fn focus_chart(side: Side) {
        let stage = document().query_selector(&format!("[data-side={}] .candle-stage", side.letter()));
        if let Some(stage) = stage.ok().flatten().and_then(|stage| stage.dyn_into::<HtmlElement>().ok()) {
            let _ = stage.focus();
        }
    }
}
