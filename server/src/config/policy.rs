//! What may be deleted without anybody asking for it.

use super::{Checked, Mistakes, value::in_range};
use crate::store::Policy;
use clap::Args;
use std::{str::FromStr, time::Duration};

/// The [`Policy`] as flags.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// After a snapshot: how much of a partition's rows may be deleted because it did not mention them, in percent, 0 to
    /// 100. More than that is kept, and said; 100 allows anything.
    #[arg(long, env = "STOCKSTREAM_SWEEP_LIMIT_PERCENT", default_value = "20")]
    sweep_limit_percent: Checked<Percent>,
    /// How long a deleted key is remembered, so that older changes of it stay out, in hours, 1 to 87600.
    #[arg(long, env = "STOCKSTREAM_TOMBSTONE_HOURS", default_value = "720")]
    tombstone_hours: Checked<Hours>,
    /// How far the change log reaches back for returning clients, in hours, 1 to 87600. Who comes later fetches anew.
    #[arg(long, env = "STOCKSTREAM_CHANGE_LOG_HOURS", default_value = "24")]
    change_log_hours: Checked<Hours>,
    /// How many changes the change log holds at most, 1000 to 1000000000.
    #[arg(long, env = "STOCKSTREAM_CHANGE_LOG_CHANGES", default_value = "5000000")]
    change_log_changes: Checked<Changes>,
}

#[derive(Clone, Copy, Debug)]
struct Percent(u8);

#[derive(Clone, Copy, Debug)]
struct Hours(u64);

#[derive(Clone, Copy, Debug)]
struct Changes(i64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(0..=100)).map(Self)
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(1..=87_600)).map(Self)
    }
}

impl FromStr for Changes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(1_000..=1_000_000_000)).map(Self)
    }
}

impl PolicyArgs {
    pub(super) fn check(self, mistakes: &mut Mistakes) -> Option<Policy> {
        let sweep_limit = mistakes.check("--sweep-limit-percent", self.sweep_limit_percent);
        let tombstones = mistakes.check("--tombstone-hours", self.tombstone_hours);
        let change_log = mistakes.check("--change-log-hours", self.change_log_hours);
        let changes = mistakes.check("--change-log-changes", self.change_log_changes);
        let hours = |hours: Hours| Duration::from_secs(hours.0 * 60 * 60);
        Some(Policy {
            sweep_limit_percent: sweep_limit?.0,
            tombstones: hours(tombstones?),
            change_log: hours(change_log?),
            change_log_changes: changes?.0,
        })
    }
}
