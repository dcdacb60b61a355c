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

/// One chart, and how it is looked at.
#[derive(Clone, Copy)]
struct Chart {
    side: Side,
    view: Memo<View>,
    look: Memo<Look>,
}

type Question = Box<dyn Fn(&Look) -> bool + Send + Sync>;
type Change = Box<dyn Fn(Look) -> Look + Send + Sync>;

impl Chart {
    fn new(side: Side, view: Memo<View>) -> Self {
        Self { side, view, look: Memo::new(move |_| view.with(|view| view.look(side).clone())) }
    }

    /// A link to the chart looked at in another way.
    fn choice(self, title: String, is_chosen: Question, change: Change) -> impl IntoView {
        let Self { side, view, look } = self;
        let chosen = Signal::derive(move || look.with(&is_chosen));
        let link = Signal::derive(move || view.get().with_look(side, change(look.get())).link());
        view! { <Choice title chosen link /> }
    }
}

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
    let chart = Chart::new(side, view);
    let count = move || Some(chart.look.with(|look| look.studies.len())).filter(|count| *count > 0);
    view! {
        <button type="button" class="chart-menu-button" popovertarget=id.clone() title="Indicators, type, colours, export">
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                <path d="M3 17l5-6 4 4 8-9M15 6h5v5" />
            </svg>
            <span class="chart-menu-word">"Indicators"</span>
            {move || count().map(|count| format!(" ({count})"))}
        </button>
        <div id=id class="chart-menu" popover="auto">
            <h3>"Indicators"</h3>
            <Studies chart />
            <h3>"Compare, as % of change"</h3>
            <Symbols chart />
            <h3>"Type"</h3>
            <Kinds chart />
            <h3>"Price axis and colours"</h3>
            <AxisAndColors chart />
            <ChartExport side view picture />
        </div>
    }
}

#[component]
fn Studies(chart: Chart) -> impl IntoView {
    let choice = move |study: Study| {
        chart.choice(
            study.title(),
            Box::new(move |look| look.studies.contains(&study)),
            Box::new(move |look| look.toggled(study)),
        )
    };
    // Those that only a link asked for can be taken away too.
    let offered = move || {
        let chosen = chart.look.with(|look| look.studies.clone());
        let others = chosen.into_iter().filter(|study| !STUDIES.contains(study));
        STUDIES.into_iter().chain(others).map(choice).collect_view()
    };
    view! { <ul>{offered}</ul> }
}

/// The symbols to compare with: those chosen first, then others that there are.
#[component]
fn Symbols(chart: Chart) -> impl IntoView {
    let live = expect_context::<Live>();
    let choice = move |symbol: Symbol| {
        let other = symbol.clone();
        chart.choice(
            symbol.to_string(),
            Box::new(move |look| look.others.contains(&other)),
            Box::new(move |look| look.compared(&symbol)),
        )
    };
    let offered = move || {
        let own = chart.view.with(|view| view.symbol(chart.side).clone());
        let chosen = chart.look.with(|look| look.others.clone());
        let others =
            live.names().into_iter().filter(|symbol| *symbol != own && !chosen.contains(symbol)).take(MOST_OFFERED);
        chosen.iter().cloned().chain(others).map(choice).collect_view()
    };
    view! { <ul class="choices-of-symbols">{offered}</ul> }
}

#[component]
fn Kinds(chart: Chart) -> impl IntoView {
    let choice = move |kind: Kind| {
        chart.choice(
            kind.title().to_owned(),
            Box::new(move |look| look.kind == kind),
            Box::new(move |look| look.with_kind(kind)),
        )
    };
    view! { <ul>{Kind::ALL.map(choice).into_iter().collect_view()}</ul> }
}

#[component]
fn AxisAndColors(chart: Chart) -> impl IntoView {
    let view = chart.view;
    let safe = Signal::derive(move || view.with(|view| view.safe_colors));
    let link = Signal::derive(move || view.get().with_safe_colors(!safe.get()).link());
    let flip = |look: Look| Look { log: !look.log, ..look };
    view! {
        <ul>
            {chart.choice("Logarithmic".to_owned(), Box::new(|look| look.log), Box::new(flip))}
            <Choice title="Colour-blind safe".to_owned() chosen=safe link />
        </ul>
    }
}

/// A link of the menu.
#[component]
fn Choice(title: String, chosen: Signal<bool>, link: Signal<String>) -> impl IntoView {
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
}
