use crate::{
    chart::plot::{Line, Plot},
    format,
    format::Direction,
    query::{Side, View},
    zone::Zone,
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use market::{Symbol, Timeframe};
use rust_decimal::Decimal;

/// The legend of a comparison: each symbol's change from the first bar in view to the bar looked at, in the colour of its
/// line, and a way to take it out again.
#[component]
pub fn Compared(
    side: Side,
    view: Memo<View>,
    #[prop(into)] symbol: Signal<Symbol>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    plot: RwSignal<Plot>,
    /// Index of the bar looked at.
    #[prop(into)]
    bar: Signal<Option<usize>>,
    /// Start of the first bar in view.
    #[prop(into)]
    since: Signal<Option<DateTime<Utc>>>,
    #[prop(into)] zone: Signal<Zone>,
) -> impl IntoView {
    let others = Memo::new(move |_| view.with(|view| view.look(side).others.clone()));
    let stretch = Stretch { plot, bar, since };
    let other = move |(index, symbol): (usize, Symbol)| {
        view! { <Entry side view place=index + 1 symbol=Signal::stored(symbol) stretch /> }
    };
    let since_text = move || since.get().map(|since| format!("since {}", zone.get().bar_time(since, timeframe.get())));
    view! {
        <Show when=move || !others.with(Vec::is_empty)>
            <div class="compared">
                <ul aria-label="Change of each symbol">
                    <Entry side view place=0 symbol stretch />
                    {move || others.get().into_iter().enumerate().map(other).collect_view()}
                </ul>
                <span class="compared-since">{since_text}</span>
            </div>
        </Show>
    }
}

/// The bars that are compared.
#[derive(Clone, Copy)]
struct Stretch {
    plot: RwSignal<Plot>,
    /// Index of the last: the one looked at.
    bar: Signal<Option<usize>>,
    /// Start of the first.
    since: Signal<Option<DateTime<Utc>>>,
}

impl Stretch {
    /// The change of the symbol whose closes are at this place in the plot.
    fn change(self, place: usize) -> Option<Decimal> {
        let Self { plot, bar, since } = self;
        let first = since.get().map_or(0, |since| plot.with(|plot| plot.bars.partition_point(|bar| bar.time < since)));
        let bar = bar.get()?;
        let line = Line { study: None, value: place, grid: 0 };
        let percent = plot.with(|plot| change(plot, line, first, bar))?;
        Decimal::from_f64_retain(percent)
    }
}

/// One symbol and its change; the chart's own is at the place 0.
#[component]
fn Entry(side: Side, view: Memo<View>, place: usize, symbol: Signal<Symbol>, stretch: Stretch) -> impl IntoView {
    let change = Memo::new(move |_| stretch.change(place));
    let class = move || change.get().map_or("", |change| Direction::of(change).class());
    // Behind the colours of the studies; the chart's own has that of its candles.
    let color = move || match place {
        0 => "compared-line".to_owned(),
        _ => {
            format!("compared-line line-{}", (view.with(|view| view.look(side).studies.len()) + place - 1) % 6 + 1)
        }
    };
    view! {
        <li class="compared-entry" data-compared=move || symbol.get().to_string()>
            <span class=color><span class="reading-line" aria-hidden="true"></span></span>
            {move || symbol.get().to_string()}
            " "
            <b class=class>{move || format::signed_percent(change.get())}</b>
            {(place > 0).then(|| view! { <TakeOut side view symbol /> })}
        </li>
    }
}

/// The link to the chart without that symbol.
#[component]
fn TakeOut(side: Side, view: Memo<View>, symbol: Signal<Symbol>) -> impl IntoView {
    let link = move || {
        let view = view.get();
        let look = view.look(side).clone().compared(&symbol.get());
        view.with_look(side, look).link()
    };
    view! {
        <a
            class="compared-out"
            href=link
            data-noscroll="true"
            prop:replace=true
            aria-label=move || format!("Do not compare with {}", symbol.get())
        >
            "×"
        </a>
    }
}

/// Percents from a line's first value at or after a bar to its value at another.
fn change(plot: &Plot, line: Line, first: usize, bar: usize) -> Option<f64> {
    let base = (first..=bar).find_map(|bar| plot.value(line, bar)).filter(|base| *base > 0.0)?;
    // Where this one has no bar, the one before is its price.
    let now = (first..=bar).rev().find_map(|bar| plot.value(line, bar))?;
    Some((now / base - 1.0) * 100.0)
}
