//! Which partitions this process consumes, as it changes: all of a topic, or those that the consumer group gives it.
//!
//! Both ways end in the same set, which the supervisor follows. In a group, one consumer is only a member: it reads
//! nothing, so that what is read, from where, and how fast has nothing to do with belonging to the group. What keeps a
//! member that does not know that it was expelled from writing is the fence in Postgres, not the group.

use super::{
    StatusWriter,
    backoff::Backoff,
    hints::{self, Hint},
    probe::Probe,
    reader::{ConsumerConfig, client},
};
use crate::store::PartitionKey;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::mpsc as commands,
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The partitions to consume; `None` until that is known.
pub type Assigned = Option<BTreeSet<PartitionKey>>;

/// How often the broker is asked for new partitions.
const REFRESH: Duration = Duration::from_secs(5);
/// How often while a topic is missing.
const MISSING: Duration = Duration::from_millis(500);
/// How long the member's poll waits before it looks at everything else.
const POLL: Duration = Duration::from_millis(100);
const SESSION_TIMEOUT: &str = "session.timeout.ms";
/// How long a member may be silent before the group expels it, in ms, unless configured.
const SILENCE_MS: u32 = 10_000;
/// How often a member is heard of within that time. A client's own 3 s, whatever the timeout, would have a member with
/// a shorter one expelled and let in again for ever.
const HEARTBEATS: u32 = 3;

/// Follows the partitions of the topics until `stop`: all of them are ours.
pub async fn all(
    topics: &[String],
    probe: &Probe,
    status: &StatusWriter,
    assigned: &watch::Sender<Assigned>,
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    let mut known = BTreeSet::new();
    // Which missing topic the log has named.
    let mut said = None;
    while !stop.is_cancelled() {
        let mut missing = None;
        let mut away = false;
        for topic in topics {
            match probe.partitions(topic).await {
                Ok(partitions) if partitions.is_empty() => missing = Some(topic),
                Ok(partitions) => known
                    .extend(partitions.into_iter().map(|partition| PartitionKey { topic: topic.clone(), partition })),
                Err(error) => {
                    status.kafka(Some(format!("Kafka does not answer ({error}); trying again")));
                    away = true;
                }
            }
        }
        if missing != said {
            if let Some(topic) = missing {
                tracing::warn!(topic, "the topic does not exist yet; waiting for it");
            }
            said = missing;
        }
        status.trouble(missing.map(|topic| format!("topic {topic} does not exist yet; waiting for it")));
        // Partitions never become fewer: one that does not answer now is waited for.
        if !known.is_empty() {
            assigned.send_if_modified(|assigned| assigned.replace(known.clone()).as_ref() != Some(&known));
        }
        let pause = match (away, missing) {
            (true, _) => backoff.pause(),
            (false, Some(_)) => MISSING,
            (false, None) => REFRESH,
        };
        if !away {
            backoff = Backoff::default();
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Hears from the group which partitions are ours.
struct Context {
    assigned: watch::Sender<Assigned>,
    status: StatusWriter,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka, group membership");
    }
}

impl ConsumerContext for Context {
    /// Takes part in the protocol, and fetches nothing: partitions are taken at their end, and paused.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, change: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let keys: BTreeSet<PartitionKey> = partitions
            .elements()
            .iter()
            .map(|element| PartitionKey { topic: element.topic().to_owned(), partition: element.partition() })
            .collect();
        let done = if change == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(partitions = keys.len(), "the group gave us partitions");
            self.status.trouble(None);
            let taken = partitions.set_all_offsets(Offset::End).and_then(|()| {
                if cooperative { consumer.incremental_assign(partitions) } else { consumer.assign(partitions) }
            });
            self.assigned.send_modify(|assigned| match assigned {
                Some(assigned) if cooperative => assigned.extend(keys),
                _ => *assigned = Some(keys),
            });
            taken.and_then(|()| consumer.pause(partitions))
        } else {
            tracing::info!(partitions = keys.len(), "the group took partitions from us");
            self.assigned.send_modify(|assigned| {
                if let Some(assigned) = assigned {
                    assigned.retain(|key| !keys.contains(key));
                }
            });
            if cooperative { consumer.incremental_unassign(partitions) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the change of partitions was not taken up");
        }
    }
}

/// What a member's client is told beside what every client is: our defaults, then what is configured.
fn membership(configured: &[(String, String)]) -> Vec<(String, String)> {
    let said = configured.iter().rev().find(|(key, _)| key == SESSION_TIMEOUT);
    let silence = said.and_then(|(_, value)| value.parse().ok()).unwrap_or(SILENCE_MS);
    [
        // Only what moves is interrupted.
        ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
        (SESSION_TIMEOUT, silence.to_string()),
        ("heartbeat.interval.ms", (silence / HEARTBEATS).max(1).to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .chain(configured.iter().cloned())
    .collect()
}

/// This process as a member of the consumer group.
pub struct Member {
    consumer: BaseConsumer<Context>,
    hints: commands::Receiver<Hint>,
    status: StatusWriter,
}

impl Member {
    /// Joins the group. `hints` are committed under the membership: the group would refuse them from anybody else.
    ///
    /// # Errors
    /// A property is unknown or malformed.
    pub fn join(
        config: &ConsumerConfig,
        status: StatusWriter,
        assigned: watch::Sender<Assigned>,
        hints: commands::Receiver<Hint>,
    ) -> KafkaResult<Self> {
        let defaults = ConsumerConfig { properties: membership(&config.properties), ..config.clone() };
        let consumer: BaseConsumer<Context> = client(&defaults)
            .set("queued.min.messages", "1")
            .create_with_context(Context { assigned, status: status.clone() })?;
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Self { consumer, hints, status })
    }

    /// Stays a member until `stop`, then leaves the group. Blocks; runs on a thread of its own.
    pub fn run(self, stop: &CancellationToken) {
        let mut hints = HashMap::new();
        loop {
            let last = stop.is_cancelled();
            hints.extend(self.hints.try_iter().map(|hint| (hint.key, hint.next_offset)));
            hints::send(&self.consumer, &mut hints);
            if last {
                return; // dropping the consumer leaves the group
            }
            if let Some(Err(error)) = self.consumer.poll(POLL) {
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                        self.status.trouble(Some(format!("a topic does not exist yet ({error}); waiting for it")));
                    }
                    _ => tracing::debug!(%error, "kafka, group membership"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::membership;
    use std::collections::HashMap;

    fn told(configured: &[(&str, &str)]) -> HashMap<String, String> {
        let configured: Vec<_> =
            configured.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        membership(&configured).into_iter().collect() // the last of a name counts, as the client has it
    }

    #[test]
    fn a_member_is_heard_of_three_times_within_the_groups_patience() {
        for (configured, session, heartbeat) in [
            (&[][..], "10000", "3333"),
            (&[("session.timeout.ms", "2500")], "2500", "833"),
            (&[("session.timeout.ms", "9000"), ("heartbeat.interval.ms", "100")], "9000", "100"),
            (&[("session.timeout.ms", "soon")], "soon", "3333"), // which the client refuses
        ] {
            let told = told(configured);
            assert_eq!(told["session.timeout.ms"], session);
            assert_eq!(told["heartbeat.interval.ms"], heartbeat, "{configured:?}");
            assert_eq!(told["partition.assignment.strategy"], "cooperative-sticky");
        }
    }
}
