//! What goes over the wire: the live protocol (`/api/v1/stream`) and the REST bodies of `/api/v1`.
//!
//! # The live protocol
//!
//! Frames are JSON text, or MessagePack with the sub-protocol [`MSGPACK_PROTOCOL`]; a client may send either. Extensions
//! are not used. The server opens with [`ServerMessage::Hello`]; the client subscribes with [`ClientMessage::Sub`] and
//! gets, per symbol, either a [`ServerMessage::Snap`] or the [`ServerMessage::Delta`]s it missed, and then live deltas.
//!
//! **Order.** `seq` counts committed changes of the whole stream within one `epoch`. A client keeps one seq per symbol:
//! a snap sets it; a delta `{prev, seq}` is applied, and sets it, if `prev ≤ mine < seq`; it is skipped if `seq ≤ mine`
//! (the snap had it); and if `prev > mine` something is missing, which the server never lets happen on one connection: the
//! client subscribes again. A snap may come at any time: a client that reads slowly gets one instead of what it missed.
//! After [`ServerMessage::Refetch`] the client waits for the snaps that follow. A second `hello` on one connection tells a
//! new epoch. A new `sub` replaces the one before; nothing of the old one comes after the first answer to the new one.
//! Between a subscription and its answer, beats and other messages may come.
//!
//! **Limits.** A message has at most 64 KiB, whole or in fragments; 30 messages (pings included) at once and then 5 a
//! second; 256 KiB at once and then 16 KiB a second; [`MAX_SYMBOLS`] symbols per subscription, in bars of a day at most. What is not understood is
//! answered with [`ServerMessage::Error`], and the connection stays. The server pings after 20 seconds of silence, and
//! closes when 10 more bring nothing. Who does not take what it is sent gets less, and is closed after 6 seconds.
//!
//! **Close codes.** What a client should do: come back after a random delay for all but 1002, 1003, 1007 and 1009, which
//! are mistakes of its own.
//!
//! | code | why |
//! | --- | --- |
//! | as sent | the client closed; its own code comes back, 1002 instead of one that may not be sent |
//! | 1002 | the client broke RFC 6455: no mask, reserved bits or opcodes, fragmented or long control frames, … |
//! | 1007 | text that is not UTF-8 |
//! | 1009 | more than 64 KiB |
//! | 1012 | the server restarts: [`CLOSE_RESTART`] |
//! | 4407 | the client reads too slowly: [`CLOSE_SLOW`] |
//! | 4408 | the client did not answer a ping: [`CLOSE_SILENT`] |
//! | 4429 | the client sends too much: [`CLOSE_TOO_MANY_MESSAGES`]; an error says so before |
//!
//! **Before the upgrade** a refusal is an HTTP answer: 400 no handshake, 403 a page of another origin, 426 another version
//! of the protocol than 13, 429 too many sockets from this address, 503 too many in all or the server stops; the last two
//! with `Retry-After`.

mod finding;
mod read;

pub use finding::{Finding, FindingsPage};

use crate::{Bar, Stats, Symbol, Timeframe};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Sub-protocol name of the MessagePack encoding; without it frames are JSON text.
pub const MSGPACK_PROTOCOL: &str = "stockstream.v1.msgpack";

/// Close code: the server restarts, come back.
pub const CLOSE_RESTART: u16 = 1012;
/// Close code: the client does not say who it is. Only on the stream that speaks as Alpaca's does.
pub const CLOSE_UNKNOWN: u16 = 4401;
/// Close code: the client reads too slowly.
pub const CLOSE_SLOW: u16 = 4407;
/// Close code: nothing came from the client, not even an answer to a ping.
pub const CLOSE_SILENT: u16 = 4408;
/// Close code: the client sends more than it may.
pub const CLOSE_TOO_MANY_MESSAGES: u16 = 4429;

/// Symbols that one subscription may have.
pub const MAX_SYMBOLS: usize = 64;

/// Seconds between two beats.
pub const BEAT_SECONDS: u64 = 5;

/// From the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// Replaces the subscription. With `epoch` and `since`, the lowest seq that the client has of these symbols, the
    /// server sends what was missed, if it still can; otherwise `refetch` and snapshots.
    Sub {
        symbols: Vec<Symbol>,
        #[serde(default)]
        timeframe: Timeframe,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<i64>,
        /// Bars wanted per snapshot, 1 to 2000; 390, a trading day of minutes, when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bars: Option<u32>,
    },
}

/// From the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "read::Message")]
pub enum ServerMessage {
    Hello {
        /// Names one history of `seq`; another epoch means that everything must be fetched again.
        epoch: String,
        seq: i64,
        server_time: DateTime<Utc>,
        /// How late data may be and still be called live.
        budget_ms: u32,
        source: SourceKind,
    },
    /// The state of one symbol as of `seq`, oldest bar first.
    Snap { symbol: Symbol, timeframe: Timeframe, seq: i64, bars: Vec<Bar>, stats: Option<Stats> },
    /// Changes of one symbol, in commit order. Each record carries the whole candle, so that applying it twice is harmless.
    Delta { symbol: Symbol, timeframe: Timeframe, prev: i64, seq: i64, records: Vec<Record> },
    /// What the data-quality rules said of the latest batch.
    Dq { quarantined: u64, tagged: u64 },
    /// What the built-in pack found, or finds no more, at bars of subscribed symbols. It comes after the bars and may come
    /// twice; `GET /api/v1/findings` has what was found before. Has no part in the order of `seq`, and a client that reads too
    /// slowly may miss it.
    Findings { findings: Vec<Finding> },
    /// The pipeline's state.
    Pipe { state: PipeState, lag: Option<i64>, rows_per_second: f64 },
    /// The server lives. Carries the head, but is not data: it must not clear STALE.
    Beat { seq: i64, server_time: DateTime<Utc> },
    /// The history asked for is gone: drop what you have, snapshots follow.
    Refetch { reason: String },
    /// The connection stays, but for the last. `bad_message`: it is no message; `bad_subscription`: it cannot be;
    /// `unavailable`: the database does not answer, the snapshot follows when it does; `too_many_messages`: closes now.
    Error { code: String, message: String },
}

/// One change of one candle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "read::Record")]
pub enum Record {
    /// A candle that is new, or that grew by rows which were not there before.
    Bar {
        #[serde(flatten)]
        bar: Bar,
        /// When the source committed the change, and when this server did.
        event_time: DateTime<Utc>,
        committed_at: DateTime<Utc>,
    },
    /// A candle of which something that was known is now different.
    Rev {
        #[serde(flatten)]
        bar: Bar,
        event_time: DateTime<Utc>,
        committed_at: DateTime<Utc>,
    },
    /// A candle that is gone.
    Del { time: DateTime<Utc>, committed_at: DateTime<Utc> },
}

/// Where the rows come from. Whatever is simulated is labelled so wherever it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceKind {
    /// `live` or `replay`.
    pub mode: SourceMode,
    /// Whether prices are made up by a generator.
    pub simulated: bool,
    /// Multiples of real time, for a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceMode {
    Live,
    Replay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipeState {
    /// Not yet connected to Kafka and Postgres.
    Starting,
    Running,
    /// Something it needs is away; it tries again by itself.
    Retrying,
    /// Stopped by the flood guard or by an operator.
    Paused,
    Stopped,
}

/// `GET /api/v1/bars`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarsPage {
    pub bars: Vec<Bar>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// One row of `GET /api/v1/symbols`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SymbolInfo {
    pub symbol: Symbol,
    /// Time of the first and the last one-minute bar.
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    pub bars: i64,
    /// Whether the symbol's prices are made up.
    pub simulated: bool,
}

/// One row of `GET /api/v1/latest`: the newest one-minute bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatestBar {
    pub symbol: Symbol,
    #[serde(flatten)]
    pub bar: Bar,
    pub event_time: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
}

/// One row of `GET /api/v1/snapshots`: the newest one-minute bar, and the days around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(flatten)]
    pub latest: LatestBar,
    /// The bar of the newest minute's day, so far.
    pub daily: Bar,
    /// The bar of the day with bars before it; `null` on the first.
    pub previous_daily: Option<Bar>,
}

/// `GET /api/v1/changes`: what changed after a seq, as far as `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Names one history of `seq`.
    pub epoch: String,
    /// Pass it as `since`, with `epoch`, for what changes next.
    pub seq: i64,
    pub timeframe: Timeframe,
    pub changes: Vec<Changed>,
}

/// One change of one candle of a symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub symbol: Symbol,
    #[serde(flatten)]
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar() -> Bar {
        Bar {
            time: "2024-01-16T14:31:00Z".parse().unwrap(),
            open: "153.42".parse().unwrap(),
            high: "153.50".parse().unwrap(),
            low: "153.27".parse().unwrap(),
            close: "153.36".parse().unwrap(),
            volume: 18250,
        }
    }

    #[test]
    fn a_subscription_needs_only_its_symbols() {
        let message: ClientMessage = serde_json::from_str(r#"{"type":"sub","symbols":["AMZN"]}"#).unwrap();
        assert_eq!(
            message,
            ClientMessage::Sub {
                symbols: vec!["AMZN".parse().unwrap()],
                timeframe: Timeframe::MINUTE_1,
                epoch: None,
                since: None,
                bars: None
            }
        );
    }

    #[test]
    fn a_delta_reads_as_documented() {
        let bar = bar();
        let at: DateTime<Utc> = "2024-01-16T14:32:00.25Z".parse().unwrap();
        let delta = ServerMessage::Delta {
            symbol: "AMZN".parse().unwrap(),
            timeframe: Timeframe::MINUTE_1,
            prev: 41,
            seq: 42,
            records: vec![Record::Bar { bar, event_time: at, committed_at: at }],
        };
        let text = serde_json::to_string(&delta).unwrap();
        assert_eq!(
            text,
            r#"{"type":"delta","symbol":"AMZN","timeframe":"1m","prev":41,"seq":42,"records":[{"kind":"bar","time":"2024-01-16T14:31:00Z","open":153.42,"high":153.5,"low":153.27,"close":153.36,"volume":18250,"event_time":"2024-01-16T14:32:00.250Z","committed_at":"2024-01-16T14:32:00.250Z"}]}"#
        );
        assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), delta);
    }

    #[test]
    fn every_message_reads_back_as_it_was_written() {
        let at: DateTime<Utc> = "2024-01-16T14:32:00.25Z".parse().unwrap();
        let (symbol, timeframe): (Symbol, _) = ("AMZN".parse().unwrap(), Timeframe::MINUTE_5);
        let source = SourceKind { mode: SourceMode::Replay, simulated: true, speed: Some(60) };
        let records = vec![
            Record::Bar { bar: bar(), event_time: at, committed_at: at },
            Record::Rev { bar: bar(), event_time: at, committed_at: at },
            Record::Del { time: at, committed_at: at },
        ];
        let messages = [
            ServerMessage::Hello { epoch: "e".into(), seq: 7, server_time: at, budget_ms: 2_000, source },
            ServerMessage::Snap { symbol: symbol.clone(), timeframe, seq: 7, bars: vec![], stats: None },
            ServerMessage::Delta { symbol, timeframe, prev: 6, seq: 7, records },
            ServerMessage::Dq { quarantined: 1, tagged: 2 },
            ServerMessage::Findings { findings: vec![] },
            ServerMessage::Pipe { state: PipeState::Running, lag: None, rows_per_second: 1.5 },
            ServerMessage::Beat { seq: 7, server_time: at },
            ServerMessage::Refetch { reason: "gone".into() },
            ServerMessage::Error { code: "bad_message".into(), message: "no".into() },
        ];
        for message in messages {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), message, "{text}");
        }
    }

    #[test]
    fn a_message_without_what_its_kind_has_is_none() {
        for text in [
            r#"{"type":"beat","seq":7}"#,
            r#"{"type":"beat","server_time":"2024-01-16T14:32:00Z"}"#,
            r#"{"type":"weather","seq":7}"#,
            r#"{"seq":7}"#,
            r#"{"type":"refetch","reason":null}"#,
        ] {
            assert!(serde_json::from_str::<ServerMessage>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Record>(r#"{"kind":"rev","time":"2024-01-16T14:32:00Z"}"#).is_err());
        // What a newer server adds is for newer clients.
        let beat = r#"{"type":"beat","seq":7,"server_time":"2024-01-16T14:32:00Z","mood":{"good":[1]}}"#;
        assert!(matches!(serde_json::from_str(beat), Ok(ServerMessage::Beat { seq: 7, .. })));
    }

    #[test]
    fn a_snapshot_of_one_bar_has_no_deviation_and_reads_back() {
        let bar = bar();
        let stats = Stats::of(&[bar]);
        assert_eq!(stats.unwrap().stddev, None);
        let snap = ServerMessage::Snap {
            symbol: "AMZN".parse().unwrap(),
            timeframe: Timeframe::MINUTE_1,
            seq: 1,
            bars: vec![bar],
            stats,
        };
        let text = serde_json::to_string(&snap).unwrap();
        assert!(text.contains(r#""stddev":null"#), "{text}");
        assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), snap);
    }
}
