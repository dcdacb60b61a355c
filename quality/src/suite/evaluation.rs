//! A suite while records come one after the other.

use super::{
    Check, Condition, Expectation, ExpectationResult, Met, Record, Suite, Tally, Unsupported, check::Rule,
    window::Running,
};
use serde_json::{Map, Value};

/// A suite under evaluation over records that come one after the other: the stream, a window of it, or a whole table.
#[derive(Clone, Debug)]
pub struct Evaluation {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    expectation: Expectation,
    condition: Option<Condition>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Records(Tally),
    /// Of a window: kept up to date record by record.
    Running(Running),
    /// Of a table: somebody else's business.
    Table(Check),
    Refused(Unsupported),
}

impl Evaluation {
    /// Of a whole table. Checks of the table as a whole are [left over](Self::tables).
    pub fn new(suite: &Suite) -> Self {
        Self::with(suite, |_, check| State::Table(check.clone()))
    }

    /// Of a window of the stream, in constant memory. What needs the whole table is refused by name.
    pub fn of_window(suite: &Suite) -> Self {
        Self::with(suite, |kind, check| match &check.rule {
            Rule::Table(table) => {
                Running::of(table).map_or_else(|| State::Refused(Unsupported::Window(kind.to_owned())), State::Running)
            }
            Rule::Records { .. } => State::Table(check.clone()),
        })
    }

    fn with(suite: &Suite, about_the_table: impl Fn(&str, &Check) -> State) -> Self {
        let entries = suite.expectations.iter().map(|expectation| {
            let (condition, state) = match expectation.compile() {
                Err(reason) => (None, State::Refused(reason)),
                Ok(Check { rule: Rule::Records { check, mostly }, condition, .. }) => {
                    (condition, State::Records(Tally::new(check, mostly)))
                }
                Ok(check) => (check.condition.clone(), about_the_table(&expectation.kind, &check)),
            };
            Entry { expectation: expectation.clone(), condition, state }
        });
        Self { entries: entries.collect() }
    }

    /// Takes one record.
    pub fn add(&mut self, record: &impl Record, key: Option<i64>) {
        self.add_seeing(record, key, |_, _| {});
    }

    /// Takes one record, and shows what each expectation about records that speaks of it says, by its place in the suite.
    /// Nothing is allocated for a record that meets them all.
    pub fn add_seeing(&mut self, record: &impl Record, key: Option<i64>, mut see: impl FnMut(usize, Met)) {
        for (place, entry) in self.entries.iter_mut().enumerate() {
            if entry.condition.as_ref().is_some_and(|condition| !condition.holds(record)) {
                continue;
            }
            match &mut entry.state {
                State::Records(tally) => see(place, tally.add(record, key)),
                State::Running(running) => running.add(record),
                State::Table(_) | State::Refused(_) => {}
            }
        }
    }

    /// Shows what [`add_seeing`](Self::add_seeing) shows, of a record that is not counted.
    pub fn see(&self, record: &impl Record, mut see: impl FnMut(usize, Met)) {
        for (place, entry) in self.entries.iter().enumerate() {
            if let State::Records(tally) = &entry.state
                && entry.condition.as_ref().is_none_or(|condition| condition.holds(record))
            {
                see(place, tally.check().judge(record));
            }
        }
    }

    /// The checks of the table as a whole, by their place in the suite.
    pub fn tables(&self) -> impl Iterator<Item = (usize, &Check)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match &entry.state {
            State::Table(check) => Some((index, check)),
            State::Records(_) | State::Running(_) | State::Refused(_) => None,
        })
    }

    /// The results in the suite's order. `table` answers for the checks of the table, by place: success and result, or
    /// why it could not be evaluated.
    pub fn finish(
        self,
        mut table: impl FnMut(usize) -> Result<(bool, Map<String, Value>), String>,
    ) -> Vec<ExpectationResult> {
        let judged = |expectation: Expectation, judged| match judged {
            Ok((success, result)) => ExpectationResult { expectation, success, result, exception: None },
            Err(reason) => expectation.failed(reason),
        };
        let finish = |(index, entry): (usize, Entry)| match entry.state {
            State::Records(tally) => tally.finish(entry.expectation),
            State::Running(running) => judged(entry.expectation, running.judge()),
            State::Refused(reason) => entry.expectation.refused(&reason),
            State::Table(_) => judged(entry.expectation, table(index)),
        };
        self.entries.into_iter().enumerate().map(finish).collect()
    }
}
