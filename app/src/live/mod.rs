//! What the pages show, as signals, and how messages of the live stream change it. The socket itself is in `socket`
//! and exists in the browser only.

pub mod backoff;
pub mod drawn;
mod findings;
pub mod replay;
#[cfg(feature = "hydrate")]
pub mod rest;
mod series;
#[cfg(feature = "hydrate")]
pub mod socket;

pub use findings::Findings;
pub use series::{Heard, MOST, Outcome, Series, WINDOW};

use crate::initial::{Initial, Packed, Snap};
use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use market::{
    Freshness, Observation, Symbol, Timeframe,
    wire::{PipeState, ServerMessage, SourceKind, SourceMode, SymbolInfo},
};
use std::collections::HashMap;

/// The longest silence that is normal while a live source trades, and the shortest allowed to a replay, in seconds.
const LIVE_SILENCE: i64 = 90;
const REPLAY_SILENCE: i64 = 15;

/// The socket's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// The page was just opened; no attempt has ended yet.
    #[default]
    Connecting,
    Open,
    /// Lost; the next attempt is due at the instant, on the server's clock.
    Lost {
        retry_at: DateTime<Utc>,
    },
}

/// What the page wants to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub symbols: Vec<Symbol>,
    pub timeframe: Timeframe,
    pub bars: u32,
}

/// The pipeline's state as last told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pipe {
    pub state: PipeState,
    pub lag: Option<i64>,
    pub rows_per_second: f64,
}

type SeriesMap = HashMap<(Symbol, Timeframe), ArcRwSignal<Series>>;

/// Everything that the live stream tells, as signals. One per page; copies share it.
#[derive(Clone, Copy)]
pub struct Live {
    series: StoredValue<SeriesMap>,
    pub wanted: RwSignal<Option<Wanted>>,
    pub link: RwSignal<Link>,
    /// When the connection now open was opened, on the server's clock.
    pub open_since: RwSignal<Option<DateTime<Utc>>>,
    /// The server's clock, once a second; `None` until the page is hydrated.
    pub clock: RwSignal<Option<DateTime<Utc>>>,
    pub budget: RwSignal<TimeDelta>,
    pub source: RwSignal<Option<SourceKind>>,
    pub symbols: RwSignal<Vec<SymbolInfo>>,
    /// Head of the stream.
    pub head: RwSignal<Option<i64>>,
    pub pipe: RwSignal<Option<Pipe>>,
    /// Rows quarantined and tagged, of the latest batch.
    pub quality: RwSignal<Option<(u64, u64)>>,
    /// What the built-in pack found at bars of the symbols shown.
    pub findings: RwSignal<Findings>,
    /// Why there is nothing to show, when the server said so.
    pub trouble: RwSignal<Option<String>>,
}

impl Live {
    pub fn new() -> Self {
        Self {
            series: StoredValue::new(HashMap::new()),
            wanted: RwSignal::new(None),
            link: RwSignal::new(Link::Connecting),
            open_since: RwSignal::new(None),
            clock: RwSignal::new(None),
            budget: RwSignal::new(TimeDelta::seconds(2)),
            source: RwSignal::new(None),
            symbols: RwSignal::new(Vec::new()),
            head: RwSignal::new(None),
            pipe: RwSignal::new(None),
            quality: RwSignal::new(None),
            findings: RwSignal::new(Findings::default()),
            trouble: RwSignal::new(None),
        }
    }

    /// The series of a symbol, empty if it was never heard of.
    pub fn series(&self, symbol: &Symbol, timeframe: Timeframe) -> ArcRwSignal<Series> {
        let mut found = None;
        self.series.update_value(|map| {
            found = Some(map.entry((symbol.clone(), timeframe)).or_default().clone());
        });
        found.unwrap_or_default()
    }

    /// All symbols there are, in order.
    pub fn names(&self) -> Vec<Symbol> {
        self.symbols.with(|known| known.iter().map(|info| info.symbol.clone()).collect())
    }

    /// Takes over what was rendered into the page.
    pub fn seed(&self, initial: Initial) {
        if initial.source.is_some() {
            self.source.set(initial.source);
        }
        self.symbols.set(initial.symbols);
        self.trouble.set(initial.trouble);
        for Snap { symbol, timeframe, seq, bars: Packed(bars) } in initial.snaps {
            self.series(&symbol, timeframe).update(|series| series.seed(bars));
            self.head.update(|head| *head = (*head).max(Some(seq)));
        }
    }

    /// Applies messages in the order in which they came. Returns whether a gap was seen, that is, whether to subscribe
    /// again. `received_at` is on the server's clock.
    pub fn apply(&self, messages: impl IntoIterator<Item = ServerMessage>, received_at: DateTime<Utc>) -> bool {
        let mut gap = false;
        for message in messages {
            match message {
                ServerMessage::Hello { seq, budget_ms, source, .. } => {
                    self.head.set(Some(seq));
                    self.budget.set(TimeDelta::milliseconds(budget_ms.into()));
                    self.source.set(Some(source));
                }
                ServerMessage::Snap { symbol, timeframe, seq, bars, .. } => {
                    self.series(&symbol, timeframe).update(|series| series.snap(seq, bars));
                    self.head.update(|head| *head = (*head).max(Some(seq)));
                    self.trouble.set(None);
                }
                ServerMessage::Delta { symbol, timeframe, prev, seq, records } => {
                    let series = self.series(&symbol, timeframe);
                    let mut outcome = Outcome::Known;
                    series.maybe_update(|series| {
                        outcome = series.delta(prev, seq, &records, received_at);
                        outcome == Outcome::Applied
                    });
                    gap |= outcome == Outcome::Gap;
                    if outcome == Outcome::Applied {
                        self.head.update(|head| *head = (*head).max(Some(seq)));
                    }
                }
                ServerMessage::Beat { seq, .. } => self.head.set(Some(seq)),
                ServerMessage::Dq { quarantined, tagged } => self.quality.set(Some((quarantined, tagged))),
                ServerMessage::Findings { findings } => {
                    self.findings.maybe_update(|known| known.take(findings));
                }
                ServerMessage::Pipe { state, lag, rows_per_second } => {
                    self.pipe.set(Some(Pipe { state, lag, rows_per_second }));
                }
                ServerMessage::Refetch { .. } => self.break_chains(),
                ServerMessage::Error { message, .. } => self.trouble.set(Some(message)),
            }
        }
        gap
    }

    /// No series knows its place any more; snapshots will tell. What is shown stays.
    pub fn break_chains(&self) {
        self.series.with_value(|map| {
            for series in map.values() {
                series.maybe_update(|series| {
                    series.break_chain();
                    false
                });
            }
        });
    }

    /// The oldest place among what is wanted, to resume from; `None` if any of it has no place.
    pub fn resume_from(&self, wanted: &Wanted) -> Option<i64> {
        let places = wanted
            .symbols
            .iter()
            .map(|symbol| self.series(symbol, wanted.timeframe).with_untracked(|series| series.seq));
        places.min().flatten()
    }

    /// How fresh one series is. `None` until the page is hydrated and knows the time. Tracks the clock.
    pub fn freshness(&self, heard: Option<Heard>) -> Option<Freshness> {
        let now = self.clock.get()?;
        let link = self.link.get();
        let (connected, retry_seconds) = match link {
            Link::Connecting => return None,
            Link::Open => (true, 0),
            Link::Lost { retry_at } => (false, ((retry_at - now).num_milliseconds() + 999).div_euclid(1000).max(0)),
        };
        let replay_speed = self.source.with(|source| replay_speed(source.as_ref()));
        let silence = replay_speed.map_or(LIVE_SILENCE, |speed| (180 / i64::from(speed.max(1))).max(REPLAY_SILENCE));
        Some(Freshness::of(&Observation {
            now,
            connected,
            retry_seconds,
            // A stream that said nothing since it was opened is as silent as one that stopped then.
            last_data_at: heard.map(|heard| heard.received_at).or(self.open_since.get()),
            last_delay: heard.map_or(TimeDelta::zero(), |heard| heard.delay(replay_speed.is_some())),
            budget: self.budget.get(),
            silence: TimeDelta::seconds(silence),
            replay_speed,
        }))
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

fn replay_speed(source: Option<&SourceKind>) -> Option<u32> {
    source.filter(|source| source.mode == SourceMode::Replay).map(|source| source.speed.unwrap_or(1))
}

/// The worst of several states: what the screen as a whole may claim.
pub fn worst(states: impl IntoIterator<Item = Freshness>) -> Option<Freshness> {
    let rank = |state: &Freshness| match state {
        Freshness::Offline { .. } => 5,
        Freshness::Stale { .. } => 4,
        Freshness::Delayed { .. } => 3,
        Freshness::Replay { .. } => 2,
        Freshness::Live => 1,
        Freshness::MarketClosed => 0,
    };
    states.into_iter().max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_as_fresh_as_its_worst_part() {
        assert_eq!(
            worst([Freshness::Live, Freshness::Delayed { seconds: 3 }]),
            Some(Freshness::Delayed { seconds: 3 })
        );
        assert_eq!(worst([Freshness::MarketClosed, Freshness::Live]), Some(Freshness::Live));
        assert_eq!(worst([]), None);
    }
}
