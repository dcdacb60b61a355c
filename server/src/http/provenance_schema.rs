//! The provenance of a bar as an OpenAPI schema: mirrors of `market::provenance`, as in [`super::schema`].

use super::schema::{Bar, Severity, Timeframe};
use chrono::{DateTime, Utc};
use utoipa::ToSchema;

/// Where the candle of one interval came from.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "timeframe": "1m",
    "row": {
        "record_id": 17, "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
        "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z", "topic": "dbserver1.stream_db.stock", "partition": 0,
        "incarnation": 1, "offset": 4711, "op": "c", "version": { "epoch": 1, "hi": 1048593, "lo": 0 },
        "source_at": "2024-01-16T14:32:00Z", "received_at": "2024-01-16T14:32:00.262Z",
        "committed_at": "2024-01-16T14:32:00.281Z", "tags": []
    },
    "duplicates": [],
    "verdicts": [{
        "origin": "row", "code": "envelope", "rule": "Open and close lie between low and high.", "severity": "critical", "passed": true,
        "found": null
    }],
    "events": [{
        "seq": 4702, "record_id": 17, "op": "c", "outcome": "new", "topic": "dbserver1.stream_db.stock", "partition": 0,
        "incarnation": 1, "offset": 4711, "event_time": "2024-01-16T14:32:00.250Z",
        "received_at": "2024-01-16T14:32:00.262Z", "committed_at": "2024-01-16T14:32:00.281Z",
        "original": {
            "state": "kept", "source_at": "2024-01-16T14:32:00Z", "connector_at": "2024-01-16T14:32:00.255Z",
            "kafka_at": "2024-01-16T14:32:00.259Z", "before": null,
            "after": {
                "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27,
                "close": 153.36, "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z"
            }
        }
    }],
    "note": null, "refused": [], "minutes": []
}))]
pub struct Provenance {
    pub symbol: String,
    /// Start of the interval.
    pub time: DateTime<Utc>,
    #[schema(inline)]
    pub timeframe: Timeframe,
    /// The row that people see; `null` of an interval longer than a minute, and of a minute whose row is gone.
    #[schema(required)]
    pub row: Option<SourceRow>,
    /// Other rows of the source with the same symbol and minute, which are not shown, the next best first.
    pub duplicates: Vec<SourceRow>,
    /// What each rule says of the row; without one, what the rules over several bars found there.
    pub verdicts: Vec<RuleVerdict>,
    /// The changes that made it what it is, the newest last; 50 at most.
    pub events: Vec<ChangeEvent>,
    /// Why there may have been more than `events`, or `minutes`, for people; `null` when these are all.
    #[schema(required)]
    pub note: Option<String>,
    /// Refused records that name one of the same records, the newest first.
    pub refused: Vec<RefusedChange>,
    /// Of an interval longer than a minute: the one-minute bars in it, oldest first, 1440 at most. Each has a
    /// provenance of its own.
    pub minutes: Vec<Bar>,
}

/// A row of the source with the change that made it.
#[derive(ToSchema)]
#[schema(example = json!({
    "record_id": 17, "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
    "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z", "topic": "dbserver1.stream_db.stock", "partition": 0,
    "incarnation": 1, "offset": 4711, "op": "c", "version": { "epoch": 1, "hi": 1048593, "lo": 0 },
    "source_at": "2024-01-16T14:32:00Z", "received_at": "2024-01-16T14:32:00.262Z",
    "committed_at": "2024-01-16T14:32:00.281Z", "tags": []
}))]
pub struct SourceRow {
    /// The source's primary key.
    pub record_id: i64,
    /// Start of the minute.
    pub time: DateTime<Utc>,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Shares.
    pub volume: i64,
    /// The row's own event time, else when the source committed the change.
    pub event_time: DateTime<Utc>,
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to, from 1.
    pub incarnation: i32,
    pub offset: i64,
    /// `c` insert, `u` update, `r` read by a snapshot.
    pub op: String,
    pub version: RowVersion,
    /// When the source committed the change, as far as the record says.
    #[schema(required)]
    pub source_at: Option<DateTime<Utc>>,
    /// When this server received the record.
    pub received_at: DateTime<Utc>,
    /// When this server committed it.
    pub committed_at: DateTime<Utc>,
    /// Codes of the rules that tagged it.
    pub tags: Vec<String>,
}

/// A place in the order of changes: the highest seen of the record.
#[derive(ToSchema)]
#[schema(example = json!({ "epoch": 1, "hi": 1048593, "lo": 0 }))]
pub struct RowVersion {
    /// Which source, in the order in which they reigned.
    pub epoch: i32,
    /// Binlog file and position, or LSN.
    pub hi: i64,
    /// The row in it.
    pub lo: i32,
}

/// Where a rule is from: `row`, a built-in rule of a single row; `suite`, an expectation of a suite in the stream; `bars`, a
/// built-in rule over several bars, or over their arrival.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum RuleOrigin {
    Row,
    Suite,
    Bars,
}

/// What one rule says of the row.
#[derive(ToSchema)]
#[schema(example = json!({
    "origin": "row", "code": "session_minute", "rule": "The bar starts inside a regular session of the exchange.", "severity": "warning",
    "passed": false, "found": "time 2024-01-15 15:00 is outside every session"
}))]
pub struct RuleVerdict {
    #[schema(inline)]
    pub origin: RuleOrigin,
    pub code: String,
    /// What must hold, or what is looked for, in a sentence.
    pub rule: String,
    /// What breaking it means.
    pub severity: Severity,
    /// `null`: it is not known.
    #[schema(required)]
    pub passed: Option<bool>,
    /// What was found instead, as far as that is known, or why nothing is known.
    #[schema(required)]
    pub found: Option<String>,
}

/// What a change came to: `late` came after a newer one and has changed nothing; `deleted`: the row is gone, or has moved to
/// another minute.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ChangeOutcome {
    New,
    Applied,
    Late,
    Deleted,
}

/// One change, from the change log.
#[derive(ToSchema)]
#[schema(example = json!({
    "seq": 4702, "record_id": 17, "op": "c", "outcome": "new", "topic": "dbserver1.stream_db.stock", "partition": 0,
    "incarnation": 1, "offset": 4711, "event_time": "2024-01-16T14:32:00.250Z", "received_at": null,
    "committed_at": "2024-01-16T14:32:00.281Z", "original": {
        "state": "expired", "source_at": null, "connector_at": null, "kafka_at": null, "before": null, "after": null
    }
}))]
pub struct ChangeEvent {
    /// Its number in the stream of committed changes.
    pub seq: i64,
    pub record_id: i64,
    /// `c` insert, `u` update, `r` read by a snapshot, `d` delete.
    pub op: String,
    #[schema(inline)]
    pub outcome: ChangeOutcome,
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to, from 1.
    pub incarnation: i32,
    pub offset: i64,
    pub event_time: DateTime<Utc>,
    /// When this server received it; known of the change that made a row what it is.
    #[schema(required)]
    pub received_at: Option<DateTime<Utc>>,
    pub committed_at: DateTime<Utc>,
    pub original: Original,
}

/// Whether the record could be read again: `expired` is no longer in Kafka, `unanswered`: Kafka did not answer in time,
/// `unreadable`: it is there and cannot be understood any more, `not_asked`: only the newest twelve are read again.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum OriginalState {
    Kept,
    Expired,
    Unanswered,
    Unreadable,
    NotAsked,
}

/// The record itself, read again from Kafka. All else is `null` unless it is kept.
#[derive(ToSchema)]
#[schema(example = json!({
    "state": "kept", "source_at": "2024-01-16T14:32:00Z", "connector_at": "2024-01-16T14:32:00.255Z",
    "kafka_at": "2024-01-16T14:32:00.259Z", "before": null, "after": {
        "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
        "volume": 18250, "event_time": null
    }
}))]
pub struct Original {
    #[schema(inline)]
    pub state: OriginalState,
    /// When the source committed it.
    #[schema(required)]
    pub source_at: Option<DateTime<Utc>>,
    /// When the connector read it.
    #[schema(required)]
    pub connector_at: Option<DateTime<Utc>>,
    /// The record's own timestamp.
    #[schema(required)]
    pub kafka_at: Option<DateTime<Utc>>,
    /// The row before the change, as far as the source sent it.
    #[schema(required)]
    pub before: Option<RowImage>,
    /// The row after the change.
    #[schema(required)]
    pub after: Option<RowImage>,
}

/// The columns of a row, any of which may be absent.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
    "volume": 18250, "event_time": null
}))]
pub struct RowImage {
    #[schema(required)]
    pub symbol: Option<String>,
    #[schema(required)]
    pub time: Option<DateTime<Utc>>,
    #[schema(required)]
    pub open: Option<f64>,
    #[schema(required)]
    pub high: Option<f64>,
    #[schema(required)]
    pub low: Option<f64>,
    #[schema(required)]
    pub close: Option<f64>,
    #[schema(required)]
    pub volume: Option<i64>,
    #[schema(required)]
    pub event_time: Option<DateTime<Utc>>,
}

/// A refused record.
#[derive(ToSchema)]
#[schema(example = json!({
    "topic": "dbserver1.stream_db.stock", "partition": 0, "incarnation": 1, "offset": 4713,
    "received_at": "2024-01-16T14:33:00Z", "stage": "rules", "codes": ["envelope"],
    "reason": "open 153.6 is above high 153.5", "state": "open"
}))]
pub struct RefusedChange {
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to, from 1.
    pub incarnation: i32,
    pub offset: i64,
    pub received_at: DateTime<Utc>,
    /// What refused it.
    pub stage: String,
    pub codes: Vec<String>,
    /// Why, for people.
    pub reason: String,
    /// `open`, `refused_again`, `redriven` or `dismissed`.
    pub state: String,
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::serialises_to;
    use market::provenance as wire;

    #[test]
    fn every_mirror_is_its_wire_type() {
        serialises_to::<wire::Provenance, super::Provenance>();
        serialises_to::<wire::SourceRow, super::SourceRow>();
        serialises_to::<wire::RowVersion, super::RowVersion>();
        serialises_to::<wire::RuleVerdict, super::RuleVerdict>();
        serialises_to::<wire::ChangeEvent, super::ChangeEvent>();
        serialises_to::<wire::Original, super::Original>();
        serialises_to::<wire::RowImage, super::RowImage>();
        serialises_to::<wire::RefusedChange, super::RefusedChange>();
    }
}
