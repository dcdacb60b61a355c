//! How messages are read: every member that any kind has, and then those of the kind. Serde would put all members of a
//! tagged enum aside until it knows the kind, by code that reads each type a second time: much of what a page downloads.

use super::{Finding, PipeState, ServerMessage, SourceKind};
use crate::{Bar, Stats, Symbol, Timeframe};
use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, serde::float_option};
use serde::Deserialize;

/// A message lacks a member that its kind has.
#[derive(Debug, thiserror::Error)]
#[error("a member is missing")]
pub struct Incomplete;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum MessageKind {
    Hello,
    Snap,
    Delta,
    Dq,
    Findings,
    Pipe,
    Beat,
    Refetch,
    Error,
}

#[derive(Deserialize)]
pub struct Message {
    #[serde(rename = "type")]
    kind: MessageKind,
    epoch: Option<String>,
    prev: Option<i64>,
    seq: Option<i64>,
    server_time: Option<DateTime<Utc>>,
    budget_ms: Option<u32>,
    source: Option<SourceKind>,
    symbol: Option<Symbol>,
    timeframe: Option<Timeframe>,
    bars: Option<Vec<Bar>>,
    stats: Option<Stats>,
    records: Option<Vec<super::Record>>,
    quarantined: Option<u64>,
    tagged: Option<u64>,
    findings: Option<Vec<Finding>>,
    state: Option<PipeState>,
    lag: Option<i64>,
    rows_per_second: Option<f64>,
    reason: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

impl Message {
    fn read(self) -> Option<ServerMessage> {
        Some(match self.kind {
            MessageKind::Hello => ServerMessage::Hello {
                epoch: self.epoch?,
                seq: self.seq?,
                server_time: self.server_time?,
                budget_ms: self.budget_ms?,
                source: self.source?,
            },
            MessageKind::Snap => ServerMessage::Snap {
                symbol: self.symbol?,
                timeframe: self.timeframe?,
                seq: self.seq?,
                bars: self.bars?,
                stats: self.stats,
            },
            MessageKind::Delta => ServerMessage::Delta {
                symbol: self.symbol?,
                timeframe: self.timeframe?,
                prev: self.prev?,
                seq: self.seq?,
                records: self.records?,
            },
            MessageKind::Dq => ServerMessage::Dq { quarantined: self.quarantined?, tagged: self.tagged? },
            MessageKind::Findings => ServerMessage::Findings { findings: self.findings? },
            MessageKind::Pipe => {
                ServerMessage::Pipe { state: self.state?, lag: self.lag, rows_per_second: self.rows_per_second? }
            }
            MessageKind::Beat => ServerMessage::Beat { seq: self.seq?, server_time: self.server_time? },
            MessageKind::Refetch => ServerMessage::Refetch { reason: self.reason? },
            MessageKind::Error => ServerMessage::Error { code: self.code?, message: self.message? },
        })
    }
}

impl TryFrom<Message> for ServerMessage {
    type Error = Incomplete;

    fn try_from(message: Message) -> Result<Self, Incomplete> {
        message.read().ok_or(Incomplete)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordKind {
    Bar,
    Rev,
    Del,
}

#[derive(Deserialize)]
pub struct Record {
    kind: RecordKind,
    time: DateTime<Utc>,
    #[serde(default, with = "float_option")]
    open: Option<Decimal>,
    #[serde(default, with = "float_option")]
    high: Option<Decimal>,
    #[serde(default, with = "float_option")]
    low: Option<Decimal>,
    #[serde(default, with = "float_option")]
    close: Option<Decimal>,
    volume: Option<i64>,
    event_time: Option<DateTime<Utc>>,
    committed_at: DateTime<Utc>,
}

impl Record {
    fn read(self) -> Option<super::Record> {
        let Self { kind, time, event_time, committed_at, .. } = self;
        if matches!(kind, RecordKind::Del) {
            return Some(super::Record::Del { time, committed_at });
        }
        let (open, high, low, close, volume) = (self.open?, self.high?, self.low?, self.close?, self.volume?);
        let (bar, event_time) = (Bar { time, open, high, low, close, volume }, event_time?);
        Some(match kind {
            RecordKind::Bar => super::Record::Bar { bar, event_time, committed_at },
            _ => super::Record::Rev { bar, event_time, committed_at },
        })
    }
}

impl TryFrom<Record> for super::Record {
    type Error = Incomplete;

    fn try_from(record: Record) -> Result<Self, Incomplete> {
        record.read().ok_or(Incomplete)
    }
}
