//! By which suites each record was judged: those that the store keeps, and not those of a file, which may have changed
//! since. So a change of suites is no difference, and what does not follow from them is one.

use super::VerifyError;
use crate::{
    pipeline::{Judge, RecordSuites},
    store::{Judgement, StoreSnapshot},
};
use chrono::Utc;
use serde::Serialize;
use std::collections::HashMap;

/// All sets of suites that ever judged, and when each came into force.
pub struct Judges {
    sets: HashMap<i32, RecordSuites>,
    judgements: Vec<Judgement>,
}

/// From this offset on, records of the partition were judged by these suites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgedBy {
    pub from_offset: i64,
    /// SHA-256 of the suites; null: none judged.
    pub digest: Option<String>,
    pub suites: Vec<String>,
}

/// The judges of one partition, by the offset from which on each was in force.
pub struct OfPartition {
    judges: Vec<(i64, Judge)>,
    pub report: Vec<JudgedBy>,
}

impl Judges {
    pub async fn read(snapshot: &mut StoreSnapshot) -> Result<Self, VerifyError> {
        let judgements = snapshot.judgements().await?;
        let mut sets = HashMap::new();
        for (id, set) in snapshot.suite_sets().await? {
            let suites = RecordSuites::read(&set)
                .map_err(|source| VerifyError::Suites { digest: set.digest.clone(), message: source.to_string() })?;
            sets.insert(id, suites);
        }
        Ok(Self { sets, judgements })
    }

    /// A set by its number.
    pub fn set(&self, id: Option<i32>) -> RecordSuites {
        id.and_then(|id| self.sets.get(&id)).cloned().unwrap_or_default()
    }

    pub fn of(&self, partition: i32, incarnation: i32) -> OfPartition {
        let here = |judgement: &&Judgement| (judgement.partition, judgement.incarnation) == (partition, incarnation);
        let OfPartition { mut judges, mut report } = OfPartition::of_nobody();
        for Judgement { from_offset, suite_set_id, .. } in self.judgements.iter().filter(here) {
            let suites = self.set(*suite_set_id);
            report.push(JudgedBy {
                from_offset: *from_offset,
                digest: suites.set().map(|set| set.digest.clone()),
                suites: suites.list().iter().map(|stream| stream.suite.name.clone()).collect(),
            });
            judges.push((*from_offset, Judge::new(suites, Utc::now())));
        }
        OfPartition { judges, report }
    }
}

impl OfPartition {
    /// No suite ever judged.
    pub fn of_nobody() -> Self {
        Self { judges: vec![(i64::MIN, Judge::new(RecordSuites::default(), Utc::now()))], report: Vec::new() }
    }

    /// Who judged the record at this offset.
    pub fn at(&mut self, offset: i64) -> &mut Judge {
        let after = self.judges.partition_point(|(from, _)| *from <= offset);
        &mut self.judges[after.max(1) - 1].1
    }

    /// Who judges now.
    pub fn newest(&mut self) -> &mut Judge {
        self.at(i64::MAX)
    }
}
