//! Redrives refused records by today's decoder and rules.

use super::understand::{limits_at, understand};
use crate::store::{IsSimulated, Item, RedriveError, RedriveReport, RedriveRequest, RefusedReason, Store};
use cdc::{Decoder, RawRecord};
use chrono::Utc;

/// Gives the selected records another chance, each at the place in the order that it had; see [`Store::redrive`].
///
/// # Errors
/// The record is not there, or Postgres does not answer, or a writer holds a partition for too long.
pub async fn redrive(
    store: &Store,
    request: &RedriveRequest,
    is_simulated: &IsSimulated,
) -> Result<RedriveReport, RedriveError> {
    store.redrive(request, &understand_alone, is_simulated).await
}

/// What a record means by itself. Its neighbours are not known any more, so a decoder sees it alone; what only they could
/// tell (whose tombstone it is) comes out without a version, and stays refused.
pub(crate) fn understand_alone(record: &RawRecord<'_>, incarnation: i32) -> Result<Item, RefusedReason> {
    understand(&mut Decoder::new(incarnation), record, &limits_at(Utc::now()))
}
