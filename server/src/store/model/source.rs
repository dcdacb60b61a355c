//! The first layer of a history: a source database whose log is the truth.
//!
//! Knows statements, rows and places in a log. Knows nothing of Kafka, and nothing of the rule that is under test.

use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};

/// Whose log a place belongs to, as a record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `server` 0 is how snapshots name the server that is current.
    Binlog {
        server: u32,
        base: u64,
    },
    Postgres,
    /// No place in a source's log: the record's own offset counts.
    Topic {
        incarnation: i32,
    },
}

/// A place in a log; places of one origin are compared as the numbers read, file first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub origin: Origin,
    pub file: i64,
    pub pos: i64,
    pub row: i32,
    /// The how-manieth source this is, which no record says.
    pub reign: usize,
}

/// A row of the source table. All four prices are the same, for the rule does not look into them.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub symbol: &'static str,
    pub minute: i64,
    pub close: Decimal,
    pub volume: i64,
    /// Seconds.
    pub event_time: i64,
}

/// What an entry of the log says of its key.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The row is now this; `op` as in an envelope.
    Upsert {
        op: char,
        row: Row,
    },
    Delete,
    /// Says it of every key.
    Truncate,
}

/// Where in a snapshot an entry was read. A table of one row has only a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Streamed,
    First,
    Middle,
    Last,
}

/// One row change, as the connector reads it from the log (or, for a snapshot, from the table).
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: i64,
    pub what: What,
    pub place: Place,
    /// The statement's time, in seconds.
    pub committed_at: i64,
    pub mark: Mark,
}

/// What somebody does to the source.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Inserts or updates rows in one statement: one event of the log with several rows.
    Write(Vec<(i64, Row)>),
    Delete(i64),
    /// `update stock set record_id = …`: the old key goes, the new one comes.
    Move {
        from: i64,
        to: i64,
    },
    Truncate,
    /// The log goes on in a new file.
    Rotate,
    /// Another server takes over. Its log has its own files and positions.
    Promote {
        server: u32,
        renamed: bool,
    },
    /// The connector reads the whole table again.
    Snapshot,
}

/// One statement, and whether the clock had moved on by then: stamps have whole seconds.
#[derive(Clone, Debug)]
pub struct Step {
    pub later: bool,
    pub statement: Statement,
}

/// How a source is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub postgres: bool,
    /// Rows are stamped by the source's clock, so that a later statement never carries an earlier event time. Without it
    /// the application stamps them as it likes.
    pub clocked: bool,
    /// Rows from before the connector's first snapshot.
    pub initial: Vec<(i64, Row)>,
}

/// A row of the source's table, with what its connector has shown of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub row: Row,
    /// Whether its values were streamed, or only read by snapshots, which round them.
    pub streamed: bool,
}

/// The source after all of its statements.
#[derive(Clone, Debug)]
pub struct Source {
    pub log: Vec<Entry>,
    pub table: BTreeMap<i64, Held>,
}

const BASES: [u64; 2] = [7, 8];

impl Source {
    pub fn run(setup: &Setup, steps: &[Step]) -> Self {
        let mut running = Running {
            source: Self { log: Vec::new(), table: BTreeMap::new() },
            postgres: setup.postgres,
            clocked: setup.clocked,
            clock: 0,
            server: 1001,
            base: BASES[0],
            ends: HashMap::new(),
            reigning: None,
            reign: 0,
        };
        for (key, row) in &setup.initial {
            let row = Row { event_time: if setup.clocked { 0 } else { row.event_time }, ..row.clone() };
            running.source.table.insert(*key, Held { row, streamed: false });
        }
        if !setup.initial.is_empty() {
            running.snapshot();
        }
        for step in steps {
            running.clock += i64::from(step.later);
            running.execute(&step.statement);
        }
        running.source
    }
}

struct Running {
    source: Source,
    postgres: bool,
    clocked: bool,
    clock: i64,
    server: u32,
    base: u64,
    /// Where each server's log ends.
    ends: HashMap<(u32, u64), (i64, i64)>,
    /// The log that was written last.
    reigning: Option<Origin>,
    reign: usize,
}

impl Running {
    fn execute(&mut self, statement: &Statement) {
        match statement {
            Statement::Write(rows) => {
                let place = self.next_place();
                for ((key, row), index) in rows.iter().zip(0..) {
                    let event_time = if self.clocked { self.clock } else { row.event_time };
                    let row = Row { event_time, ..row.clone() };
                    let held = Held { row: row.clone(), streamed: true };
                    let op = if self.source.table.insert(*key, held).is_some() { 'u' } else { 'c' };
                    self.log(*key, What::Upsert { op, row }, Place { row: index, ..place });
                }
            }
            Statement::Delete(key) => {
                if self.source.table.remove(key).is_some() {
                    let place = self.next_place();
                    self.log(*key, What::Delete, place);
                }
            }
            Statement::Move { from, to } => {
                if from != to
                    && !self.source.table.contains_key(to)
                    && let Some(held) = self.source.table.remove(from)
                {
                    let place = self.next_place();
                    self.log(*from, What::Delete, place);
                    self.log(*to, What::Upsert { op: 'c', row: held.row.clone() }, place);
                    self.source.table.insert(*to, Held { streamed: true, ..held });
                }
            }
            Statement::Truncate => {
                self.source.table.clear();
                let place = self.next_place();
                self.log(0, What::Truncate, place);
            }
            Statement::Rotate => {
                let end = self.end();
                *end = (end.0 + 1, end.1 % 10);
            }
            Statement::Promote { server, renamed } => {
                if !self.postgres {
                    // Nothing takes over within the second.
                    self.clock += 2;
                    self.server = 1000 + server;
                    self.base = BASES[usize::from(*renamed)];
                }
            }
            Statement::Snapshot => self.snapshot(),
        }
    }

    /// Every row at the place that the log has reached. Binary logs write FLOATs as they are; snapshots round them.
    fn snapshot(&mut self) {
        let place = self.next_place();
        let origin = match place.origin {
            Origin::Binlog { base, .. } => Origin::Binlog { server: 0, base },
            other => other,
        };
        let rounds = !self.postgres;
        let rows: Vec<_> = self.source.table.iter().map(|(key, held)| (*key, held.row.clone())).collect();
        let last = rows.len().saturating_sub(1);
        for (index, (key, row)) in rows.into_iter().enumerate() {
            let row = if rounds { rounded(&row) } else { row };
            let mark = match index {
                _ if index == last => Mark::Last,
                0 => Mark::First,
                _ => Mark::Middle,
            };
            let (what, place) = (What::Upsert { op: 'r', row }, Place { origin, ..place });
            self.source.log.push(Entry { key, what, place, committed_at: self.clock, mark });
        }
    }

    fn log(&mut self, key: i64, what: What, place: Place) {
        self.source.log.push(Entry { key, what, place, committed_at: self.clock, mark: Mark::Streamed });
    }

    fn end(&mut self) -> &mut (i64, i64) {
        // Two servers' logs do not have their events at the very same bytes.
        let begin = (1, i64::from(self.server % 10));
        self.ends.entry((self.server, self.base)).or_insert(begin)
    }

    fn next_place(&mut self) -> Place {
        let origin =
            if self.postgres { Origin::Postgres } else { Origin::Binlog { server: self.server, base: self.base } };
        if self.reigning.replace(origin) != Some(origin) {
            self.reign += 1;
        }
        let reign = self.reign;
        let end = self.end();
        end.1 += 10;
        let (file, pos) = *end;
        // An LSN is one number.
        if self.postgres {
            Place { origin, file: 0, pos: file * 1_000 + pos, row: 0, reign }
        } else {
            Place { origin, file, pos, row: 0, reign }
        }
    }
}

/// The row as a snapshot of FLOAT columns shows it: six significant digits of a binary number.
pub fn rounded(row: &Row) -> Row {
    let six = |value: Decimal| -> Decimal {
        let binary: f32 = value.to_string().parse().unwrap();
        Decimal::from_scientific(&format!("{binary:.5e}")).unwrap().normalize()
    };
    let volume = six(Decimal::from(row.volume)).to_string().parse().unwrap();
    Row { close: six(row.close), volume, ..row.clone() }
}

pub const KEYS: std::ops::RangeInclusive<i64> = 1..=4;

fn row() -> impl Strategy<Value = Row> {
    // Some of them have more digits than a snapshot keeps, two of them at a midpoint.
    let closes = [(15342, 2), (15343, 2), (1_534_255, 3), (1_534_251, 3), (1_534_075, 3), (10_000_049, 4), (7, 0)];
    let volumes = [100, 18_250, 1_234_567, 999_999];
    let values = (prop::sample::select(closes.to_vec()), prop::sample::select(volumes.to_vec()));
    (prop::sample::select(vec!["AMZN", "AAPL"]), 0..3_i64, values, 0..6_i64).prop_map(
        |(symbol, minute, ((mantissa, scale), volume), event_time)| {
            let close = Decimal::new(mantissa, scale);
            Row { symbol, minute, close, volume, event_time }
        },
    )
}

pub fn step() -> impl Strategy<Value = Step> {
    let one = (KEYS, row()).prop_map(|write| vec![write]);
    let several = prop::collection::vec((KEYS, row()), 2..4);
    let statement = prop_oneof![
        10 => one.prop_map(Statement::Write),
        2 => several.prop_map(Statement::Write),
        4 => KEYS.prop_map(Statement::Delete),
        1 => (KEYS, KEYS).prop_map(|(from, to)| Statement::Move { from, to }),
        1 => Just(Statement::Truncate),
        1 => Just(Statement::Rotate),
        1 => (1..4_u32, any::<bool>()).prop_map(|(server, renamed)| Statement::Promote { server, renamed }),
        1 => Just(Statement::Snapshot),
    ];
    (any::<bool>(), statement).prop_map(|(later, statement)| Step { later, statement })
}

pub fn setup() -> impl Strategy<Value = Setup> {
    (prop::bool::weighted(0.3), any::<bool>(), prop::collection::vec((KEYS, row()), 0..3))
        .prop_map(|(postgres, clocked, initial)| Setup { postgres, clocked, initial })
}

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=most)
}
