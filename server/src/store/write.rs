//! The bulk statements of one batch: what the fold found, written in as few round trips as it takes.

use super::{
    Batch, Item, PartitionState,
    copy::CopyBuffer,
    dictionary::TagIds,
    fold::{Effect, RefusedReason, Upsert, op_code},
    judgement::TAG_SHIFT,
};
use cdc::Version;
use chrono::{DateTime, Utc};
use market::Symbol;
use quality::{RULE_VERSION, Severity};
use sqlx::{Postgres, Transaction};
use std::collections::{HashMap, HashSet};

/// Columns of a row as `stock` and the staging table take it.
const STOCK_COLUMNS: &str = "topic_id, record_id, symbol_id, time, open, high, low, close, volume, event_time, \
     version_epoch, version_hi, version_lo, incarnation, partition, \"offset\", op, source_at, received_at, \
     committed_at, rules";
const STOCK_COLUMN_COUNT: i16 = 21;

/// The bulk statements of one batch.
pub(super) struct RowWriter<'a> {
    pub state: &'a PartitionState,
    pub symbol_ids: &'a HashMap<Symbol, i32>,
    /// Those that this transaction added.
    pub new_symbols: &'a HashMap<Symbol, i32>,
    /// The sets of tags of its rows are all in one of these.
    pub tag_ids: [&'a TagIds; 2],
    /// The suites by which its records were judged.
    pub suite_set_id: Option<i32>,
}

impl RowWriter<'_> {
    fn symbol_id(&self, symbol: &Symbol) -> Result<i32, sqlx::Error> {
        self.symbol_ids.get(symbol).or_else(|| self.new_symbols.get(symbol)).copied().ok_or(sqlx::Error::RowNotFound)
    }

    /// The bits of the built-in rules, and above them the number of the set of tags.
    fn rules(&self, upsert: &Upsert) -> Result<i32, sqlx::Error> {
        if upsert.tags.is_empty() {
            return Ok(upsert.rules.0);
        }
        let tag_id = self.tag_ids.iter().find_map(|known| known.get(upsert.tags.as_slice()));
        Ok(upsert.rules.0 | i32::from(*tag_id.ok_or(sqlx::Error::RowNotFound)?) << TAG_SHIFT)
    }

    pub async fn rows(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: &Batch,
        effect: &Effect,
        committed_at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        if !effect.revived.is_empty() {
            sqlx::query("delete from tombstone where topic_id = $1 and record_id = any($2)")
                .bind(self.state.topic_id)
                .bind(&effect.revived)
                .execute(&mut **tx)
                .await?;
        }
        self.copy_rows(tx, "stock", batch, &effect.inserts, committed_at).await?;
        if !effect.updates.is_empty() {
            self.copy_rows(tx, "incoming", batch, &effect.updates, committed_at).await?;
            // Each of them stands, so every row conflicts. Unlike a join, this has only one possible plan.
            sqlx::query(
                "insert into stock select * from incoming on conflict (topic_id, record_id) do update set
                    symbol_id = excluded.symbol_id, time = excluded.time, open = excluded.open, high = excluded.high,
                    low = excluded.low, close = excluded.close, volume = excluded.volume,
                    event_time = excluded.event_time, version_epoch = excluded.version_epoch,
                    version_hi = excluded.version_hi, version_lo = excluded.version_lo,
                    incarnation = excluded.incarnation, partition = excluded.partition,
                    \"offset\" = excluded.\"offset\", op = excluded.op, source_at = excluded.source_at,
                    received_at = excluded.received_at, committed_at = excluded.committed_at, rules = excluded.rules",
            )
            .execute(&mut **tx)
            .await?;
        }
        if !effect.bumps.is_empty() {
            sqlx::query(
                // `offset 0` makes the look-up by key the inner side, whatever the planner believes of the sizes.
                "update stock set version_epoch = b.epoch, version_hi = b.hi, version_lo = b.lo
                 from unnest($2::bigint[], $3::integer[], $4::bigint[], $5::integer[]) as b (record_id, epoch, hi, lo)
                 cross join lateral (
                    select ctid from stock where topic_id = $1 and record_id = b.record_id offset 0) as found
                 where stock.ctid = found.ctid",
            )
            .bind(self.state.topic_id)
            .bind(effect.bumps.iter().map(|(id, _)| *id).collect::<Vec<_>>())
            .bind(effect.bumps.iter().map(|(_, version)| version.epoch).collect::<Vec<_>>())
            .bind(effect.bumps.iter().map(|(_, version)| version.hi).collect::<Vec<_>>())
            .bind(effect.bumps.iter().map(|(_, version)| version.lo).collect::<Vec<_>>())
            .execute(&mut **tx)
            .await?;
        }
        if !effect.removes.is_empty() {
            sqlx::query("delete from stock where topic_id = $1 and record_id = any($2)")
                .bind(self.state.topic_id)
                .bind(&effect.removes)
                .execute(&mut **tx)
                .await?;
        }
        if !effect.tombstones.is_empty() {
            self.tombstones(tx, effect, committed_at).await?;
        }
        Ok(())
    }

    async fn tombstones(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        effect: &Effect,
        committed_at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let graves = &effect.tombstones;
        sqlx::query(
            "insert into tombstone (topic_id, record_id, event_time, version_epoch, version_hi, version_lo,
                incarnation, partition, \"offset\", deleted_at)
             select $1, t.record_id, t.event_time, t.epoch, t.hi, t.lo, $8, $9, t.\"offset\", $10
             from unnest($2::bigint[], $3::timestamptz[], $4::integer[], $5::bigint[], $6::integer[], $7::bigint[])
                as t (record_id, event_time, epoch, hi, lo, \"offset\")
             on conflict (topic_id, record_id) do update set event_time = excluded.event_time,
                version_epoch = excluded.version_epoch, version_hi = excluded.version_hi,
                version_lo = excluded.version_lo, incarnation = excluded.incarnation,
                partition = excluded.partition, \"offset\" = excluded.\"offset\", deleted_at = excluded.deleted_at",
        )
        .bind(self.state.topic_id)
        .bind(graves.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
        .bind(graves.iter().map(|(_, state, _)| state.event_time).collect::<Vec<_>>())
        .bind(graves.iter().map(|(_, state, _)| state.version.epoch).collect::<Vec<_>>())
        .bind(graves.iter().map(|(_, state, _)| state.version.hi).collect::<Vec<_>>())
        .bind(graves.iter().map(|(_, state, _)| state.version.lo).collect::<Vec<_>>())
        .bind(graves.iter().map(|(.., offset)| *offset).collect::<Vec<_>>())
        .bind(self.state.incarnation)
        .bind(self.state.partition)
        .bind(committed_at)
        .execute(&mut **tx)
        .await
        .map(drop)
    }

    async fn copy_rows(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        table: &str,
        batch: &Batch,
        rows: &[(usize, Version)],
        committed_at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut buffer = CopyBuffer::with_capacity(rows.len() * 256);
        for (index, version) in rows {
            let Item::Upsert(upsert) = &batch.items[*index] else { continue };
            self.encode(&mut buffer, upsert, *version, batch.received_at, committed_at)?;
        }
        copy(tx, &format!("copy {table} ({STOCK_COLUMNS}) from stdin (format binary)"), buffer).await
    }

    fn encode(
        &self,
        buffer: &mut CopyBuffer,
        upsert: &Upsert,
        version: Version,
        received_at: DateTime<Utc>,
        committed_at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        buffer.row(STOCK_COLUMN_COUNT);
        buffer.int2(self.state.topic_id);
        buffer.int8(upsert.record_id);
        buffer.int4(self.symbol_id(&upsert.symbol)?);
        buffer.timestamptz(upsert.bar.time);
        buffer.numeric(upsert.bar.open);
        buffer.numeric(upsert.bar.high);
        buffer.numeric(upsert.bar.low);
        buffer.numeric(upsert.bar.close);
        buffer.int8(upsert.bar.volume);
        buffer.timestamptz(upsert.event_time);
        buffer.int4(version.epoch);
        buffer.int8(version.hi);
        buffer.int4(version.lo);
        buffer.int4(self.state.incarnation);
        buffer.int4(self.state.partition);
        buffer.int8(upsert.offset);
        buffer.char(op_code(upsert.op));
        match upsert.source_at {
            Some(at) => buffer.timestamptz(at),
            None => buffer.null(),
        }
        buffer.timestamptz(received_at);
        buffer.timestamptz(committed_at);
        buffer.int4(self.rules(upsert)?);
        Ok(())
    }

    pub async fn quarantine(&self, tx: &mut Transaction<'_, Postgres>, batch: &Batch) -> Result<(), sqlx::Error> {
        let refused = batch.items.iter().filter_map(|item| match item {
            Item::Refused(refused) => Some(refused.as_ref()),
            _ => None,
        });
        for record in refused {
            let (stage, codes, reason) = reasons(&record.reason);
            sqlx::query(
                "insert into quarantine (topic_id, incarnation, partition, \"offset\", received_at, timestamp_ms, key,
                    value, headers, stage, codes, reason, rule_version, suite_set_id)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(self.state.topic_id)
            .bind(self.state.incarnation)
            .bind(self.state.partition)
            .bind(record.offset)
            .bind(batch.received_at)
            .bind(record.timestamp_ms)
            .bind(&record.key)
            .bind(&record.value)
            .bind(&record.headers)
            .bind(stage)
            .bind(codes)
            .bind(reason)
            .bind(RULE_VERSION)
            .bind(self.suite_set_id)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// Writes the change log under a fresh block of seq and gives back the new head.
    pub async fn log(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        effect: &Effect,
        committed_at: DateTime<Utc>,
    ) -> Result<i64, sqlx::Error> {
        let count = effect.log.len() as i64;
        let head = take_seq(tx, count).await?;
        if count == 0 {
            return Ok(head);
        }
        let lines = &effect.log;
        let symbol_ids = lines.iter().map(|line| self.symbol_id(&line.symbol)).collect::<Result<Vec<_>, _>>()?;
        sqlx::query(
            "insert into change_log (first_seq, last_seq, topic_id, partition, incarnation, committed_at, offsets,
                record_ids, symbol_ids, times, event_times, ops, outcomes)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(head - count + 1)
        .bind(head)
        .bind(self.state.topic_id)
        .bind(self.state.partition)
        .bind(self.state.incarnation)
        .bind(committed_at)
        .bind(lines.iter().map(|line| line.offset).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.record_id).collect::<Vec<_>>())
        .bind(symbol_ids)
        .bind(lines.iter().map(|line| line.time).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.event_time).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.op.cast_signed()).collect::<Vec<i8>>())
        .bind(lines.iter().map(|line| line.outcome.cast_signed()).collect::<Vec<i8>>())
        .execute(&mut **tx)
        .await?;
        Ok(head)
    }
}

/// Stage, codes and text of a refusal, as the quarantine keeps them; what matters most comes first.
pub(super) fn reasons(reason: &RefusedReason) -> (&'static str, Vec<String>, String) {
    match reason {
        RefusedReason::Decode(error) => ("decode", vec![error.code().to_owned()], error.to_string()),
        RefusedReason::Store { message } => ("store", vec!["store_error".to_owned()], message.clone()),
        RefusedReason::Rules { violations, unmet } => {
            let broken = violations.iter().map(|broken| (broken.severity, broken.rule.code(), broken.message.as_str()));
            let unmet_too = unmet.iter().map(|unmet| (unmet.severity, &*unmet.code, unmet.message.as_str()));
            let mut worst_first: Vec<_> = broken.chain(unmet_too).collect();
            worst_first.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity));
            let mut codes: Vec<String> = worst_first.iter().map(|(_, code, _)| (*code).to_owned()).collect();
            let mut seen = HashSet::new();
            codes.retain(|code| seen.insert(code.clone()));
            let by_a_rule = unmet.is_empty() || violations.iter().any(|broken| broken.severity == Severity::Critical);
            let text = worst_first.iter().map(|(.., message)| *message).collect::<Vec<_>>().join("; ");
            (if by_a_rule { "rules" } else { "suite" }, codes, text.replace('\0', "\u{fffd}"))
        }
    }
}

/// Takes `count` numbers of the stream; the row stays locked until the commit, so commits happen in seq order.
pub(super) async fn take_seq(tx: &mut Transaction<'_, Postgres>, count: i64) -> Result<i64, sqlx::Error> {
    if count == 0 {
        return sqlx::query_scalar("select seq from stream_head").fetch_one(&mut **tx).await;
    }
    sqlx::query_scalar("update stream_head set seq = seq + $1 returning seq").bind(count).fetch_one(&mut **tx).await
}

async fn copy(tx: &mut Transaction<'_, Postgres>, statement: &str, buffer: CopyBuffer) -> Result<(), sqlx::Error> {
    let mut sink = tx.copy_in_raw(statement).await?;
    sink.send(buffer.finish()).await?;
    sink.finish().await.map(drop)
}
