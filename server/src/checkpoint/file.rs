//! The file with the checkpoints, `stockstream.toml`. What is wrong in it is named by file, line and key, all at once.

use super::{Checkpoint, Checkpoints, StreamCheck, route::RouteEntry, stream::StreamEntry};
use crate::{
    alert::{NotifyOn, SuitePolicy},
    store::validate::SOURCE,
};
use quality::{
    Severity,
    pack::{Pack, PackRule, RuleSettings, SettingsError},
    suite::Suite,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use toml::Spanned;

/// How often a suite may be run at most, and how short a window may be.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{}: {message}", file.display())]
    Syntax { file: PathBuf, message: String },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Mistakes(Vec<Mistake>),
}

/// One mistake and its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    pub key: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.key, self.message)
    }
}

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Suites that are run against tables.
    #[serde(default)]
    checkpoint: Vec<Entry>,
    /// Suites that every record of the stream is held to, and windows of it.
    #[serde(default)]
    stream: Vec<StreamEntry>,
    /// How soon and how often people are told of them.
    #[serde(default)]
    alerts: SuitePolicy,
    /// Who is told of what.
    #[serde(default)]
    route: Vec<RouteEntry>,
    /// The rules over several bars, each by its code.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, PackRuleSchema>")]
    pack: BTreeMap<PackRule, Spanned<RuleSettings>>,
}

/// One rule; what is not said is as `docs/rules.md` has it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is a schema")]
struct PackRuleSchema {
    /// Whether the rule is asked.
    enabled: Option<bool>,
    /// How much it matters what it finds: people are told of what is critical.
    severity: Option<PackSeverity>,
    /// What it means is in `docs/rules.md`.
    threshold: Option<f64>,
    /// Bars that it looks back.
    window: Option<u32>,
    /// The symbols there are, for `unknown_symbol`.
    symbols: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is a schema")]
enum PackSeverity {
    Info,
    Warning,
    Critical,
}

/// A suite that is run against a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Its name, which no other checkpoint has.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// File of an expectation suite of Great Expectations, of either dialect; relative to this file.
    #[schemars(with = "String")]
    suite: Spanned<PathBuf>,
    /// Table or view; without it the replica with the columns of the source's table.
    table: Option<String>,
    /// How often, from its last run on: `30s`, `5m`, `1h 30m`. Without it only when somebody asks.
    #[schemars(with = "Option<String>")]
    every: Option<Spanned<String>>,
    /// Which runs people are told of.
    #[serde(default)]
    notify_on: NotifyOn,
    /// Whom alerts name: a member's or group's ID of Slack, or any text.
    owner: Option<String>,
}

/// The file's JSON schema, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

impl Checkpoints {
    /// Reads the file and the suites that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(file: &Path) -> Result<Self, FileError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| FileError::Unreadable { file: file.to_owned(), source })?;
        let document: Document = toml::from_str(&text)
            .map_err(|error| FileError::Syntax { file: file.to_owned(), message: error.to_string() })?;
        let mut reading = Reading { file, text: &text, mistakes: Vec::new() };
        let mut names = HashSet::new();
        let list = document
            .checkpoint
            .into_iter()
            .filter_map(|entry| {
                if !names.insert(entry.name.get_ref().clone()) {
                    reading.mistake(&entry.name, "name", format!("{:?} is there twice", entry.name.get_ref()));
                }
                reading.checkpoint(entry)
            })
            .collect();
        let mut suites = HashSet::new();
        let streams = document
            .stream
            .into_iter()
            .filter_map(|entry| {
                if !names.insert(entry.name.get_ref().clone()) {
                    reading.mistake(&entry.name, "name", format!("{:?} is there twice", entry.name.get_ref()));
                }
                let at = entry.suite.clone();
                let stream: StreamCheck = entry.read(&mut reading)?;
                if !suites.insert(stream.suite.name.clone()) {
                    reading.mistake(&at, "suite", format!("the suite {:?} is in the stream twice", stream.suite.name));
                }
                Some(stream)
            })
            .collect();
        let mut taken = HashSet::new();
        let routes = document.route.into_iter().map(|entry| entry.read(&mut reading, &names, &mut taken)).collect();
        let pack = reading.pack(document.pack);
        if reading.mistakes.is_empty() {
            Ok(Self { list, streams, alerts: document.alerts, routes, pack: Arc::new(pack) })
        } else {
            Err(FileError::Mistakes(reading.mistakes))
        }
    }
}

pub(super) struct Reading<'a> {
    file: &'a Path,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    pub(super) fn mistake<T>(&mut self, at: &Spanned<T>, key: &str, message: String) {
        let line = self.line(at);
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, key: key.to_owned(), message });
    }

    /// From 1.
    fn line<T>(&self, at: &Spanned<T>) -> usize {
        self.text[..at.span().start.min(self.text.len())].matches('\n').count() + 1
    }

    /// `FILE:LINE`, for a mistake that only those can see who know more than the file.
    pub(super) fn place<T>(&self, at: &Spanned<T>) -> String {
        format!("{}:{}", self.file.display(), self.line(at))
    }

    fn pack(&mut self, settings: BTreeMap<PackRule, Spanned<RuleSettings>>) -> Pack {
        let plain = settings.iter().map(|(rule, settings)| (*rule, settings.get_ref().clone())).collect();
        Pack::resolve(&plain).unwrap_or_else(|mistakes| {
            for SettingsError { rule, key, reason } in mistakes {
                self.mistake(&settings[&rule], &format!("pack.{rule}.{key}"), reason);
            }
            Pack::default()
        })
    }

    pub(super) fn name(&mut self, name: &Spanned<String>) {
        if name.get_ref().trim().is_empty() {
            self.mistake(name, "name", "is empty".into());
        }
    }

    /// `unsaid`: how much an expectation matters that does not say so.
    pub(super) fn suite(&mut self, file: &Spanned<PathBuf>, unsaid: Severity) -> Option<Suite> {
        let path = self.file.parent().unwrap_or(Path::new("")).join(file.get_ref());
        let suite = std::fs::read(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
            .and_then(|json| Suite::parse_with(&json, unsaid).map_err(|error| format!("{}: {error}", path.display())));
        suite.map_err(|message| self.mistake(file, "suite", message)).ok()
    }

    fn checkpoint(&mut self, entry: Entry) -> Option<Checkpoint> {
        self.name(&entry.name);
        let every = entry.every.map(|every| match humantime::parse_duration(every.get_ref()) {
            Ok(duration) if duration >= SHORTEST => Some(duration),
            Ok(_) => {
                self.mistake(&every, "every", "at least one second".into());
                None
            }
            Err(error) => {
                self.mistake(&every, "every", format!("{error}; expected for instance 30s, 5m or 1h 30m"));
                None
            }
        });
        let suite = self.suite(&entry.suite, Severity::Critical);
        Some(Checkpoint {
            name: entry.name.into_inner(),
            suite: suite?,
            table: entry.table.unwrap_or_else(|| SOURCE.into()),
            every: every.flatten(),
            notify_on: entry.notify_on,
            owner: entry.owner,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Checkpoint>, FileError> {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("s.json"), r#"{"name": "s", "expectations": []}"#).expect("written");
        std::fs::write(directory.path().join("broken.json"), r#"{"name": "s"}"#).expect("written");
        let file = directory.path().join("stockstream.toml");
        std::fs::write(&file, text).expect("written");
        Checkpoints::read(&file).map(|checkpoints| checkpoints.list)
    }

    #[test]
    fn a_checkpoint_has_defaults_for_all_but_its_name_and_its_suite() {
        let checkpoints = read("[[checkpoint]]\nname = \"a\"\nsuite = \"s.json\"\n").expect("it is right");
        let [only] = checkpoints.as_slice() else { panic!("one") };
        assert_eq!((only.table.as_str(), only.every, only.notify_on), ("source_stock", None, NotifyOn::Failure));
        let all = read(
            "[[checkpoint]]\nname = 'a'\nsuite = 's.json'\ntable = 'x.y'\nevery = '1h 30m'\nnotify_on = 'all'\nowner = 'U1'",
        );
        assert_eq!(all.expect("it is right")[0].every, Some(Duration::from_secs(5_400)));
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_key() {
        let text = "# checkpoints\n[[checkpoint]]\nname = 'a'\nsuite = 'nowhere.json'\nevery = 'often'\n\n[[checkpoint]]\n\
                    name = 'a'\nsuite = 'broken.json'\nevery = '10ms'\n";
        let FileError::Mistakes(mistakes) = read(text).expect_err("wrong") else { panic!("not its syntax") };
        let places: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        assert_eq!(places, [(5, "every"), (4, "suite"), (8, "name"), (10, "every"), (9, "suite")]);
        assert!(mistakes[4].message.contains("expectations: missing"), "{}", mistakes[4].message);
    }

    #[test]
    fn an_unknown_key_and_broken_toml_name_their_line() {
        for (text, expected) in [("[[checkpoint]]\nnme = 'a'\n", "nme"), ("[[checkpoint\n", "line 1")] {
            let error = read(text).expect_err("wrong").to_string();
            assert!(error.contains(expected) && error.contains("line "), "{error}");
        }
    }

    #[test]
    fn a_stream_has_defaults_for_all_but_its_name_and_its_suite_and_its_mistakes_are_named() {
        let read_all = |text: &str| {
            let directory = tempfile::tempdir().expect("a directory");
            let suite = r#"{"name": "s", "expectations": [
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close"}}]}"#;
            std::fs::write(directory.path().join("s.json"), suite).expect("written");
            let file = directory.path().join("stockstream.toml");
            std::fs::write(&file, text).expect("written");
            Checkpoints::read(&file)
        };
        let streams = read_all("[[stream]]\nname = 'a'\nsuite = 's.json'\n").expect("it is right").streams;
        let window = streams[0].window.expect("windows are the default");
        assert_eq!((window.every, window.records), (Duration::from_secs(60), 100_000));
        assert_eq!(streams[0].suite.expectations[0].severity, Severity::Critical);
        let told = "[[stream]]\nname = 'a'\nsuite = 's.json'\nseverity = 'info'\nwindow = 'off'\n";
        let streams = read_all(told).expect("it is right").streams;
        assert_eq!((streams[0].window, streams[0].suite.expectations[0].severity), (None, Severity::Info));

        let text = "[[checkpoint]]\nname = 'a'\nsuite = 's.json'\n\n[[stream]]\nname = 'a'\nsuite = 's.json'\nwindow = 'x'\n\
                    [[stream]]\nname = 'b'\nsuite = 's.json'\nwindow_records = 0\nwindow = '100d'\n";
        let FileError::Mistakes(mistakes) = read_all(text).expect_err("wrong") else { panic!("not its syntax") };
        let places: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        assert_eq!(places, [(6, "name"), (8, "window"), (12, "window_records"), (13, "window"), (11, "suite")]);
    }

    #[test]
    fn the_file_of_the_documentation_can_be_read() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stockstream.toml");
        let checkpoints = Checkpoints::read(&file).expect("it is right");
        let [stream] = checkpoints.streams.as_slice() else { panic!("one") };
        let left_out = stream.redacted()["not_judged_record_by_record"].clone();
        assert_eq!(left_out.as_array().map(Vec::len), Some(3), "{left_out:#}");
        assert_eq!(checkpoints.list.len(), 1);
    }

    #[test]
    fn rules_over_several_bars_are_tuned_by_their_code_and_mistakes_name_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("stockstream.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            Checkpoints::read(&file).map(|checkpoints| checkpoints.pack)
        };
        let pack =
            read("[pack.gap]\nthreshold = 5\nseverity = 'info'\n[pack.silence]\nenabled = false\n").expect("right");
        assert_eq!(pack.threshold(PackRule::Gap), 5.0);
        assert_eq!(pack.severity(PackRule::Gap), market::Severity::Info);
        assert!(!pack.is_enabled(PackRule::Silence) && pack.is_enabled(PackRule::Freshness));
        let error = read("\n[pack.gap]\nthreshold = 0\n\n[pack.frozen_price]\nwindow = 1\n").expect_err("wrong");
        let FileError::Mistakes(mistakes) = error else { panic!("not its syntax") };
        let places: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        assert_eq!(places, [(2, "pack.gap.threshold"), (5, "pack.frozen_price.window")]);
        for wrong in ["[pack.gaps]\n", "[pack.gap]\nthreshhold = 5\n"] {
            let error = read(wrong).expect_err("wrong").to_string();
            assert!(error.contains("line ") && error.contains("expected one of"), "{error}");
        }
    }

    #[test]
    fn a_route_names_a_variable_and_checkpoints_that_there_are() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("s.json"), r#"{"name": "s", "expectations": []}"#).expect("written");
        let file = directory.path().join("stockstream.toml");
        let read = |routes: &str| {
            let text = format!("[[checkpoint]]\nname = 'a'\nsuite = 's.json'\n{routes}");
            std::fs::write(&file, text).expect("written");
            Checkpoints::read(&file).map(|checkpoints| checkpoints.routes)
        };
        let routes = read("[[route]]\nname = 'desk'\nkind = 'slack'\nurl_env = 'DESK_URL'\ncheckpoints = ['a']\n");
        let [route] = &routes.expect("it is right")[..] else { panic!("one") };
        assert_eq!((route.url_env.as_str(), route.scope.checkpoints.as_slice()), ("DESK_URL", &["a".to_owned()][..]));
        assert!(route.place.ends_with("stockstream.toml:7"), "{}", route.place);
        let secret = "https://hooks.slack.com/services/T0/B0/secret";
        let route = format!("[[route]]\nname = 'x'\nkind = 'json'\nurl_env = '{secret}'\ncheckpoints = ['b']\n");
        let error = read(&format!("{route}{}", route.replace(secret, "URL"))).expect_err("wrong");
        assert!(!error.to_string().contains("secret"), "{error}");
        let FileError::Mistakes(mistakes) = error else { panic!("not its syntax") };
        let places: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        assert_eq!(places, [(7, "url_env"), (8, "checkpoints"), (10, "name"), (13, "checkpoints")]);
    }

    #[test]
    fn the_built_in_checkpoints_can_all_be_run() {
        for checkpoint in super::super::built_in().expect("a suite").list {
            assert!(checkpoint.suite.expectations.iter().all(|expectation| expectation.compile().is_ok()));
        }
    }
}
