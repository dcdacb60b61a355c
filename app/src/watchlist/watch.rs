//! The watchlist's rows as signals, one per row, so that a tick touches one row; and what keeps them up to date.

use super::{
    figures, heard,
    order::{Asked, Ranked},
};
use crate::live::{Heard, Live};
use leptos::prelude::*;
use market::{
    Symbol, Timeframe,
    watchlist::{WatchRow, Watchlist},
};
use std::collections::HashMap;

/// The rows as the API told them. Copies share it.
#[derive(Clone, Copy)]
pub struct Watch {
    rows: StoredValue<HashMap<Symbol, ArcRwSignal<WatchRow>>>,
    /// All symbols that were told, by name.
    pub names: RwSignal<Vec<Symbol>>,
    /// Those that are shown, in their order.
    pub shown: RwSignal<Vec<Symbol>>,
    /// Symbols there are, of which the API tells the first by name.
    pub total: RwSignal<i64>,
    /// Why what is shown may be old, or why there is nothing; for people.
    pub trouble: RwSignal<Option<String>>,
    pub live: Live,
    pub asked: Memo<Asked>,
    /// The symbol that the keyboard is at.
    pub at: RwSignal<Option<Symbol>>,
    /// Whether a hand is on the table: rows stay where they are meanwhile.
    pub held: RwSignal<bool>,
}

impl Watch {
    pub fn new(first: Result<Watchlist, String>, live: Live, asked: Memo<Asked>) -> Self {
        let watch = Self {
            rows: StoredValue::new(HashMap::new()),
            names: RwSignal::new(Vec::new()),
            shown: RwSignal::new(Vec::new()),
            total: RwSignal::new(0),
            trouble: RwSignal::new(None),
            live,
            asked,
            at: RwSignal::new(None),
            held: RwSignal::new(false),
        };
        match first {
            Ok(list) => watch.take(list),
            Err(why) => watch.trouble.set(Some(why)),
        }
        watch
    }

    /// Takes in what the API told. Rows that are the same touch nothing.
    pub fn take(&self, list: Watchlist) {
        let names: Vec<Symbol> = list.rows.iter().map(|row| row.symbol.clone()).collect();
        for row in list.rows {
            match self.row(&row.symbol) {
                Some(known) => known.maybe_update(|known| {
                    let differs = *known != row;
                    *known = row;
                    differs
                }),
                None => {
                    self.rows.update_value(|rows| drop(rows.insert(row.symbol.clone(), ArcRwSignal::new(row))));
                }
            }
        }
        if self.total.get_untracked() != list.total {
            self.total.set(list.total);
        }
        if self.names.with_untracked(|known| *known != names) {
            self.names.set(names);
        }
        if self.trouble.with_untracked(Option::is_some) {
            self.trouble.set(None);
        }
        self.arrange();
    }

    /// Puts the rows in the order of this moment, and shows those that the filter lets through.
    pub fn arrange(&self) {
        let asked = self.asked.get_untracked();
        let ranked = self.names.with_untracked(|names| {
            let wanted = names.iter().filter(|symbol| asked.lets_through(symbol));
            wanted.filter_map(|symbol| self.ranked(symbol)).collect()
        });
        let sorted = asked.sort.of(ranked);
        if self.shown.with_untracked(|shown| *shown != sorted) {
            self.shown.set(sorted);
        }
    }

    fn ranked(&self, symbol: &Symbol) -> Option<Ranked> {
        let row = self.row(symbol)?.get_untracked();
        let series = self.live.series(symbol, Timeframe::MINUTE_1);
        let (now, heard) = series.with_untracked(|series| (figures(&row, &series.bars), series.heard));
        let committed_at = heard.map_or(row.committed_at, |heard| heard.committed_at.max(row.committed_at));
        Some(Ranked { row: WatchRow { committed_at, ..row }, now })
    }

    pub fn row(&self, symbol: &Symbol) -> Option<ArcRwSignal<WatchRow>> {
        self.rows.with_value(|rows| rows.get(symbol).cloned())
    }

    /// When each row that is shown changed last; tracks them all.
    pub fn heard(&self) -> Vec<Heard> {
        let of = |symbol: &Symbol| {
            let row = self.row(symbol)?;
            let series = self.live.series(symbol, Timeframe::MINUTE_1);
            Some(series.with(|series| series.heard).unwrap_or_else(|| row.with(heard)))
        };
        self.shown.with(|shown| shown.iter().filter_map(of).collect())
    }

    /// Moves the keyboard by this many rows; to the first or the last one at most.
    pub fn step(&self, from: &Symbol, by: isize) {
        let to = self.shown.with_untracked(|shown| {
            let place = shown.iter().position(|symbol| symbol == from)?;
            shown.get(place.saturating_add_signed(by).min(shown.len() - 1)).cloned()
        });
        self.at.set(to);
    }
}

/// Keeps the rows up to date: prices by the live stream, everything else by asking again.
#[cfg(feature = "hydrate")]
pub use browser::follow;

#[cfg(feature = "hydrate")]
mod browser {
    use super::Watch;
    use crate::{
        live::{Link, Wanted},
        quality::refresh::{fetch, repeat_every},
        watchlist::API,
    };
    use leptos::prelude::*;
    use market::{
        Symbol, Timeframe,
        watchlist::{MAX_WATCHED, Watchlist},
        wire::MAX_SYMBOLS,
    };
    use std::time::Duration;

    /// Bars per symbol that are asked of the stream: what may have passed since the API was asked.
    const BARS: u32 = 60;
    /// How often rows are put in order, and asked for when the stream does not tell all of them.
    const BEAT: Duration = Duration::from_secs(5);
    /// Every how many beats the API is asked for rows that the stream tells.
    const SELDOM: u32 = 6;
    /// How long after something happened the API is asked.
    const SOON: Duration = Duration::from_millis(300);

    pub fn follow(watch: Watch) {
        Effect::new(move |_| {
            let wanted = Wanted { symbols: followed(watch), timeframe: Timeframe::MINUTE_1, bars: BARS };
            let new = watch.live.wanted.with_untracked(|before| before.as_ref() != Some(&wanted));
            if new && !wanted.symbols.is_empty() {
                watch.live.wanted.set(Some(wanted));
            }
        });
        Effect::new(move |before: Option<()>| {
            watch.asked.track();
            if before.is_some() {
                watch.arrange();
                if watch.total.get_untracked() > MAX_WATCHED as i64 {
                    ask_soon(watch);
                }
            }
        });
        // The stream tells that something was found; the row says how much there is of it.
        Effect::new(move |before: Option<()>| {
            watch.live.findings.track();
            if before.is_some() {
                ask_soon(watch);
            }
        });
        // What was missed while the stream was away may be more than it tells.
        Effect::new(move |before: Option<Link>| {
            let link = watch.live.link.get();
            if link == Link::Open && matches!(before, Some(Link::Lost { .. })) {
                ask_soon(watch);
            }
            link
        });
        let beats = StoredValue::new(0_u32);
        repeat_every(BEAT, move || async move {
            beats.try_update_value(|beats| *beats = beats.wrapping_add(1));
            let Some(beat) = beats.try_get_value() else { return };
            let all_told = watch.names.with_untracked(|names| !names.is_empty() && names.len() <= MAX_SYMBOLS);
            if !all_told || beat.is_multiple_of(SELDOM) || watch.trouble.with_untracked(Option::is_some) {
                ask(watch).await;
            }
            if watch.held.try_get_untracked() == Some(false) {
                watch.arrange();
            }
        });
    }

    /// All symbols, or as many as one subscription can have, of those that are shown first.
    fn followed(watch: Watch) -> Vec<Symbol> {
        let names = watch.names.get();
        if names.len() <= MAX_SYMBOLS {
            return names;
        }
        let mut shown = watch.shown.get();
        shown.truncate(MAX_SYMBOLS);
        shown.sort();
        shown
    }

    fn ask_soon(watch: Watch) {
        set_timeout(move || leptos::task::spawn_local(ask(watch)), SOON);
    }

    async fn ask(watch: Watch) {
        let Some(total) = watch.total.try_get_untracked() else { return };
        let Some(filter) = watch.asked.try_with_untracked(|asked| asked.filter.clone()) else { return };
        // When they are too many to have them all, those that the filter lets through.
        let filter = if total > MAX_WATCHED as i64 { filter } else { String::new() };
        let list = fetch::<Watchlist>(&format!("{API}?limit={MAX_WATCHED}&filter={filter}")).await;
        if watch.total.is_disposed() {
            return;
        }
        match list {
            Some(list) if filter.is_empty() => watch.take(list),
            Some(list) => watch.take(Watchlist { total, ..list }),
            None if watch.trouble.with_untracked(Option::is_none) => {
                watch.trouble.set(Some("The list could not be brought up to date; trying again.".to_owned()));
            }
            None => {}
        }
    }
}
