//! What to do about an error of the store: the one place where that is decided.
//!
//! What is away is waited for and never quarantined; what a record brought about is its own fault and must not stop the
//! others; what nobody has seen before is narrowed down to the record that brings it about.

use crate::store::ApplyError;
use std::borrow::Cow;

/// What an error of the store calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The database, or the way to it, is at fault: try the same batch again.
    Retry,
    /// A record is at fault, or may be: find it, refuse it, apply the others.
    Refuse,
    /// The partition belongs to somebody else by now.
    StepDown,
}

/// What to do about an error of the store.
pub fn disposition(error: &ApplyError) -> Disposition {
    match error {
        ApplyError::Fenced(_) => Disposition::StepDown,
        ApplyError::Database(error) => match error {
            sqlx::Error::Database(error) => sql_state(error.code()),
            // The connection, or the pool of them.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Configuration(_)
            | sqlx::Error::BeginFailed => Disposition::Retry,
            // A value that cannot be sent or read, and whatever else may come.
            _ => Disposition::Refuse,
        },
    }
}

/// By Postgres' error code, <https://www.postgresql.org/docs/current/errcodes-appendix.html>; its first two characters
/// are the class.
fn sql_state(code: Option<Cow<'_, str>>) -> Disposition {
    let Some(code) = code else { return Disposition::Refuse };
    match code.get(..2).unwrap_or_default() {
        // Connection (08), transaction state, read-only among them (25), access (28), which database (3D),
        // serialization and deadlock (40), schema and rights (42), resources (53), an object in use (55),
        // shutdown, start and cancellation (57), operating system (58), configuration file (F0).
        "08" | "25" | "28" | "3D" | "40" | "42" | "53" | "55" | "57" | "58" | "F0" => Disposition::Retry,
        // Data (22), constraints (23), limits (54), what a trigger raised (P0), and every class not named.
        _ => Disposition::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PartitionKey;

    #[test]
    fn what_is_away_is_waited_for_and_what_a_record_did_is_its_own_fault() {
        let of = |code: &'static str| sql_state(Some(code.into()));
        for away in ["08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57P01", "57014", "58030"] {
            assert_eq!(of(away), Disposition::Retry, "{away}");
        }
        for data in ["22003", "22P02", "23505", "23514", "54000", "P0001"] {
            assert_eq!(of(data), Disposition::Refuse, "{data}");
        }
    }

    #[test]
    fn an_unknown_error_is_narrowed_down_and_not_retried_for_ever() {
        assert_eq!(sql_state(Some("XX000".into())), Disposition::Refuse);
        assert_eq!(sql_state(Some("?".into())), Disposition::Refuse);
        assert_eq!(sql_state(None), Disposition::Refuse);
    }

    #[test]
    fn a_broken_connection_is_nobodys_fault_and_a_fence_ends_the_writer() {
        let broken = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(disposition(&ApplyError::Database(broken)), Disposition::Retry);
        assert_eq!(disposition(&ApplyError::Database(sqlx::Error::PoolTimedOut)), Disposition::Retry);
        let fenced = ApplyError::Fenced(PartitionKey { topic: "t".to_owned(), partition: 0 });
        assert_eq!(disposition(&fenced), Disposition::StepDown);
    }
}
