//! Chaos: the real binary against a real Kafka and a real PostgreSQL, with producer, oracle and judge apart from it.
//!
//! `make chaos SEED=n MINUTES=m`, or `scripts/chaos.sh --help`. A seed decides the changes written and the faults; what
//! it does not decide is when exactly they meet. Ends with a verdict per promise and `N passed, N failed`.

mod client;
mod judge;
mod kafka;
mod monitor;
mod oracle;
mod postgres;
mod process;
mod producer;
mod proxy;
mod report;
mod schedule;
mod serve;
mod source;
mod world;

use anyhow::{Context, ensure};
use clap::Parser;
use client::Client;
use monitor::Monitor;
use oracle::Fold;
use producer::{Log, Producer};
use report::{Measured, Verdict, say};
use schedule::{BAG, Schedule};
use serve::Slot;
use source::SYMBOLS;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use world::World;

/// Clients that watch all the time.
const CLIENTS: usize = 6;
/// How long the end, in which nothing disturbs any more, may take.
const SETTLES: Duration = Duration::from_secs(60);
/// What a server of this size may hold: a leak of either kind would pass it.
const MOST_RESIDENT_KB: u64 = 600 << 10;
const MOST_DESCRIPTORS: u64 = 256;

/// Kills, freezes and cuts everything around `stockstream serve`, and judges what is left.
#[derive(Debug, Parser)]
struct Options {
    /// Decides the changes and the faults.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// How many faults, unless --minutes says how long.
    #[arg(long, default_value_t = BAG)]
    faults: usize,
    /// Go on for this long.
    #[arg(long)]
    minutes: Option<u64>,
    /// Only faults whose name contains this: looks closer at one kind.
    #[arg(long)]
    only: Option<String>,
    /// Where logs and data are kept; must exist. A mounted `small` in it is the disk that may be filled.
    #[arg(long)]
    dir: PathBuf,
    /// Keep the measured times to recover in bench/results/chaos.json.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("chaos: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let seed = options.seed;
    let judged = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            judged = run(options) => judged,
            _ = interrupt.recv() => anyhow::bail!("interrupted"),
            _ = terminate.recv() => anyhow::bail!("terminated"),
        }
    });
    let (passed, failed) = match judged {
        Ok(verdicts) => {
            verdicts.iter().for_each(Verdict::print);
            let failed = verdicts.iter().filter(|verdict| !verdict.broken.is_empty()).count();
            (verdicts.len() - failed, failed)
        }
        Err(error) => {
            say(&format!("chaos: could not judge: {error:#}"));
            (0, 1)
        }
    };
    if failed > 0 {
        say(&format!("chaos: to repeat: scripts/chaos.sh --seed {seed}"));
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    say(&format!("chaos: {word}, seed {seed}"));
    say(&format!("{passed} passed, {failed} failed"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(options: Options) -> anyhow::Result<Vec<Verdict>> {
    let began = Instant::now();
    let (mut world, mut producer) = build(&options).await?;
    let log = world.log.clone();
    let stop = CancellationToken::new();
    let producing = tokio::spawn(producer.run(stop.clone()));

    let active = world.active;
    world.slots[active].start(None)?;
    world.slots[active].listens().await?;
    let monitor = Arc::new(Monitor::default());
    let watching = tokio::spawn(monitor.clone().run(world.postgres.pool.clone(), log.clone()));
    let clients: Vec<Client> =
        (0..CLIENTS).map(|number| Client::start(number, world.front.port, monitor.shown.clone())).collect();
    ensure!(world.goes_on().await, "the server does not start to consume");
    say(&format!(
        "chaos: seed {}, everything runs after {:.1?}; logs in {}",
        options.seed,
        began.elapsed(),
        options.dir.display()
    ));
    for what in &world.not_injected {
        say(&format!("chaos: NOT injected on this machine: {what}"));
    }

    let faults = disturb(&mut world, &options).await?;
    say(&format!("chaos: {faults} faults injected after {:.1?}; from here on nothing disturbs", began.elapsed()));

    world.heal().await?;
    stop.cancel();
    producer = producing.await??;
    let arrival = arrive(&mut world, &mut producer, &log, &clients).await?;
    world.slots.iter_mut().for_each(Slot::measure);
    watching.abort();

    let mut verdicts = vec![arrival];
    verdicts.extend(judge_all(&world, &producer, &log, &clients).await?);
    verdicts.extend(promises_of_the_run(&world, &monitor, faults));
    let measured = world.recoveries.measured();
    measured.iter().for_each(Measured::print);
    say(&format!(
        "chaos: {} zombies; {} were succeeded while their connections still lived",
        world.zombies.0, world.zombies.1
    ));
    if options.write {
        write(&options, faults, &world, &measured, &verdicts, began.elapsed())?;
    }
    let active = world.active;
    world.end_orderly(active).await?;
    world.postgres.stop().await?;
    world.kafka.kill().await;
    Ok(verdicts)
}

/// Kafka with the topic and its producer, PostgreSQL, two places for the server, all behind proxies.
async fn build(options: &Options) -> anyhow::Result<(World, Producer)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in a workspace")?.to_owned();
    let directory = options.dir.canonicalize().with_context(|| format!("{}", options.dir.display()))?;
    // A copy: a build meanwhile may replace cargo's by one without fail points.
    std::fs::copy(serve::BINARY, directory.join(serve::PROGRAM)).context(serve::BINARY)?;
    let small = directory.join("small");
    let small_disk = small.is_dir();
    let home = if small_disk { small } else { directory.join("postgres") };
    std::fs::create_dir_all(&home)?;
    let postgres = postgres::Postgres::start(home, small_disk).await?;
    let doors = [process::free_port(), process::free_port()];
    let slots = [
        Slot::new('a', &directory, postgres.port, doors[0]).await?,
        Slot::new('b', &directory, postgres.port, doors[1]).await?,
    ];
    let proxies = [slots[0].kafka.port, slots[1].kafka.port];
    let mut kafka = kafka::Kafka::prepare(&root, directory.join("kafka"), doors, proxies).await?;
    kafka.start(&root).await?;
    let producer = Producer::new(kafka.port, options.seed).await?;
    let front = proxy::Proxy::start(slots[0].port).await?;
    let not_injected = if small_disk { Vec::new() } else { vec!["a full disk (no tmpfs could be mounted)".into()] };
    let world = World {
        root,
        kafka,
        postgres,
        slots,
        active: 0,
        front,
        log: producer.log(),
        recoveries: report::Recoveries::default(),
        stalls: Vec::new(),
        disorderly: Vec::new(),
        terminations: 0,
        zombies: (0, 0),
        not_injected,
    };
    Ok((world, producer))
}

/// Fault after fault; how many there were.
async fn disturb(world: &mut World, options: &Options) -> anyhow::Result<usize> {
    let end = options.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let mut faults = 0;
    let wanted = |fault: &schedule::Fault| {
        options.only.as_ref().is_none_or(|only| format!("{fault:?}").to_lowercase().contains(&only.to_lowercase()))
    };
    ensure!(Schedule::new(options.seed).take(BAG).any(|step| wanted(&step.fault)), "no fault is called so");
    for step in Schedule::new(options.seed).filter(|step| wanted(&step.fault)) {
        if end.map_or(faults >= options.faults, |end| Instant::now() >= end) {
            break;
        }
        let began = Instant::now();
        faults += 1;
        world.step(faults, step).await?;
        let beside = step.beside.map(|beside| format!(", beside it {beside:?}")).unwrap_or_default();
        say(&format!("chaos: fault {faults}: {:?}{beside}: went on after {:.1?}", step.fault, began.elapsed()));
        faults += usize::from(step.beside.is_some());
    }
    Ok(faults)
}

/// Nothing disturbs any more: everything acknowledged must arrive, and a fresh event at the table and at each client.
async fn arrive(world: &mut World, producer: &mut Producer, log: &Log, clients: &[Client]) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let mut fresh = Vec::new();
    for symbol in SYMBOLS {
        fresh.push((symbol, producer.fresh(symbol).await?));
    }
    let mut broken = Vec::new();
    let total: i64 = log.ends().iter().sum();
    let arrived = process::until(SETTLES, async || {
        monitor::consumed(&world.postgres.pool).await.filter(|consumed| *consumed >= total)
    });
    if arrived.await.is_none() {
        broken.push(format!(
            "of {total} acknowledged records, {:?} are consumed",
            monitor::consumed(&world.postgres.pool).await
        ));
    }
    for client in clients {
        let seen = process::until(SETTLES, async || {
            let view = client.view();
            let all = view.series.iter().all(|(symbol, series)| {
                let record = fresh.iter().find(|(name, _)| *name == symbol.as_str()).map(|(_, record)| record);
                series.seq.is_some() && record.is_some_and(|record| shows(series, record))
            });
            all.then_some(())
        });
        if seen.await.is_none() {
            broken.push(format!("{} does not see the fresh event", client.name));
        }
    }
    Ok(Verdict {
        promise: "when nothing disturbs any more, everything arrives, a fresh event at the table and at each client",
        extent: format!("{total} records, {} clients, {:.1?}", clients.len(), began.elapsed()),
        broken,
    })
}

fn shows(series: &client::Series, record: &source::Record) -> bool {
    let source::Meaning::Upsert { candle, .. } = &*record.meaning else { return false };
    series.bars.get(&candle.time).is_some_and(|bar| bar.close == candle.prices[3] && bar.volume == candle.volume)
}

async fn judge_all(world: &World, producer: &Producer, log: &Log, clients: &[Client]) -> anyhow::Result<Vec<Verdict>> {
    let records = log.records();
    let fold = Fold::of(&records);
    let pool = &world.postgres.pool;
    let mut verdicts = vec![judge::table(pool, &fold).await?];
    verdicts.extend(judge::conservation(pool, &fold, &producer.broker_ends().await?).await?);
    verdicts.push(judge::quarantine(pool, &fold, &records).await?);
    verdicts.extend(judge::change_log(pool, &fold).await?);
    verdicts.extend(judge::shown(world.slots[world.active].port, &fold, clients).await?);
    Ok(verdicts)
}

/// What was promised for every instant of the run.
fn promises_of_the_run(world: &World, monitor: &Monitor, faults: usize) -> Vec<Verdict> {
    let looks = monitor.looks.load(Ordering::Relaxed);
    let starts: u32 = world.slots.iter().map(|slot| slot.starts).sum();
    let resident = world.slots.iter().map(|slot| slot.most.resident_kb).max().unwrap_or_default();
    let descriptors = world.slots.iter().map(|slot| slot.most.descriptors).max().unwrap_or_default();
    let mut bounds = Vec::new();
    if resident > MOST_RESIDENT_KB {
        bounds.push(format!("{resident} KB resident, at most {MOST_RESIDENT_KB} KB are expected"));
    }
    if descriptors > MOST_DESCRIPTORS {
        bounds.push(format!("{descriptors} descriptors, at most {MOST_DESCRIPTORS} are expected"));
    }
    vec![
        Verdict {
            promise: "at no instant an offset ahead of the data or of Kafka, a step back, or something shown that is not committed",
            extent: format!("{looks} looks"),
            broken: monitor.broken(),
        },
        Verdict {
            promise: "it goes on by itself after every fault",
            extent: format!("{faults} faults"),
            broken: world.stalls.clone(),
        },
        Verdict {
            promise: "SIGTERM ends the server in order, within ten seconds",
            extent: format!("{} times", world.terminations),
            broken: world.disorderly.clone(),
        },
        Verdict {
            promise: "memory and descriptors stay bounded",
            extent: format!("{} MB and {descriptors} descriptors at most, {starts} starts", resident >> 10),
            broken: bounds,
        },
    ]
}

fn write(
    options: &Options,
    faults: usize,
    world: &World,
    measured: &[Measured],
    verdicts: &[Verdict],
    took: Duration,
) -> anyhow::Result<()> {
    let failed = verdicts.iter().filter(|verdict| !verdict.broken.is_empty()).count();
    let result = serde_json::json!({
        "measured_at": chrono::Utc::now().format("%Y-%m-%d").to_string(),
        "seed": options.seed,
        "faults": faults,
        "seconds": took.as_secs(),
        "processors": std::thread::available_parallelism().map(usize::from).unwrap_or_default(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "passed": verdicts.len() - failed,
        "failed": failed,
        "not_injected": world.not_injected,
        "first_commit_after": measured,
    });
    let path = world.root.join("bench/results/chaos.json");
    std::fs::write(&path, format!("{result:#}\n"))?;
    say(&format!("chaos: kept in {}", path.display()));
    Ok(())
}
