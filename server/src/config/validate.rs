//! `stockstream validate`: what can be asked of it.

use super::{DatabaseUrl, Mistakes, StoreArgs};
use crate::store::validate::SOURCE;
use clap::{Args, ValueEnum};
use quality::Severity;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Expectation suites of Great Expectations, of either dialect; `-` for standard input.
    #[arg(required = true, value_name = "SUITE")]
    suites: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// Table or view to validate, with or without its schema; the default shows the replica with the columns of the
    /// source's table.
    #[arg(long, value_name = "NAME", default_value = SOURCE)]
    table: String,
    /// Also write the results as JSON, in the form of Great Expectations, one line per suite; `-` for standard output, and
    /// then nothing else.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the results as JUnit XML, for a CI to show.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The least severity of an expectation that is not met for which the exit code is 1.
    #[arg(long, value_enum, default_value = "info")]
    fail_on: FailOn,
}

/// A severity, as it is asked for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FailOn {
    Info,
    Warning,
    Critical,
}

/// [`ValidateArgs`], checked.
#[derive(Clone, Debug)]
pub struct ValidateConfig {
    pub suites: Vec<PathBuf>,
    pub database_url: DatabaseUrl,
    pub table: String,
    pub json: Option<PathBuf>,
    pub junit: Option<PathBuf>,
    pub fail_on: Severity,
}

impl ValidateArgs {
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(self) -> Result<ValidateConfig, Mistakes> {
        Ok(ValidateConfig {
            database_url: self.store.check()?,
            suites: self.suites,
            table: self.table,
            json: self.json,
            junit: self.junit,
            fail_on: match self.fail_on {
                FailOn::Info => Severity::Info,
                FailOn::Warning => Severity::Warning,
                FailOn::Critical => Severity::Critical,
            },
        })
    }
}
