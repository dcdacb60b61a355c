use super::WatchRow;
use crate::watchlist::{Watch, order::Column};
use leptos::{ev, prelude::*};
use market::Symbol;

/// Rows of the shape that is shown while nothing is known.
const BLANK: usize = 8;

/// The table of symbols: a row for each, kept where it is while a hand is on it.
#[component]
pub fn WatchTable(watch: Watch) -> impl IntoView {
    let is_first = move |symbol: &Symbol| watch.shown.with(|shown| shown.first() == Some(symbol));
    let reachable = move |symbol: Symbol| {
        Signal::derive(move || match watch.at.get().filter(|at| watch.shown.with(|shown| shown.contains(at))) {
            Some(at) => at == symbol,
            None => is_first(&symbol),
        })
    };
    let hold = move |held: bool| {
        if watch.held.get_untracked() != held {
            watch.held.set(held);
        }
    };
    // Focus that moves within the table stays there.
    let left = move |event: ev::FocusEvent| {
        #[cfg(feature = "hydrate")]
        {
            use wasm_bindgen::JsCast;
            let to = event.related_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
            hold(to.is_some_and(|to| to.closest(".watch-rows").ok().flatten().is_some()));
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = event;
    };
    view! {
        <div class="watch-scroll" data-content=move || match (watch.shown.with(Vec::is_empty), watch.trouble.with(Option::is_some)) {
            (true, true) => "trouble",
            (true, false) => "empty",
            (false, _) => "rows",
        }>
            <table class="watch-table">
                <caption class="sr-only">
                    "Symbols with their newest price, and the change, volume, freshness and quality of their newest exchange day. \
                     Arrow keys move from row to row, Enter opens the charts of one."
                </caption>
                <thead><tr>{Column::ALL.map(|column| view! { <WatchColumn watch column /> }).into_iter().collect_view()}</tr></thead>
                <tbody
                    class="watch-rows"
                    on:pointerenter=move |_| hold(true)
                    on:pointerleave=move |_| hold(false)
                    on:focusin=move |_| hold(true)
                    on:focusout=left
                >
                    <For each=move || watch.shown.get() key=|symbol| symbol.clone() let:symbol>
                        <WatchRow watch reachable=reachable(symbol.clone()) symbol />
                    </For>
                </tbody>
            </table>
        </div>
    }
}

/// The head of a column: a link to the order by it. The course of the day has its own head, beside the symbol's.
#[component]
fn WatchColumn(watch: Watch, column: Column) -> impl IntoView {
    let sort = move || watch.asked.with(|asked| asked.sort);
    let link = move || {
        let asked = watch.asked.get();
        let sort = asked.sort.pressed(column);
        asked.with_sort(sort).link()
    };
    let course = (column == Column::Symbol).then(|| view! { <th scope="col" class="watch-course">"Day"</th> });
    view! {
        <th scope="col" class=format!("watch-{}", column.key()) aria-sort=move || sort().aria(column)>
            <a href=link data-noscroll="true" prop:replace=true>
                {column.name()}
                <span class="watch-arrow" aria-hidden="true">
                    {move || match sort().aria(column) {
                        "ascending" => "▲",
                        "descending" => "▼",
                        _ => "",
                    }}
                </span>
            </a>
        </th>
        {course}
    }
}

/// The table's shape while nothing is known.
#[component]
pub fn WatchSkeleton() -> impl IntoView {
    view! {
        <div class="watch-scroll" aria-busy="true" data-content="loading">
            <span class="sr-only">"Loading symbols"</span>
            {(0..BLANK).map(|_| view! { <p class="watch-blank skeleton" aria-hidden="true"></p> }).collect_view()}
        </div>
    }
}
