//! The whole writer on a real Postgres, as a state machine: the source commits, the topic fills, batches of any size are
//! written, and between any two steps the writer may die, lose its connection, be overtaken by another one or come back
//! as a zombie. After each step the tables hold what the rule says of the records that were consumed.

use super::{
    oracle::{Oracle, Verdict, truth},
    prove,
    reference::{Reference, Transition},
    replica::{instant, item},
    transport::{Delivered, Hop, Shape, Topic, cut},
};
use crate::{
    embedded::Postgres,
    store::{ApplyError, Batch, Committed, PartitionKey, Store, Writer},
};
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};
use tokio::{runtime::Runtime, sync::Mutex};

/// Each costs about half a second.
const CASES: u32 = 60;

/// What all cases share: a Postgres, in which each case has a topic of its own.
pub(super) struct Shared {
    runtime: Runtime,
    store: Store,
    /// Is never cut.
    pub(super) observer: Mutex<PgConnection>,
    topics: Cell<u32>,
    crashes: RefCell<BTreeMap<&'static str, u32>>,
}

thread_local! {
    static SHARED: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// The system under test, and how far the rule has followed it.
pub(super) struct Machine {
    pub(super) shared: Rc<Shared>,
    pub(super) key: PartitionKey,
    writer: Option<Writer>,
    zombie: Option<Writer>,
    /// Has taken what is committed.
    pub(super) oracle: Oracle,
    /// The next record of the topic, and the life of the topic that it must belong to.
    next: usize,
    pub(super) incarnation: i32,
    pub(super) next_offset: i64,
    /// The stream's head before the case.
    pub(super) first_seq: i64,
}

/// How a bounded number of polls of a future ended.
async fn polled<T>(future: &mut Pin<Box<impl Future<Output = T>>>, mut left: usize) -> Option<T> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Goes on as the pipeline does, until it knows that the partition is not its own any more.
async fn until_fenced(zombie: &mut Writer, batch: &Batch) {
    let mut outcome = zombie.apply(batch).await.map(drop);
    for _ in 0..3 {
        match outcome {
            Ok(()) => panic!("a zombie wrote"),
            Err(ApplyError::Fenced(_)) => return,
            // Its session was ended.
            Err(ApplyError::Database(_)) => outcome = zombie.recover(batch).await.map(|found| assert!(!found)),
        }
    }
    panic!("a zombie does not learn that it is one: {outcome:?}");
}

impl Machine {
    async fn open(store: &Store, key: &PartitionKey) -> Writer {
        loop {
            match Writer::open(store.clone(), key.clone(), Arc::new(|_| false)).await {
                // As the pipeline does; a busy machine may take its time with a new connection.
                Err(sqlx::Error::PoolTimedOut) => {}
                opened => return opened.expect("the partition opens"),
            }
        }
    }

    /// The next records of the topic that go into one batch.
    async fn next_batch(&mut self, topic: &Topic, most: usize) -> Option<(Batch, Vec<Delivered>)> {
        if topic.incarnation != self.incarnation {
            // What was not read of the old topic is gone with it; its source tells it again.
            let unseen = topic.incarnation - self.incarnation;
            self.incarnation = topic.incarnation;
            self.next = topic
                .records
                .iter()
                .position(|record| record.incarnation == self.incarnation)
                .unwrap_or(topic.records.len());
            self.zombie = None;
            let writer = self.writer.as_mut().expect("there is always one");
            // One for each time, though a server sees only the last: so that numbers mean the same here and in the model.
            for _ in 0..unseen {
                writer.begin_incarnation(0).await.expect("a new life begins");
            }
            self.next_offset = 0;
        }
        let records = (*cut(topic.records.get(self.next..)?, &[most]).first()?).to_vec();
        let last = records.last()?;
        let batch = Batch {
            next_offset: last.offset + 1,
            last_hash: last.offset + 1,
            received_at: instant(0),
            items: records.iter().map(item).collect(),
        };
        Some((batch, records))
    }

    /// The batch is in the store: the rule takes its records.
    fn committed(&mut self, records: &[Delivered], committed: Option<&Committed>) {
        let mut verdicts: BTreeMap<Verdict, i64> = BTreeMap::new();
        for record in records {
            *verdicts.entry(self.oracle.take(record)).or_default() += 1;
        }
        self.next += records.len();
        self.next_offset = records.last().map_or(self.next_offset, |last| last.offset + 1);
        if let Some(committed) = committed {
            let of = |verdict| verdicts.get(&verdict).copied().unwrap_or_default();
            let counts = &committed.counts;
            assert_eq!(counts.consumed, records.len() as i64);
            assert_eq!((counts.applied, counts.late), (of(Verdict::Applied), of(Verdict::Late)));
            assert_eq!((counts.deleted, counts.duplicate), (of(Verdict::Deleted), of(Verdict::Duplicate)));
            assert_eq!((counts.control, counts.quarantined), (of(Verdict::Control), of(Verdict::Quarantined)));
        }
    }

    async fn take(&mut self, topic: &Topic, transition: &Transition) {
        match *transition {
            Transition::Source(_) | Transition::Topic(_) => {}
            Transition::Consume(most) => self.consume(topic, most).await,
            Transition::Die { most, after } => self.die(topic, most, after).await,
            Transition::Cut { most, after } => self.cut(topic, most, after).await,
            Transition::Restart => {
                self.writer = None;
                self.writer = Some(Self::open(&self.shared.store, &self.key).await);
                self.zombie = None;
            }
            Transition::TakeOver { most, after } => self.take_over(topic, most, after).await,
            Transition::Zombie(most) => {
                let Some((batch, _)) = self.next_batch(topic, most).await else { return };
                let Some(zombie) = &mut self.zombie else { return };
                until_fenced(zombie, &batch).await;
                self.shared.saw("zombies refused");
            }
            Transition::Race(most) => {
                let Some((batch, records)) = self.next_batch(topic, most).await else { return };
                let (Some(zombie), Some(writer)) = (&mut self.zombie, &mut self.writer) else { return };
                let ((), committed) = tokio::join!(until_fenced(zombie, &batch), writer.apply(&batch));
                self.committed(&records, Some(&committed.expect("nothing disturbs who holds the partition")));
                self.shared.saw("races won by the rightful writer");
            }
        }
    }

    async fn consume(&mut self, topic: &Topic, most: usize) {
        if let Some((batch, records)) = self.next_batch(topic, most).await {
            let committed = self.writer.as_mut().expect("there is always one").apply(&batch).await;
            self.committed(&records, Some(&committed.expect("nothing is in its way")));
        }
    }

    async fn die(&mut self, topic: &Topic, most: usize, after: usize) {
        let Some((batch, records)) = self.next_batch(topic, most).await else { return };
        let (key, store) = (self.key.clone(), self.shared.store.clone());
        let mut writer = self.writer.take().expect("there is always one");
        let before = writer.state().next_offset;
        let known = polled(&mut Box::pin(writer.apply(&batch)), after).await;
        drop(writer);
        let writer = Self::open(&store, &key).await;
        let found = writer.state().next_offset;
        self.writer = Some(writer);
        self.zombie = None;
        match known {
            Some(Ok(committed)) => self.committed(&records, Some(&committed)),
            Some(Err(error)) => panic!("nothing was in its way: {error}"),
            None if found == batch.next_offset => {
                self.committed(&records, None);
                self.shared.saw("deaths after the commit");
            }
            None => {
                assert_eq!(found, before, "the batch is either in or not");
                self.shared.saw("deaths before the commit");
            }
        }
    }

    async fn cut(&mut self, topic: &Topic, most: usize, after: usize) {
        let Some((batch, records)) = self.next_batch(topic, most).await else { return };
        let shared = self.shared.clone();
        let writer = self.writer.as_mut().expect("there is always one");
        let mut outcome = {
            let mut apply = Box::pin(writer.apply(&batch));
            match polled(&mut apply, after).await {
                Some(outcome) => outcome,
                None => {
                    shared.cut_connections().await;
                    apply.await
                }
            }
        };
        loop {
            match outcome {
                Ok(committed) => {
                    // It may have been cut right after it answered; the pipeline starts a writer again then.
                    self.writer = None;
                    self.writer = Some(Self::open(&shared.store, &self.key).await);
                    break self.committed(&records, Some(&committed));
                }
                Err(ApplyError::Fenced(key)) => panic!("nobody took {key} over"),
                Err(ApplyError::Database(_)) => {}
            }
            let writer = self.writer.as_mut().expect("there is always one");
            outcome = match writer.recover(&batch).await {
                Ok(true) => {
                    shared.saw("cuts after the commit");
                    break self.committed(&records, None);
                }
                Ok(false) => {
                    shared.saw("cuts before the commit");
                    writer.apply(&batch).await
                }
                Err(error) => Err(error),
            };
        }
        self.zombie = None;
    }

    async fn take_over(&mut self, topic: &Topic, most: usize, after: usize) {
        let shared = self.shared.clone();
        let Some((batch, records)) = self.next_batch(topic, most).await else { return };
        let mut first = self.writer.take().expect("there is always one");
        let before = first.state().next_offset;
        let (second, outcome) = {
            let mut apply = Box::pin(first.apply(&batch));
            match polled(&mut apply, after).await {
                Some(outcome) => (Self::open(&shared.store, &self.key).await, outcome),
                None => {
                    shared.saw("takeovers amid a batch");
                    // It may have to wait for the other one's transaction.
                    tokio::join!(Self::open(&shared.store, &self.key), apply)
                }
            }
        };
        let found = second.state().next_offset;
        match outcome {
            Ok(committed) => {
                assert_eq!(found, batch.next_offset, "the second one sees what the first one committed");
                self.committed(&records, Some(&committed));
            }
            // Its session was ended, before its commit or after it.
            Err(ApplyError::Database(_)) if found == batch.next_offset => self.committed(&records, None),
            Err(_) => assert_eq!(found, before, "the first one has left no trace"),
        }
        self.writer = Some(second);
        self.zombie = Some(first);
    }

    /// Everything that is left arrives and is written, undisturbed.
    async fn finish(&mut self, reference: &Reference) {
        let source = reference.source();
        let mut topic = reference.topic.clone();
        topic.hop(&source.log, &Hop::Next(source.log.len()));
        while self.next_batch(&topic, 5).await.is_some() {
            self.consume(&topic, 5).await;
        }
        self.check().await;
        if topic.shape != Shape::BareTombstones {
            assert_eq!(self.oracle.standing(), truth(&source.log), "what stands in the end");
        }
    }
}

impl Shared {
    fn saw(&self, what: &'static str) {
        *self.crashes.borrow_mut().entry(what).or_default() += 1;
    }

    /// Ends every connection of the store, on the server's side.
    async fn cut_connections(&self) {
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'stockstream' and datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&mut *self.observer.lock().await)
        .await
        .expect("the observer may do so");
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let shared = SHARED.with_borrow(|shared| shared.clone().expect("the test has set it up"));
        shared.topics.set(shared.topics.get() + 1);
        let key = PartitionKey { topic: format!("case {}", shared.topics.get()), partition: 0 };
        let (writer, first_seq) = shared.runtime.block_on(async {
            let writer = Self::open(&shared.store, &key).await;
            (writer, shared.store.head().await.expect("a head").seq)
        });
        Self {
            key,
            writer: Some(writer),
            zombie: None,
            oracle: Oracle::default(),
            next: 0,
            incarnation: 1,
            next_offset: 0,
            first_seq,
            shared,
        }
    }

    fn apply(mut state: Self, reference: &Reference, transition: Transition) -> Self {
        let shared = state.shared.clone();
        shared.runtime.block_on(state.take(&reference.topic, &transition));
        state
    }

    fn check_invariants(state: &Self, _: &Reference) {
        state.shared.runtime.block_on(state.check());
    }

    fn teardown(mut state: Self, reference: Reference) {
        let shared = state.shared.clone();
        shared.runtime.block_on(state.finish(&reference));
    }
}

/// Sets up what the cases share, and tears it down whatever happens to them.
struct Stage;

impl Stage {
    fn set(directory: &std::path::Path) -> (Self, Postgres, Rc<Shared>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (postgres, store, observer) = runtime.block_on(async {
            let postgres = Postgres::start(&directory.join("data")).await.unwrap();
            let url = postgres.url();
            let store = Store::new(url.expose_secret().parse().unwrap(), 8);
            store.migrate().await.unwrap();
            let observer = PgConnection::connect(url.expose_secret()).await.unwrap();
            (postgres, store, observer)
        });
        let shared = Rc::new(Shared {
            runtime,
            store,
            observer: Mutex::new(observer),
            topics: Cell::new(0),
            crashes: RefCell::default(),
        });
        SHARED.set(Some(shared.clone()));
        (Self, postgres, shared)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        SHARED.take();
    }
}

#[test]
fn the_tables_are_the_rule_whatever_dies_between_two_steps() {
    let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().unwrap();
    let (_stage, _postgres, shared) = Stage::set(directory.path());
    let strategy = Reference::sequential_strategy(5..40_usize);
    prove("writer against oracle", CASES, &strategy, |(initial, transitions, seen)| {
        Machine::test_sequential(Config::default(), initial, transitions, seen);
        Ok(())
    });
    let crashes = shared.crashes.borrow();
    println!("proof: writer against oracle: {crashes:?}");
    for kind in ["deaths before the commit", "cuts before the commit", "takeovers amid a batch", "zombies refused"] {
        assert!(crashes.contains_key(kind), "no {kind} in {crashes:?}");
    }
}
