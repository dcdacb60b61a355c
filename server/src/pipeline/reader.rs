//! The thread that reads from the broker, decodes and checks, for all partitions of this process.
//!
//! It is assigned by hand, partition by partition: which offsets count is said by Postgres. Who wants a partition's
//! records [asks for them](ReaderHandle::consume) from an offset on, and drops the receiver when it wants no more; the
//! thread drops the sender when it cannot go on, and is asked again. Nothing is skipped either way.

use super::{
    StatusWriter,
    batcher::Batcher,
    hints::{self, Hint},
    judge::Judge,
    lot::Lot,
};
use crate::store::PartitionKey;
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use std::{collections::HashMap, sync::mpsc as commands, time::Duration};
use tokio::{runtime, sync::mpsc};
use tokio_util::sync::CancellationToken;

/// Where to consume from.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `bootstrap.servers`.
    pub brokers: String,
    pub topics: Vec<String>,
    /// The group under which offsets are committed, as a hint for lag tools, and which shares the partitions.
    pub group: String,
    pub assignment: Assignment,
    /// Any other librdkafka property (`security.protocol`, `sasl.*`, …).
    pub properties: Vec<(String, String)>,
}

/// Which partitions an instance consumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Assignment {
    /// All of them. For one instance.
    #[default]
    Static,
    /// Those that Kafka's consumer group gives it. For any number of instances.
    Group,
}

/// How long the poll waits for a first record before it looks at everything else.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// The same while a writer has no room for what was collected.
const BUSY_POLL: Duration = Duration::from_millis(1);
/// How long one partition's full writer may keep the others from being read. Then it must ask again.
const HOLD_UP: Duration = Duration::from_secs(5);
/// How many batches may wait between the thread and a writer.
const BATCHES_IN_FLIGHT: usize = 2;

/// How many records may come before the judge looks at the time; it also does when none comes.
const TICK: u32 = 1_000;

/// What every consumer of this process is told.
pub fn client(config: &ConsumerConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("topic.metadata.refresh.interval.ms", "5000")
        // A connection may swallow every byte: a minute, as is usual, would be a minute without news.
        .set("socket.timeout.ms", "10000")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "100");
    for (key, value) in &config.properties {
        client.set(key, value);
    }
    client
}

/// Whether the offset asked for is one that the broker does not hold.
pub fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange))
}

/// Tells the status what the client hears of the brokers.
struct Context(StatusWriter);

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.0.kafka(None);
        }
        let mut ends = HashMap::new();
        for (name, topic) in statistics.topics {
            for (partition, known) in topic.partitions {
                if partition >= 0 && known.ls_offset >= 0 {
                    ends.insert(PartitionKey { topic: name.clone(), partition }, known.ls_offset);
                }
            }
        }
        self.0.ends(&ends);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.0.kafka(Some(format!("Kafka does not answer ({reason}); trying again")));
        }
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Context {}

enum Command {
    Consume { key: PartitionKey, incarnation: i32, next_offset: i64, recall: bool, lots: mpsc::Sender<Lot> },
    Hint(Hint),
}

/// The other end of the thread. Cheap to clone.
#[expect(clippy::disallowed_types, reason = "bounded by its senders: each lane has one wish and one hint under way")]
#[derive(Clone)]
pub struct ReaderHandle(commands::Sender<Command>);

impl ReaderHandle {
    /// Asks for a partition's records from an offset on; `recall`: the record before it is still there, and is to be
    /// understood again first. Whoever asked for them before gets none any more.
    pub fn consume(&self, key: &PartitionKey, incarnation: i32, next_offset: i64, recall: bool) -> mpsc::Receiver<Lot> {
        let (lots, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        // When the thread has ended, so has the sender, which the receiver tells.
        let _ = self.0.send(Command::Consume { key: key.clone(), incarnation, next_offset, recall, lots });
        receiver
    }

    /// Tells the broker how far we are.
    pub fn hint(&self, hint: Hint) {
        let _ = self.0.send(Command::Hint(hint));
    }
}

/// A partition that somebody wants.
struct Wanted {
    batcher: Batcher,
    lots: mpsc::Sender<Lot>,
}

/// The thread's own state.
pub struct Reader {
    consumer: BaseConsumer<Context>,
    commands: commands::Receiver<Command>,
    wanted: HashMap<PartitionKey, Wanted>,
    hints: HashMap<PartitionKey, i64>,
    status: StatusWriter,
    judge: Judge,
    runtime: runtime::Handle,
}

impl Reader {
    /// # Errors
    /// A property is unknown or malformed.
    pub fn new(config: &ConsumerConfig, status: StatusWriter, judge: Judge) -> KafkaResult<(Self, ReaderHandle)> {
        let mut client = client(config);
        client.set("statistics.interval.ms", "1000").set("queued.max.messages.kbytes", "65536");
        let (sender, commands) = commands::channel();
        let reader = Self {
            consumer: client.create_with_context(Context(status.clone()))?,
            commands,
            wanted: HashMap::new(),
            hints: HashMap::new(),
            status,
            judge,
            runtime: runtime::Handle::current(),
        };
        Ok((reader, ReaderHandle(sender)))
    }

    /// Reads until `stop`, then sends the last hints. Blocks; runs on a thread of its own.
    pub fn run(mut self, stop: &CancellationToken) {
        // The key is rebuilt only when the partition changes between two records.
        let mut current: Option<PartitionKey> = None;
        // How long the poll may wait: not at all while records have been collected and may be complete.
        let mut patience = IDLE_POLL;
        let mut since_tick = 0;
        while !stop.is_cancelled() {
            self.obey();
            if since_tick >= TICK {
                since_tick = 0;
                self.judge.tick();
            }
            let polled = self.consumer.poll(patience);
            let message = match polled {
                None => {
                    since_tick = TICK;
                    patience = if flush(&self.consumer, &mut self.wanted) { IDLE_POLL } else { BUSY_POLL };
                    continue;
                }
                Some(Err(error)) => {
                    self.falter(&error);
                    continue;
                }
                Some(Ok(message)) => message,
            };
            if !current.as_ref().is_some_and(|key| key.partition == message.partition() && key.topic == message.topic())
            {
                current = Some(PartitionKey { topic: message.topic().to_owned(), partition: message.partition() });
            }
            patience = Duration::ZERO;
            since_tick += 1;
            let Some(key) = &current else { continue };
            let hold_up = (self.wanted.len() > 1).then_some(HOLD_UP);
            let Some(wanted) = self.wanted.get_mut(key) else { continue };
            if hand_over(wanted, &message, &mut self.judge, hold_up, &self.runtime).is_err() {
                self.wanted.remove(key);
                release(&self.consumer, key);
            }
        }
        self.obey();
        hints::send(&self.consumer, &mut self.hints);
    }

    /// Does what it was asked to since the last poll.
    fn obey(&mut self) {
        let mut hinted = false;
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Consume { key, incarnation, next_offset, recall, lots } => {
                    if self.wanted.remove(&key).is_some() {
                        release(&self.consumer, &key);
                    }
                    match claim(&self.consumer, &key, next_offset - i64::from(recall)) {
                        Ok(()) => {
                            let number = self.judge.number(&key, incarnation);
                            let hops = self.status.hops().clone();
                            let batcher = Batcher::new(incarnation, next_offset, number, hops);
                            self.wanted.insert(key, Wanted { batcher, lots });
                        }
                        Err(error) => tracing::warn!(%error, partition = %key, "cannot be consumed now"),
                    }
                }
                Command::Hint(hint) => {
                    self.hints.insert(hint.key, hint.next_offset);
                    hinted = true;
                }
            }
        }
        if hinted {
            hints::send(&self.consumer, &mut self.hints);
        }
    }

    /// An error does not say which partition it is about: when it is about offsets or partitions, each has to find its
    /// place again. Everything else the client mends by itself.
    fn falter(&mut self, error: &KafkaError) {
        let lost = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::UnknownTopic
            )
        );
        if lost || is_out_of_range(error) {
            tracing::warn!(%error, "every partition finds its place again");
            for (key, _) in self.wanted.drain() {
                release(&self.consumer, &key);
            }
        } else {
            self.status.kafka(Some(format!("Kafka does not answer ({error}); trying again")));
        }
    }
}

fn one(key: &PartitionKey, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&key.topic, key.partition, offset)?;
    Ok(list)
}

/// Starts fetching a partition.
fn claim(consumer: &BaseConsumer<Context>, key: &PartitionKey, from: i64) -> KafkaResult<()> {
    consumer.incremental_assign(&one(key, Offset::Offset(from))?)
}

/// Stops fetching a partition; what was fetched of it is forgotten.
fn release(consumer: &BaseConsumer<Context>, key: &PartitionKey) {
    let released = one(key, Offset::Invalid).and_then(|list| consumer.incremental_unassign(&list));
    if let Err(error) = released {
        tracing::warn!(%error, partition = %key, "cannot be released");
    }
}

/// The partition is not wanted any more, or its writer is held up.
struct Unwanted;

/// Adds a record to its partition, and hands over what is complete by it: at once what is full, and what is old as soon
/// as the writer has room. A full writer is waited for, for as long as others can bear it.
fn hand_over(
    wanted: &mut Wanted,
    message: &BorrowedMessage<'_>,
    judge: &mut Judge,
    hold_up: Option<Duration>,
    runtime: &runtime::Handle,
) -> Result<(), Unwanted> {
    let Wanted { batcher, lots } = wanted;
    if !batcher.expects(message.offset()) {
        batcher.recall(message);
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "on the reader's own thread, which is outside the runtime")]
    let send = |lot| match hold_up {
        Some(limit) => runtime.block_on(lots.send_timeout(lot, limit)).map_err(|_| Unwanted),
        None => lots.blocking_send(lot).map_err(|_| Unwanted),
    };
    if let Some(before) = batcher.push(message, judge) {
        send(before)?;
    }
    if batcher.is_full() {
        if let Some(lot) = batcher.take() {
            send(lot)?;
        }
    } else if batcher.is_due() {
        offer(wanted)?;
    }
    Ok(())
}

/// Hands over what was collected of a partition, if its writer has room; whether nothing is left.
fn offer(Wanted { batcher, lots }: &mut Wanted) -> Result<bool, Unwanted> {
    match lots.try_reserve() {
        Ok(permit) => {
            if let Some(lot) = batcher.take() {
                permit.send(lot);
            }
            Ok(true)
        }
        Err(mpsc::error::TrySendError::Full(())) => Ok(batcher.is_empty()),
        Err(mpsc::error::TrySendError::Closed(())) => Err(Unwanted),
    }
}

/// Offers what was collected of every partition, and releases those that nobody wants; whether nothing is left.
fn flush(consumer: &BaseConsumer<Context>, wanted: &mut HashMap<PartitionKey, Wanted>) -> bool {
    let mut all = true;
    wanted.retain(|key, wanted| match offer(wanted) {
        Ok(empty) => {
            all &= empty;
            true
        }
        Err(Unwanted) => {
            release(consumer, key);
            false
        }
    });
    all
}
