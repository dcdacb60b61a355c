//! Getting a lot into the store, whatever is in it and whatever happens meanwhile: as one batch when it can be, record by
//! record around the one that the database refuses, and no further than the flood guard allows.

use super::{
    backoff::Backoff,
    disposition::{Disposition, disposition},
    flood::Trip,
    hops::Hop,
    lane::{Interruption, Lane, TAKE_OVER, within},
    lot::Lot,
    status::PartitionState,
};
use crate::store::{ApplyError, Batch, Committed, Item, Refused, RefusedReason, Writer};
use cdc::Snapshot;
use std::time::Duration;
use tokio::time::Instant;

/// How long a transaction may take before the connection is given up. Doubles for a batch that really needs longer.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(80));
/// How long the batch in flight may still take once the lane ends; then it is rolled back.
const LAST_CALL: Duration = Duration::from_secs(4);

/// Why an attempt to write a batch failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] ApplyError),
    #[error(transparent)]
    Silence(#[from] Interruption),
}

/// What became of a batch.
enum Written {
    /// `None`: it is in the store, but what it changed is not known, because the connection broke during the commit.
    Committed(Option<Committed>),
    /// The database refuses something in it; nothing of it is in the store.
    Refused(ApplyError),
    /// The lane ends, and the batch with it: it is read again next time.
    Dropped,
}

impl Lane {
    /// Writes a lot. `Some`: the flood guard stopped after one of its records; the rest is not decided, and is read
    /// again.
    pub(super) async fn settle(&mut self, writer: &mut Writer, lot: &Lot) -> Result<Option<Trip>, Interruption> {
        let whole = 0..lot.len();
        let mut open = vec![whole];
        while let Some(mut part) = open.pop() {
            let mut flood = self.guard.flood.clone();
            let (admitted, tripped) = flood.extend(lot.refused(part.clone()));
            part.end = part.start + admitted;
            let batch = lot.part(part.clone());
            match self.persist(writer, &batch).await? {
                Written::Committed(committed) => {
                    self.guard.flood = flood;
                    let took = lot.read_at.elapsed();
                    self.pipeline.status.hops().record(Hop::Store, took, part.len() as u64);
                    if let Some(committed) = committed.as_ref().filter(|_| !reads_snapshot(&batch)) {
                        self.measure_whole(committed);
                    }
                    self.tell(part.len(), batch.next_offset, committed);
                    if tripped.is_some() {
                        return Ok(tripped);
                    }
                }
                Written::Refused(error) if part.len() == 1 => {
                    let refused = self.refusal(lot, part.start, &error).await?;
                    let batch = lot.ending(part.start, vec![Item::Refused(Box::new(refused))]);
                    match self.persist(writer, &batch).await? {
                        Written::Committed(committed) => self.tell(1, batch.next_offset, committed),
                        Written::Refused(error) => return Err(error.into()),
                        Written::Dropped => return Ok(None),
                    }
                    if let Some(trip) = self.guard.flood.push(true) {
                        return Ok(Some(trip));
                    }
                }
                Written::Refused(error) => {
                    tracing::warn!(%error, partition = %self.key, records = part.len(), "looking for the record at fault");
                    let middle = part.start + part.len() / 2;
                    open.extend([middle..part.end, part.start..middle]);
                }
                Written::Dropped => return Ok(None),
            }
        }
        Ok(None)
    }

    /// How long each change of a candle was under way.
    fn measure_whole(&self, committed: &Committed) {
        let (hops, at) = (self.pipeline.status.hops(), committed.committed_at.timestamp_millis());
        for touched in &committed.touched {
            hops.record_between(Hop::Whole, touched.event_time.timestamp_millis(), at, 1);
        }
    }

    /// Applies a batch, however long Postgres is away.
    async fn persist(&self, writer: &mut Writer, batch: &Batch) -> Result<Written, Interruption> {
        let began = Instant::now();
        let mut backoff = Backoff::default();
        let mut patience = PATIENCE.0;
        let mut failed = false;
        loop {
            let attempt = async {
                if failed && within(TAKE_OVER, writer.recover(batch)).await?? {
                    return Ok(None);
                }
                Ok(Some(within(patience, writer.apply(batch)).await??))
            };
            let result: Result<_, Failure> = tokio::select! {
                result = attempt => result,
                () = self.last_call() => return Ok(Written::Dropped),
            };
            let reason = match result {
                Ok(committed) => {
                    if failed {
                        self.enter(PartitionState::Running, None);
                    }
                    metrics::histogram!("stockstream_commit_seconds").record(began.elapsed().as_secs_f64());
                    return Ok(Written::Committed(committed));
                }
                Err(Failure::Store(error)) => match disposition(&error) {
                    Disposition::Retry => format!("Postgres: {error}"),
                    Disposition::Refuse => return Ok(Written::Refused(error)),
                    Disposition::StepDown => return Err(Interruption::Fenced),
                },
                Err(Failure::Silence(silence)) => {
                    patience = (patience * 2).min(PATIENCE.1);
                    silence.to_string()
                }
            };
            failed = true;
            tracing::warn!(reason, partition = %self.key, "batch not written; trying again");
            self.enter(PartitionState::Retrying, Some(format!("{reason}; trying again")));
            metrics::counter!("stockstream_write_retries_total").increment(1);
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                () = self.stop.cancelled() => return Ok(Written::Dropped),
            }
        }
    }

    /// Comes some time after the lane was told to end.
    async fn last_call(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(LAST_CALL).await;
    }

    /// A record that the database refuses, raw, for quarantine. Batches do not carry raw bytes, because nearly none needs
    /// them: the broker is asked for the record again.
    async fn refusal(&self, lot: &Lot, index: usize, error: &ApplyError) -> Result<Refused, Interruption> {
        let mark = lot.mark(index);
        let message = format!("Postgres refused it: {error}");
        let reason = RefusedReason::Store { message: message.clone() };
        if let Some(refused) = self.probe.record(&self.key, mark.offset, mark.hash, reason).await? {
            return Ok(refused);
        }
        // It expired between being read and being refused. What it said is better than nothing.
        let message = format!("{message}. Kafka does not hold its bytes any more; it said {:?}", lot.item(index));
        let reason = RefusedReason::Store { message: message.replace('\0', "\u{fffd}") };
        let headers = b"[]".to_vec();
        Ok(Refused { offset: mark.offset, timestamp_ms: None, key: None, value: None, headers, reason })
    }
}

/// Whether some of its rows were read by a snapshot, and so committed at any time before.
fn reads_snapshot(batch: &Batch) -> bool {
    let is_read = |item: &Item| matches!(item, Item::Upsert(upsert) if upsert.snapshot != Snapshot::No);
    batch.items.iter().any(is_read)
}

impl From<ApplyError> for Interruption {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Fenced(_) => Self::Fenced,
            ApplyError::Database(error) => Self::Postgres(error),
        }
    }
}
