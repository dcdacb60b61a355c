//! Redrives refused records by today's decoder, rules and suites.

use super::{Judge, RecordSuites, understand::understand};
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
    suites: &RecordSuites,
    is_simulated: &IsSimulated,
) -> Result<RedriveReport, RedriveError> {
    let understand = |record: &RawRecord<'_>, incarnation| understand_alone(record, incarnation, suites);
    store.redrive(request, &understand, suites.set(), is_simulated).await
}

/// What a record means by itself. Its neighbours are not known any more, so a decoder sees it alone; what only they could
/// tell (whose tombstone it is) comes out without a version, and stays refused.
pub(crate) fn understand_alone(
    record: &RawRecord<'_>,
    incarnation: i32,
    suites: &RecordSuites,
) -> Result<Item, RefusedReason> {
    understand(&mut Decoder::new(incarnation), record, &mut Judge::new(suites.clone(), Utc::now()))
}
