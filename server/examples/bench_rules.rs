//! What it costs to judge records: the pipeline's own steps on one core, with and without them. `bench/rules.sh` runs it.
//!
//! Each arm decodes the same change events, in batches as large as the pipeline's, and writes them with the pipeline's own
//! writer into a database of its own in a private PostgreSQL; batch by batch in rotating order, so that whatever else the
//! machine does meets all arms alike. CPU time is this process's and all of PostgreSQL's. What is read from Kafka comes
//! from memory here: beside a real stream the share of the judging is smaller.

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod bench_topic;

use bench_topic::{Envelope, Table};
use cdc::{Decoded, Decoder, Op, RawRecord};
use chrono::Utc;
use quality::{RuleSet, suite::Suite};
use secrecy::ExposeSecret;
use serde_json::json;
use server::{
    embedded::Postgres,
    pipeline::{Judge, RecordSuites, understand},
    store::{Batch, Item, PartitionKey, Refused, Store, Upsert, Writer},
};
use std::{collections::BTreeMap, error::Error, fs, sync::Arc, time::Instant};

const TOPIC: &str = "bench.stream_db.stock";
const BATCH: usize = 20_000;
/// Ten expectations about records, as people write them about bars.
const SUITE: &str = include_str!("../../bench/rules.json");

/// What is done to each record before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arm {
    /// Decoded, and not looked at.
    Unjudged,
    /// The built-in rules.
    Rules,
    /// The built-in rules, and a suite of ten expectations.
    Suite,
}

impl Arm {
    const ALL: [Self; 3] = [Self::Unjudged, Self::Rules, Self::Suite];

    fn name(self) -> &'static str {
        match self {
            Self::Unjudged => "unjudged",
            Self::Rules => "built-in rules",
            Self::Suite => "built-in rules and a suite of 10",
        }
    }
}

/// CPU seconds of one run.
#[derive(Clone, Copy, Debug)]
struct Used {
    program: f64,
    postgres: f64,
    wall: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [records, rounds, report] = arguments.as_slice() else {
        return Err("usage: bench_rules RECORDS ROUNDS REPORT.json".into());
    };
    let (records, rounds): (usize, usize) = (records.parse()?, rounds.parse()?);
    let topic = produce(records)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let used = runtime.block_on(measure(&topic, rounds))?;

    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let each = |arm: Arm, of: &dyn Fn(&Used, &Used) -> f64| -> Vec<f64> {
        used[&arm].iter().zip(&used[&Arm::Unjudged]).map(|(used, unjudged)| of(used, unjudged)).collect()
    };
    let all = |used: &Used| used.program + used.postgres;
    let mut arms = serde_json::Map::new();
    println!(
        "{:34} {:>22} {:>15} {:>18} {:>12}",
        "arm", "records per CPU-second", "CPU s program", "CPU s PostgreSQL", "costs"
    );
    for arm in Arm::ALL {
        let rates = each(arm, &|used, _| records as f64 / all(used));
        let costs = each(arm, &|used, unjudged| (1.0 - all(unjudged) / all(used)) * 100.0);
        let of_program = each(arm, &|used, unjudged| (used.program - unjudged.program) / records as f64 * 1e9);
        let (program, postgres) =
            (median(each(arm, &|used, _| used.program)), median(each(arm, &|used, _| used.postgres)));
        let (rate, cost) = (median(rates.clone()), median(costs.clone()));
        println!("{:34} {rate:>22.0} {program:>15.2} {postgres:>18.2} {cost:>10.1} %", arm.name());
        let round = |values: &[f64]| values.iter().map(|value| (value * 10.0).round() / 10.0).collect::<Vec<_>>();
        arms.insert(
            arm.name().to_owned(),
            json!({
                "records_per_cpu_second": rate.round(),
                "records_per_cpu_second_by_round": rates.iter().map(|rate| rate.round()).collect::<Vec<_>>(),
                "throughput_cost_percent": round(&[cost])[0],
                "throughput_cost_percent_by_round": round(&costs),
                "cpu_seconds_program": program,
                "cpu_seconds_postgres": postgres,
                "nanoseconds_of_the_program_per_record_more": median(of_program).round(),
                "records_per_second": median(each(arm, &|used, _| records as f64 / used.wall)).round(),
            }),
        );
    }
    let report_json = json!({
        "measured_at": Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "records": records, "rounds": rounds, "arms": arms,
    });
    fs::write(report, format!("{report_json:#}\n"))?;
    Ok(())
}

/// Keys and values of the records.
fn produce(records: usize) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let (mut table, envelope) = (Table::new(records)?, Envelope::new(TOPIC)?);
    let mut topic = Vec::with_capacity(records);
    for number in 0..records {
        let (mut key, mut value) = (String::new(), String::new());
        envelope.write(&table.next(number, records), &mut key, &mut value)?;
        topic.push((key, value));
    }
    Ok(topic)
}

async fn measure(topic: &[(String, String)], rounds: usize) -> Result<BTreeMap<Arm, Vec<Used>>, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let postgres = Postgres::start(&directory.path().join("data")).await?;
    let postmaster = postgres.process_id().ok_or("PostgreSQL has ended")?;
    let mut used: BTreeMap<Arm, Vec<Used>> = BTreeMap::new();
    for round in 0..rounds {
        let mut runs = Vec::new();
        for arm in Arm::ALL {
            let url = postgres.create_database(&format!("bench_{round}_{}", arm as usize)).await?;
            let store = Store::new(url.expose_secret().parse()?, 2);
            store.migrate().await?;
            runs.push(Run::new(arm, store).await?);
        }
        sqlx::query("checkpoint").execute(runs[0].store.pool()).await?;
        for (number, records) in topic.chunks(BATCH).enumerate() {
            for place in 0..runs.len() {
                let at = (place + number + round) % runs.len();
                runs[at].apply(records, number * BATCH, postmaster).await?;
            }
        }
        for run in runs {
            let stored: (i64, i64) =
                sqlx::query_as("select consumed, quarantined from kafka_offset").fetch_one(run.store.pool()).await?;
            if stored != (topic.len() as i64, 0) {
                return Err(format!("{:?}: consumed and quarantined are {stored:?}", run.arm).into());
            }
            eprintln!("bench: round {} of {rounds}, {}: {:.2?}", round + 1, run.arm.name(), run.used);
            used.entry(run.arm).or_default().push(run.used);
            run.store.pool().close().await;
        }
    }
    postgres.stop().await?;
    Ok(used)
}

/// One arm in one round.
struct Run {
    arm: Arm,
    store: Store,
    decoder: Decoder,
    judge: Judge,
    writer: Writer,
    used: Used,
}

impl Run {
    async fn new(arm: Arm, store: Store) -> Result<Self, Box<dyn Error>> {
        let suites = match arm {
            Arm::Suite => RecordSuites::new([Suite::parse(SUITE.as_bytes())?]),
            Arm::Unjudged | Arm::Rules => RecordSuites::default(),
        };
        let key = PartitionKey { topic: TOPIC.to_owned(), partition: 0 };
        let writer = Writer::open(store.clone(), key, Arc::new(|_| false)).await?;
        let (decoder, judge) = (Decoder::new(1), Judge::new(suites, Utc::now()));
        Ok(Self { arm, store, decoder, judge, writer, used: Used { program: 0.0, postgres: 0.0, wall: 0.0 } })
    }

    /// Decodes, judges and writes the records from this offset on.
    async fn apply(
        &mut self,
        records: &[(String, String)],
        first: usize,
        postmaster: u32,
    ) -> Result<(), Box<dyn Error>> {
        let (program, postgres, began) = (of_process("self")?, of_postgres(postmaster)?, Instant::now());
        self.judge.limits.now = Utc::now();
        let mut items = Vec::with_capacity(records.len());
        for (place, (key, value)) in records.iter().enumerate() {
            let record = RawRecord {
                topic: TOPIC,
                partition: 0,
                offset: (first + place) as i64,
                timestamp_ms: None,
                key: Some(key.as_bytes()),
                value: Some(value.as_bytes()),
            };
            items.push(match self.arm {
                Arm::Unjudged => unjudged(&mut self.decoder, &record).ok_or("no row")?,
                Arm::Rules | Arm::Suite => {
                    understand(&mut self.decoder, &record, &mut self.judge).unwrap_or_else(|reason| {
                        let (headers, key, value) = (b"[]".to_vec(), None, None);
                        let refused =
                            Refused { offset: record.offset, timestamp_ms: None, key, value, headers, reason };
                        Item::Refused(Box::new(refused))
                    })
                }
            });
        }
        let next_offset = (first + records.len()) as i64;
        self.writer.apply(&Batch { next_offset, last_hash: 1, received_at: Utc::now(), items }).await?;
        self.used.program += of_process("self")? - program;
        self.used.postgres += of_postgres(postmaster)? - postgres;
        self.used.wall += began.elapsed().as_secs_f64();
        Ok(())
    }
}

/// What [`understand`] does, less the judging.
fn unjudged(decoder: &mut Decoder, record: &RawRecord<'_>) -> Option<Item> {
    let Ok(Decoded::Change(change)) = decoder.decode(record) else { return None };
    let (symbol, bar) = change.after.as_ref()?.bar()?;
    let (event_time, source_at) = (change.event_time(Utc::now()), change.source.committed_at);
    (change.op != Op::Delete).then_some(Item::Upsert(Upsert {
        offset: record.offset,
        record_id: change.record_id,
        op: change.op,
        symbol,
        bar,
        position: change.position?,
        event_time,
        source_at,
        snapshot: change.source.snapshot,
        rules: RuleSet::default(),
        tags: Vec::new(),
    }))
}

/// User and system time of a process, in seconds; a tick is 10 ms on every Linux.
fn of_process(process: &str) -> Result<f64, Box<dyn Error>> {
    Ok(ticks(process).ok_or("no such process")?.own as f64 / 100.0)
}

/// The same of PostgreSQL: its processes, and those that have ended.
fn of_postgres(postmaster: u32) -> Result<f64, Box<dyn Error>> {
    let processes = fs::read_dir("/proc")?.filter_map(|entry| ticks(entry.ok()?.file_name().to_str()?));
    let ours = processes.filter(|process| process.id == postmaster || process.parent == postmaster);
    Ok(ours.map(|process| process.own + process.ended_children).sum::<u64>() as f64 / 100.0)
}

struct Ticks {
    id: u32,
    parent: u32,
    own: u64,
    ended_children: u64,
}

fn ticks(process: &str) -> Option<Ticks> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let id = text.split(' ').next()?.parse().ok()?;
    // After the name, which may hold anything: state, parent, and from the twelfth on the times.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let (own, ended_children) = (number(11)? + number(12)?, number(13)? + number(14)?);
    Some(Ticks { id, parent: fields.get(1)?.parse().ok()?, own, ended_children })
}
