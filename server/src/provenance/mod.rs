//! Where a candle came from, put together: the rows and changes that the store remembers, the records themselves as far as
//! Kafka still has them, and what the rules say of the row.

mod archive;
mod verdicts;

pub use archive::{Archive, Found, Kept};

use crate::store::{BarsQuery, MinuteRow, QuarantinedRecord, ReadError, Store};
use cdc::{Change, Decoded, Decoder, RawRecord, SourceInfo};
use chrono::{DateTime, Utc};
use market::{
    StockRow, Symbol, Timeframe,
    provenance::{
        ChangeEvent, ChangeOutcome, Original, OriginalState, Provenance, RecordPlace, RefusedChange, RowImage,
    },
};
use quality::pack::Pack;
use std::collections::BTreeSet;

/// Changes that are told.
const EVENTS: usize = 50;
/// Of those, the newest that are read again from Kafka.
const READ_AGAIN: usize = 12;
/// Minutes of a longer bar that are told: a day of them.
const MINUTES: u32 = 1_440;

/// Where the bar that starts at `time`, or in whose interval it lies, came from; `None` when nothing is known of it. `pack`:
/// the rules over several bars that are asked.
///
/// # Errors
/// Postgres does not answer. When Kafka does not, or the change log takes too long, the answer says so.
pub async fn find(
    store: &Store,
    archive: &Archive,
    pack: &Pack,
    symbol: Symbol,
    time: DateTime<Utc>,
    timeframe: Timeframe,
) -> Result<Option<Provenance>, ReadError> {
    if timeframe == Timeframe::MINUTE_1 {
        minute(store, archive, pack, symbol, time).await
    } else {
        longer(store, symbol, time, timeframe).await
    }
}

async fn longer(
    store: &Store,
    symbol: Symbol,
    time: DateTime<Utc>,
    timeframe: Timeframe,
) -> Result<Option<Provenance>, ReadError> {
    let time = timeframe.bucket(time);
    let query = BarsQuery {
        symbol: symbol.clone(),
        timeframe: Timeframe::MINUTE_1,
        start: Some(time),
        end: Some(timeframe.bucket_end(time)),
        limit: MINUTES + 1,
        descending: false,
        after: None,
    };
    let mut minutes = store.bars(&query).await?;
    let more = minutes.len() > MINUTES as usize;
    minutes.truncate(MINUTES as usize);
    let note = more.then(|| format!("There are more minutes; these are the first {MINUTES}."));
    Ok((!minutes.is_empty()).then(|| Provenance { minutes, note, ..nothing(symbol, time, timeframe) }))
}

fn nothing(symbol: Symbol, time: DateTime<Utc>, timeframe: Timeframe) -> Provenance {
    Provenance {
        symbol,
        time,
        timeframe,
        row: None,
        duplicates: Vec::new(),
        verdicts: Vec::new(),
        events: Vec::new(),
        note: None,
        refused: Vec::new(),
        minutes: Vec::new(),
    }
}

async fn minute(
    store: &Store,
    archive: &Archive,
    pack: &Pack,
    symbol: Symbol,
    time: DateTime<Utc>,
) -> Result<Option<Provenance>, ReadError> {
    let rows = store.rows_at(&symbol, time).await?;
    let (mut events, note) = changes(store, &symbol, time, &rows).await?;
    if rows.is_empty() && events.is_empty() {
        return Ok(None);
    }
    for event in &mut events {
        let made = rows.iter().find(|row| row.row.place == event.place);
        event.received_at = made.map(|row| row.row.received_at);
    }
    read_again(archive, &mut events).await;
    let records: BTreeSet<(String, i64)> = rows
        .iter()
        .map(|row| (row.row.place.topic.clone(), row.row.record_id))
        .chain(events.iter().map(|event| (event.place.topic.clone(), event.record_id)))
        .collect();
    let refused = store.refused_of(&records.into_iter().collect::<Vec<_>>()).await?;
    let (shown, others): (Vec<MinuteRow>, Vec<MinuteRow>) = rows.into_iter().partition(|row| row.shown);
    let shown = shown.into_iter().next();
    let seq = events.iter().map(|event| event.seq).max();
    let verdicts = verdicts::verdicts(store, pack, &symbol, time, shown.as_ref(), seq).await?;
    Ok(Some(Provenance {
        verdicts,
        row: shown.map(|row| row.row),
        duplicates: others.into_iter().map(|row| row.row).collect(),
        events,
        note,
        refused: refused.into_iter().map(refused_change).collect(),
        ..nothing(symbol, time, Timeframe::MINUTE_1)
    }))
}

/// The changes, and why there may be more.
async fn changes(
    store: &Store,
    symbol: &Symbol,
    time: DateTime<Utc>,
    rows: &[MinuteRow],
) -> Result<(Vec<ChangeEvent>, Option<String>), ReadError> {
    let events = match store.changes_at(symbol, time, EVENTS as i64 + 1).await {
        Ok(events) => events,
        Err(error) if error.is_too_slow() => {
            let note = "Searching the change log took too long and was given up; the row itself names its last change.";
            return Ok((Vec::new(), Some(note.to_owned())));
        }
        Err(error) => return Err(error),
    };
    if events.len() > EVENTS {
        let note = format!("There are more changes; these are the newest {EVENTS}.");
        return Ok((events[events.len() - EVENTS..].to_vec(), Some(note)));
    }
    // Every row began with a change that found none there.
    let begins = |row: &MinuteRow| {
        let mut of_row = events
            .iter()
            .filter(|event| event.record_id == row.row.record_id && event.place.topic == row.row.place.topic);
        of_row.any(|event| event.outcome == ChangeOutcome::New)
    };
    let note = if rows.iter().all(begins) {
        None
    } else {
        let since = store.log_since().await?;
        let reach =
            since.map_or_else(|| "is empty".to_owned(), |at| format!("reaches back to {}", at.format("%F %T UTC")));
        Some(format!("The change log {reach}; what came before is known only by the row it left."))
    };
    Ok((events, note))
}

/// Reads the newest of the records again.
async fn read_again(archive: &Archive, events: &mut [ChangeEvent]) {
    let first = events.len().saturating_sub(READ_AGAIN);
    let newest = &mut events[first..];
    if newest.is_empty() {
        return;
    }
    let places: Vec<RecordPlace> = newest.iter().map(|event| event.place.clone()).collect();
    for (event, found) in newest.iter_mut().zip(archive.read(places).await) {
        event.original = match found {
            Found::Kept(kept) => original(event, &kept),
            Found::Expired => Original { state: OriginalState::Expired, ..Original::default() },
            Found::Unanswered => Original { state: OriginalState::Unanswered, ..Original::default() },
        };
    }
}

fn original(event: &ChangeEvent, kept: &Kept) -> Original {
    let raw = RawRecord {
        topic: &event.place.topic,
        partition: event.place.partition,
        offset: event.place.offset,
        timestamp_ms: kept.timestamp_ms,
        key: kept.key.as_deref(),
        value: kept.value.as_deref(),
    };
    let state = |state| Original { state, ..Original::default() };
    let times = |source: SourceInfo| Original {
        state: OriginalState::Kept,
        source_at: source.committed_at,
        connector_at: source.read_at,
        kafka_at: kept.timestamp_ms.and_then(DateTime::from_timestamp_millis),
        before: None,
        after: None,
    };
    match Decoder::new(event.place.incarnation).keep_before().decode(&raw) {
        Ok(Decoded::Change(change)) if change.record_id == event.record_id => {
            Original { before: change.before.map(image), after: change.after.map(image), ..times(change.source) }
        }
        // Emptying a table, or passing a snapshot's end, deletes rows that the record does not name.
        Ok(Decoded::Change(Change { source, .. }) | Decoded::Truncate { source, .. }) if event.op == 'd' => {
            times(source)
        }
        // At this offset lies a record of a topic that was made anew.
        Ok(Decoded::Change(_) | Decoded::Truncate { .. }) => state(OriginalState::Expired),
        Ok(Decoded::Control(_)) | Err(_) => state(OriginalState::Unreadable),
    }
}

fn image(row: StockRow) -> RowImage {
    let StockRow { time, open, high, low, close, volume, symbol, event_time, .. } = row;
    RowImage { symbol: symbol.map(|symbol| symbol.to_string()), time, open, high, low, close, volume, event_time }
}

fn refused_change(record: QuarantinedRecord) -> RefusedChange {
    let QuarantinedRecord {
        topic, partition, incarnation, offset, received_at, stage, codes, reason, resolution, ..
    } = record;
    let state = resolution.state.as_str().to_owned();
    RefusedChange {
        place: RecordPlace { topic, partition, incarnation, offset },
        received_at,
        stage,
        codes,
        reason,
        state,
    }
}
