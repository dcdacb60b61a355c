//! What the tables hold of one topic, next to what the rule says of the records that were consumed.

use super::{
    machine::Machine,
    oracle::{Line, Verdict},
    replica::{instant, packed},
};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row};
use std::collections::BTreeSet;

/// Key, place, event time and values of a row of `stock`; `tombstone` has none.
type Kept = (i64, (i64, i32), DateTime<Utc>, Option<Values>);
/// Symbol, time, close, volume, operation, incarnation and offset.
type Values = (String, DateTime<Utc>, Decimal, i64, u8, i32, i64);
/// A change of the log: offset, key, symbol, time, event time, operation and outcome.
type Change = (i64, i64, String, DateTime<Utc>, DateTime<Utc>, char, char);

impl Machine {
    /// Compares every table that a batch writes.
    pub(super) async fn check(&self) {
        let mut observer = self.shared.observer.lock().await;
        let topic = self.key.topic.as_str();
        assert_eq!(kept(&mut observer, topic).await, self.expected_rows(), "stock and tombstone");
        self.check_counters(&mut observer).await;
        assert_eq!(quarantine(&mut observer, topic).await, self.oracle.quarantine, "quarantine");
        assert_eq!(change_log(&mut observer, topic).await, self.expected_log(), "change log");
        check_seq(&mut observer, self.first_seq).await;
    }

    fn expected_rows(&self) -> Vec<Kept> {
        let keys = self.oracle.keys.iter();
        keys.map(|(key, known)| {
            let values = known.standing.as_ref().map(|standing| {
                let row = &standing.row;
                let (symbol, time, op) = (row.symbol.to_owned(), instant(row.minute * 60), standing.op as u8);
                (symbol, time, row.close, row.volume, op, standing.incarnation, standing.offset)
            });
            (*key, packed(known.version), instant(known.event_time), values)
        })
        .collect()
    }

    /// The conservation equation, and the offset next to the data.
    async fn check_counters(&self, observer: &mut PgConnection) {
        let row = sqlx::query(
            "select consumed, applied, late, duplicate, deleted, control, quarantined, next_offset, incarnation
             from kafka_offset join topic using (topic_id) where name = $1",
        )
        .bind(&self.key.topic)
        .fetch_one(observer)
        .await
        .expect("the partition's row");
        let of = |verdict| self.oracle.counts.get(&verdict).copied().unwrap_or_default();
        let verdicts = [
            Verdict::Applied,
            Verdict::Late,
            Verdict::Duplicate,
            Verdict::Deleted,
            Verdict::Control,
            Verdict::Quarantined,
        ];
        let expected: Vec<i64> = verdicts.into_iter().map(of).collect();
        let found: Vec<i64> = (1..=6).map(|column| row.get(column)).collect();
        assert_eq!(found, expected, "counters");
        assert_eq!(row.get::<i64, _>("consumed"), expected.iter().sum::<i64>(), "consumed");
        assert_eq!((row.get("incarnation"), row.get("next_offset")), (self.incarnation, self.next_offset), "offset");
    }

    fn expected_log(&self) -> Vec<Change> {
        let line = |line: &Line| {
            let (time, event_time) = (instant(line.minute * 60), instant(line.event_time));
            (line.offset, line.key, line.symbol.to_owned(), time, event_time, line.op, line.outcome)
        };
        by_key_within_a_record(self.oracle.log.iter().map(line).collect())
    }
}

async fn kept(observer: &mut PgConnection, topic: &str) -> Vec<Kept> {
    let rows = sqlx::query(
        "select record_id, version_hi, version_lo, event_time, symbol, time, close, volume, op::text,
                incarnation, \"offset\"
         from stock join topic using (topic_id) join symbol using (symbol_id)
         where name = $1 and open = close and high = close and low = close
         union all
         select record_id, version_hi, version_lo, event_time, null, null, null, null, null,
                incarnation, \"offset\"
         from tombstone join topic using (topic_id) where name = $1
         order by record_id",
    )
    .bind(topic)
    .fetch_all(observer)
    .await
    .expect("rows");
    rows.iter()
        .map(|row| {
            let place = (row.get(1), row.get(2));
            let values = row.get::<Option<String>, _>(4).map(|symbol| {
                let op = row.get::<String, _>(8).as_bytes()[0];
                (symbol, row.get(5), row.get(6), row.get(7), op, row.get(9), row.get(10))
            });
            (row.get(0), place, row.get(3), values)
        })
        .collect()
}

async fn quarantine(observer: &mut PgConnection, topic: &str) -> BTreeSet<(i32, i64)> {
    let rows = sqlx::query(
        "select incarnation, \"offset\", value from quarantine join topic using (topic_id) where name = $1",
    )
    .bind(topic)
    .fetch_all(observer)
    .await
    .expect("rows");
    let kept: BTreeSet<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kept.len(), rows.len(), "each refused record is there once");
    for row in &rows {
        let offset: i64 = row.get(1);
        assert_eq!(row.get::<Vec<u8>, _>(2), format!("bad {offset}").into_bytes(), "as raw bytes");
    }
    kept
}

async fn change_log(observer: &mut PgConnection, topic: &str) -> Vec<Change> {
    let rows = sqlx::query(
        "select change.\"offset\", record_id, symbol, change.time, change.event_time, change.op::text,
                change.outcome::text
         from change_log join topic using (topic_id)
         cross join lateral unnest(offsets, record_ids, symbol_ids, times, event_times, ops, outcomes) with ordinality
            as change (\"offset\", record_id, symbol_id, time, event_time, op, outcome, place)
         join symbol using (symbol_id)
         where name = $1 order by first_seq + place",
    )
    .bind(topic)
    .fetch_all(observer)
    .await
    .expect("rows");
    let letter = |text: String| text.chars().next().expect("a letter");
    let change = |row: &sqlx::postgres::PgRow| {
        let (op, outcome) = (letter(row.get(5)), letter(row.get(6)));
        (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), op, outcome)
    };
    by_key_within_a_record(rows.iter().map(change).collect())
}

/// One record changes several rows only when it empties the table; in which order is nobody's business.
fn by_key_within_a_record(mut changes: Vec<Change>) -> Vec<Change> {
    for of_one_record in changes.chunk_by_mut(|a, b| a.0 == b.0 && a.6 == b.6) {
        of_one_record.sort_by_key(|change| change.1);
    }
    changes
}

/// The stream's numbers follow each other without a hole, up to the head.
async fn check_seq(observer: &mut PgConnection, first: i64) {
    let blocks = sqlx::query("select first_seq, last_seq from change_log where last_seq > $1 order by last_seq")
        .bind(first)
        .fetch_all(&mut *observer)
        .await
        .expect("rows");
    let mut last = first;
    for block in blocks {
        assert_eq!(block.get::<i64, _>(0), last + 1, "a hole in the stream");
        last = block.get(1);
    }
    let head: i64 = sqlx::query_scalar("select seq from stream_head").fetch_one(observer).await.expect("a head");
    assert_eq!(head, last, "the head");
}
