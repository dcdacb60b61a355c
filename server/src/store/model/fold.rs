//! The fold of a batch, with arbitrary batches, against the rule one record after the other.

use super::{
    oracle::{Known, Line, Oracle, Standing, Verdict, truth},
    prove,
    replica::{Replica, StockRow, instant, is_conserved, item, packed},
    source::{KEYS, Row, Setup, Source, Step, rounded, setup, steps},
    transport::{Delivered, Hop, Shape, Topic, cut, hop, shape},
};
use crate::store::fold::{Effect, Logged};
use chrono::{DateTime, Utc};
use market::Symbol;
use proptest::{prelude::*, test_runner::TestCaseResult};
use rust_decimal::Decimal;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// At least what the promise says.
const CASES: u32 = 50_000;

#[derive(Clone, Debug)]
struct History {
    setup: Setup,
    steps: Vec<Step>,
    shape: Shape,
    hops: Vec<Hop>,
    /// Sizes of the batches, in turn.
    batches: Vec<usize>,
}

fn history() -> impl Strategy<Value = History> {
    let hops = prop::collection::vec(hop(), 0..8);
    let batches = prop::collection::vec(1..9_usize, 1..4);
    (setup(), steps(12), shape(), hops, batches).prop_map(|(setup, steps, shape, hops, batches)| History {
        setup,
        steps,
        shape,
        hops,
        batches,
    })
}

/// Symbol, time, close, volume, event time, place, operation and offset of a row that stands.
type Shown = (String, DateTime<Utc>, Decimal, i64, DateTime<Utc>, (i64, i32), u8, i64);

fn shown(row: &StockRow) -> Shown {
    let place = (row.version.hi, row.version.lo);
    (row.symbol.to_string(), row.time, row.close, row.volume, row.event_time, place, row.op, row.offset)
}

fn expected(known: &Known) -> Option<Shown> {
    let Standing { row, op, offset, .. } = known.standing.as_ref()?;
    let (time, event_time) = (instant(row.minute * 60), instant(known.event_time));
    Some((row.symbol.to_owned(), time, row.close, row.volume, event_time, packed(known.version), *op as u8, *offset))
}

fn expected_line(line: &Line) -> Logged {
    Logged {
        offset: line.offset,
        record_id: line.key,
        symbol: line.symbol.parse().unwrap(),
        time: instant(line.minute * 60),
        event_time: instant(line.event_time),
        op: line.op as u8,
        outcome: line.outcome as u8,
    }
}

/// The store holds what the rule says, key by key.
fn agree(replica: &Replica, oracle: &Oracle) -> TestCaseResult {
    let rows = oracle.keys.iter().filter_map(|(key, known)| Some((*key, expected(known)?)));
    let stock = replica.stock.iter().map(|(key, row)| (*key, shown(row)));
    prop_assert!(
        stock.clone().eq(rows.clone()),
        "{:#?}\nis not {:#?}",
        stock.collect::<Vec<_>>(),
        rows.collect::<Vec<_>>()
    );
    let graves: BTreeMap<i64, ((i64, i32), DateTime<Utc>)> = oracle
        .keys
        .iter()
        .filter(|(_, known)| known.standing.is_none())
        .map(|(key, known)| (*key, (packed(known.version), instant(known.event_time))))
        .collect();
    let tombstones = replica.tombstones.iter();
    let held: BTreeMap<i64, ((i64, i32), DateTime<Utc>)> =
        tombstones.map(|(key, state)| (*key, ((state.version.hi, state.version.lo), state.event_time))).collect();
    prop_assert_eq!(held, graves);
    Ok(())
}

fn candles(replica: &Replica) -> BTreeSet<(Symbol, DateTime<Utc>, i64, Decimal, i64)> {
    let rows = replica.stock.iter();
    rows.map(|(key, row)| (row.symbol.clone(), row.time, *key, row.close, row.volume)).collect()
}

/// Feeds the batches to the fold and to the rule, and compares after each.
fn follow(
    replica: &mut Replica,
    oracle: &mut Oracle,
    batches: &[&[Delivered]],
    mut after_each: impl FnMut(&Oracle) -> TestCaseResult,
) -> TestCaseResult {
    for batch in batches {
        let items: Vec<_> = batch.iter().map(item).collect();
        let (shown, logged) = (candles(replica), oracle.log.len());
        let mut verdicts: BTreeMap<Verdict, i64> = BTreeMap::new();
        for record in *batch {
            *verdicts.entry(oracle.take(record)).or_default() += 1;
        }
        let effect = replica.apply(&items);
        agree(replica, oracle)?;
        agree_on_counts(&effect, &verdicts, batch.len())?;
        let is_truncate = matches!(items.as_slice(), [crate::store::Item::Truncate { .. }]);
        if !is_truncate {
            let lines: Vec<_> = oracle.log[logged..].iter().map(expected_line).collect();
            prop_assert_eq!(&effect.log, &lines);
            // Whoever watches a candle that is now different hears of it.
            let named: BTreeSet<_> = effect.touched.iter().map(|touched| (&touched.symbol, touched.time)).collect();
            for (symbol, time, ..) in candles(replica).symmetric_difference(&shown) {
                prop_assert!(named.contains(&(symbol, *time)), "{symbol} at {time} changed unheard");
            }
        }
        after_each(oracle)?;
    }
    Ok(())
}

fn agree_on_counts(effect: &Effect, verdicts: &BTreeMap<Verdict, i64>, records: usize) -> TestCaseResult {
    let counts = &effect.counts;
    let of = |verdict| verdicts.get(&verdict).copied().unwrap_or_default();
    prop_assert!(is_conserved(counts), "{:?}", counts);
    prop_assert_eq!(counts.consumed, records as i64);
    prop_assert_eq!(counts.applied, of(Verdict::Applied));
    prop_assert_eq!(counts.late, of(Verdict::Late));
    prop_assert_eq!(counts.duplicate, of(Verdict::Duplicate));
    prop_assert_eq!(counts.deleted, of(Verdict::Deleted));
    prop_assert_eq!(counts.control, of(Verdict::Control));
    prop_assert_eq!(counts.quarantined, of(Verdict::Quarantined));
    Ok(())
}

fn check(history: &History, seen: &RefCell<BTreeMap<Verdict, i64>>) -> TestCaseResult {
    let source = Source::run(&history.setup, &history.steps);
    let records = Topic::of(history.shape, &source.log, &history.hops);
    let (mut replica, mut oracle) = (Replica::default(), Oracle::default());
    // A record that tells its place can be recognised when it comes again; without one, only its time speaks.
    let placed = matches!(history.shape, Shape::Envelope | Shape::Flattened);
    let mut newest: BTreeMap<i64, Option<usize>> = BTreeMap::new();
    follow(&mut replica, &mut oracle, &cut(&records, &history.batches), |oracle| {
        for key in KEYS.filter(|_| placed) {
            let now = oracle.made_by(key);
            let before = newest.insert(key, now).flatten();
            prop_assert!(now >= before, "a reader saw key {} step back from {:?} to {:?}", key, before, now);
        }
        Ok(())
    })?;
    for (verdict, count) in &oracle.counts {
        *seen.borrow_mut().entry(*verdict).or_default() += count;
    }

    // How the records were cut into batches makes no difference.
    let mut in_one = Replica::default();
    for batch in cut(&records, &[usize::MAX]) {
        in_one.apply(&batch.iter().map(item).collect::<Vec<_>>());
    }
    prop_assert_eq!(&in_one, &replica);

    // All of the log has arrived: the store holds what the source holds.
    if history.shape != Shape::BareTombstones {
        prop_assert_eq!(oracle.standing(), truth(&source.log));
        if history.setup.clocked {
            let table: BTreeMap<i64, Row> = source
                .table
                .iter()
                .map(|(key, held)| {
                    let rounds = !held.streamed && !history.setup.postgres;
                    (*key, if rounds { rounded(&held.row) } else { held.row.clone() })
                })
                .collect();
            prop_assert_eq!(oracle.standing(), table);
        }
    }

    // All of it once more, in another life of the topic: nothing changes.
    if placed {
        let again: Vec<_> = records
            .iter()
            .map(|record| Delivered { incarnation: record.incarnation + 100, ..record.clone() })
            .collect();
        let settled = replica.clone();
        follow(&mut replica, &mut oracle, &cut(&again, &history.batches), |_| Ok(()))?;
        prop_assert_eq!(&replica, &settled);
    }
    Ok(())
}

#[test]
fn the_fold_is_the_rule_over_histories_with_replays_however_batches_are_cut() {
    let seen = RefCell::default();
    prove("fold against oracle", CASES, &history(), |history| check(&history, &seen));
    let seen = seen.into_inner();
    println!("proof: fold against oracle: {seen:?}");
    let records: i64 = seen.values().sum();
    for verdict in [Verdict::Applied, Verdict::Late, Verdict::Duplicate, Verdict::Deleted, Verdict::Quarantined] {
        let share = seen.get(&verdict).copied().unwrap_or_default() * 100 / records;
        assert!(share >= 1, "the histories have hardly any {verdict:?}: {seen:?}");
    }
}
