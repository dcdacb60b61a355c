//! One vocabulary for how old what you see is.

use crate::session::{SessionPhase, phase_of};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How fresh the data on a screen is. Shown as text, never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Freshness {
    /// Data arrives within its budget.
    Live,
    /// Data arrives, but later than its budget, by the seconds given.
    Delayed { seconds: i64 },
    /// Connected, but no data since the instant given, although the market is open.
    Stale { since: DateTime<Utc> },
    /// Not connected; the next attempt comes after the seconds given.
    Offline { retry_seconds: i64 },
    /// A replay at the speed given, in multiples of real time.
    Replay { speed: u32 },
    /// No data is due now.
    MarketClosed,
}

/// What [`Freshness::of`] looks at. All instants are on the server's clock.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub now: DateTime<Utc>,
    /// Whether the socket is open.
    pub connected: bool,
    /// Seconds to the next attempt when it is not.
    pub retry_seconds: i64,
    /// When data last arrived. A beat is not data.
    pub last_data_at: Option<DateTime<Utc>>,
    /// How long after its source event the last datum was received.
    pub last_delay: TimeDelta,
    /// How late data may be and still be live.
    pub budget: TimeDelta,
    /// The longest silence that is normal while data is due.
    pub silence: TimeDelta,
    /// The replay's speed, when the source is a replay.
    pub replay_speed: Option<u32>,
}

impl Freshness {
    /// The state of a screen, by the rules above; offline wins over stale, stale over delayed.
    pub fn of(seen: &Observation) -> Self {
        if !seen.connected {
            return Self::Offline { retry_seconds: seen.retry_seconds };
        }
        let silent_since = seen.last_data_at.filter(|&at| seen.now - at > seen.silence);
        if let Some(since) = silent_since {
            let due = seen.replay_speed.is_some() || phase_of(seen.now) == SessionPhase::Regular;
            return if due { Self::Stale { since } } else { Self::MarketClosed };
        }
        if seen.last_delay > seen.budget {
            return Self::Delayed { seconds: seen.last_delay.num_seconds().max(1) };
        }
        match seen.replay_speed {
            Some(speed) => Self::Replay { speed },
            None if seen.last_data_at.is_none() && phase_of(seen.now) != SessionPhase::Regular => Self::MarketClosed,
            None => Self::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Observation {
        Observation {
            now: "2024-01-16T15:00:00Z".parse().unwrap(),
            connected: true,
            retry_seconds: 3,
            last_data_at: Some("2024-01-16T14:59:58Z".parse().unwrap()),
            last_delay: TimeDelta::milliseconds(200),
            budget: TimeDelta::seconds(2),
            silence: TimeDelta::seconds(90),
            replay_speed: None,
        }
    }

    #[test]
    fn each_state_has_its_cause() {
        assert_eq!(Freshness::of(&seen()), Freshness::Live);
        assert_eq!(
            Freshness::of(&Observation { last_delay: TimeDelta::seconds(4), ..seen() }),
            Freshness::Delayed { seconds: 4 }
        );
        let since = "2024-01-16T14:58:00Z".parse().unwrap();
        assert_eq!(Freshness::of(&Observation { last_data_at: Some(since), ..seen() }), Freshness::Stale { since });
        assert_eq!(Freshness::of(&Observation { connected: false, ..seen() }), Freshness::Offline { retry_seconds: 3 });
        assert_eq!(Freshness::of(&Observation { replay_speed: Some(60), ..seen() }), Freshness::Replay { speed: 60 });
    }

    #[test]
    fn silence_on_a_holiday_is_a_closed_market_but_a_silent_replay_is_stale() {
        let holiday = Observation {
            now: "2024-01-15T15:00:00Z".parse().unwrap(),
            last_data_at: Some("2024-01-12T21:00:00Z".parse().unwrap()),
            ..seen()
        };
        assert_eq!(Freshness::of(&holiday), Freshness::MarketClosed);
        let replay = Observation { replay_speed: Some(60), ..holiday };
        assert!(matches!(Freshness::of(&replay), Freshness::Stale { .. }));
    }
}
