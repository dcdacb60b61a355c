//! Where a partition goes on: what Postgres says, checked against what the broker holds.

use super::{
    lane::{Interruption, within},
    probe::Probe,
};
use crate::store::Writer;
use std::time::Duration;

/// How long Postgres may take to write a new place down.
const WRITE_DOWN: Duration = Duration::from_secs(10);

/// What was found out about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Records that expired before they were read.
    pub expired: i64,
    /// Whether the broker still holds the record before the place.
    pub recall: bool,
}

/// Makes sure that the stored offset means what it meant: the record before it must still be the one that was applied.
/// Otherwise the topic has been re-created, and is read from its beginning as a new incarnation; the version rule makes
/// reading again harmless.
pub async fn find_place(probe: &Probe, writer: &mut Writer) -> Result<Found, Interruption> {
    let key = writer.key().clone();
    let (next_offset, last_hash) = (writer.state().next_offset, writer.state().last_hash);
    let marks = probe.watermarks(&key).await?;
    let begun = next_offset > 0 && last_hash != 0;
    let recreated = if next_offset > marks.high {
        true
    } else if begun && next_offset > marks.low {
        probe.hash_at(&key, next_offset - 1).await?.is_some_and(|hash| hash != last_hash)
    } else {
        false
    };
    if recreated {
        tracing::warn!(partition = %key, next_offset, ?marks, "the topic was re-created; reading it from the beginning");
        within(WRITE_DOWN, writer.begin_incarnation(marks.low)).await??;
        return Ok(Found::default());
    }
    let mut expired = 0;
    // What expired is a gap in the same incarnation: its offsets still mean what they meant.
    if next_offset < marks.low {
        if begun {
            expired = marks.low - next_offset;
            tracing::error!(partition = %key, from = next_offset, to = marks.low, "records expired before they were read");
            metrics::counter!("stockstream_retention_gap_records_total").increment(expired.unsigned_abs());
        }
        within(WRITE_DOWN, writer.skip_to(marks.low)).await??;
    }
    Ok(Found { expired, recall: begun && next_offset > marks.low })
}
