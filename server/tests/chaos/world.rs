//! Everything that runs, and what a fault does to it.

use super::{
    kafka::Kafka,
    monitor::{consumed, reached},
    postgres::Postgres,
    process::until,
    producer::Log,
    proxy::{Mode, Proxy},
    report::Recoveries,
    schedule::{Fault, Network, Step},
    serve::{DRAIN, Slot},
};
use anyhow::Context;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the system may take to go on after a fault, before that is a broken promise of its own. Far above every target:
/// it tells "slow" from "never".
const COMES_BACK: Duration = Duration::from_secs(60);
/// How long a frozen instance's session is given to be ended by others, before its network is taken away as well.
const TAKEOVER: Duration = Duration::from_secs(8);
/// A thawed instance is left alone for this long, so that it can do harm.
const HAUNTING: Duration = Duration::from_millis(1_500);

pub struct World {
    pub root: PathBuf,
    pub kafka: Kafka,
    pub postgres: Postgres,
    pub slots: [Slot; 2],
    /// The slot whose instance serves the clients.
    pub active: usize,
    /// What the clients connect to.
    pub front: Proxy,
    /// What the producer was acknowledged.
    pub log: Arc<Log>,
    pub recoveries: Recoveries,
    /// Promises not kept while faults were going on.
    pub stalls: Vec<String>,
    pub disorderly: Vec<String>,
    /// Orderly ends asked for.
    pub terminations: u32,
    /// Zombies, and those among them whose partitions could be taken over while their connections still lived.
    pub zombies: (u32, u32),
    /// Kinds of faults this machine does not allow.
    pub not_injected: Vec<String>,
}

impl World {
    /// Lets one step happen, and waits until the system has gone on.
    ///
    /// # Errors
    /// The harness itself, or a service it stands on, is broken.
    pub async fn step(&mut self, number: usize, step: Step) -> anyhow::Result<()> {
        tokio::time::sleep(step.calm).await;
        let beside = step.beside.map(|network| tokio::spawn(self.strike(network)));
        let alone = beside.is_none();
        self.inject(step.fault, alone).await.with_context(|| format!("fault {number}: {:?}", step.fault))?;
        if let Some(beside) = beside {
            beside.await?;
        }
        if !self.goes_on().await {
            self.stalls.push(format!(
                "fault {number} ({:?}, beside {:?}): what was acknowledged before its end was not committed within {COMES_BACK:?}",
                step.fault, step.beside
            ));
            let active = self.active;
            self.slots[active].kill().await;
            self.slots[active].start(None)?;
        }
        self.slots.iter_mut().for_each(Slot::measure);
        Ok(())
    }

    /// Whether everything that was acknowledged until now is committed in time.
    pub async fn goes_on(&self) -> bool {
        let ends = self.log.ends();
        until(COMES_BACK, async || reached(&self.postgres.pool, &ends).await.filter(|reached| *reached)).await.is_some()
    }

    /// When the first commit is there after those of the first `since` records.
    async fn first_commit(&self, since: i64, patience: Duration) -> Option<Instant> {
        let pool = &self.postgres.pool;
        until(patience, async || consumed(pool).await.filter(|now| *now > since)).await.map(|_| Instant::now())
    }

    async fn now_consumed(&self) -> anyhow::Result<i64> {
        until(COMES_BACK, async || consumed(&self.postgres.pool).await).await.context("Postgres does not answer")
    }

    fn active(&mut self) -> &mut Slot {
        &mut self.slots[self.active]
    }

    async fn inject(&mut self, fault: Fault, alone: bool) -> anyhow::Result<()> {
        match fault {
            Fault::Kill => {
                self.active().kill().await;
                self.restart_measured(alone).await?;
            }
            Fault::KillAt(place, pass) => {
                self.terminate().await?;
                self.active().start(Some(&format!("{place:?}:{pass}:KILL")))?;
                if self.active().end(COMES_BACK).await.is_none() {
                    self.stalls.push(format!("the server did not reach {place:?} within {COMES_BACK:?}"));
                    self.active().kill().await;
                }
                self.restart_measured(alone).await?;
            }
            Fault::Terminate => {
                self.terminate().await?;
                self.active().start(None)?;
            }
            Fault::Zombie => {
                self.active().signal("STOP").await?;
                self.haunt().await?;
            }
            Fault::ZombieAt(place, pass) => {
                self.terminate().await?;
                self.active().start(Some(&format!("{place:?}:{pass}:STOP")))?;
                if !self.active().stopped(COMES_BACK).await {
                    self.stalls.push(format!("the server did not reach {place:?} within {COMES_BACK:?}"));
                    self.active().signal("STOP").await?;
                }
                self.haunt().await?;
            }
            Fault::PostgresKill => {
                self.postgres.kill().await;
                self.back_measured(alone).await?;
            }
            Fault::PostgresRestart => {
                self.postgres.stop().await?;
                self.postgres.up().await?;
            }
            Fault::PostgresReadOnly(time) => {
                self.postgres.read_only(true).await?;
                tokio::time::sleep(time).await;
                self.postgres.read_only(false).await?;
            }
            Fault::PostgresSessions => self.postgres.terminate_sessions().await?,
            Fault::PostgresDiskFull(_) if !self.postgres.small_disk => {}
            Fault::PostgresDiskFull(time) => {
                self.postgres.fill_disk()?;
                tokio::time::sleep(time).await;
                self.postgres.free_disk()?;
                // It gives up when it cannot write its log.
                self.postgres.up().await?;
            }
            Fault::BrokerKill => {
                self.kafka.kill().await;
                let root = self.root.clone();
                self.kafka.start(&root).await?;
                let back = Instant::now();
                let since = self.now_consumed().await?;
                if let Some(first) = self.first_commit(since, COMES_BACK).await.filter(|_| alone) {
                    self.recoveries.broker.push(first - back);
                }
            }
            Fault::BrokerFreeze(time) => {
                self.kafka.signal("STOP").await?;
                tokio::time::sleep(time).await;
                self.kafka.signal("CONT").await?;
            }
            Fault::Network(network) => self.strike(network).await,
        }
        Ok(())
    }

    /// Starts the active instance after its death, and measures until its first commit.
    async fn restart_measured(&mut self, alone: bool) -> anyhow::Result<()> {
        let since = self.now_consumed().await?;
        let started = self.active().start(None)?;
        if let Some(first) = self.first_commit(since, COMES_BACK).await.filter(|_| alone) {
            self.recoveries.server.push(first - started);
        }
        Ok(())
    }

    async fn back_measured(&mut self, alone: bool) -> anyhow::Result<()> {
        let startable = self.postgres.up().await?;
        let since = self.now_consumed().await?;
        if let Some(first) = self.first_commit(since, COMES_BACK).await.filter(|_| alone) {
            self.recoveries.postgres.push(first - startable);
        }
        Ok(())
    }

    /// SIGTERM to the active instance, which must then end by itself, in time and with success.
    async fn terminate(&mut self) -> anyhow::Result<()> {
        let slot = self.active;
        self.end_orderly(slot).await
    }

    /// # Errors
    /// It has died by itself.
    pub async fn end_orderly(&mut self, slot: usize) -> anyhow::Result<()> {
        self.terminations += 1;
        self.slots[slot].measure();
        self.slots[slot].signal("TERM").await?;
        match self.slots[slot].end(DRAIN + Duration::from_secs(2)).await {
            Some(status) if status.success() => {}
            Some(status) => self.disorderly.push(format!("SIGTERM: the server ended with {status}")),
            None => {
                self.disorderly.push(format!("SIGTERM: the server did not end within {DRAIN:?}"));
                self.slots[slot].kill().await;
            }
        }
        Ok(())
    }

    /// The active instance is frozen: another one takes over, then the first one thaws. It believes itself the owner,
    /// and its connections alive.
    async fn haunt(&mut self) -> anyhow::Result<()> {
        let (zombie, heir) = (self.active, 1 - self.active);
        let since = self.now_consumed().await?;
        self.slots[heir].start(None)?;
        self.slots[heir].listens().await?;
        self.front.turn_to(self.slots[heir].port);
        self.active = heir;
        self.zombies.0 += 1;
        if self.first_commit(since, TAKEOVER).await.is_some() {
            self.zombies.1 += 1;
        } else {
            // What Postgres notices when a machine is gone for good.
            self.slots[zombie].postgres.set(Mode::Swallow);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.slots[zombie].postgres.set(Mode::Pass);
            self.first_commit(since, COMES_BACK).await;
        }
        self.slots[zombie].signal("CONT").await?;
        tokio::time::sleep(HAUNTING).await;
        self.slots[zombie].postgres.cut();
        self.end_orderly(zombie).await
    }

    /// A network fault, from its begin to its end.
    fn strike(&self, network: Network) -> impl Future<Output = ()> + use<> {
        let slot = &self.slots[self.active];
        let (postgres, kafka, front) = (slot.postgres.clone(), slot.kafka.clone(), self.front.clone());
        async move {
            let (proxy, mode, time) = match network {
                Network::PostgresCut => return postgres.cut(),
                Network::KafkaCut => return kafka.cut(),
                Network::ClientsCut => return front.cut(),
                Network::PostgresRefuse(time) => (postgres, Mode::Refuse, time),
                Network::KafkaRefuse(time) => (kafka, Mode::Refuse, time),
                Network::PostgresDelay(latency, time) => (postgres, Mode::Delay(latency), time),
                Network::KafkaDelay(latency, time) => (kafka, Mode::Delay(latency), time),
                Network::PostgresSwallow(time) => (postgres, Mode::Swallow, time),
                Network::KafkaSwallow(time) => (kafka, Mode::Swallow, time),
            };
            proxy.set(mode);
            if mode == Mode::Refuse {
                proxy.cut();
            }
            tokio::time::sleep(time).await;
            proxy.set(Mode::Pass);
        }
    }

    /// Takes every fault away: what runs from now on runs undisturbed.
    ///
    /// # Errors
    /// A service does not come back.
    pub async fn heal(&mut self) -> anyhow::Result<()> {
        self.postgres.up().await?;
        for slot in &self.slots {
            slot.postgres.set(Mode::Pass);
            slot.kafka.set(Mode::Pass);
        }
        self.front.set(Mode::Pass);
        if !self.active().runs() {
            self.active().start(None)?;
        }
        self.active().listens().await
    }
}
