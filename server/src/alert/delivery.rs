//! Carrying alerts to their targets: one bounded queue each, so that a slow one delays nobody else.

use super::{News, Setback, Target};
use rand::Rng;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Alerts that may wait for one target. More at once is a storm, of which the first say enough.
const QUEUE: usize = 64;

/// How long one attempt may take, whatever the target promises.
pub const ATTEMPT: Duration = Duration::from_secs(15);

/// How often and how long a delivery is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first pause; each pause doubles and is jittered by half.
    pub first: Duration,
    /// The longest of these pauses; a target that asks for a longer one gets it.
    pub longest: Duration,
    /// An alert that could not be delivered for so long is old news.
    pub give_up: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(120), give_up: Duration::from_secs(15 * 60) }
    }
}

/// The way to every target. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Alerts {
    queues: Arc<[Queue]>,
}

#[derive(Debug)]
struct Queue {
    target: Arc<dyn Target>,
    sender: mpsc::Sender<News>,
}

impl Alerts {
    /// Starts one task per target, which end with `stop`. What has not been delivered by then is named in the log.
    pub fn start(
        targets: Vec<Box<dyn Target>>,
        patience: Patience,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let queue = |target: Box<dyn Target>| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let target: Arc<dyn Target> = target.into();
            tasks.spawn(carry(target.clone(), receiver, patience, stop.clone()));
            Queue { target, sender }
        };
        Self { queues: targets.into_iter().map(queue).collect() }
    }

    /// Tells everybody whom it concerns. Never waits: what finds a full queue is counted, logged and dropped.
    pub fn tell(&self, news: impl Into<News>) {
        let news = news.into();
        for Queue { target, sender } in &*self.queues {
            let Some(alert) = target.part_of(&news) else { continue };
            if let Err(error) = sender.try_send(alert) {
                let (target, alert) = (target.name(), error.into_inner());
                count(target, "dropped");
                tracing::error!(target, %alert, "too many alerts wait for this target: this one is dropped");
            }
        }
    }
}

async fn carry(target: Arc<dyn Target>, mut queue: mpsc::Receiver<News>, patience: Patience, stop: CancellationToken) {
    while let Some(Some(alert)) = stop.run_until_cancelled(queue.recv()).await {
        if stop.run_until_cancelled(deliver(&*target, &alert, patience)).await.is_none() {
            tracing::warn!(target = target.name(), %alert, "not delivered before the end");
        }
    }
    while let Ok(alert) = queue.try_recv() {
        tracing::warn!(target = target.name(), %alert, "not delivered before the end");
    }
}

async fn deliver(target: &dyn Target, alert: &News, patience: Patience) {
    let began = Instant::now();
    let mut pause = patience.first;
    loop {
        let attempt = timeout(ATTEMPT, target.deliver(alert)).await;
        let setback = match attempt {
            Ok(Ok(())) => {
                count(target.name(), "delivered");
                return;
            }
            Ok(Err(setback)) => setback,
            Err(_elapsed) => {
                Setback::Later { reason: format!("no answer within {} s", ATTEMPT.as_secs()), after: None }
            }
        };
        let after = match &setback {
            Setback::Later { after, .. } => after.unwrap_or_else(|| jittered(pause)),
            Setback::Never(_) => patience.give_up,
        };
        if began.elapsed() + after >= patience.give_up {
            count(target.name(), "failed");
            tracing::error!(target = target.name(), %alert, %setback, "alert not delivered");
            return;
        }
        tracing::warn!(target = target.name(), %setback, "alert not delivered; trying again");
        count(target.name(), "retried");
        sleep(after).await;
        pause = (pause * 2).min(patience.longest);
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn count(target: &str, outcome: &'static str) {
    metrics::counter!("stockstream_alerts_total", "target" => target.to_owned(), "outcome" => outcome).increment(1);
}
