//! What is kept of one transaction of a redrive: counters, fence, audit trail and resolutions.

use super::{
    RedriveResult,
    pass::{Pass, Refusal},
};
use crate::store::{AuditEntry, AuditOutcome, append_audit};
use chrono::{DateTime, Utc};
use quality::RULE_VERSION;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;

impl Pass<'_> {
    /// Counters, fence, sources, audit trail and resolutions.
    pub(super) async fn keep(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        results: &[(i32, i64, RedriveResult, Option<Refusal>)],
        tagged: i64,
        original_sha256: Option<String>,
        at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let count = |wanted: RedriveResult| results.iter().filter(|(_, _, result, _)| *result == wanted).count() as i64;
        let redriven = results.iter().filter(|(_, _, result, _)| result.is_redriven()).count() as i64;
        let stale = count(RedriveResult::Applied) + count(RedriveResult::Deleted) > 0;
        sqlx::query(
            "update kafka_offset set quarantined = quarantined - $3, applied = applied + $4, late = late + $5,
                duplicate = duplicate + $6, deleted = deleted + $7, control = control + $8, tagged = tagged + $9,
                fence = fence + $10, updated_at = $11
             where topic_id = $1 and partition = $2",
        )
        .bind(self.state.topic_id)
        .bind(self.state.partition)
        .bind(redriven)
        .bind(count(RedriveResult::Applied))
        .bind(count(RedriveResult::Late))
        .bind(count(RedriveResult::Duplicate))
        .bind(count(RedriveResult::Deleted))
        .bind(count(RedriveResult::Control))
        .bind(tagged)
        .bind(i64::from(stale))
        .bind(at)
        .execute(&mut **tx)
        .await?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, result, _) in results {
            *counts.entry(result.as_str()).or_default() += 1;
        }
        let offsets: Vec<(i32, i64)> =
            results.iter().map(|(incarnation, offset, ..)| (*incarnation, *offset)).collect();
        let mut detail = json!({ "counts": counts, "incarnations_offsets": offsets, "force": self.request.force });
        if let (Some(copy), Some(detail)) = (self.copy(), detail.as_object_mut()) {
            detail.extend(told_of_copy(copy, original_sha256, redriven > 0));
        }
        let entry = AuditEntry {
            actor: self.request.actor.clone(),
            action: "quarantine.redrive",
            subject: self.key.to_string(),
            outcome: if redriven > 0 { AuditOutcome::Done } else { AuditOutcome::Refused },
            detail,
        };
        let audit_id = append_audit(tx, &entry).await?;
        for (incarnation, offset, result, refusal) in results {
            match refusal {
                None => {
                    sqlx::query(
                        "update quarantine set resolution = 'redriven', outcome = $5, resolved_at = $6, resolved_by = $7,
                            audit_id = $8, effect_incarnation = $9, effect_offset = $10, suite_set_id = $11
                         where topic_id = $1 and partition = $2 and incarnation = $3 and \"offset\" = $4",
                    )
                    .bind(self.state.topic_id)
                    .bind(self.state.partition)
                    .bind(incarnation)
                    .bind(offset)
                    .bind(result.as_str())
                    .bind(at)
                    .bind(&self.request.actor)
                    .bind(audit_id)
                    .bind(self.state.incarnation)
                    .bind(self.state.next_offset)
                    .bind(self.suite_set_id)
                    .execute(&mut **tx)
                    .await?;
                }
                Some(refusal) if *result == RedriveResult::RefusedAgain => {
                    // What is wrong with a copy is not what was wrong with the record.
                    sqlx::query(
                        "update quarantine set resolution = 'refused_again', attempts = attempts + 1,
                            stage = case when $10 then stage else $5 end, codes = case when $10 then codes else $6 end,
                            reason = case when $10 then reason else $7 end,
                            rule_version = case when $10 then rule_version else $8 end,
                            suite_set_id = case when $10 then suite_set_id else $11 end,
                            audit_id = $9, resolved_at = null, resolved_by = null
                         where topic_id = $1 and partition = $2 and incarnation = $3 and \"offset\" = $4",
                    )
                    .bind(self.state.topic_id)
                    .bind(self.state.partition)
                    .bind(incarnation)
                    .bind(offset)
                    .bind(refusal.stage)
                    .bind(&refusal.codes)
                    .bind(&refusal.reason)
                    .bind(RULE_VERSION)
                    .bind(audit_id)
                    .bind(self.copy().is_some())
                    .bind(self.suite_set_id)
                    .execute(&mut **tx)
                    .await?;
                }
                Some(_) => {} // left alone: its resolution stays
            }
        }
        Ok(())
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the audit trail keeps of a corrected copy: its hash and the original's, and the copy itself when it took effect,
/// for whoever wants to know why the row is as it is; `verify` does.
fn told_of_copy(copy: &str, original_sha256: Option<String>, took_effect: bool) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("original_sha256".to_owned(), original_sha256.into());
    told.insert("copy_sha256".to_owned(), sha256(copy.as_bytes()).into());
    if took_effect {
        told.insert("copy".to_owned(), copy.into());
    }
    told
}
