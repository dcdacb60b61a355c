use super::freshness_badge;
use crate::{
    format,
    format::Direction,
    live::Series,
    query::{Side, Theme, View},
    watchlist::{self, HEIGHT, WIDTH, Watch, course, figures, heard},
};
use leptos::{ev, html::A, prelude::*};
use market::{Symbol, Timeframe, watchlist::WatchRow as Row};

/// One symbol of the watchlist. Its signals are its own: what happens to others does not touch it.
#[component]
pub fn WatchRow(
    watch: Watch,
    symbol: Symbol,
    /// Whether Tab comes to this row; the arrow keys lead to the others.
    reachable: Signal<bool>,
) -> impl IntoView {
    let Some(row) = watch.row(&symbol) else { return ().into_any() };
    let (row, series) = (RwSignal::from(row), RwSignal::from(watch.live.series(&symbol, Timeframe::MINUTE_1)));
    let Price { last, change, percent, volume, way } = Price::new(row, series);
    let way_class = move || way.get().map_or("", Direction::class);
    let name = symbol.to_string();
    view! {
        <tr class="watch-row" data-symbol=name>
            <th scope="row" class="watch-symbol"><ChartsLink watch symbol reachable /></th>
            <td class="watch-course"><Course row series /></td>
            <td class="watch-last"><Flash value=last /></td>
            <td class=move || format!("watch-change {}", way_class())>{change}</td>
            <td class=move || format!("watch-percent {}", way_class())>
                <span class="arrow" aria-hidden="true">{move || way.get().map_or("", Direction::arrow)}</span>
                {percent}
            </td>
            <td class="watch-volume">{volume}</td>
            <td class="watch-fresh"><Fresh watch row series /></td>
            <Quality row />
        </tr>
    }
    .into_any()
}

/// What a row says of its price, cell by cell: each changes by itself.
#[derive(Clone, Copy)]
struct Price {
    last: Memo<String>,
    change: Memo<String>,
    percent: Memo<String>,
    volume: Memo<String>,
    way: Memo<Option<Direction>>,
}

impl Price {
    fn new(row: RwSignal<Row>, series: RwSignal<Series>) -> Self {
        let now = Memo::new(move |_| row.with(|row| series.with(|series| figures(row, &series.bars))));
        let places = Memo::new(move |_| {
            let of_row = row.with(|row| row.close.normalize().scale().clamp(2, 4));
            series.with(|series| format::price_places(&series.bars)).max(of_row)
        });
        let change = Memo::new(move |_| {
            let signed = |change| format::signed(change, places.get());
            now.with(|now| now.change.map_or_else(|| format::UNKNOWN.to_owned(), signed))
        });
        Self {
            last: Memo::new(move |_| now.with(|now| format::number(now.last, places.get()))),
            change,
            percent: Memo::new(move |_| now.with(|now| format::signed_percent(now.percent))),
            volume: Memo::new(move |_| now.with(|now| format::count(now.volume))),
            way: Memo::new(move |_| now.with(|now| now.change.map(Direction::of))),
        }
    }
}

/// The symbol, as the link to its charts.
#[component]
fn ChartsLink(watch: Watch, symbol: Symbol, reachable: Signal<bool>) -> impl IntoView {
    let (label, charts, entered) = (symbol.to_string(), symbol.clone(), symbol.clone());
    let link = NodeRef::<A>::new();
    let pressed = keys(watch, symbol, link);
    view! {
        <a
            node_ref=link
            href=move || dashboard(&charts, watch.asked.with(|asked| asked.theme))
            rel="external"
            tabindex=move || if reachable.get() { "0" } else { "-1" }
            on:keydown=pressed
            on:focus=move |_| watch.at.set(Some(entered.clone()))
        >
            {label}
        </a>
    }
}

/// The course of the day.
#[component]
fn Course(row: RwSignal<Row>, series: RwSignal<Series>) -> impl IntoView {
    let path = Memo::new(move |_| row.with(|row| series.with(|series| watchlist::path(&course(row, &series.bars)))));
    view! {
        <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <path d=move || path.get().unwrap_or_default() />
        </svg>
    }
}

/// How fresh the row is.
#[component]
fn Fresh(watch: Watch, row: RwSignal<Row>, series: RwSignal<Series>) -> impl IntoView {
    let heard = Memo::new(move |_| series.with(|series| series.heard).unwrap_or_else(|| row.with(heard)));
    let state = Memo::new(move |_| watch.live.freshness(Some(heard.get())));
    let word = Memo::new(move |_| freshness_badge::word(state.get(), watch.live));
    view! {
        <span class="freshness-badge" data-state=move || freshness_badge::name(state.get())>
            <span class="freshness-dot" aria-hidden="true"></span>
            <span class="freshness-word">{word}</span>
        </span>
    }
}

/// The cell of what the rules say of the day.
#[component]
fn Quality(row: RwSignal<Row>) -> impl IntoView {
    let quality = Memo::new(move |_| row.with(watchlist::quality));
    let severity = Memo::new(move |_| row.with(watchlist::severity));
    let title = Memo::new(move |_| {
        row.with(|row| {
            format!(
                "{} bars of the day; {} tagged by a rule; {} findings of rules over several bars still hold",
                format::count(row.bars),
                format::count(row.tagged),
                format::count(row.findings)
            )
        })
    });
    view! {
        <td
            class="watch-quality"
            title=move || title.get()
            data-severity=move || severity.get().map_or("none", |severity| severity.as_str())
        >
            {quality}
        </td>
    }
}

/// The charts of a symbol: it in chart A, and in chart B what is there anyway, unless that is the same.
fn dashboard(symbol: &Symbol, theme: Theme) -> String {
    let view = View::read(|_| None).with_theme(theme);
    let other = view.symbol(Side::A).clone();
    let view = if view.symbol(Side::B) == symbol { view.with_symbol(Side::B, other) } else { view };
    view.with_symbol(Side::A, symbol.clone()).link()
}

/// A value whose background flashes when it changes.
#[component]
fn Flash(value: Memo<String>) -> impl IntoView {
    // Two names for one animation, so that it starts anew at each change; none before the first.
    let count = RwSignal::new(0_u32);
    Effect::new(move |before: Option<()>| {
        value.track();
        if before.is_some() {
            count.update(|count| *count = count.wrapping_add(1));
        }
    });
    let class = move || match count.get() {
        0 => "watch-price",
        count if count % 2 == 1 => "watch-price flash-odd",
        _ => "watch-price flash-even",
    };
    view! { <span class=class>{value}</span> }
}

/// Arrows, Home and End move from row to row. Enter is the link's own.
fn keys(watch: Watch, symbol: Symbol, link: NodeRef<A>) -> impl Fn(ev::KeyboardEvent) + 'static {
    #[cfg(feature = "hydrate")]
    {
        let here = symbol.clone();
        Effect::new(move |before: Option<bool>| {
            let at = watch.at.with(|at| at.as_ref() == Some(&here));
            if at
                && before == Some(false)
                && let Some(link) = link.get_untracked()
            {
                let _ = link.focus();
            }
            at
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = link;
    move |event| {
        match event.key().as_str() {
            "ArrowDown" => watch.step(&symbol, 1),
            "ArrowUp" => watch.step(&symbol, -1),
            "Home" => watch.step(&symbol, isize::MIN),
            "End" => watch.step(&symbol, isize::MAX),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    }
}
