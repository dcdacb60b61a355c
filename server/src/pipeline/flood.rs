//! The flood guard's arithmetic: when refusals are no longer single bad records but a misconfiguration.

use std::{collections::VecDeque, fmt};

/// How many records are looked back on, and how many of them may be refused: 20 %.
const WINDOW: usize = 1_000;
const MOST_REFUSED: usize = 200;
/// How many may be refused one after the other, less one.
const IN_A_ROW: usize = 100;

/// What was decided of the last records of one partition.
#[derive(Clone, Debug, Default)]
pub struct Flood {
    /// Whether each was refused, oldest first.
    window: VecDeque<bool>,
    refused: usize,
    in_a_row: usize,
}

/// Why the guard stopped a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    InARow,
    /// So many of the last [`WINDOW`].
    Share(usize),
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow => write!(f, "{IN_A_ROW} records in a row were refused"),
            Self::Share(refused) => write!(f, "{refused} of the last {WINDOW} records were refused, more than 20 %"),
        }?;
        write!(f, ": see the quarantine, mend the source or its configuration, then resume the partition")
    }
}

impl Flood {
    /// Takes note of a record; says whether the guard stops after it.
    pub fn push(&mut self, refused: bool) -> Option<Trip> {
        if self.window.len() == WINDOW && self.window.pop_front() == Some(true) {
            self.refused -= 1;
        }
        self.window.push_back(refused);
        self.refused += usize::from(refused);
        self.in_a_row = if refused { self.in_a_row + 1 } else { 0 };
        if self.in_a_row >= IN_A_ROW {
            Some(Trip::InARow)
        } else if self.refused > MOST_REFUSED {
            Some(Trip::Share(self.refused))
        } else {
            None
        }
    }

    /// Takes note of records up to the one after which the guard stops: how many that were, and why it stopped.
    pub fn extend(&mut self, refused: impl IntoIterator<Item = bool>) -> (usize, Option<Trip>) {
        let mut taken = 0;
        for refused in refused {
            taken += 1;
            if let Some(trip) = self.push(refused) {
                return (taken, Some(trip));
            }
        }
        (taken, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many records the guard takes, and why it stops.
    fn taken(refused: impl IntoIterator<Item = bool>) -> (usize, Option<Trip>) {
        Flood::default().extend(refused)
    }

    #[test]
    fn a_hundred_refusals_in_a_row_stop_the_partition() {
        assert_eq!(taken([true; 99]), (99, None));
        assert_eq!(taken([true; 500]), (100, Some(Trip::InARow)));
        let broken_up = [[true; 99].as_slice(), &[false], &[true; 99]].concat();
        assert_eq!(taken(broken_up), (199, None));
    }

    #[test]
    fn a_fifth_is_borne_and_more_is_not() {
        let fifth = || (0..5_000).map(|n| n % 5 == 0);
        assert_eq!(taken(fifth()), (5_000, None));
        // One more than a fifth, as soon as the window holds it.
        let more = (0..5_000).map(|n| n % 5 == 0 || n == 1_001);
        assert_eq!(taken(more), (1_002, Some(Trip::Share(201))));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let early = (0..200).map(|n| n % 2 == 0).chain((0..1_000).map(|_| false));
        let mut flood = Flood::default();
        assert_eq!(flood.extend(early), (1_200, None));
        assert_eq!((flood.refused, flood.window.len()), (0, WINDOW));
    }

    #[test]
    fn the_reason_is_a_sentence_that_says_what_to_do() {
        assert_eq!(
            Trip::Share(201).to_string(),
            "201 of the last 1000 records were refused, more than 20 %: see the quarantine, mend the source or its \
             configuration, then resume the partition"
        );
    }
}
