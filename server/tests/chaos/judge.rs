//! The judge: compares what is there in the end with what must be.

use super::{
    client::Client,
    oracle::{Counts, Fold, Standing, Version},
    report::Verdict,
    source::{Candle, PARTITIONS, SYMBOLS},
};
use chrono::{DateTime, Utc};
use market::{Bar, wire::BarsPage};
use rust_decimal::Decimal;
use sqlx::{PgPool, Row};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    time::Duration,
};

/// A bar, comparable: scale and order of columns do not matter.
type Plain = ([Decimal; 4], i64);

fn plain(bar: &Bar) -> Plain {
    ([bar.open, bar.high, bar.low, bar.close].map(|price| price.normalize()), bar.volume)
}

fn plain_candle(candle: &Candle) -> Plain {
    (candle.prices.map(|price| price.normalize()), candle.volume)
}

/// Every difference between two maps, in words.
fn differences<K: Ord + Debug, V: PartialEq + Debug>(found: &BTreeMap<K, V>, expected: &BTreeMap<K, V>) -> Vec<String> {
    let mut broken = Vec::new();
    for (key, value) in expected {
        match found.get(key) {
            None => broken.push(format!("missing {key:?}: {value:?}")),
            Some(other) if other != value => broken.push(format!("{key:?} is {other:?}, must be {value:?}")),
            Some(_) => {}
        }
    }
    let ghosts = found.iter().filter(|(key, _)| !expected.contains_key(key));
    broken.extend(ghosts.map(|(key, value)| format!("ghost {key:?}: {value:?}")));
    broken
}

/// The table against the fold, column by column, and the tombstones.
///
/// # Errors
/// Postgres does not answer.
pub async fn table(pool: &PgPool, fold: &Fold) -> Result<Verdict, sqlx::Error> {
    let rows = sqlx::query("select stock.*, symbol from stock join symbol using (symbol_id)").fetch_all(pool).await?;
    let version = |row: &sqlx::postgres::PgRow| Version {
        epoch: row.get("version_epoch"),
        hi: row.get("version_hi"),
        lo: row.get("version_lo"),
    };
    let mut found: BTreeMap<i64, Standing> = BTreeMap::new();
    for row in &rows {
        let candle = Candle {
            symbol: row.get("symbol"),
            time: row.get("time"),
            prices: ["open", "high", "low", "close"].map(|price| row.get::<Decimal, _>(price).normalize()),
            volume: row.get("volume"),
        };
        let standing = Standing {
            candle,
            event_time: row.get("event_time"),
            version: version(row),
            op: char::from(row.get::<i8, _>("op").cast_unsigned()),
            partition: row.get("partition"),
            offset: row.get("offset"),
            rules: row.get("rules"),
        };
        found.insert(row.get("record_id"), standing);
    }
    let mut expected = fold.rows.clone();
    for row in expected.values_mut() {
        row.candle.prices = row.candle.prices.map(|price| price.normalize());
    }
    let mut broken = differences(&found, &expected);
    let rows = sqlx::query("select * from tombstone").fetch_all(pool).await?;
    let tombstones: BTreeMap<i64, Version> = rows.iter().map(|row| (row.get("record_id"), version(row))).collect();
    broken.extend(differences(&tombstones, &fold.tombstones).into_iter().map(|line| format!("tombstone {line}")));
    let extent = format!("{} rows, {} tombstones", expected.len(), fold.tombstones.len());
    Ok(Verdict { promise: "the table is the oracle's fold of the acknowledged log", extent, broken })
}

/// Counters, offsets and the conservation equation of each partition.
///
/// # Errors
/// Postgres does not answer.
pub async fn conservation(pool: &PgPool, fold: &Fold, broker_ends: &[i64]) -> Result<Vec<Verdict>, sqlx::Error> {
    let rows = sqlx::query("select * from kafka_offset").fetch_all(pool).await?;
    let mut found = BTreeMap::new();
    let (mut sums, mut ahead) = (Vec::new(), Vec::new());
    for row in &rows {
        let get = |name: &str| row.get::<i64, _>(name);
        let partition: i32 = row.get("partition");
        let counts = Counts {
            consumed: get("consumed"),
            applied: get("applied"),
            late: get("late"),
            duplicate: get("duplicate"),
            deleted: get("deleted"),
            control: get("control"),
            quarantined: get("quarantined"),
            tagged: get("tagged"),
        };
        let outcomes =
            counts.applied + counts.late + counts.duplicate + counts.deleted + counts.control + counts.quarantined;
        if counts.consumed != outcomes {
            sums.push(format!("partition {partition}: consumed {}, outcomes {outcomes}", counts.consumed));
        }
        let end = broker_ends.get(partition as usize).copied().unwrap_or_default();
        if get("next_offset") != end || counts.consumed != end {
            ahead.push(format!(
                "partition {partition}: offset {}, consumed {}, but Kafka ends at {end}",
                get("next_offset"),
                counts.consumed
            ));
        }
        found.insert(partition, counts);
    }
    let expected: BTreeMap<i32, Counts> = (0..).zip(fold.counts.iter().copied()).collect();
    sums.extend(differences(&found, &expected));
    let records: i64 = fold.counts.iter().map(|counts| counts.consumed).sum();
    Ok(vec![
        Verdict {
            promise: "consumed = applied + late + duplicate + deleted + control + quarantined, each as the oracle counts",
            extent: format!("{records} records in {PARTITIONS} partitions"),
            broken: sums,
        },
        Verdict {
            promise: "every offset is consumed once, up to Kafka's end and no further",
            extent: format!("{broker_ends:?}"),
            broken: ahead,
        },
    ])
}

/// Each refused record is in quarantine once, as it came.
///
/// # Errors
/// Postgres does not answer.
pub async fn quarantine(
    pool: &PgPool,
    fold: &Fold,
    records: &[Vec<super::source::Record>],
) -> Result<Verdict, sqlx::Error> {
    let rows = sqlx::query("select partition, \"offset\", value from quarantine").fetch_all(pool).await?;
    let mut found = BTreeSet::new();
    let mut broken = Vec::new();
    for row in &rows {
        let place: (i32, i64) = (row.get("partition"), row.get("offset"));
        if !found.insert(place) {
            broken.push(format!("{place:?} is there twice"));
        }
        let sent = records.get(place.0 as usize).and_then(|partition| partition.get(place.1 as usize));
        let value: Option<Vec<u8>> = row.get("value");
        if sent.is_none_or(|sent| sent.value.as_ref().map(|text| text.as_bytes()) != value.as_deref()) {
            broken.push(format!("{place:?} does not hold what was sent"));
        }
    }
    broken.extend(fold.refused.difference(&found).map(|place| format!("{place:?} vanished")));
    broken.extend(found.difference(&fold.refused).map(|place| format!("{place:?} was refused without reason")));
    Ok(Verdict {
        promise: "each refused record is in quarantine exactly once, as raw bytes",
        extent: format!("{} records", fold.refused.len()),
        broken,
    })
}

/// The change log: no hole in seq, and each effect once and in order.
///
/// # Errors
/// Postgres does not answer.
pub async fn change_log(pool: &PgPool, fold: &Fold) -> Result<Vec<Verdict>, sqlx::Error> {
    let head: i64 = sqlx::query_scalar("select seq from stream_head").fetch_one(pool).await?;
    let rows = sqlx::query(
        "select first_seq, last_seq, partition, offsets, record_ids, outcomes::text[] as outcomes from change_log order by first_seq",
    )
    .fetch_all(pool)
    .await?;
    let mut holes = Vec::new();
    let mut next = 1;
    let mut found: BTreeMap<i32, Vec<(i64, i64, char)>> = BTreeMap::new();
    for row in &rows {
        let (first, last): (i64, i64) = (row.get("first_seq"), row.get("last_seq"));
        let offsets: Vec<i64> = row.get("offsets");
        let ids: Vec<i64> = row.get("record_ids");
        let outcomes: Vec<String> = row.get("outcomes");
        if first != next || last - first + 1 != offsets.len() as i64 {
            holes.push(format!("seq {first} to {last} with {} changes follows {}", offsets.len(), next - 1));
        }
        next = last + 1;
        let lines = offsets
            .into_iter()
            .zip(ids)
            .zip(outcomes)
            .map(|((offset, id), outcome)| (offset, id, outcome.chars().next().unwrap_or('?')));
        found.entry(row.get("partition")).or_default().extend(lines);
    }
    if next != head + 1 {
        holes.push(format!("the log ends at {}, the head is {head}", next - 1));
    }
    let mut broken = Vec::new();
    for (partition, expected) in (0..).zip(&fold.log) {
        let found = found.remove(&partition).unwrap_or_default();
        if let Some(place) = (0..found.len().max(expected.len())).find(|&place| found.get(place) != expected.get(place))
        {
            broken.push(format!(
                "partition {partition}, change {place} (offset, key, outcome): {:?}, must be {:?}",
                found.get(place),
                expected.get(place)
            ));
        }
    }
    Ok(vec![
        Verdict { promise: "seq has no hole", extent: format!("{head} changes"), broken: holes },
        Verdict {
            promise: "the change log holds each effect once, in order",
            extent: format!("{} commits", rows.len()),
            broken,
        },
    ])
}

/// What people are shown: REST against the fold, and every client against REST at the same seq.
///
/// # Errors
/// The server does not answer.
pub async fn shown(port: u16, fold: &Fold, clients: &[Client]) -> anyhow::Result<Vec<Verdict>> {
    let client = server::outbound::personal_client(Duration::from_secs(30))?;
    let mut rest: BTreeMap<&str, BTreeMap<DateTime<Utc>, Plain>> = BTreeMap::new();
    let mut broken = Vec::new();
    for symbol in SYMBOLS {
        let url = format!("http://127.0.0.1:{port}/api/v1/bars?symbol={symbol}&limit=10000");
        let page: BarsPage = client.get(url).send().await?.error_for_status()?.json().await?;
        let bars: BTreeMap<_, _> = page.bars.iter().map(|bar| (bar.time, plain(bar))).collect();
        let expected = fold.candles(symbol).into_iter().map(|(time, candle)| (time, plain_candle(candle))).collect();
        broken.extend(differences(&bars, &expected).into_iter().map(|line| format!("{symbol}: {line}")));
        rest.insert(symbol, bars);
    }
    let bars: usize = rest.values().map(BTreeMap::len).sum();
    let (mut unequal, mut promises) = (Vec::new(), Vec::new());
    let (mut deltas, mut snaps, mut connections) = (0, 0, 0);
    for client in clients {
        let view = client.view();
        for (symbol, series) in &view.series {
            let found = series.bars.iter().map(|(time, bar)| (*time, plain(bar))).collect();
            let lines = differences(&found, &rest[symbol.as_str()]);
            unequal
                .extend(lines.into_iter().map(|line| format!("{}: {symbol} at {:?}: {line}", client.name, series.seq)));
        }
        promises.extend(view.broken.iter().map(|line| format!("{}: {line}", client.name)));
        (deltas, snaps, connections) = (deltas + view.deltas, snaps + view.snaps, connections + view.connections);
    }
    Ok(vec![
        Verdict { promise: "REST shows the fold's candles", extent: format!("{bars} bars"), broken },
        Verdict {
            promise: "each client's state is REST's at the same seq",
            extent: format!("{} clients, {} series", clients.len(), clients.len() * 2),
            broken: unequal,
        },
        Verdict {
            promise: "no client saw a gap or a step back",
            extent: format!("{deltas} changes, {snaps} snapshots, {connections} connections"),
            broken: promises,
        },
    ])
}
