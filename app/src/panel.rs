//! What one chart of the dashboard shows, as signals: its series, what is drawn of it, and what there is to say.

use crate::{
    chart::{
        look::Look,
        notes::{Notes, notes},
        plot::{Plot, closes_at},
    },
    desk::Desk,
    format,
    live::{Link, Live, MOST, Series},
    query::{Side, View},
    span::Span,
};
use leptos::prelude::*;
use market::{Stats, Symbol, Timeframe};

/// What a panel can be in, beside fresh and stale, which its badge says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Loading,
    Bars,
    Empty,
    Trouble(String),
}

impl Content {
    /// As styles and tests know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Bars => "bars",
            Self::Empty => "empty",
            Self::Trouble(_) => "trouble",
        }
    }
}

/// The series that a panel shows.
#[derive(Clone, PartialEq)]
struct Shown {
    symbol: Symbol,
    timeframe: Timeframe,
    series: ArcRwSignal<Series>,
}

/// One chart's state; copies share it.
#[derive(Clone, Copy)]
pub struct Panel {
    pub side: Side,
    pub live: Live,
    pub desk: Desk,
    pub symbol: Memo<Symbol>,
    pub timeframe: Memo<Timeframe>,
    pub series: Memo<ArcRwSignal<Series>>,
    pub look: Memo<Look>,
    pub content: Memo<Content>,
    /// Decimals of its prices.
    pub places: Memo<u32>,
    pub plot: RwSignal<Plot>,
    pub notes: Memo<Notes>,
    /// Whether something else was asked for and is on its way.
    pub busy: Signal<bool>,
    /// Whether the prices are made up.
    pub simulated: Signal<bool>,
}

impl Panel {
    pub fn new(side: Side, desk: Desk) -> Self {
        let (live, view) = (desk.live(), desk.view);
        let shown = shown(side, desk);
        let symbol = Memo::new(move |_| shown.with(|shown| shown.symbol.clone()));
        let timeframe = Memo::new(move |_| shown.with(|shown| shown.timeframe));
        let series = Memo::new(move |_| shown.with(|shown| shown.series.clone()));
        let look = Memo::new(move |_| view.with(|view| view.look(side).clone()));
        let content = Memo::new(move |_| {
            let (loaded, empty) = series.get().with(|series| (series.loaded, series.bars.is_empty()));
            let unknown = symbol.with(|symbol| is_unknown(live, symbol));
            match desk.shown().trouble.get() {
                _ if !empty => Content::Bars,
                Some(why) => Content::Trouble(why),
                None if loaded || unknown => Content::Empty,
                None => Content::Loading,
            }
        });
        let notes = Memo::new(move |_| {
            live.findings.with(|findings| {
                series.get().with(|series| notes(&series.revised, findings.of(&symbol.get()), timeframe.get()))
            })
        });
        let busy = move || {
            let wanted = |shown: &Shown| view.with(|view| wanted(view, side) == (&shown.symbol, shown.timeframe));
            desk.is_loading() || !shown.with(wanted)
        };
        let simulated = move || {
            live.source.with(|source| source.as_ref().is_some_and(|source| source.simulated))
                || symbol
                    .with(|of| live.symbols.with(|known| known.iter().any(|info| info.symbol == *of && info.simulated)))
        };
        Self {
            side,
            live,
            desk,
            symbol,
            timeframe,
            series,
            look,
            content,
            places: Memo::new(move |_| series.get().with(|series| format::price_places(&series.bars))),
            plot: plot(desk, shown, look),
            notes,
            busy: Signal::derive(busy),
            simulated: Signal::derive(simulated),
        }
    }

    /// Statistics of the close over the window.
    pub fn stats(&self) -> Memo<Option<Stats>> {
        let Self { desk, series, .. } = *self;
        Memo::new(move |_| {
            let span = desk.view.with(|view| view.span);
            series.get().with(|series| match span {
                Span::Between { from, to } => Stats::of(series.between(from, to)),
                _ => Stats::of(series.window()),
            })
        })
    }

    /// The next longer bars, when there is no room for older ones of these.
    pub fn coarser(&self) -> Option<Timeframe> {
        let full = self.series.get().with(|series| series.bars.len() >= MOST && !series.complete);
        let longer = |next: &Timeframe| next.duration() > self.timeframe.get().duration();
        Timeframe::USUAL.into_iter().find(longer).filter(|_| full)
    }

    /// Fetches what the stream does not tell: earlier findings when a symbol comes, older bars when the callback is called.
    #[cfg(feature = "hydrate")]
    pub fn fetches(&self) -> Callback<()> {
        use crate::live::rest;
        let Self { live, symbol, timeframe, series, .. } = *self;
        let busy = StoredValue::new(false);
        let from = Memo::new(move |_| series.get().with(|series| series.bars.first().map(|bar| bar.time)));
        Effect::new(move |before: Option<Option<(Symbol, chrono::DateTime<chrono::Utc>)>>| {
            let wanted = from.get().map(|from| (symbol.get(), from));
            // As the window moves on there is nothing new to ask for.
            let known = before
                .flatten()
                .filter(|(of, since)| wanted.as_ref().is_some_and(|(s, from)| s == of && from >= since));
            if let (Some((symbol, from)), None) = (&wanted, &known) {
                rest::findings(live, symbol, *from);
            }
            known.or(wanted)
        });
        Callback::new(move |()| {
            if !busy.get_value() {
                busy.set_value(true);
                let done = move || {
                    busy.try_set_value(false);
                };
                rest::older(&symbol.get_untracked(), timeframe.get_untracked(), series.get_untracked(), done);
            }
        })
    }

    #[cfg(not(feature = "hydrate"))]
    pub fn fetches(&self) -> Callback<()> {
        Callback::new(|()| ())
    }
}

fn is_unknown(live: Live, symbol: &Symbol) -> bool {
    live.symbols.with(|known| !known.is_empty() && known.iter().all(|info| info.symbol != *symbol))
}

fn wanted(view: &View, side: Side) -> (&Symbol, Timeframe) {
    (view.symbol(side), view.timeframe)
}

/// What was asked for takes the place of what is shown once its first bars are here, and not before: nothing blinks.
fn shown(side: Side, desk: Desk) -> Memo<Shown> {
    let wanted = Memo::new(move |_| {
        desk.view.with(|view| {
            let (symbol, timeframe) = wanted(view, side);
            (symbol.clone(), timeframe)
        })
    });
    Memo::new(move |before: Option<&Shown>| {
        let (symbol, timeframe) = wanted.get();
        let store = desk.shown();
        let series = store.series(&symbol, timeframe);
        let loaded = series.with(|series| series.loaded);
        let coming = !loaded && store.link.get() == Link::Open && !is_unknown(desk.live(), &symbol);
        match before {
            Some(before) if coming => before.clone(),
            _ => Shown { symbol, timeframe, series },
        }
    })
}

/// What is drawn; it follows the series one step per change.
fn plot(desk: Desk, shown: Memo<Shown>, look: Memo<Look>) -> RwSignal<Plot> {
    let first = untrack(|| shown.with(|now| now.series.with(|series| Plot::new(series, now.timeframe, look.get()))));
    let plot = RwSignal::new(first);
    Effect::new(move |before: Option<Shown>| {
        let (now, look, zone) = (shown.get(), look.get(), desk.zone.get());
        let other = before.is_some_and(|before| before != now);
        now.series.with(|series| {
            plot.maybe_update(|plot| {
                let moved = std::mem::replace(&mut plot.zone, zone) != zone;
                if other {
                    plot.renew(series, now.timeframe, &look);
                }
                let followed = plot.follow(series, now.timeframe, &look);
                let compared = plot.compare(|symbol, bars| {
                    desk.shown().series(symbol, now.timeframe).with(|others| closes_at(bars, &others.bars))
                });
                followed || compared || other || moved
            });
        });
        now
    });
    plot
}
