//! What happened to a candle, for the record that tells of it.

use crate::store::ChangedCandle;
use chrono::{DateTime, Utc};
use market::{Bar, wire::Record};

/// A change of a candle, or all of several.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Of the newest.
    pub event_time: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
    /// Only rows came that were not there before.
    pub new: bool,
}

impl From<&ChangedCandle> for Change {
    fn from(candle: &ChangedCandle) -> Self {
        Self { event_time: candle.event_time, committed_at: candle.committed_at, new: candle.new }
    }
}

impl Change {
    /// Both taken together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            event_time: self.event_time.max(other.event_time),
            committed_at: self.committed_at.max(other.committed_at),
            new: self.new & other.new,
        }
    }

    /// The record of a candle that is like this now; `None`: it is gone.
    pub fn record(self, time: DateTime<Utc>, bar: Option<&Bar>) -> Record {
        let Self { event_time, committed_at, new } = self;
        match bar {
            Some(&bar) if new => Record::Bar { bar, event_time, committed_at },
            Some(&bar) => Record::Rev { bar, event_time, committed_at },
            None => Record::Del { time, committed_at },
        }
    }
}
