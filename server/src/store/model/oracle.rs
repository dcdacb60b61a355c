//! The rule "Which event wins", once more: one record after the other, in plain maps, from the words of the rule alone.
//!
//! Shares no code with what it is held against: neither `cdc::judge` nor the epoch book nor the fold.

use super::{
    source::{Entry, Origin, Place, Row, What},
    transport::{Delivered, Message},
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// `(epoch, file, pos, row)`: the source epoch comes first, then the place in its log.
pub type Version = (usize, i64, i64, i32);

/// What the rule made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Applied,
    Late,
    Duplicate,
    Deleted,
    Control,
    Quarantined,
}

/// A row that stands, and the record that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub row: Row,
    pub op: char,
    pub incarnation: i32,
    pub offset: i64,
    pub entry: Option<usize>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub version: Version,
    /// Of the row that stands, or of what deleted it.
    pub event_time: i64,
    pub standing: Option<Standing>,
    /// Which entry of the log made it what it is.
    pub entry: Option<usize>,
}

/// A line of the change log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub offset: i64,
    pub key: i64,
    pub symbol: &'static str,
    pub minute: i64,
    pub event_time: i64,
    pub op: char,
    pub outcome: char,
}

/// Everything that the store should hold after some records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Oracle {
    pub keys: BTreeMap<i64, Known>,
    pub counts: BTreeMap<Verdict, i64>,
    /// Of a truncate, the lines are in the order of the keys.
    pub log: Vec<Line>,
    /// `(incarnation, offset)` of what was refused.
    pub quarantine: BTreeSet<(i32, i64)>,
    /// The newest truncation, and the entry of the log that it was.
    truncated: Option<(Version, Option<usize>)>,
    /// In the order in which they were first heard of.
    reigns: Vec<usize>,
}

impl Oracle {
    /// The rows that stand.
    pub fn standing(&self) -> BTreeMap<i64, Row> {
        let keys = self.keys.iter();
        keys.filter_map(|(key, known)| Some((*key, known.standing.as_ref()?.row.clone()))).collect()
    }

    /// Takes the next record, and says what became of it.
    pub fn take(&mut self, record: &Delivered) -> Verdict {
        let verdict = match &record.message {
            Message::Control => Verdict::Control,
            Message::Bad => {
                self.quarantine.insert((record.incarnation, record.offset));
                Verdict::Quarantined
            }
            Message::Change { key, what, place, event_time, .. } => match what {
                What::Truncate => {
                    let place = place.expect("a truncate comes as an envelope");
                    self.truncate(record, place, *event_time)
                }
                What::Delete => self.delete(record, *key, *place, *event_time),
                What::Upsert { op, row } => {
                    let place = place.expect("an upsert has a place, if only its offset");
                    self.upsert(record, *key, *op, row, place)
                }
            },
        };
        *self.counts.entry(verdict).or_default() += 1;
        verdict
    }

    fn upsert(&mut self, record: &Delivered, key: i64, op: char, row: &Row, place: Place) -> Verdict {
        let version = self.version(place);
        let line = |outcome| Line {
            offset: record.offset,
            key,
            symbol: row.symbol,
            minute: row.minute,
            event_time: row.event_time,
            op,
            outcome,
        };
        let (incarnation, offset, entry) = (record.incarnation, record.offset, record.entry);
        let standing = Standing { row: row.clone(), op, incarnation, offset, entry };
        // "version ≤ the row's last version → duplicate: counted, no effect"
        if self.last_version(key).is_some_and(|last| version <= last) {
            return Verdict::Duplicate;
        }
        let stands = self.keys.get(&key).is_some_and(|known| known.standing.is_some());
        match self.keys.get_mut(&key) {
            // "otherwise it is late: counted, kept in the change log, last_version still advances"
            Some(known) if known.standing.is_some() && row.event_time < known.event_time => {
                known.version = version;
                self.log.push(line('l'));
                return Verdict::Late;
            }
            // "A re-snapshot must not overwrite a better streamed value": it says nothing that was not known.
            Some(known) if op == 'r' && known.standing.as_ref().is_some_and(|held| is_rounding_of(row, &held.row)) => {
                known.version = version;
                return Verdict::Duplicate;
            }
            // "an upsert applies if event_time ≥ the row's, or the row is deleted"
            _ => {
                let event_time = row.event_time;
                let before = self.keys.insert(key, Known { version, event_time, standing: Some(standing), entry });
                // Whoever looks where the row was must learn that it is not there any more.
                let left = before.and_then(|known| known.standing).map(|held| (held.row.symbol, held.row.minute));
                if let Some((symbol, minute)) = left.filter(|place| *place != (row.symbol, row.minute)) {
                    self.log.push(Line { symbol, minute, ..line('d') });
                }
            }
        }
        self.log.push(line(if stands { 'a' } else { 'n' }));
        Verdict::Applied
    }

    fn delete(&mut self, record: &Delivered, key: i64, place: Option<Place>, event_time: i64) -> Verdict {
        let version = place.map(|place| self.version(place));
        let (last, known) = (self.last_version(key), self.keys.get(&key));
        let version = match (version, known) {
            (Some(version), _) if last.is_some_and(|last| version <= last) => return Verdict::Duplicate,
            (Some(version), _) => version,
            // A tombstone without its delete: deletes what stands. It has no version to leave behind.
            (None, Some(known)) if known.standing.is_some() => known.version,
            (None, _) => return Verdict::Duplicate,
        };
        if let Some(gone) = known.and_then(|known| known.standing.clone()) {
            self.log.push(Line {
                offset: record.offset,
                key,
                symbol: gone.row.symbol,
                minute: gone.row.minute,
                event_time,
                op: 'd',
                outcome: 'd',
            });
        }
        self.keys.insert(key, Known { version, event_time, standing: None, entry: record.entry });
        Verdict::Deleted
    }

    /// "Truncate `op:t` = delete all with a lower version": also what is still on its way.
    fn truncate(&mut self, record: &Delivered, place: Place, event_time: i64) -> Verdict {
        let version = self.version(place);
        let emptied = |known: &Known| known.standing.is_some() && known.version < version;
        for (key, known) in self.keys.iter().filter(|(_, known)| emptied(known)) {
            let gone = known.standing.iter();
            self.log.extend(gone.map(|gone| Line {
                offset: record.offset,
                key: *key,
                symbol: gone.row.symbol,
                minute: gone.row.minute,
                event_time,
                op: 'd',
                outcome: 'd',
            }));
        }
        self.keys.retain(|_, known| !emptied(known));
        // Offsets say nothing of what the source did before.
        let is_log = !matches!(place.origin, Origin::Topic { .. });
        if is_log && self.truncated.is_none_or(|(newest, _)| newest < version) {
            self.truncated = Some((version, record.entry));
        }
        Verdict::Deleted
    }

    /// The highest version seen of a key, or of the whole table.
    fn last_version(&self, key: i64) -> Option<Version> {
        let own = self.keys.get(&key).map(|known| known.version);
        own.max(self.truncated.map(|(version, _)| version))
    }

    /// Which entry of the log made each key what it is.
    pub fn made_by(&self, key: i64) -> Option<usize> {
        let emptied = self.truncated.and_then(|(_, entry)| entry);
        self.keys.get(&key).and_then(|known| known.entry).max(emptied)
    }

    /// "A new server id or file base name starts a new source epoch." Which one it is, the store must find out from what the
    /// records say; here it is known.
    fn version(&mut self, place: Place) -> Version {
        let known = self.reigns.iter().position(|reign| *reign == place.reign);
        let epoch = known.unwrap_or_else(|| {
            self.reigns.push(place.reign);
            self.reigns.len() - 1
        });
        (epoch, place.file, place.pos, place.row)
    }
}

/// Whether `read` is `standing` with its numbers rounded to six significant digits, which is what a snapshot of FLOAT
/// columns shows. A midpoint may go either way: the binary number decides, and the record does not show that.
pub fn is_rounding_of(read: &Row, standing: &Row) -> bool {
    (read.symbol, read.minute, read.event_time) == (standing.symbol, standing.minute, standing.event_time)
        && is_six_digits_of(read.close, standing.close)
        && is_six_digits_of(Decimal::from(read.volume), Decimal::from(standing.volume))
}

fn is_six_digits_of(read: Decimal, standing: Decimal) -> bool {
    if read == standing {
        return true;
    }
    // The value of one in the sixth digit, as a power of ten.
    let digits = standing.mantissa().abs().to_string().len();
    let power = digits as i64 - i64::from(standing.scale()) - 6;
    let unit = if power < 0 { Decimal::new(1, (-power) as u32) } else { Decimal::from(10_i64.pow(power as u32)) };
    (read % unit).is_zero() && (read - standing).abs() * Decimal::TWO <= unit
}

/// What should stand in the end, without a running state: of a key's entries since it was last deleted, the newest by
/// event time; of equal times the later one, unless it only repeats the one before it with fewer digits.
pub fn truth(log: &[Entry]) -> BTreeMap<i64, Row> {
    let keys: BTreeSet<i64> = log.iter().map(|entry| entry.key).collect();
    keys.into_iter().filter_map(|key| Some((key, stands(log, key)?))).collect()
}

fn stands(log: &[Entry], key: i64) -> Option<Row> {
    let ends = |entry: &Entry| match entry.what {
        What::Truncate => true,
        What::Delete => entry.key == key,
        What::Upsert { .. } => false,
    };
    let since = log.iter().rposition(ends).map_or(0, |last| last + 1);
    let rows: Vec<(char, &Row)> = log[since..]
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Upsert { op, row } if entry.key == key => Some((*op, row)),
            _ => None,
        })
        .collect();
    let newest = rows.iter().map(|(_, row)| row.event_time).max()?;
    let mut equal: Vec<_> = rows.into_iter().filter(|(_, row)| row.event_time == newest).collect();
    while let [.., (_, before), ('r', last)] = equal.as_slice()
        && is_rounding_of(last, before)
    {
        equal.pop();
    }
    equal.last().map(|(_, row)| (*row).clone())
}
