//! Looks over the shoulder of the running system: what must hold at every instant, not only in the end.

use super::{producer::Log, source::PARTITIONS};
use sqlx::{PgPool, Row};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

const EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
pub struct Monitor {
    /// The highest seq that any client was shown.
    pub shown: Arc<AtomicI64>,
    broken: Mutex<Vec<String>>,
    pub looks: AtomicU64,
}

/// One partition, in one transaction's eyes.
struct Seen {
    partition: i32,
    incarnation: i32,
    next_offset: i64,
    consumed: i64,
    /// Highest offset among rows, tombstones, quarantine and change log.
    data: i64,
}

impl Monitor {
    fn note(&self, text: String) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.len() < 50 {
            broken.push(text);
        }
    }

    pub fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks until the task is dropped. Postgres being away is none of its business.
    pub async fn run(self: Arc<Self>, pool: PgPool, log: Arc<Log>) {
        let mut last: (i64, BTreeMap<i32, i64>) = Default::default();
        loop {
            tokio::time::sleep(EVERY).await;
            // In this order: what was shown before must be committed now, what is committed now was sent before.
            let shown = self.shown.load(Ordering::SeqCst);
            let Ok(Ok(Some((head, partitions)))) = tokio::time::timeout(Duration::from_secs(5), look(&pool)).await
            else {
                continue;
            };
            self.looks.fetch_add(1, Ordering::Relaxed);
            if shown > head {
                self.note(format!("seq {shown} was shown while the head is {head}"));
            }
            if head < last.0 {
                self.note(format!("the head went back from {} to {head}", last.0));
            }
            last.0 = head;
            for Seen { partition, incarnation, next_offset, consumed, data } in partitions {
                let before = last.1.insert(partition, next_offset).unwrap_or_default();
                if next_offset < before {
                    self.note(format!("partition {partition}: the offset went back from {before} to {next_offset}"));
                }
                if next_offset > log.sent(partition) {
                    self.note(format!("partition {partition}: offset {next_offset} is ahead of the topic"));
                }
                if consumed != next_offset || data >= next_offset {
                    self.note(format!(
                        "partition {partition}: offset {next_offset}, but {consumed} records consumed and data up to {data}"
                    ));
                }
                if incarnation != 1 || !(0..PARTITIONS).contains(&partition) {
                    self.note(format!("partition {partition} is in incarnation {incarnation}"));
                }
            }
        }
    }
}

/// `None` before the schema is there.
async fn look(pool: &PgPool) -> Result<Option<(i64, Vec<Seen>)>, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let there: bool = sqlx::query_scalar("select to_regclass('stream_head') is not null").fetch_one(&mut *tx).await?;
    if !there {
        return Ok(None);
    }
    let head = sqlx::query_scalar("select seq from stream_head").fetch_one(&mut *tx).await?;
    let rows = sqlx::query(
        "select partition, incarnation, next_offset, consumed, greatest(
            (select max(\"offset\") from stock s where s.partition = k.partition),
            (select max(\"offset\") from tombstone t where t.partition = k.partition),
            (select max(\"offset\") from quarantine q where q.partition = k.partition),
            (select max(last) from (select offsets[cardinality(offsets)] as last from change_log c
                where c.partition = k.partition order by last_seq desc limit 1) newest), -1) as data
         from kafka_offset k",
    )
    .fetch_all(&mut *tx)
    .await?;
    let seen = rows.iter().map(|row| Seen {
        partition: row.get("partition"),
        incarnation: row.get("incarnation"),
        next_offset: row.get("next_offset"),
        consumed: row.get("consumed"),
        data: row.get("data"),
    });
    Ok(Some((head, seen.collect())))
}

/// Whether every partition is committed up to these offsets; `None` while Postgres is away.
pub async fn reached(pool: &PgPool, ends: &[i64]) -> Option<bool> {
    let ask = sqlx::query_as::<_, (i32, i64)>("select partition, next_offset from kafka_offset").fetch_all(pool);
    let offsets: BTreeMap<i32, i64> =
        tokio::time::timeout(Duration::from_secs(1), ask).await.ok()?.ok()?.into_iter().collect();
    Some((0..).zip(ends).all(|(partition, end)| offsets.get(&partition).copied().unwrap_or_default() >= *end))
}

/// Records committed so far, over all partitions; `None` while Postgres is away.
pub async fn consumed(pool: &PgPool) -> Option<i64> {
    let ask = sqlx::query_scalar("select coalesce(sum(next_offset), 0)::bigint from kafka_offset").fetch_one(pool);
    tokio::time::timeout(Duration::from_secs(1), ask).await.ok()?.ok()
}
