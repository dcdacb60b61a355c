//! Which faults, in which order: a function of the seed alone.

use rand::{Rng, SeedableRng, seq::IndexedRandom, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use server::failpoint::Place;
use std::time::Duration;

/// What happens to the processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// `kill -9` of the server, at whatever it does.
    Kill,
    /// The server kills itself at the n-th pass of a fail point.
    KillAt(Place, u32),
    /// SIGTERM, and a new start.
    Terminate,
    /// The server is frozen, another instance takes over, the first one thaws and is still there for a while.
    Zombie,
    /// The same, frozen at the n-th pass of a fail point.
    ZombieAt(Place, u32),
    PostgresKill,
    PostgresRestart,
    /// New transactions are read-only for this long.
    PostgresReadOnly(Duration),
    /// Every session of the server is ended.
    PostgresSessions,
    /// Postgres's disk is full for this long.
    PostgresDiskFull(Duration),
    BrokerKill,
    /// The broker is frozen for this long.
    BrokerFreeze(Duration),
    /// Connections misbehave.
    Network(Network),
}

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Network {
    PostgresCut,
    PostgresRefuse(Duration),
    /// Latency of each piece of data, and for how long.
    PostgresDelay(Duration, Duration),
    PostgresSwallow(Duration),
    KafkaCut,
    KafkaRefuse(Duration),
    KafkaDelay(Duration, Duration),
    KafkaSwallow(Duration),
    ClientsCut,
}

/// One fault, perhaps with a second one at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub fault: Fault,
    pub beside: Option<Network>,
    /// Undisturbed time before it.
    pub calm: Duration,
}

/// Faults of a bag: every hundred faults hold the same kinds, in another order.
pub const BAG: usize = 100;
/// How many of them come beside another one.
const BESIDE: usize = 12;

pub struct Schedule {
    random: ChaCha8Rng,
    waiting: Vec<Step>,
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        // Another stream than the source's: the same changes can be tried under other faults.
        Self { random: ChaCha8Rng::seed_from_u64(seed ^ 0xfa17), waiting: Vec::new() }
    }

    fn fill(&mut self) {
        use Fault::{BrokerFreeze, BrokerKill, Kill, KillAt, Network as Net, PostgresDiskFull, PostgresKill};
        use Fault::{PostgresReadOnly, PostgresRestart, PostgresSessions, Terminate, Zombie, ZombieAt};
        use Network::{ClientsCut, KafkaCut, KafkaDelay, KafkaRefuse, KafkaSwallow};
        use Network::{PostgresCut, PostgresDelay, PostgresRefuse, PostgresSwallow};
        use Place::{AfterCommit, AfterPublish, BeforeCommit, BeforeTransaction};
        let random = &mut self.random;
        let mut ms = |from: u64, to: u64| Duration::from_millis(random.random_range(from..to));
        let mut faults = Vec::with_capacity(BAG);
        let mut add = |count: usize, fault: Fault| faults.extend(std::iter::repeat_n(fault, count));
        add(14, Kill);
        for place in [BeforeTransaction, BeforeCommit, AfterCommit, AfterPublish] {
            for pass in [1, 4, 12] {
                add(1, KillAt(place, pass));
            }
        }
        add(6, Terminate);
        add(3, Zombie);
        for (place, pass) in [(BeforeTransaction, 3), (BeforeCommit, 2), (BeforeCommit, 9), (AfterCommit, 5)] {
            add(1, ZombieAt(place, pass));
        }
        add(5, PostgresKill);
        add(3, PostgresRestart);
        add(4, PostgresReadOnly(ms(300, 1_200)));
        add(5, PostgresSessions);
        add(3, PostgresDiskFull(ms(500, 1_500)));
        add(2, BrokerKill);
        add(3, BrokerFreeze(ms(300, 1_500)));
        add(6, Net(PostgresCut));
        add(3, Net(PostgresRefuse(ms(200, 1_000))));
        add(2, Net(PostgresDelay(ms(20, 80), ms(500, 1_500))));
        add(2, Net(PostgresSwallow(ms(500, 1_500))));
        add(3, Net(KafkaCut));
        add(2, Net(KafkaRefuse(ms(200, 1_000))));
        add(1, Net(KafkaDelay(ms(20, 80), ms(500, 1_500))));
        add(1, Net(KafkaSwallow(ms(500, 1_500))));
        add(4, Net(ClientsCut));
        faults.shuffle(random);
        debug_assert_eq!(faults.len(), BAG - BESIDE);
        let mut steps: Vec<Step> = faults
            .into_iter()
            .map(|fault| Step { fault, beside: None, calm: Duration::from_millis(random.random_range(0..250)) })
            .collect();
        let quick =
            [PostgresCut, KafkaCut, ClientsCut, PostgresDelay(Duration::from_millis(30), Duration::from_millis(600))];
        for place in rand::seq::index::sample(random, steps.len(), BESIDE) {
            steps[place].beside = quick.choose(random).copied();
        }
        self.waiting = steps;
    }
}

impl Iterator for Schedule {
    type Item = Step;

    /// Without an end.
    fn next(&mut self) -> Option<Step> {
        if self.waiting.is_empty() {
            self.fill();
        }
        self.waiting.pop()
    }
}
