//! What there is to tell: incidents that open and are resolved, found by looking at the pipeline's status.
//!
//! An incident opens when something has been wrong for long enough, and is resolved when it has been right for long
//! enough: a pipeline that stumbles and gets up twice a second makes one alert and not two a second.

use super::{Alert, AlertKind, Alerts, Turn};
use crate::pipeline::{PartitionState, Status, StatusHandle};
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long something must have been right to count as mended.
const SETTLED: Duration = Duration::from_secs(10);

/// The incidents there are. Pure: both clocks are arguments.
#[derive(Debug)]
pub struct Incidents {
    /// How long the pipeline may be down before anybody is told.
    down_after: Duration,
    settled_after: Duration,
    open: HashMap<(AlertKind, String), Incident>,
    /// Records of each partition that expired unread, as far as they were told of.
    expired: HashMap<String, i64>,
}

/// Something that is wrong, or was a moment ago.
#[derive(Debug)]
struct Incident {
    since: (Instant, DateTime<Utc>),
    /// Since when it has been right again.
    right_since: Option<Instant>,
    told: bool,
}

impl Incidents {
    pub fn new(down_after: Duration) -> Self {
        Self { down_after, settled_after: SETTLED, open: HashMap::new(), expired: HashMap::new() }
    }

    /// Looks at a status, and gives what there is to tell now.
    pub fn observe(&mut self, status: &Status, now: Instant, at: DateTime<Utc>) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut wrong = Vec::new();
        let down = matches!(status.state, PipeState::Starting | PipeState::Retrying);
        if down {
            let reason = status.message.as_deref().unwrap_or("it has not come up");
            let message = format!(
                "the pipeline has not run for {} s ({reason}). Nothing is lost: it goes on by itself where it stopped, \
                 once what it needs is back.",
                self.down_after.as_secs()
            );
            wrong.push((AlertKind::PipelineDown, "pipeline".to_owned(), self.down_after, message));
        }
        for partition in &status.partitions {
            let subject = format!("{}[{}]", partition.topic, partition.partition);
            if partition.state == PartitionState::PausedByFloodGuard {
                let reason = partition.reason.as_deref().unwrap_or("too many of its records were refused");
                let message = format!(
                    "paused by the flood guard: {reason}. Look at the quarantine; when the cause is mended, run \
                     `stockstream pipeline resume --topic {} --partition {}`.",
                    partition.topic, partition.partition
                );
                wrong.push((AlertKind::PartitionPaused, subject.clone(), Duration::ZERO, message));
            }
            let told = self.expired.entry(subject.clone()).or_insert(0);
            if partition.expired > *told {
                let message = format!(
                    "{} records expired in Kafka before they were read. They cannot be read any more: keep records \
                     longer, and take a new snapshot of the source.",
                    partition.expired - *told
                );
                *told = partition.expired;
                alerts.push(Alert {
                    kind: AlertKind::RetentionGap,
                    turn: Turn::Opened,
                    subject,
                    message,
                    at,
                    since: at,
                });
            }
        }
        for incident in self.open.values_mut() {
            incident.right_since.get_or_insert(now);
        }
        for (kind, subject, after, message) in wrong {
            let incident = self.open.entry((kind, subject.clone())).or_insert(Incident {
                since: (now, at),
                right_since: None,
                told: false,
            });
            incident.right_since = None;
            if !incident.told && now.duration_since(incident.since.0) >= after {
                incident.told = true;
                alerts.push(Alert { kind, turn: Turn::Opened, subject, message, at, since: incident.since.1 });
            }
        }
        let settled_after = self.settled_after;
        self.open.retain(|(kind, subject), incident| {
            let settled = incident.right_since.is_some_and(|since| now.duration_since(since) >= settled_after);
            if settled && incident.told {
                let message = match kind {
                    AlertKind::PipelineDown => "the pipeline runs again.",
                    AlertKind::PartitionPaused => "the flood guard does not hold it any more.",
                    AlertKind::RetentionGap => "no further records expired.",
                    AlertKind::CriticalFindings => "nothing critical is found any more.",
                };
                alerts.push(Alert {
                    kind: *kind,
                    turn: Turn::Resolved,
                    subject: subject.clone(),
                    message: message.to_owned(),
                    at,
                    since: incident.since.1,
                });
            }
            !settled
        });
        alerts
    }
}

/// Watches a status and tells of incidents, until `stop`.
pub async fn watch(status: StatusHandle, mut incidents: Incidents, alerts: Alerts, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        let found = incidents.observe(&status.borrow(), Instant::now(), Utc::now());
        for alert in found {
            alerts.tell(alert);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::{Phase, StatusWriter, channel},
        store::PartitionKey,
    };

    /// A status, looked at second by second.
    struct Watched {
        writer: StatusWriter,
        status: StatusHandle,
        incidents: Incidents,
        start: (Instant, DateTime<Utc>),
    }

    impl Watched {
        fn new() -> Self {
            let (writer, status) = channel();
            writer.enter(Phase::Assigned);
            let watched = Self {
                writer,
                status,
                incidents: Incidents::new(Duration::from_secs(60)),
                start: (Instant::now(), Utc::now()),
            };
            watched.partition(PartitionState::Running, 0);
            watched
        }

        fn partition(&self, state: PartitionState, expired: i64) {
            let key = PartitionKey { topic: "t".to_owned(), partition: 3 };
            self.writer.partition(&key, |partition| {
                partition.enter(state, Some("100 in a row were refused".to_owned()));
                partition.expired = expired;
            });
        }

        fn look(&mut self, second: u64) -> Vec<(AlertKind, Turn)> {
            self.alerts(second).into_iter().map(|alert| (alert.kind, alert.turn)).collect()
        }

        fn alerts(&mut self, second: u64) -> Vec<Alert> {
            let passed = Duration::from_secs(second);
            self.incidents.observe(&self.status.borrow(), self.start.0 + passed, self.start.1 + passed)
        }
    }

    use AlertKind::{PartitionPaused, PipelineDown, RetentionGap};
    use Turn::{Opened, Resolved};

    #[test]
    fn a_partition_stopped_by_the_flood_guard_is_told_at_once_and_once() {
        let mut watched = Watched::new();
        assert_eq!(watched.look(0), []);
        watched.partition(PartitionState::PausedByFloodGuard, 0);
        let alerts = watched.alerts(1);
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].subject, "t[3]");
        assert!(alerts[0].message.contains("100 in a row were refused"), "{}", alerts[0]);
        assert!(alerts[0].message.contains("stockstream pipeline resume --topic t --partition 3"), "{}", alerts[0]);
        assert_eq!(watched.look(500), []);
        watched.partition(PartitionState::Running, 0);
        assert_eq!(watched.look(501), []);
        assert_eq!(watched.look(511), [(PartitionPaused, Resolved)]);
        assert_eq!(watched.look(600), []);
    }

    #[test]
    fn what_an_operator_pauses_is_no_incident() {
        let mut watched = Watched::new();
        watched.partition(PartitionState::PausedByOperator, 0);
        assert_eq!(watched.look(0), []);
        assert_eq!(watched.look(1_000), []);
        watched.partition(PartitionState::Drained, 0);
        assert_eq!(watched.look(2_000), []);
    }

    #[test]
    fn a_short_interruption_is_no_incident_and_a_long_one_is_one() {
        let mut watched = Watched::new();
        watched.writer.trouble(Some("Postgres does not answer".to_owned()));
        assert_eq!(watched.look(0), []);
        assert_eq!(watched.look(59), []);
        watched.writer.trouble(None);
        assert_eq!(watched.look(60), []);
        assert_eq!(watched.look(80), [], "nobody was told, so nobody is told of its end");
        watched.writer.trouble(Some("Postgres does not answer".to_owned()));
        assert_eq!(watched.look(100), []);
        let alerts = watched.alerts(160);
        assert_eq!((alerts[0].kind, alerts[0].turn), (PipelineDown, Opened));
        assert_eq!(alerts[0].since, watched.start.1 + Duration::from_secs(100));
        assert!(alerts[0].message.contains("Postgres does not answer"), "{}", alerts[0]);
        watched.writer.trouble(None);
        assert_eq!(watched.look(170), []);
        assert_eq!(watched.look(180), [(PipelineDown, Resolved)]);
    }

    #[test]
    fn a_pipeline_that_stumbles_again_and_again_makes_one_alert() {
        let mut watched = Watched::new();
        let mut told = Vec::new();
        for second in 0..600 {
            watched.writer.trouble((second % 5 != 0).then(|| "Kafka does not answer".to_owned()));
            told.extend(watched.look(second));
        }
        assert_eq!(told, [(PipelineDown, Opened)]);
    }

    #[test]
    fn expired_records_are_told_each_time_there_are_more() {
        let mut watched = Watched::new();
        watched.partition(PartitionState::Running, 40);
        assert_eq!(watched.look(0), [(RetentionGap, Opened)]);
        assert_eq!(watched.look(1), []);
        watched.partition(PartitionState::Running, 45);
        let alerts = watched.alerts(2);
        assert!(alerts[0].message.starts_with("5 records expired"), "{}", alerts[0]);
    }
}
