//! What `GET /api/v1/bars/{symbol}/{time}/provenance` answers: where one candle came from.

use crate::{Bar, Severity, Symbol, Timeframe};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Where the candle of one interval came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub symbol: Symbol,
    /// Start of the interval.
    pub time: DateTime<Utc>,
    pub timeframe: Timeframe,
    /// The row that people see; `null` of an interval longer than a minute, and of a minute whose row is gone.
    pub row: Option<SourceRow>,
    /// Other rows of the source with the same symbol and minute, which are not shown, the next best first.
    pub duplicates: Vec<SourceRow>,
    /// What each rule says of the row; without one, what the rules over several bars found there.
    pub verdicts: Vec<RuleVerdict>,
    /// The changes that made it what it is, the newest last.
    pub events: Vec<ChangeEvent>,
    /// Why there may have been more than `events`, or `minutes`, for people; `null` when these are all.
    pub note: Option<String>,
    /// Refused records that name one of the same records, the newest first.
    pub refused: Vec<RefusedChange>,
    /// Of an interval longer than a minute: the one-minute bars in it, oldest first. Each has a provenance of its own.
    pub minutes: Vec<Bar>,
}

/// A row of the source with the change that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The source's primary key.
    pub record_id: i64,
    #[serde(flatten)]
    pub bar: Bar,
    /// The row's own event time, else when the source committed the change.
    pub event_time: DateTime<Utc>,
    #[serde(flatten)]
    pub place: RecordPlace,
    /// `c` insert, `u` update, `r` read by a snapshot.
    pub op: char,
    /// The highest version seen of the record: which source, and where in its log.
    pub version: RowVersion,
    /// When the source committed the change, as far as the record says.
    pub source_at: Option<DateTime<Utc>>,
    /// When this server received the record, and when it committed it.
    pub received_at: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
    /// Codes of the rules that tagged it.
    pub tags: Vec<String>,
}

/// Where a record lies in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordPlace {
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to, from 1.
    pub incarnation: i32,
    pub offset: i64,
}

/// A place in the order of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowVersion {
    /// Which source, in the order in which they reigned.
    pub epoch: i32,
    /// Binlog file and position, or LSN; and the row in it.
    pub hi: i64,
    pub lo: i32,
}

/// Where a rule is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOrigin {
    /// A built-in rule of a single row.
    Row,
    /// An expectation of a suite in the stream.
    Suite,
    /// A built-in rule over several bars, or over their arrival.
    Bars,
}

/// What one rule says of the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    pub origin: RuleOrigin,
    pub code: String,
    /// What must hold, or what is looked for, in a sentence.
    pub rule: String,
    /// What breaking it means.
    pub severity: Severity,
    /// `None`: it is not known.
    pub passed: Option<bool>,
    /// What was found instead, as far as that is known, or why nothing is known.
    pub found: Option<String>,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// A row that was not there before.
    New,
    /// A row that was there is now different.
    Applied,
    /// It came after a newer one and has changed nothing.
    Late,
    /// The row is gone, or has moved to another minute.
    Deleted,
}

/// One change, from the change log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// Its number in the stream of committed changes.
    pub seq: i64,
    pub record_id: i64,
    /// `c` insert, `u` update, `r` read by a snapshot, `d` delete.
    pub op: char,
    pub outcome: ChangeOutcome,
    #[serde(flatten)]
    pub place: RecordPlace,
    pub event_time: DateTime<Utc>,
    /// When this server received it; known of the change that made a row what it is.
    pub received_at: Option<DateTime<Utc>>,
    pub committed_at: DateTime<Utc>,
    pub original: Original,
}

/// Whether the record could be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalState {
    Kept,
    /// It is no longer in Kafka.
    Expired,
    /// Kafka did not answer in time.
    Unanswered,
    /// It is there, and cannot be understood any more.
    Unreadable,
    /// Only the newest are read again, and this is not one of them.
    #[default]
    NotAsked,
}

/// The record itself, read again from Kafka. All else is `null` unless it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Original {
    pub state: OriginalState,
    /// When the source committed it, when the connector read it, and the record's own timestamp in Kafka.
    pub source_at: Option<DateTime<Utc>>,
    pub connector_at: Option<DateTime<Utc>>,
    pub kafka_at: Option<DateTime<Utc>>,
    /// The row before and after the change, as far as the source sent it.
    pub before: Option<RowImage>,
    pub after: Option<RowImage>,
}

/// The columns of a row, any of which may be absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowImage {
    pub symbol: Option<String>,
    pub time: Option<DateTime<Utc>>,
    #[serde(with = "rust_decimal::serde::float_option")]
    pub open: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::float_option")]
    pub high: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::float_option")]
    pub low: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::float_option")]
    pub close: Option<Decimal>,
    pub volume: Option<i64>,
    pub event_time: Option<DateTime<Utc>>,
}

/// A refused record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedChange {
    #[serde(flatten)]
    pub place: RecordPlace,
    pub received_at: DateTime<Utc>,
    /// What refused it.
    pub stage: String,
    pub codes: Vec<String>,
    /// Why, for people.
    pub reason: String,
    /// `open`, `refused_again`, `redriven` or `dismissed`.
    pub state: String,
}
