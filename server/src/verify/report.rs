//! What was found.

use super::JudgedBy;
use crate::store::Provenance;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By the rule the row stands, and it does not.
    Missing,
    /// It stands, but not as the rule says.
    Different,
    /// Something is in the store twice.
    Duplicate,
    /// It is in the store, and by the rule it is not.
    Ghost,
    /// A record that is refused is not in quarantine.
    Unquarantined,
    /// A counter is wrong, or the counters do not add up.
    Counter,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Missing, Self::Different, Self::Duplicate, Self::Ghost, Self::Unquarantined, Self::Counter];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Different => "different",
            Self::Duplicate => "duplicate",
            Self::Ghost => "ghost",
            Self::Unquarantined => "unquarantined",
            Self::Counter => "counter",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub kind: Kind,
    /// Primary key of the row, where it is about one.
    pub record_id: Option<i64>,
    /// `topic[partition]@offset`, with its incarnation; of a counter the next offset.
    pub record: Option<String>,
    pub incarnation: Option<i32>,
    pub detail: String,
}

/// All differences, counted; and the first ones of each kind.
#[derive(Clone, Debug, Serialize)]
pub struct Differences {
    #[serde(skip)]
    topic: String,
    #[serde(skip)]
    limit: usize,
    #[serde(skip)]
    named: BTreeSet<i64>,
    counts: BTreeMap<Kind, u64>,
    examples: Vec<Difference>,
}

impl Differences {
    pub(super) fn new(topic: &str, limit: usize) -> Self {
        Self {
            topic: topic.to_owned(),
            limit,
            named: BTreeSet::new(),
            counts: Kind::ALL.into_iter().map(|kind| (kind, 0)).collect(),
            examples: Vec::new(),
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether a duplicate of this key was named.
    pub(super) fn names(&self, record_id: i64) -> bool {
        self.named.contains(&record_id)
    }

    pub(super) fn add(
        &mut self,
        kind: Kind,
        record_id: Option<i64>,
        by: Option<Provenance>,
        detail: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if kind == Kind::Duplicate {
            self.named.extend(record_id);
        }
        if *count <= self.limit as u64 {
            let record = by.map(|by| by.record(&self.topic).to_string());
            let incarnation = by.map(|by| by.incarnation);
            self.examples.push(Difference { kind, record_id, record, incarnation, detail: detail() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == 0)
    }

    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    pub fn examples(&self) -> &[Difference] {
        &self.examples
    }
}

/// How much of a partition was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    pub partition: i32,
    pub incarnation: i32,
    pub from_offset: i64,
    /// The store's next offset: where reading ended.
    pub to_offset: i64,
    pub records: u64,
    /// That is all that was ever consumed of it.
    pub complete: bool,
    /// Of this incarnation, in quarantine.
    pub refused: u64,
    /// Of those: not redriven, and accepted by today's decoder and rules and the newest suites.
    pub acceptable_today: u64,
    /// Which suites judged its records; each was judged again by the same ones. Empty: none.
    pub judged_by: Vec<JudgedBy>,
}

/// What verifying a topic found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub topic: String,
    /// There is no difference.
    pub agrees: bool,
    /// Keys that the part of the topic that is kept mentions.
    pub keys: u64,
    pub rows: u64,
    pub tombstones: u64,
    /// Rows of which no record is kept: they are only counted.
    pub out_of_reach: u64,
    /// Keys with records in several partitions, whose order among each other is not told by offsets: not compared.
    pub several_partitions: u64,
    pub partitions: Vec<PartitionReport>,
    pub differences: Differences,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, keys, rows, tombstones, .. } = self;
        writeln!(f, "{topic}: {keys} keys in the topic; {rows} rows and {tombstones} tombstones in the store")?;
        for partition in &self.partitions {
            let PartitionReport {
                partition, incarnation, from_offset, to_offset, records, complete, judged_by, ..
            } = partition;
            write!(f, "  partition {partition}: {records} records, offsets {from_offset} to {to_offset}")?;
            if *incarnation > 1 {
                write!(f, " of incarnation {incarnation}")?;
            }
            writeln!(
                f,
                "{}",
                if *complete { "" } else { "; what came before is not kept: only what is mentioned is compared" }
            )?;
            for JudgedBy { from_offset, digest, suites } in judged_by {
                let digest = digest.as_deref().unwrap_or_default().get(..12).unwrap_or("none");
                let suites = if suites.is_empty() { "no suite".to_owned() } else { suites.join(", ") };
                writeln!(f, "    from offset {from_offset} on judged by {suites} (digest {digest})")?;
            }
        }
        let (refused, acceptable) = self
            .partitions
            .iter()
            .fold((0, 0), |(refused, acceptable), p| (refused + p.refused, acceptable + p.acceptable_today));
        if refused > 0 {
            writeln!(f, "  {refused} records in quarantine")?;
        }
        if acceptable > 0 {
            writeln!(
                f,
                "  {acceptable} of them would be accepted today: see `stockstream quarantine redrive --dry-run`"
            )?;
        }
        if self.out_of_reach > 0 {
            writeln!(f, "  {} rows come from records that are not kept: not compared", self.out_of_reach)?;
        }
        if self.several_partitions > 0 {
            writeln!(f, "  {} keys have records in several partitions: not compared", self.several_partitions)?;
        }
        let counts: Vec<String> =
            Kind::ALL.into_iter().map(|kind| format!("{} {}", kind.as_str(), self.differences.count(kind))).collect();
        writeln!(f, "  {}", counts.join(" · "))?;
        for Difference { kind, record_id, record, incarnation, detail } in self.differences.examples() {
            write!(f, "  {}", kind.as_str())?;
            if let Some(record_id) = record_id {
                write!(f, " record_id {record_id}")?;
            }
            if let Some(record) = record {
                write!(f, " {record}")?;
            }
            if let Some(incarnation) = incarnation.filter(|incarnation| *incarnation > 1) {
                write!(f, " (incarnation {incarnation})")?;
            }
            writeln!(f, ": {detail}")?;
        }
        write!(f, "  {}", if self.agrees { "Everything agrees." } else { "The store does not agree with the topic." })
    }
}
