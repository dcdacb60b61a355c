//! What expectation suites found, as the pages show it: the content of each page, and how it is divided and counted.
//!
//! Runs, suites and pages of runs are read from the API too, when a page refreshes itself; so their members are the
//! API's. This module knows no suite's rules: sentences and findings come as text.

pub mod load;
#[cfg(feature = "hydrate")]
pub mod refresh;
pub mod trend;

use crate::{format, provenance::Candle};
use chrono::{DateTime, Utc};
use market::wire::FindingsPage;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use trend::Point;

/// Runs on a page.
pub const RUNS: u32 = 50;
/// Findings at bars on `/quality`.
pub const FINDINGS: u32 = 50;
/// Runs that a trend goes back.
pub const TREND: u32 = 30;

/// A run of a suite, without its results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub run_id: i64,
    pub suite: String,
    /// The table that was validated, or the stream.
    pub asset: String,
    /// `schedule`, `demand` or `window`.
    pub cause: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub success: bool,
    /// Expectations, and how many of them are met.
    pub evaluated: u32,
    pub met: u32,
}

impl Run {
    /// `11 of 12 met`.
    pub fn score(&self) -> String {
        format!("{} of {} met", self.met, self.evaluated)
    }

    pub fn verdict(&self) -> Verdict {
        if self.success { Verdict::Met } else { Verdict::Unmet }
    }
}

/// Some runs, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    pub runs: Vec<Run>,
    /// Where the next page goes on; `None` on the last.
    pub next_cursor: Option<String>,
}

/// The newest run of each suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suites {
    pub suites: Vec<Run>,
}

/// A suite that the server runs against a table, and how that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub name: String,
    pub suite: String,
    pub table: String,
    /// `None`: only when somebody asks.
    pub every_seconds: Option<u64>,
    pub running_since: Option<DateTime<Utc>>,
    pub next_run_at: Option<DateTime<Utc>>,
    /// Why it could not be run when it was last tried.
    pub trouble: Option<String>,
    pub last_run: Option<Run>,
}

impl Checkpoint {
    /// When it is run: `every 5 min`.
    pub fn schedule(&self) -> String {
        match self.every_seconds {
            None => "only on demand".to_owned(),
            Some(seconds) if seconds % 3_600 == 0 => format!("every {} h", seconds / 3_600),
            Some(seconds) if seconds % 60 == 0 => format!("every {} min", seconds / 60),
            Some(seconds) => format!("every {seconds} s"),
        }
    }

    /// What is to come of it: that it is being run, or when it will be.
    pub fn outlook(&self) -> String {
        match (self.running_since, self.next_run_at) {
            (Some(since), _) => format!("running since {}", format::full_instant(since)),
            (None, Some(next)) => format!("next at {}", format::full_instant(next)),
            (None, None) => "it waits until somebody asks".to_owned(),
        }
    }

    /// The same on the command line.
    pub fn command(&self) -> String {
        format!("stockstream checkpoint run '{}'", self.name.replace('\'', r"'\''"))
    }
}

/// What the server is configured to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoints {
    pub checkpoints: Vec<Checkpoint>,
}

/// What came of the order to run a checkpoint.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Started {
    /// The run is over.
    Ended(Run),
    /// It takes longer than the server lets anybody wait.
    GoesOn(Box<Checkpoint>),
}

/// The content of `/quality`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub suites: Suites,
    pub checkpoints: Checkpoints,
    pub runs: Runs,
}

impl Overview {
    /// Checkpoints whose suite was never run on their table.
    pub fn waiting(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.checkpoints.iter().filter(|checkpoint| checkpoint.last_run.is_none())
    }
}

/// What the rules over several bars found, on `/quality`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarFindings {
    pub page: FindingsPage,
    /// Codes of the rules that there are.
    pub rules: Vec<String>,
}

/// Which of those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingsAsked {
    pub rule: Option<String>,
    pub severity: Option<String>,
}

impl FindingsAsked {
    /// From the page's query. A code or name is letters and `_`: anything else was made up.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let is_name = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        Self { rule: value("rule").filter(is_name), severity: value("severity").filter(is_name) }
    }

    /// The same of the API.
    pub fn api(&self) -> String {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("/api/v1/findings?limit={FINDINGS}&rule={}&severity={}", of(&self.rule), of(&self.severity))
    }
}

/// What became of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Met,
    Unmet,
    /// It could not be evaluated, and so has not passed.
    CouldNot,
}

/// A value that an expectation did not expect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unexpected {
    pub value: String,
    /// The primary key of its row, where there is one.
    pub key: Option<String>,
    /// The candle of its row, where it has one, as [`Candle::hash`](crate::provenance::Candle::hash) writes it.
    pub candle: Option<String>,
}

/// One expectation of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// In the suite, from 0.
    pub place: usize,
    /// What it speaks of: a column's name; `None`: several columns, or the table as a whole.
    pub column: Option<String>,
    /// `expect_column_values_to_not_be_null` …
    pub kind: String,
    pub sentence: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    pub verdict: Verdict,
    /// What was found, in a line.
    pub found: Option<String>,
    /// What it really checks, where that is not what its author may believe; on the suite's page only.
    pub remarks: Vec<String>,
    /// The first unexpected values.
    pub unexpected: Vec<Unexpected>,
    /// This run and those before it, the oldest first.
    pub trend: Vec<Point>,
}

/// The content of `/quality/runs/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    pub run: Run,
    /// In the suite's order.
    pub findings: Vec<Finding>,
}

/// The content of `/quality/suites/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// Its newest run, with what is worth knowing of each expectation; `None`: it was never run.
    pub latest: Option<RunReport>,
    /// What a suite expects that was never run, in sentences.
    pub expects: Vec<String>,
    /// What is worth knowing of the suite as a whole.
    pub remarks: Vec<String>,
    pub runs: Runs,
    /// What runs it.
    pub checkpoints: Vec<Checkpoint>,
    /// Whether the server takes orders.
    pub control: bool,
}

/// The findings of one column, or of the table as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub title: String,
    /// Whether the title is a column's name.
    pub is_column: bool,
    pub findings: Vec<Finding>,
}

impl Group {
    pub fn not_met(&self) -> usize {
        self.findings.iter().filter(|finding| finding.verdict != Verdict::Met).count()
    }
}

/// Divides findings by column, in the order in which the columns come up; what is about no single column comes first.
pub fn groups(findings: Vec<Finding>) -> Vec<Group> {
    let (of_columns, of_table): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| finding.column.is_some());
    let mut groups = Vec::new();
    if !of_table.is_empty() {
        groups.push(Group { title: "The table as a whole".to_owned(), is_column: false, findings: of_table });
    }
    let first_column = groups.len();
    for finding in of_columns {
        let column = finding.column.clone().unwrap_or_default();
        match groups[first_column..].iter_mut().find(|group| group.title == column) {
            Some(group) => group.findings.push(finding),
            None => groups.push(Group { title: column, is_column: true, findings: vec![finding] }),
        }
    }
    groups
}

/// Which runs or expectations a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    All,
    Failed,
}

impl Shown {
    pub const ALL: [Self; 2] = [Self::All, Self::Failed];

    /// From the query's `show`.
    pub fn parse(text: Option<&str>) -> Self {
        if text == Some("failed") { Self::Failed } else { Self::All }
    }

    /// A path that shows these.
    pub fn link(self, path: &str) -> String {
        match self {
            Self::All => path.to_owned(),
            Self::Failed => format!("{path}?show=failed"),
        }
    }
}

/// In context while pages are rendered to be files: they link to each other only, and change nothing.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Where the server's own pages are, if readers of the files can get there: `https://stock.example.com`.
    pub server: Option<Arc<str>>,
}

/// Where the provenance of a candle is shown, by its hash; `None` when it is none, or when readers cannot get there.
pub fn provenance_link(hash: &str, exported: Option<&Exported>) -> Option<String> {
    let candle = Candle::parse(hash)?;
    let server = match exported {
        None => "",
        Some(Exported { server }) => server.as_deref()?.trim_end_matches('/'),
    };
    Some(format!("{server}/dashboard?a={}{}", candle.symbol, candle.hash()))
}

/// How a page follows the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// It does not: without a script, or because it shows older runs.
    No,
    Yes,
    /// The last question was not answered.
    Lost,
}

/// The address of the page with all suites and runs.
pub const PATH: &str = "/quality";

/// The address of a suite's page.
pub fn suite_path(name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    format!("/quality/suites/{}", utf8_percent_encode(name, SEGMENT))
}

/// The address of a run's page.
pub fn run_path(run_id: i64) -> String {
    format!("/quality/runs/{run_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(place: usize, column: Option<&str>, verdict: Verdict) -> Finding {
        Finding {
            place,
            column: column.map(str::to_owned),
            kind: "expect_column_values_to_not_be_null".to_owned(),
            sentence: String::new(),
            severity: "critical".to_owned(),
            verdict,
            found: None,
            remarks: Vec::new(),
            unexpected: Vec::new(),
            trend: Vec::new(),
        }
    }

    #[test]
    fn findings_are_divided_by_column_and_none_is_lost() {
        let groups = groups(vec![
            finding(0, Some("close"), Verdict::Met),
            finding(1, None, Verdict::CouldNot),
            finding(2, Some("open"), Verdict::Met),
            finding(3, Some("close"), Verdict::Unmet),
            finding(4, Some("The table as a whole"), Verdict::Met),
        ]);
        let places: Vec<(bool, usize, Vec<usize>)> = groups
            .iter()
            .map(|group| (group.is_column, group.not_met(), group.findings.iter().map(|f| f.place).collect()))
            .collect();
        assert_eq!(places, [(false, 1, vec![1]), (true, 1, vec![0, 3]), (true, 0, vec![2]), (true, 0, vec![4])]);
    }

    #[test]
    fn a_row_leads_to_its_candle_as_far_as_readers_can_follow() {
        let hash = "#BRK.B@2024-01-16T14:31Z";
        let path = "/dashboard?a=BRK.B#BRK.B@2024-01-16T14:31Z";
        assert_eq!(provenance_link(hash, None).as_deref(), Some(path));
        assert_eq!(provenance_link(hash, Some(&Exported { server: None })), None);
        let exported = Exported { server: Some("https://stock.example.com/app/".into()) };
        let whole = format!("https://stock.example.com/app{path}");
        assert_eq!(provenance_link(hash, Some(&exported)), Some(whole));
        assert_eq!(provenance_link("#<b>@2024-01-16T14:31Z", None), None);
    }

    #[test]
    fn a_checkpoint_says_when_it_is_run() {
        let checkpoint = |every_seconds, next_run_at| Checkpoint {
            name: "bob's".to_owned(),
            suite: "s".to_owned(),
            table: "t".to_owned(),
            every_seconds,
            running_since: None,
            next_run_at,
            trouble: None,
            last_run: None,
        };
        for (every, words) in [(300, "every 5 min"), (7_200, "every 2 h"), (90, "every 90 s")] {
            assert_eq!(checkpoint(Some(every), None).schedule(), words);
        }
        let waits = checkpoint(None, None);
        assert_eq!(
            (waits.schedule().as_str(), waits.outlook().as_str()),
            ("only on demand", "it waits until somebody asks")
        );
        let next = checkpoint(Some(60), "2024-01-16T21:05:00Z".parse().ok());
        assert_eq!(next.outlook(), "next at 16 Jan 2024 16:05:00 EST");
        assert_eq!(next.command(), r"stockstream checkpoint run 'bob'\''s'");
    }

    #[test]
    fn a_suite_of_any_name_has_an_address() {
        assert_eq!(suite_path("stock_suite-1.0"), "/quality/suites/stock_suite-1.0");
        assert_eq!(suite_path("a/b ?é"), "/quality/suites/a%2Fb%20%3F%C3%A9");
    }
}
