//! Checkpoints: which suite is run against which table, and how often. They are a file under version control.

mod file;
mod progress;
mod route;
mod schedule;
mod stream;

pub use file::{FileError, schema};
pub use progress::Progress;
pub use route::{AlertRoute, RouteKind};
pub use schedule::Runner;
pub use stream::{StreamCheck, Unsupported};

use crate::alert::{NotifyOn, SuitePolicy};
use quality::{
    pack::Pack,
    suite::{Suite, SuiteError},
};
use std::{sync::Arc, time::Duration};

/// What runs where nobody has configured anything: the rules of bars that a table can be held to.
const BUILT_IN: &str = include_str!("bars.json");
const BUILT_IN_EVERY: Duration = Duration::from_secs(300);

/// A suite, a table, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub name: String,
    pub suite: Suite,
    /// As `stockstream validate --table` takes it.
    pub table: String,
    /// `None`: only when somebody asks.
    pub every: Option<Duration>,
    /// Which runs people are told of.
    pub notify_on: NotifyOn,
    /// Whom alerts name.
    pub owner: Option<String>,
}

/// All that a program runs, and how people are told of it.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    pub list: Vec<Checkpoint>,
    /// Suites that every record of the stream is held to.
    pub streams: Vec<StreamCheck>,
    pub alerts: SuitePolicy,
    /// Who is told of what, beside those whom variables and flags name.
    pub routes: Vec<AlertRoute>,
    /// The rules over several bars.
    pub pack: Arc<Pack>,
}

/// The checkpoints of a program without a file.
///
/// # Errors
/// The built-in suite is none, which a test rules out.
pub fn built_in() -> Result<Checkpoints, SuiteError> {
    let bars = Checkpoint {
        name: "bars".into(),
        suite: Suite::parse(BUILT_IN.as_bytes())?,
        table: crate::store::validate::SOURCE.into(),
        every: Some(BUILT_IN_EVERY),
        notify_on: NotifyOn::Failure,
        owner: None,
    };
    Ok(Checkpoints { list: vec![bars], ..Checkpoints::default() })
}
