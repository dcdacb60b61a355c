//! What an operator wants of the pipeline: a desired state that the partitions follow. It lives as long as the process.

use crate::store::PartitionKey;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

/// The operator's handle. Cheap to clone. Each method says whether it changed what is wanted; what then happens shows in
/// [`Status`](super::Status). An order counts for the partitions of this process only.
#[derive(Clone, Debug)]
pub struct Controls(Arc<watch::Sender<Desired>>);

/// What is wanted of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    #[default]
    Run,
    /// Nothing is fetched. What is in flight is finished first.
    Pause,
    /// As `Pause`, but on the way to an end: the partition counts as stopped, not as held.
    Drain,
}

/// What is wanted, of everything and of single partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    all: Wish,
    /// Who gave the order for everything.
    by: String,
    /// Partitions that are held although the rest may run, and by whom.
    held: HashMap<PartitionKey, String>,
    /// How often everything, or one partition, was told to go on: what the flood guard stopped goes on with the next.
    resumed: u64,
    resumed_one: HashMap<PartitionKey, u64>,
}

impl Desired {
    /// What is wanted of a partition, and of whom.
    pub(super) fn of(&self, key: &PartitionKey) -> (Wish, &str) {
        match (self.all, self.held.get(key)) {
            (Wish::Run, Some(by)) => (Wish::Pause, by),
            (wish, _) => (wish, &self.by),
        }
    }

    /// Grows with each order to go on that concerns the partition.
    pub(super) fn resumes(&self, key: &PartitionKey) -> u64 {
        self.resumed + self.resumed_one.get(key).copied().unwrap_or(0)
    }
}

impl Default for Controls {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Desired::default())))
    }
}

impl Controls {
    /// Stops fetching everywhere; what is in flight is finished. `by` is named in the status.
    pub fn pause(&self, by: &str) -> bool {
        self.want(Wish::Pause, by)
    }

    /// Finishes what is in flight, commits it, and stays stopped until [`Controls::resume`].
    pub fn drain(&self, by: &str) -> bool {
        self.want(Wish::Drain, by)
    }

    /// Lets everything run: after a pause, after a drain, and also what was paused partition by partition or by the
    /// flood guard, whose window starts anew.
    pub fn resume(&self) -> bool {
        self.0.send_modify(|desired| desired.resumed += 1);
        self.0.send_if_modified(|desired| {
            let changed = desired.all != Wish::Run || !desired.held.is_empty();
            desired.all = Wish::Run;
            desired.by.clear();
            desired.held.clear();
            changed
        })
    }

    /// Stops fetching one partition.
    pub fn pause_partition(&self, key: &PartitionKey, by: &str) -> bool {
        self.0.send_if_modified(|desired| {
            let new = !desired.held.contains_key(key);
            if new {
                desired.held.insert(key.clone(), by.to_owned());
            }
            new
        })
    }

    /// Lets one partition go on, also when the flood guard paused it; its window starts anew. An order for everything
    /// stays in force.
    pub fn resume_partition(&self, key: &PartitionKey) -> bool {
        self.0.send_modify(|desired| *desired.resumed_one.entry(key.clone()).or_default() += 1);
        self.0.send_if_modified(|desired| desired.held.remove(key).is_some())
    }

    /// What is wanted now, and when it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Desired> {
        self.0.subscribe()
    }

    fn want(&self, wish: Wish, by: &str) -> bool {
        self.0.send_if_modified(|desired| {
            let changed = desired.all != wish;
            if changed {
                desired.all = wish;
                by.clone_into(&mut desired.by);
            }
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic: "t".to_owned(), partition }
    }

    #[test]
    fn an_order_for_one_partition_leaves_the_others_alone() {
        let controls = Controls::default();
        let desired = controls.watch();
        assert!(controls.pause_partition(&key(0), "ann"));
        assert!(!controls.pause_partition(&key(0), "bob"), "it is paused already");
        assert_eq!(desired.borrow().of(&key(0)), (Wish::Pause, "ann"));
        assert_eq!(desired.borrow().of(&key(1)).0, Wish::Run);
        assert!(controls.resume_partition(&key(0)));
        assert_eq!(desired.borrow().of(&key(0)).0, Wish::Run);
        assert_eq!((desired.borrow().resumes(&key(0)), desired.borrow().resumes(&key(1))), (1, 0));
    }

    #[test]
    fn resuming_everything_ends_a_drain_and_every_single_pause() {
        let controls = Controls::default();
        let desired = controls.watch();
        controls.pause_partition(&key(0), "ann");
        assert!(controls.drain("bob"));
        assert_eq!(desired.borrow().of(&key(0)), (Wish::Drain, "bob"));
        controls.resume_partition(&key(0));
        assert_eq!(desired.borrow().of(&key(0)).0, Wish::Drain, "an order for everything stays in force");
        assert!(controls.resume());
        assert!(!controls.resume(), "everything runs");
        assert_eq!(desired.borrow().of(&key(0)).0, Wish::Run);
    }
}
