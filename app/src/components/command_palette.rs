use crate::{
    live::Live,
    palette::{Command, Entry, entries, search},
    quality::Exported,
    query::{Theme, View},
    span::day_to_replay,
};
use leptos::{
    ev,
    html::{Dialog, Input},
    prelude::*,
};
use leptos_router::hooks::{use_location, use_query_map};

/// Whether the palette is open; whoever sets it opens or closes it.
#[derive(Clone, Copy)]
pub struct PaletteDoor(pub RwSignal<bool>);

/// Where the palette was opened.
#[derive(Clone, Copy)]
struct Place {
    path: Memo<String>,
    search: Memo<String>,
    theme: Memo<Theme>,
    /// The dashboard's state.
    view: Memo<Option<View>>,
}

impl Place {
    fn here() -> Self {
        let (location, query) = (use_location(), use_query_map());
        let view = move || query.with(|query| View::read(|key| query.get(key)));
        Self {
            path: location.pathname,
            search: location.search,
            theme: Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme")))),
            view: Memo::new(move |_| (location.pathname.get() == "/dashboard").then(view)),
        }
    }
}

/// What is typed, what is found by it, and which of that is chosen.
#[derive(Clone, Copy)]
struct Search {
    open: RwSignal<bool>,
    typed: RwSignal<String>,
    found: Memo<Vec<Entry>>,
    chosen: RwSignal<usize>,
}

impl Search {
    fn new(open: RwSignal<bool>, live: Live, view: Memo<Option<View>>) -> Self {
        let typed = RwSignal::new(String::new());
        let found = Memo::new(move |_| {
            if !open.get() {
                return Vec::new();
            }
            let symbols = live.names();
            let day = live.symbols.with(|known| day_to_replay(known));
            view.with(|view| typed.with(|typed| search(&entries(&symbols, view.as_ref(), day), typed)))
        });
        Self { open, typed, found, chosen: RwSignal::new(0) }
    }

    /// The arrows choose, Enter runs what is chosen.
    fn press(self, event: &ev::KeyboardEvent, run: Callback<Command>) {
        let count = self.found.with(Vec::len);
        let step = |by: usize| self.chosen.update(|chosen| *chosen = (*chosen + by) % count.max(1));
        match event.key().as_str() {
            "ArrowDown" => step(1),
            "ArrowUp" => step(count.saturating_sub(1)),
            "Enter" => {
                if let Some(entry) = self.found.with(|found| found.get(self.chosen.get()).cloned()) {
                    run.run(entry.command);
                }
            }
            _ => return,
        }
        event.prevent_default();
    }

    /// How many commands are found, in words.
    fn count(self) -> String {
        match (self.open.get(), self.found.with(Vec::len)) {
            (false, _) => String::new(),
            (true, 0) => "Nothing is called that.".to_owned(),
            (true, 1) => "1 command".to_owned(),
            (true, count) => format!("{count} commands"),
        }
    }
}

/// Everything that can be done, by a few letters of its name. Opens on Ctrl or ⌘ and K, on every page.
#[component]
pub fn CommandPalette() -> impl IntoView {
    if use_context::<Exported>().is_some() {
        return ().into_any();
    }
    let PaletteDoor(open) = expect_context();
    let live = expect_context::<Live>();
    let place = Place::here();
    let search = Search::new(open, live, place.view);
    let told = RwSignal::new(None::<&'static str>);
    let (dialog, field) = (NodeRef::<Dialog>::new(), NodeRef::<Input>::new());
    #[cfg(feature = "hydrate")]
    browser::attend(search, dialog, field, live);
    let perform = performer(place, live, told);
    let run = Callback::new(move |command| {
        open.set(false);
        perform.run(command);
    });
    let option = move |(index, entry): (usize, Entry)| view! { <PaletteOption search index entry run /> };
    view! {
        <dialog class="palette" node_ref=dialog aria-label="Commands" on:close=move |_| open.set(false)>
            <PaletteField search field run />
            <ul class="palette-list" id="palette-list" role="listbox" aria-label="Commands">
                {move || search.found.get().into_iter().enumerate().map(option).collect_view()}
            </ul>
            <p class="palette-count" role="status">{move || search.count()}</p>
        </dialog>
        <p class="palette-told" role="status">{told}</p>
    }
    .into_any()
}

/// Where the letters are typed; the focus stays in it while the arrows choose.
#[component]
fn PaletteField(search: Search, field: NodeRef<Input>, run: Callback<Command>) -> impl IntoView {
    let Search { typed, found, chosen, .. } = search;
    view! {
        <input
            class="palette-field"
            node_ref=field
            type="text"
            role="combobox"
            aria-label="Symbol, page or command"
            aria-autocomplete="list"
            aria-controls="palette-list"
            aria-expanded=move || found.with(|found| !found.is_empty()).to_string()
            aria-activedescendant=move || found.with(|found| !found.is_empty()).then(|| format!("palette-{}", chosen.get()))
            placeholder="Symbol, page or command"
            autocomplete="off"
            spellcheck="false"
            prop:value=typed
            on:input=move |event| {
                typed.set(event_target_value(&event));
                chosen.set(0);
            }
            on:keydown=move |event| search.press(&event, run)
        />
    }
}

/// One command of the list.
#[component]
fn PaletteOption(search: Search, index: usize, entry: Entry, run: Callback<Command>) -> impl IntoView {
    let Search { chosen, .. } = search;
    let Entry { kind, name, keys, command } = entry;
    view! {
        <li
            role="option"
            id=format!("palette-{index}")
            class="palette-option"
            aria-selected=move || (chosen.get() == index).to_string()
            on:click=move |_| run.run(command.clone())
            on:pointermove=move |_| chosen.set(index)
        >
            <span class="palette-kind">{kind}</span>
            <span class="palette-name">{name}</span>
            {(!keys.is_empty()).then(|| view! { <kbd>{keys}</kbd> })}
        </li>
    }
}

/// Opens the palette without a keyboard.
#[component]
pub fn PaletteButton() -> impl IntoView {
    let door = use_context::<PaletteDoor>();
    let alive = RwSignal::new(false);
    Effect::new(move |_| alive.set(true));
    view! {
        <button
            class="palette-button"
            type="button"
            aria-label="Commands"
            aria-keyshortcuts="Control+K Meta+K"
            title="Commands: Ctrl or ⌘ and K"
            disabled=move || !alive.get()
            on:click=move |_| {
                if let Some(PaletteDoor(open)) = door {
                    open.set(true);
                }
            }
        >
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                <path d="M10 4a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM14.5 14.5L20 20" />
            </svg>
        </button>
    }
}

#[cfg(feature = "hydrate")]
use browser::performer;

/// On the server nobody gives commands. What it renders is dropped by any of its threads, so that nothing in it may belong to
/// one of them.
#[cfg(not(feature = "hydrate"))]
fn performer(place: Place, _live: Live, _told: RwSignal<Option<&'static str>>) -> Callback<Command> {
    let _ = (place.path, place.search, place.theme);
    Callback::new(|_| {})
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::{Place, Search};
    use crate::{
        live::Live,
        navigation::themed,
        palette::{Command, bars_path, curl},
        quality::refresh,
        span::Span,
    };
    use leptos::{
        ev::keydown,
        html::{Dialog, Input},
        prelude::*,
    };
    use leptos_router::{NavigateOptions, hooks::use_navigate};
    use market::wire::SymbolInfo;
    use std::time::Duration;
    use wasm_bindgen::JsCast;
    use web_sys::HtmlElement;

    /// Opens and closes the dialog as told, and learns the symbols when no page has.
    pub fn attend(search: Search, dialog: NodeRef<Dialog>, field: NodeRef<Input>, live: Live) {
        let Search { open, typed, chosen, .. } = search;
        let handle = window_event_listener(keydown, move |event| {
            let chord = (event.ctrl_key() || event.meta_key()) && !event.alt_key() && !event.shift_key();
            if chord && event.key().eq_ignore_ascii_case("k") {
                event.prevent_default();
                open.update(|open| *open = !*open);
            }
        });
        on_cleanup(move || handle.remove());
        Effect::new(move |_| {
            let Some(dialog) = dialog.get() else { return };
            if !open.get() {
                dialog.close();
                return;
            }
            typed.set(String::new());
            chosen.set(0);
            if !dialog.open() {
                let _ = dialog.show_modal();
            }
            if let Some(field) = field.get_untracked() {
                let _ = field.focus();
            }
            if live.symbols.with_untracked(Vec::is_empty) {
                leptos::task::spawn_local(async move {
                    if let Some(known) = refresh::fetch::<Vec<SymbolInfo>>("/api/v1/symbols").await {
                        live.symbols.try_set(known);
                    }
                });
            }
        });
        // What is chosen is in sight.
        Effect::new(move |_| {
            let option = document().get_element_by_id(&format!("palette-{}", chosen.get()));
            if let Some(option) = option.filter(|_| open.get_untracked()) {
                let looks = web_sys::ScrollIntoViewOptions::new();
                looks.set_block(web_sys::ScrollLogicalPosition::Nearest);
                option.scroll_into_view_with_scroll_into_view_options(&looks);
            }
        });
    }

    /// What carries commands out.
    pub fn performer(place: Place, live: Live, told: RwSignal<Option<&'static str>>) -> UnsyncCallback<Command> {
        let navigate = use_navigate();
        let go = move |link: &str, replace: bool| {
            navigate(link, NavigateOptions { scroll: false, replace, ..NavigateOptions::default() });
        };
        UnsyncCallback::new(move |command| {
            let (view, theme) = (place.view.get_untracked(), place.theme.get_untracked());
            let location = window().location();
            match command {
                // Other pages are rendered by the server, with their data.
                Command::Page(path) => drop(location.assign(&theme.link(path))),
                Command::Symbol(symbol) => match view {
                    Some(view) => {
                        let side = view.side;
                        go(&view.with_symbol(side, symbol).link(), false);
                    }
                    None => drop(location.assign(&theme.link(&format!("/dashboard?a={symbol}")))),
                },
                Command::Timeframe(timeframe) => {
                    if let Some(view) = view {
                        go(&view.with_timeframe(timeframe).link(), false);
                    }
                }
                Command::Span(span) => {
                    if let Some(view) = view {
                        let view = if matches!(span, Span::Live(Some(_))) { view.with_auto() } else { view };
                        go(&view.with_span(span).link(), false);
                    }
                }
                Command::Zone(zone) => {
                    if let Some(view) = view {
                        go(&view.with_zone(zone).link(), true);
                    }
                }
                Command::Layout(layout) => {
                    if let Some(view) = view {
                        go(&view.with_layout(layout, &untrack(|| live.names())).link(), false);
                    }
                }
                Command::Alone(alone) => {
                    if let Some(view) = view {
                        go(&view.with_alone(alone).link(), false);
                    }
                }
                Command::Theme(theme) => {
                    go(&place.search.with_untracked(|search| themed(&place.path.get_untracked(), search, theme)), true);
                }
                Command::CopyLink => copy(location.href().unwrap_or_default(), told),
                Command::CopyCurl => {
                    let origin = location.origin().unwrap_or_default();
                    copy(curl(&origin, &place.path.get_untracked(), view.as_ref()), told);
                }
                Command::ExportCsv => {
                    if let Some(view) = view {
                        let name = format!("{}-{}.csv", view.symbol(view.side), view.timeframe);
                        download(&bars_path(&view, true), &name);
                    }
                }
            }
        })
    }

    fn copy(text: String, told: RwSignal<Option<&'static str>>) {
        leptos::task::spawn_local(async move {
            let promise = window().navigator().clipboard().write_text(&text);
            let copied = wasm_bindgen_futures::JsFuture::from(promise).await.is_ok();
            told.try_set(Some(if copied { "Copied." } else { "The browser does not let this page copy." }));
            set_timeout(
                move || {
                    told.try_set(None);
                },
                Duration::from_secs(3),
            );
        });
    }

    fn download(path: &str, name: &str) {
        let Ok(link) = document().create_element("a") else { return };
        let named = link.set_attribute("href", path).and_then(|()| link.set_attribute("download", name));
        if let (Ok(()), Ok(link)) = (named, link.dyn_into::<HtmlElement>()) {
            link.click();
        }
    }
}
