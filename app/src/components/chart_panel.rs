use super::{CandleChart, DataTable, FreshnessBadge, KpiStrip, Legend, SimulatedTag};
use crate::{
    format,
    format::Direction,
    live::{Link, Live, Series},
    query::{Side, View},
};
use leptos::prelude::*;
use market::{Bar, Stats, Symbol, Timeframe};

/// What a panel can be in, beside fresh and stale, which its badge says.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Loading,
    Bars,
    Empty,
    Trouble(String),
}

/// The series that a panel shows.
#[derive(Clone, PartialEq)]
struct Shown {
    symbol: Symbol,
    timeframe: Timeframe,
    series: ArcRwSignal<Series>,
}

/// One symbol: its last price, statistics, candles and their table.
#[component]
pub fn ChartPanel(side: Side, view: Memo<View>, dark: Signal<bool>) -> impl IntoView {
    let live = expect_context::<Live>();
    let wanted = Memo::new(move |_| view.with(|view| (view.symbol(side).clone(), view.timeframe)));
    let unknown = move |symbol: &Symbol| {
        live.symbols.with(|known| !known.is_empty() && known.iter().all(|info| info.symbol != *symbol))
    };
    // What was asked for takes the place of what is shown once its first bars are here, and not before: nothing blinks.
    let shown = Memo::new(move |before: Option<&Shown>| {
        let (symbol, timeframe) = wanted.get();
        let series = live.series(&symbol, timeframe);
        let coming = !series.with(|series| series.loaded) && live.link.get() == Link::Open && !unknown(&symbol);
        match before {
            Some(before) if coming => before.clone(),
            _ => Shown { symbol, timeframe, series },
        }
    });
    let symbol = Memo::new(move |_| shown.with(|shown| shown.symbol.clone()));
    let timeframe = Memo::new(move |_| shown.with(|shown| shown.timeframe));
    let series = Memo::new(move |_| shown.with(|shown| shown.series.clone()));
    let busy = move || {
        shown.with(|shown| wanted.with(|(symbol, timeframe)| (symbol, *timeframe) != (&shown.symbol, shown.timeframe)))
    };
    let bars = Signal::derive(move || series.get().with(|series| series.bars.clone()));
    let heard = Memo::new(move |_| series.get().with(|series| series.heard));
    let places = Memo::new(move |_| series.get().with(|series| format::price_places(&series.bars)));
    let stats = Memo::new(move |_| series.get().with(|series| Stats::of(&series.bars)));
    let state = Memo::new(move |_| live.freshness(heard.get()));
    let content = Memo::new(move |_| {
        let (loaded, empty) = series.get().with(|series| (series.loaded, series.bars.is_empty()));
        let unknown = unknown(&symbol.get());
        match live.trouble.get() {
            _ if !empty => Content::Bars,
            Some(why) => Content::Trouble(why),
            None if loaded || unknown => Content::Empty,
            None => Content::Loading,
        }
    });
    let hovered = RwSignal::new(None::<usize>);
    Effect::new(move |_| {
        shown.track();
        hovered.set(None);
    });
    let legend_bar = Memo::new(move |_| {
        series.get().with(|series| {
            let chosen = hovered.get().and_then(|index| series.bars.get(index));
            chosen.or(series.bars.last()).copied()
        })
    });
    let last = Memo::new(move |_| series.get().with(|series| series.bars.last().map(|bar| bar.close)));
    let last_text =
        move || last.get().map_or_else(|| format::UNKNOWN.to_owned(), |last| format::number(last, places.get()));
    let day_change = Memo::new(move |_| {
        let previous = series.get().with(|series| format::previous_close(&series.bars))?;
        let last = last.get()?;
        let percent = (last - previous).checked_div(previous)? * rust_decimal::Decimal::ONE_HUNDRED;
        let text =
            format!("{} ({})", format::signed(last - previous, places.get()), format::signed_percent(Some(percent)));
        Some((Direction::of(last - previous), text))
    });
    // Two names for one animation, so that it starts anew at each change; none before the first.
    let flash = RwSignal::new(0_u32);
    Effect::new(move |before: Option<Option<rust_decimal::Decimal>>| {
        let now = last.get();
        if before.is_some_and(|before| before.is_some() && before != now) {
            flash.update(|count| *count = count.wrapping_add(1));
        }
        now
    });
    let flash_class = move || match flash.get() {
        0 => "panel-last",
        count if count % 2 == 1 => "panel-last flash-odd",
        _ => "panel-last flash-even",
    };
    let (badge_id, prefix) = match side {
        Side::A => ("hops-a", "kpi-a"),
        Side::B => ("hops-b", "kpi-b"),
    };
    view! {
        <section
            class="chart-panel"
            class:shown=move || view.with(|view| view.side == side)
            data-side=side.letter()
            aria-busy=move || busy().then_some("true")
            data-seq=move || series.get().with(|series| series.seq.unwrap_or_default().to_string())
            aria-label=move || format!("{}, chart {}", symbol.get(), side.letter().to_uppercase())
        >
            <header class="panel-head">
                <h2 class="panel-symbol">{move || symbol.get().to_string()}</h2>
                <span class=flash_class data-panel="last">{last_text}</span>
                <span
                    class=move || format!("panel-change {}", day_change.with(|c| c.as_ref().map_or("", |(way, _)| way.class())))
                    title="against the last close of the exchange day before"
                >
                    {move || match day_change.get() {
                        Some((way, text)) => view! { <span aria-hidden="true">{way.arrow()}</span> " " {text} <span class="panel-since">" vs prev close"</span> }.into_any(),
                        None => view! { <span class="panel-since">{format::UNKNOWN}</span> }.into_any(),
                    }}
                </span>
                <span class="panel-tags">
                    <SimulatedTag />
                    <Show when=move || !matches!(content.get(), Content::Empty)>
                        <FreshnessBadge state heard id=badge_id />
                    </Show>
                </span>
            </header>
            <KpiStrip stats places timeframe loading=Signal::derive(move || content.get() == Content::Loading) prefix />
            <Legend bar=legend_bar places timeframe chosen=Signal::derive(move || hovered.get().is_some()) />
            <div class="panel-stage" data-content=move || match content.get() {
                Content::Loading => "loading",
                Content::Bars => "bars",
                Content::Empty => "empty",
                Content::Trouble(_) => "trouble",
            }>
                <CandleChart symbol timeframe series=series.into() dark hovered />
                {move || match content.get() {
                    Content::Bars => ().into_any(),
                    Content::Loading => view! { <p class="panel-message skeleton"><span class="sr-only">"Loading bars"</span></p> }.into_any(),
                    Content::Empty => {
                        view! {
                            <div class="panel-message">
                                <p class="panel-message-title">{move || format!("No {} bars of {} yet", timeframe.get(), symbol.get())}</p>
                                <p>"They appear here as soon as the first row is committed. Other symbols are in the picker above."</p>
                            </div>
                        }
                            .into_any()
                    }
                    Content::Trouble(why) => {
                        view! {
                            <div class="panel-message trouble" role="status">
                                <p class="panel-message-title">"No bars to show"</p>
                                <p>{why}</p>
                                <p>"The page stays connected and fills by itself; nothing needs to be reloaded."</p>
                            </div>
                        }
                            .into_any()
                    }
                }}
            </div>
            <DataTable symbol timeframe bars=Memo::new(move |_| newest(&bars.get())) places />
        </section>
    }
}

/// What the table can show, so that an older correction does not rebuild it.
fn newest(bars: &[Bar]) -> Vec<Bar> {
    bars[bars.len().saturating_sub(20)..].to_vec()
}
