//! `stockstream quarantine`: what can be asked of it.

use super::{Checked, DatabaseUrl, Mistakes};
use crate::store::RecordId;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use std::{path::PathBuf, str::FromStr};

#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Lists refused records, newest first.
    Ls(QuarantineLsArgs),
    /// Shows one refused record: its reasons, headers, key and value.
    Show(QuarantineShowArgs),
    /// Gives refused records another chance, by the decoder and rules of this version and today's suites, at the place in
    /// the order that they had. Works beside a running server. Exit code 1 when any stays refused.
    Redrive(QuarantineRedriveArgs),
    /// Decides that a record stays refused. Its bytes are kept.
    Dismiss(QuarantineDismissArgs),
}

/// Which store.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// The Postgres of `serve`: postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<Checked<DatabaseUrl>>,
}

impl StoreArgs {
    /// # Errors
    /// What is wrong with it.
    pub fn check(self) -> Result<DatabaseUrl, Mistakes> {
        let mut mistakes = Mistakes::default();
        let url = mistakes.require("--database-url", "DATABASE_URL", self.database_url);
        mistakes.or(url)
    }
}

#[derive(Clone, Debug, Args)]
pub struct QuarantineLsArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Of this topic only.
    #[arg(long)]
    pub topic: Option<String>,
    /// With this reason only (`envelope`, `not_json`, …).
    #[arg(long)]
    pub code: Option<String>,
    /// Refused by `decode`, `rules` or `suite`, or later by `store` or `redrive`.
    #[arg(long)]
    pub stage: Option<String>,
    /// Received since an instant (2024-01-16T14:30:00Z) or for so long (90s, 15m, 2h, 3d).
    #[arg(long)]
    pub since: Option<Since>,
    /// Those about which somebody still has to decide: the default.
    #[arg(long)]
    pub open: bool,
    /// Also those that were redriven or dismissed.
    #[arg(long, conflicts_with = "open")]
    pub all: bool,
    /// At most so many, 1 to 100000.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// One JSON object per line instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// One record.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// TOPIC[PARTITION]@OFFSET, as `ls` prints it.
    #[arg(value_name = "RECORD")]
    pub id: RecordId,
    /// Which life of the topic, when it was re-created; the newest that has the record when not given.
    #[arg(long)]
    pub incarnation: Option<i32>,
}

impl RecordArgs {
    pub fn id(&self) -> RecordId {
        RecordId { incarnation: self.incarnation, ..self.id.clone() }
    }
}

/// Which suites judge a record.
#[derive(Clone, Debug, Args)]
pub struct SuitesArgs {
    /// File with the checkpoints, whose [[stream]] suites a record is judged by beside the built-in rules. Without it: those
    /// by which the server has judged last, which the database keeps.
    #[arg(long, env = "STOCKSTREAM_CHECKPOINTS", value_name = "FILE")]
    pub checkpoints: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct QuarantineShowArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub suites: SuitesArgs,
    #[command(flatten)]
    pub record: RecordArgs,
    /// Writes the bytes of the value (or of the key) to standard output, and nothing else.
    #[arg(long, value_enum, value_name = "PART", num_args = 0..=1, require_equals = true, default_missing_value = "value")]
    pub raw: Option<RecordPart>,
    /// JSON, with key and value whole as base64, instead of text.
    #[arg(long, conflicts_with = "raw")]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordPart {
    Key,
    Value,
}

#[derive(Clone, Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["id", "all", "code"])))]
pub struct QuarantineRedriveArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub suites: SuitesArgs,
    /// TOPIC[PARTITION]@OFFSET, as `ls` prints it.
    #[arg(value_name = "RECORD")]
    pub id: Option<RecordId>,
    /// Which life of the topic, when it was re-created; the newest that has the record when not given.
    #[arg(long, requires = "id")]
    pub incarnation: Option<i32>,
    /// A file with a corrected copy of the record's value, or - for standard input. It is redriven in its place, at the
    /// place in the order that the original had: with other columns of the row, and otherwise as the original is. The
    /// original's bytes stay in quarantine; the audit trail keeps the hash of both. Begin with `show RECORD --raw`.
    #[arg(long, requires = "id", value_name = "FILE")]
    pub value: Option<PathBuf>,
    /// Every open record.
    #[arg(long)]
    pub all: bool,
    /// Every open record with this reason.
    #[arg(long)]
    pub code: Option<String>,
    /// Of this topic only.
    #[arg(long, conflicts_with = "id")]
    pub topic: Option<String>,
    /// Says what would happen, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Also what was refused by three redrives, or dismissed.
    #[arg(long)]
    pub force: bool,
    /// Who does this, for the audit trail.
    #[arg(long, default_value = "command")]
    pub actor: String,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct QuarantineDismissArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub record: RecordArgs,
    /// Why.
    #[arg(long)]
    pub note: String,
    /// Who does this, for the audit trail.
    #[arg(long, default_value = "command")]
    pub actor: String,
}

/// An instant, or a time before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl Since {
    pub fn instant(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now - ago,
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REASON: &str = "write an instant such as 2024-01-16T14:30:00Z, or a time such as 90s, 15m, 2h or 3d";
        /// A hundred years: further back there is nothing, and no overflow either.
        const MAX_SECONDS: i64 = 100 * 366 * 86_400;
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.with_timezone(&Utc)));
        }
        let seconds = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(REASON),
        };
        let count: i64 = text[..text.len() - 1].parse().map_err(|_| REASON)?;
        let seconds = count.checked_mul(seconds).filter(|seconds| (0..=MAX_SECONDS).contains(seconds)).ok_or(REASON)?;
        Ok(Self::Ago(TimeDelta::seconds(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_instant_or_a_time_before_now() {
        let now: DateTime<Utc> = "2024-01-16T14:30:00Z".parse().unwrap();
        let instant = |text: &str| text.parse::<Since>().map(|since| since.instant(now).to_rfc3339());
        assert_eq!(instant("90m").unwrap(), "2024-01-16T13:00:00+00:00");
        assert_eq!(instant("2024-01-16T09:30:00-05:00").unwrap(), "2024-01-16T14:30:00+00:00");
        for wrong in ["", "m", "5", "-5m", "5w", "yesterday", "9999999999999d", "5µ"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
