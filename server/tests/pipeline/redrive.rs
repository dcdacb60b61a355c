//! Refused records on their way back: the same rule, the place in the order that they had, nothing counted twice.

use crate::{
    records::{OPEN, Record, Row, delete, insert, tombstone, truncate, update},
    stack::{Database, TOPIC},
};
use cdc::DecodeError;
use chrono::{DateTime, Utc};
use server::{
    pipeline::{Judge, RecordSuites, redrive, understand},
    store::{
        ApplyError, Batch, Item, PartitionKey, QuarantineFilter, QuarantinedRecord, RecordId, RedriveError,
        RedriveReport, RedriveRequest, RedriveResult, Refused, RefusedReason, ResolutionState, Selection, Store,
        Writer,
    },
};
use sqlx::Row as _;
use std::sync::Arc;

/// A store with the writer of its one partition, and the offset of the next record.
struct Bench {
    _database: Database,
    store: Store,
    writer: Writer,
    offset: i64,
    decoder: cdc::Decoder,
}

async fn open(store: &Store) -> Writer {
    let key = PartitionKey { topic: TOPIC.to_owned(), partition: 0 };
    Writer::open(store.clone(), key, Arc::new(|_| false)).await.expect("the partition opens")
}

fn received() -> DateTime<Utc> {
    DateTime::from_timestamp(OPEN + 60_000, 0).expect("in range")
}

/// Nothing but the built-in rules.
fn judge() -> Judge {
    Judge::new(RecordSuites::default(), received())
}

impl Bench {
    async fn start() -> Self {
        let database = Database::start().await;
        let store = database.migrated().await;
        let writer = open(&store).await;
        Self { _database: database, store, writer, offset: 0, decoder: cdc::Decoder::new(1) }
    }

    async fn apply(&mut self, item: Item) -> Result<(), ApplyError> {
        let batch = Batch { next_offset: self.offset + 1, last_hash: 1, received_at: received(), items: vec![item] };
        self.writer.apply(&batch).await?;
        self.offset += 1;
        Ok(())
    }

    /// Consumes a record as the pipeline does.
    async fn consume(&mut self, (key, value): Record) {
        let raw = cdc::RawRecord {
            topic: TOPIC,
            partition: 0,
            offset: self.offset,
            timestamp_ms: Some(OPEN * 1000),
            key: key.as_deref().map(str::as_bytes),
            value: value.as_deref().map(str::as_bytes),
        };
        let item = understand(&mut self.decoder, &raw, &mut judge()).expect("a good record");
        self.apply(item).await.expect("it is the writer");
    }

    /// Refuses a record, as a decoder of another day would; answers with its offset.
    async fn refuse(&mut self, (key, value): Record) -> i64 {
        let offset = self.offset;
        let item = Item::Refused(Box::new(Refused {
            offset,
            timestamp_ms: Some(OPEN * 1000),
            key: key.map(String::into_bytes),
            value: value.map(String::into_bytes),
            headers: b"[]".to_vec(),
            reason: RefusedReason::Decode(DecodeError::NoKey),
        }));
        self.apply(item).await.expect("it is the writer");
        offset
    }

    async fn redrive(&self, selection: Selection, dry_run: bool, force: bool) -> RedriveReport {
        let request = RedriveRequest { selection, dry_run, force, actor: "test".to_owned() };
        let report =
            redrive(&self.store, &request, &RecordSuites::default(), &no_simulation()).await.expect("Postgres answers");
        self.balances().await;
        report
    }

    async fn redrive_all(&self) -> Vec<(i64, RedriveResult)> {
        let report = self.redrive(Selection::Open { topic: None, code: None }, false, false).await;
        report.records.into_iter().map(|record| (record.offset, record.result)).collect()
    }

    async fn redrive_one(&self, offset: i64, force: bool) -> RedriveResult {
        self.redrive(Selection::One(id(offset)), false, force).await.records[0].result
    }

    async fn record(&self, offset: i64) -> QuarantinedRecord {
        self.store.find_quarantined(&id(offset)).await.expect("Postgres answers").expect("it is there").record
    }

    /// The counter `quarantined` is the number of records that were not redriven; the table's own constraint holds the
    /// rest of the equation.
    async fn balances(&self) {
        let row = sqlx::query(
            "select quarantined = (select count(*) from quarantine where resolution <> 'redriven'),
                    consumed = next_offset
             from kafka_offset",
        )
        .fetch_one(self.store.pool())
        .await
        .expect("one partition");
        assert!(row.get::<bool, _>(0) && row.get::<bool, _>(1));
    }

    async fn scalar(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.expect("a number")
    }

    /// Record, close, offset and version of the rows that stand.
    async fn rows(&self) -> Vec<(i64, String, i64, i64)> {
        let rows = sqlx::query(
            "select record_id, trim_scale(close)::text, \"offset\", version_hi & 1099511627775 from stock order by record_id",
        )
        .fetch_all(self.store.pool())
        .await
        .expect("rows");
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
    }
}

fn no_simulation() -> server::store::IsSimulated {
    Arc::new(|_| false)
}

fn id(offset: i64) -> RecordId {
    RecordId { topic: TOPIC.to_owned(), partition: 0, offset, incarnation: None }
}

#[tokio::test]
async fn a_redriven_record_takes_the_place_that_it_had() {
    let mut bench = Bench::start().await;
    let row = |id, close| Row::new(id, "AMZN", id, close);
    let lost = bench.refuse(insert(&row(1, 15_000), 10)).await;
    let stale = bench.refuse(insert(&row(2, 15_100), 20)).await;
    bench.consume(insert(&row(2, 15_200), 30)).await;
    bench.consume(insert(&Row { event_time: OPEN + 9_000, ..row(3, 15_300) }, 40)).await;
    let late = bench.refuse(update(&Row { event_time: OPEN + 8_000, ..row(3, 15_400) }, 50)).await;
    bench.consume(insert(&row(4, 15_500), 60)).await;
    let gone = bench.refuse(delete(4, 70)).await;
    let heartbeat = bench.refuse((None, Some(r#"{"ts_ms":1705415400000}"#.to_owned()))).await;
    let seq = bench.scalar("select seq from stream_head").await;

    let results = bench.redrive_all().await;
    assert_eq!(
        results,
        [
            (lost, RedriveResult::Applied),
            (stale, RedriveResult::Duplicate),
            (late, RedriveResult::Late),
            (gone, RedriveResult::Deleted),
            (heartbeat, RedriveResult::Control),
        ]
    );
    assert_eq!(
        bench.rows().await,
        [(1, "150".to_owned(), lost, 10), (2, "152".to_owned(), 2, 30), (3, "153".to_owned(), 3, 50)],
        "the late one's version was seen"
    );
    assert_eq!(bench.scalar("select count(*) from tombstone where record_id = 4 and \"offset\" = 6").await, 1);
    let counters = sqlx::query("select applied, late, duplicate, deleted, control, quarantined from kafka_offset")
        .fetch_one(bench.store.pool())
        .await
        .expect("one partition");
    let counters: Vec<i64> = (0..6).map(|column| counters.get(column)).collect();
    assert_eq!(counters, [4, 1, 1, 1, 1, 0]);
    assert_eq!(bench.scalar("select seq from stream_head").await, seq + 3, "dashboards see it");
    assert_eq!(bench.scalar("select max(last_seq) from change_log").await, seq + 3);

    let record = bench.record(lost).await;
    assert_eq!(record.resolution.state, ResolutionState::Redriven);
    assert_eq!(
        (record.resolution.outcome.as_deref(), record.resolution.by.as_deref()),
        (Some("applied"), Some("test"))
    );
    let trail = bench.store.list_audit(None, 10).await.expect("the trail");
    assert_eq!((trail.len(), trail[0].action.as_str(), trail[0].outcome.as_str()), (1, "quarantine.redrive", "done"));
    assert_eq!(trail[0].audit_id, record.resolution.audit_id.expect("it is named"));

    // Once more: nothing happens, and no counter moves.
    assert_eq!(bench.redrive_all().await, []);
    assert_eq!(bench.redrive_one(lost, true).await, RedriveResult::AlreadyRedriven);
    assert_eq!(bench.scalar("select seq from stream_head").await, seq + 3);
    let missing =
        RedriveRequest { selection: Selection::One(id(999)), dry_run: false, force: false, actor: "test".to_owned() };
    let refused = redrive(&bench.store, &missing, &RecordSuites::default(), &no_simulation()).await;
    assert!(matches!(refused, Err(RedriveError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn a_writer_steps_down_when_a_redrive_changed_what_it_remembers() {
    let mut bench = Bench::start().await;
    let offset = bench.refuse(delete(7, 10)).await;
    let harmless = bench.refuse((None, Some(r#"{"ts_ms":1705415400000}"#.to_owned()))).await;
    assert_eq!(bench.redrive_one(harmless, false).await, RedriveResult::Control);
    bench.consume(insert(&Row::new(1, "AMZN", 0, 15_000), 20)).await;
    assert_eq!(bench.redrive_one(offset, false).await, RedriveResult::Deleted, "a grave above the writer's watermark");
    let raw = insert(&Row::new(7, "AMZN", 7, 15_000), 5);
    let mut decoder = cdc::Decoder::new(1);
    let record = cdc::RawRecord {
        topic: TOPIC,
        partition: 0,
        offset: bench.offset,
        timestamp_ms: None,
        key: raw.0.as_deref().map(str::as_bytes),
        value: raw.1.as_deref().map(str::as_bytes),
    };
    let item = understand(&mut decoder, &record, &mut judge()).expect("a good record");
    let refused = bench.apply(item.clone()).await;
    assert!(matches!(refused, Err(ApplyError::Fenced(_))), "{refused:?}");
    bench.writer = open(&bench.store).await;
    bench.apply(item).await.expect("it is the writer again");
    assert_eq!(bench.rows().await.len(), 1, "what was deleted later is not resurrected");
    bench.balances().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let mut bench = Bench::start().await;
    bench.consume(insert(&Row::new(2, "AAPL", 0, 18_000), 5)).await;
    bench.refuse(insert(&Row::new(1, "AMZN", 0, 15_000), 10)).await;
    bench.refuse(update(&Row::new(1, "AMZN", 0, 15_100), 20)).await;
    bench.refuse((None, Some("{".to_owned()))).await;
    bench.refuse(truncate(30)).await;
    let state = "select md5(string_agg(line, '|')) from (
        select row(k.*)::text as line from kafka_offset k union all select row(q.*)::text from quarantine q
        union all select row(s.*)::text from stock s union all select row(h.*)::text from stream_head h
        union all select row(a.*)::text from audit a union all select row(c.*)::text from change_log c
        union all select row(e.*)::text from source_epoch e union all select row(t.*)::text from tombstone t order by 1) x";
    let before: String = sqlx::query_scalar(state).fetch_one(bench.store.pool()).await.expect("a hash");
    let all = || Selection::Open { topic: None, code: None };
    let dry = bench.redrive(all(), true, false).await;
    let after: String = sqlx::query_scalar(state).fetch_one(bench.store.pool()).await.expect("a hash");
    assert_eq!(before, after);
    assert!(dry.dry_run && !dry.changed());

    let wet = bench.redrive(all(), false, false).await;
    assert_eq!(dry.records, wet.records);
    assert!(wet.changed());
    let results: Vec<RedriveResult> = wet.records.iter().map(|record| record.result).collect();
    let expected =
        [RedriveResult::Applied, RedriveResult::Applied, RedriveResult::RefusedAgain, RedriveResult::Deleted];
    assert_eq!(results, expected);
    assert_eq!(bench.rows().await, []);
}

#[tokio::test]
async fn a_record_that_can_only_fail_is_left_alone_until_forced() {
    let mut bench = Bench::start().await;
    let broken = bench.refuse((None, Some("{".to_owned()))).await;
    let orphan = bench.refuse(tombstone(1)).await;
    bench.consume(insert(&Row::new(1, "AMZN", 0, 15_000), 10)).await;
    for attempt in 1..=3 {
        let results = bench.redrive_all().await;
        assert_eq!(results, [(broken, RedriveResult::RefusedAgain), (orphan, RedriveResult::RefusedAgain)]);
        let record = bench.record(broken).await;
        assert_eq!((record.resolution.state, record.resolution.attempts), (ResolutionState::RefusedAgain, attempt));
        assert_eq!(record.codes, ["not_json"], "the reason of today");
    }
    assert_eq!(bench.record(orphan).await.codes, ["no_version"], "an orphan tombstone never deletes a newer row");
    assert_eq!(bench.rows().await.len(), 1);
    let held = bench.redrive_all().await;
    assert_eq!(held, [(broken, RedriveResult::HeldBack), (orphan, RedriveResult::HeldBack)]);
    assert_eq!(bench.record(broken).await.resolution.attempts, 3);
    assert_eq!(bench.redrive_one(broken, true).await, RedriveResult::RefusedAgain);

    let record = bench.record(broken).await;
    assert!(bench.store.dismiss(&record, "the producer's test", "test").await.expect("Postgres answers"));
    assert!(!bench.store.dismiss(&record, "again", "test").await.expect("Postgres answers"), "decided before");
    bench.balances().await;
    let record = bench.record(broken).await;
    assert_eq!(record.resolution.note.as_deref(), Some("the producer's test"));
    assert_eq!(bench.redrive_one(broken, false).await, RedriveResult::Dismissed);
    let open = bench.store.quarantined(&QuarantineFilter::open(), None, 10).await.expect("a list");
    assert_eq!(open.iter().map(|(_, record)| record.offset).collect::<Vec<_>>(), [orphan]);
    let all = bench.store.quarantined(&QuarantineFilter::default(), None, 10).await.expect("a list");
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn a_record_of_a_source_that_was_never_heard_of_waits() {
    let mut bench = Bench::start().await;
    let (key, value) = insert(&Row::new(1, "AMZN", 0, 15_000), 100);
    let of_another = value.map(|value| value.replace("\"server_id\":1001", "\"server_id\":1000"));
    let unknown = bench.refuse((key, of_another)).await;
    bench.consume(insert(&Row::new(1, "AMZN", 0, 15_100), 5)).await;
    assert_eq!(bench.redrive_one(unknown, false).await, RedriveResult::RefusedAgain);
    assert_eq!(bench.record(unknown).await.codes, ["unknown_source"], "it must not count as the newest source");
    assert_eq!(bench.rows().await[0].1, "151");
}

#[tokio::test]
async fn a_snapshot_of_before_a_failover_does_not_overwrite_what_came_after() {
    let mut bench = Bench::start().await;
    let of_server = |server: u32, (key, value): Record| {
        (key, value.map(|value| value.replace("\"server_id\":1001", &format!("\"server_id\":{server}"))))
    };
    bench.consume(insert(&Row::new(1, "AMZN", 0, 15_000), 100)).await;
    // A snapshot does not name its server: it is the one of then, whatever comes later.
    let snapshot = bench.refuse(of_server(0, insert(&Row::new(2, "AMZN", 1, 15_100), 900))).await;
    bench.consume(of_server(1002, insert(&Row::new(2, "AMZN", 1, 15_200), 5))).await;
    let before = bench.rows().await;
    assert_eq!(bench.redrive_one(snapshot, false).await, RedriveResult::RefusedAgain);
    assert_eq!(bench.record(snapshot).await.codes, ["unknown_source"]);
    assert_eq!(bench.rows().await, before);
}

#[tokio::test]
async fn a_corrected_copy_takes_the_place_of_its_original_and_both_are_told_of() {
    let mut bench = Bench::start().await;
    let row = |id, close| Row::new(id, "AMZN", id, close);
    bench.consume(insert(&row(9, 15_000), 5)).await;
    let original = insert(&row(1, 15_000), 10);
    let value = original.1.clone().expect("it has one");
    let corrected = insert(&row(1, 15_300), 10).1.expect("it has one");
    assert_ne!(value, corrected);
    let broken = bench.refuse(original).await;
    let stale = bench.refuse(insert(&row(2, 15_100), 20)).await;
    bench.consume(insert(&row(2, 15_200), 30)).await;
    let copy = |offset, value: &str| Selection::Copy { of: id(offset), value: value.to_owned() };

    let dry = bench.redrive(copy(broken, &corrected), true, false).await;
    assert_eq!(dry.records[0].result, RedriveResult::Applied);
    assert_eq!(bench.record(broken).await.resolution.state, ResolutionState::Open);
    let wet = bench.redrive(copy(broken, &corrected), false, false).await;
    assert_eq!(wet.records[0].result, RedriveResult::Applied);
    assert_eq!(bench.rows().await[0], (1, "153".to_owned(), broken, 10), "as the copy says, where the original was");

    let kept = bench.store.find_quarantined(&id(broken)).await.expect("Postgres answers").expect("it is there");
    assert_eq!(kept.value.as_deref(), Some(value.as_bytes()), "the original stays");
    let trail = bench.store.audit_of(&id(broken), None, 10).await.expect("the trail");
    assert_eq!((trail.len(), trail[0].outcome.as_str()), (1, "done"));
    assert_eq!(trail[0].detail["copy"], corrected.as_str());
    let hashes =
        [&trail[0].detail["original_sha256"], &trail[0].detail["copy_sha256"]].map(|hash| hash.as_str().map(str::len));
    assert_eq!(hashes, [Some(64), Some(64)]);
    assert_ne!(trail[0].detail["original_sha256"], trail[0].detail["copy_sha256"]);

    let newer = insert(&row(2, 15_900), 20).1.expect("it has one");
    let late = bench.redrive(copy(stale, &newer), false, false).await;
    assert_eq!(late.records[0].result, RedriveResult::Duplicate, "a copy is no newer than its original");
    assert_eq!(bench.rows().await[1].1, "152");
}

#[tokio::test]
async fn a_copy_that_is_no_copy_is_refused_and_the_reason_of_the_original_stays() {
    let mut bench = Bench::start().await;
    let row = Row::new(1, "AMZN", 1, 15_000);
    bench.consume(insert(&Row::new(9, "AMZN", 9, 15_000), 5)).await;
    let broken = bench.refuse(insert(&row, 10)).await;
    let text = bench.refuse((None, Some("{".to_owned()))).await;
    let copy = |offset, value: String| Selection::Copy { of: id(offset), value };
    let moved = insert(&row, 99).1.expect("it has one");
    let unruly = insert(&Row { close: -1, ..row.clone() }, 10).1.expect("it has one");
    for (attempt, (value, reason)) in
        [(moved, "differs from the original in source"), (unruly, "expected")].into_iter().enumerate()
    {
        let report = bench.redrive(copy(broken, value), false, false).await;
        assert_eq!(report.records[0].result, RedriveResult::RefusedAgain);
        assert!(report.records[0].reason.as_deref().is_some_and(|told| told.contains(reason)), "{report:?}");
        let record = bench.record(broken).await;
        assert_eq!((record.stage.as_str(), record.codes), ("decode", vec!["no_key".to_owned()]));
        assert_eq!(record.resolution.attempts, attempt as i32 + 1, "the guard against loops counts it");
        let trail = bench.store.audit_of(&id(broken), None, 1).await.expect("the trail");
        assert_eq!((trail[0].outcome.as_str(), trail[0].detail.get("copy")), ("refused", None));
    }
    let report = bench.redrive(copy(text, "{}".to_owned()), false, false).await;
    assert!(report.records[0].reason.as_deref().is_some_and(|told| told.contains("no JSON object")), "{report:?}");
    assert_eq!(bench.rows().await.len(), 1);
}
