use super::ChartExport;
use crate::{
    chart::look::{Kind, Look},
    live::Live,
    query::{Side, View},
};
use leptos::prelude::*;
use market::{Symbol, indicator::Study};

/// What the menu offers; a link may ask for other periods.
const STUDIES: [Study; 8] = [
    Study::Sma(20),
    Study::Sma(50),
    Study::Ema(20),
    Study::Ema(50),
    Study::Vwap,
    Study::Bollinger(20),
    Study::Rsi(14),
    Study::Macd,
];

/// Most symbols that it offers to compare with; a link may name others.
const MOST_OFFERED: usize = 11;

/// How one chart is looked at: its type, its scale and its studies, as links. It is a popover of the browser's own, so that
/// it opens, closes by Escape and gives the focus back before the page is alive.
#[component]
pub fn ChartMenu(
    side: Side,
    view: Memo<View>,
    /// Counts the pictures asked for.
    picture: RwSignal<u32>,
) -> impl IntoView {
    let id = format!("look-{}", side.letter());
    let look = Memo::new(move |_| view.with(|view| view.look(side).clone()));
    let choice = move |title: String, chosen: Signal<bool>, link: Signal<String>| {
        view! {
            <li>
                <a
                    class="choice"
                    href=move || link.get()
                    data-noscroll="true"
                    prop:replace=true
                    aria-current=move || chosen.get().then_some("true")
                >
                    {title}
                </a>
            </li>
        }
    };
    let turned = move |change: Box<dyn Fn(Look) -> Look + Send + Sync>| {
        Signal::derive(move || view.get().with_look(side, change(look.get())).link())
    };
    let kind = move |kind: Kind| {
        choice(
            kind.title().to_owned(),
            Signal::derive(move || look.with(|look| look.kind == kind)),
            turned(Box::new(move |look| look.with_kind(kind))),
        )
    };
    let study = move |study: Study| {
        choice(
            study.title(),
            Signal::derive(move || look.with(|look| look.studies.contains(&study))),
            turned(Box::new(move |look| look.toggled(study))),
        )
    };
    let log = move || look.with(|look| look.log);
    let safe = move || view.with(|view| view.safe_colors);
    // Those that only a link asked for can be taken away too.
    let offered = move || {
        let others =
            look.with(|look| look.studies.iter().copied().filter(|s| !STUDIES.contains(s)).collect::<Vec<_>>());
        STUDIES.into_iter().chain(others).map(study).collect_view()
    };
    let symbol = move |symbol: Symbol| {
        let (name, chosen) = (symbol.to_string(), symbol.clone());
        choice(
            name,
            Signal::derive(move || look.with(|look| look.others.contains(&chosen))),
            turned(Box::new(move |look| look.compared(&symbol))),
        )
    };
    let live = expect_context::<Live>();
    let symbols = move || {
        let own = view.with(|view| view.symbol(side).clone());
        let chosen = look.with(|look| look.others.clone());
        let others =
            live.names().into_iter().filter(|symbol| *symbol != own && !chosen.contains(symbol)).take(MOST_OFFERED);
        chosen.iter().cloned().chain(others).map(symbol).collect_view()
    };
    view! {
        <button type="button" class="chart-menu-button" popovertarget=id.clone() title="Indicators, type, colours, export">
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                <path d="M3 17l5-6 4 4 8-9M15 6h5v5" />
            </svg>
            <span class="chart-menu-word">"Indicators"</span>
            {move || Some(look.with(|look| look.studies.len())).filter(|count| *count > 0).map(|count| format!(" ({count})"))}
        </button>
        <div id=id class="chart-menu" popover="auto">
            <h3>"Indicators"</h3>
            <ul>{offered}</ul>
            <h3>"Compare, as % of change"</h3>
            <ul class="choices-of-symbols">{symbols}</ul>
            <h3>"Type"</h3>
            <ul>{Kind::ALL.map(kind).into_iter().collect_view()}</ul>
            <h3>"Price axis and colours"</h3>
            <ul>
                {choice("Logarithmic".to_owned(), Signal::derive(log), turned(Box::new(|look| Look { log: !look.log, ..look })))}
                {choice(
                    "Colour-blind safe".to_owned(),
                    Signal::derive(safe),
                    Signal::derive(move || view.get().with_safe_colors(!safe()).link()),
                )}
            </ul>
            <ChartExport side view picture />
        </div>
    }
}
