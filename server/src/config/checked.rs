//! Values that are checked together, so that all mistakes are told at once and not one per attempt.

use std::{convert::Infallible, fmt, str::FromStr};

/// A value, or why its text is none.
#[derive(Clone, Debug)]
pub struct Checked<T>(Result<T, String>);

impl<T: FromStr<Err: fmt::Display>> FromStr for Checked<T> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse().map_err(|error| format!("{error}"))))
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<(&'static str, String)>);

impl Mistakes {
    pub(super) fn add(&mut self, flag: &'static str, reason: String) {
        self.0.push((flag, reason));
    }

    pub(super) fn check<T>(&mut self, flag: &'static str, value: Checked<T>) -> Option<T> {
        value.0.map_err(|reason| self.add(flag, reason)).ok()
    }

    pub(super) fn require<T>(&mut self, flag: &'static str, variable: &str, value: Option<Checked<T>>) -> Option<T> {
        match value {
            Some(value) => self.check(flag, value),
            None => {
                self.add(flag, format!("missing; or set {variable}"));
                None
            }
        }
    }

    /// The configuration when nothing is wrong.
    pub(super) fn or<T>(self, config: Option<T>) -> Result<T, Self> {
        match config {
            Some(config) if self.0.is_empty() => Ok(config),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, reason) in &self.0 {
            writeln!(f, "error: {flag}: {reason}")?;
        }
        write!(f, "\nSee --help for what each takes.")
    }
}
