use crate::{
    live::Live,
    query::{Side, View},
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use market::Symbol;

/// Chooses the symbol of one side.
#[component]
pub fn SymbolPicker(side: Side, view: Memo<View>) -> impl IntoView {
    let live = expect_context::<Live>();
    let current = Memo::new(move |_| view.with(|view| view.symbol(side).clone()));
    let choices = Memo::new(move |_| {
        let mut names: Vec<Symbol> = live.symbols.with(|known| known.iter().map(|info| info.symbol.clone()).collect());
        // A link may name a symbol that has no bars yet.
        if let Err(place) = names.binary_search(&current.get()) {
            names.insert(place, current.get());
        }
        names
    });
    let navigate = use_navigate();
    let choose = move |event| {
        if let Ok(symbol) = event_target_value(&event).parse::<Symbol>() {
            let link = view.get_untracked().with_symbol(side, symbol).link();
            navigate(&link, NavigateOptions { scroll: false, ..NavigateOptions::default() });
        }
    };
    let (id, label) = match side {
        Side::A => ("symbol-a", "A"),
        Side::B => ("symbol-b", "B"),
    };
    view! {
        <label class="symbol-picker" for=id>
            <span class="symbol-picker-side" aria-hidden="true">{label}</span>
            <span class="sr-only">{format!("Symbol of chart {label}")}</span>
            <select id=id name=side.letter() on:change=choose prop:value=move || current.get().to_string()>
                <For each=move || choices.get() key=|symbol| symbol.clone() let:symbol>
                    {
                        let name = symbol.to_string();
                        let is_current = move || current.get() == symbol;
                        view! { <option value=name.clone() selected=is_current>{name.clone()}</option> }
                    }
                </For>
            </select>
        </label>
    }
}
