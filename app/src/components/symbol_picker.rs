use crate::{
    follow::follower,
    live::Live,
    query::{Side, View},
};
use leptos::prelude::*;
use market::Symbol;

/// Chooses the symbol of a chart. Only the chart that is used has all symbols in its list: there may be hundreds.
#[component]
pub fn SymbolPicker(side: Side, view: Memo<View>) -> impl IntoView {
    let live = expect_context::<Live>();
    let current = Memo::new(move |_| view.with(|view| view.symbol(side).clone()));
    let about_to_open = RwSignal::new(false);
    let has_all = Memo::new(move |_| about_to_open.get() || view.with(|view| view.side == side));
    let choices = Memo::new(move |_| {
        if !has_all.get() {
            return vec![current.get()];
        }
        let mut names = live.names();
        // A link may name a symbol that has no bars yet.
        if let Err(place) = names.binary_search(&current.get()) {
            names.insert(place, current.get());
        }
        names
    });
    let follow = follower();
    let choose = move |event| {
        if let Ok(symbol) = event_target_value(&event).parse::<Symbol>() {
            follow.run((view.get_untracked().with_symbol(side, symbol).link(), false));
        }
    };
    let id = format!("symbol-{}", side.letter());
    view! {
        <label class="symbol-picker" for=id>
            <span class="sr-only">{format!("Symbol of chart {}", side.name())}</span>
            <select
                id=id.clone()
                name=side.letter()
                on:change=choose
                on:pointerenter=move |_| about_to_open.set(true)
                on:focus=move |_| about_to_open.set(true)
                prop:value=move || current.get().to_string()
            >
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
