//! What all partitions of a topic must agree on: the epochs of its sources, its newest truncation, its newest snapshot.
//!
//! Each batch compares the topic's generation in the statement that advances its offset. A writer that finds another one
//! than it knows has folded its batch over old facts: it rolls back, reads them and folds again.

use cdc::{Epoch, EpochBook, SourceIdent, Version};
use sqlx::{PgConnection, Postgres, Row, Transaction, postgres::PgRow};

/// The facts as of one generation, but for the epochs, which the partition's [`EpochBook`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub generation: i64,
    /// Every row of a version at or below it is gone, and every such change that still comes is a duplicate.
    pub truncated: Version,
    /// The newest snapshot whose last record was read.
    pub snapshot: Version,
}

/// What a batch adds to the facts.
#[derive(Debug, Default)]
pub(super) struct Additions {
    /// Epochs with their numbers: new ones, and those that have got a name.
    pub epochs: Vec<(i32, Epoch)>,
    pub truncated: Option<Version>,
    pub snapshot: Option<Version>,
}

impl Additions {
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty() && self.truncated.is_none() && self.snapshot.is_none()
    }
}

/// The epochs that `now` has and `before` has not, or not by this name.
pub(super) fn new_epochs(before: &EpochBook, now: &EpochBook) -> Vec<(i32, Epoch)> {
    let all = (1..).zip(now.epochs().iter().copied());
    all.filter(|(number, epoch)| before.epochs().get(*number as usize - 1) != Some(epoch)).collect()
}

/// A version as three columns keep it.
pub(super) fn version(row: &PgRow, from: usize) -> Version {
    Version { epoch: row.get(from), hi: row.get(from + 1), lo: row.get(from + 2) }
}

/// The facts as committed, and the epochs.
pub(super) async fn read(connection: &mut PgConnection, topic_id: i16) -> Result<(Topic, Vec<Epoch>), sqlx::Error> {
    // The generation first: what is read after it can only be newer, and is then found out.
    let row = sqlx::query(
        "select generation, truncated_epoch, truncated_hi, truncated_lo, snapshot_epoch, snapshot_hi, snapshot_lo
         from topic where topic_id = $1",
    )
    .bind(topic_id)
    .fetch_one(&mut *connection)
    .await?;
    let topic = Topic { generation: row.get(0), truncated: version(&row, 1), snapshot: version(&row, 4) };
    let rows = sqlx::query("select ident, from_hi, from_lo from source_epoch where topic_id = $1 order by epoch")
        .bind(topic_id)
        .fetch_all(connection)
        .await?;
    let epochs = rows.iter().map(|row| {
        let ident: SourceIdent = row
            .get::<String, _>(0)
            .parse()
            .map_err(|error: cdc::InvalidSourceIdent| sqlx::Error::Decode(error.into()))?;
        Ok(Epoch { ident, from: (row.get(1), row.get(2)) })
    });
    Ok((topic, epochs.collect::<Result<_, sqlx::Error>>()?))
}

/// Adds to the facts. The caller holds the topic's row exclusively.
pub(super) async fn add(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    additions: &Additions,
) -> Result<(), sqlx::Error> {
    for (number, epoch) in &additions.epochs {
        sqlx::query(
            "insert into source_epoch (topic_id, epoch, ident, from_hi, from_lo) values ($1, $2, $3, $4, $5)
             on conflict (topic_id, epoch) do update set ident = excluded.ident",
        )
        .bind(topic_id)
        .bind(number)
        .bind(epoch.ident.to_string())
        .bind(epoch.from.0)
        .bind(epoch.from.1)
        .execute(&mut **tx)
        .await?;
    }
    let (truncated, snapshot) = (additions.truncated, additions.snapshot);
    sqlx::query(
        "update topic set generation = generation + 1,
            truncated_epoch = coalesce($2, truncated_epoch), truncated_hi = coalesce($3, truncated_hi),
            truncated_lo = coalesce($4, truncated_lo), snapshot_epoch = coalesce($5, snapshot_epoch),
            snapshot_hi = coalesce($6, snapshot_hi), snapshot_lo = coalesce($7, snapshot_lo)
         where topic_id = $1",
    )
    .bind(topic_id)
    .bind(truncated.map(|version| version.epoch))
    .bind(truncated.map(|version| version.hi))
    .bind(truncated.map(|version| version.lo))
    .bind(snapshot.map(|version| version.epoch))
    .bind(snapshot.map(|version| version.hi))
    .bind(snapshot.map(|version| version.lo))
    .execute(&mut **tx)
    .await
    .map(drop)
}
