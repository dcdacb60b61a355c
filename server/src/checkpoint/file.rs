//! The file with the checkpoints, `stockstream.toml`. What is wrong in it is named by file, line and key, all at once.

use super::{Checkpoint, Checkpoints};
use crate::{
    alert::{NotifyOn, SuitePolicy},
    store::validate::SOURCE,
};
use quality::suite::Suite;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;

/// How often a suite may be run at most.
const SHORTEST: Duration = Duration::from_secs(1);

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
    /// How soon and how often people are told of them.
    #[serde(default)]
    alerts: SuitePolicy,
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
        if reading.mistakes.is_empty() {
            Ok(Self { list, alerts: document.alerts })
        } else {
            Err(FileError::Mistakes(reading.mistakes))
        }
    }
}

struct Reading<'a> {
    file: &'a Path,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    fn mistake<T>(&mut self, at: &Spanned<T>, key: &str, message: String) {
        let line = self.text[..at.span().start.min(self.text.len())].lines().count().max(1);
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, key: key.to_owned(), message });
    }

    fn checkpoint(&mut self, entry: Entry) -> Option<Checkpoint> {
        if entry.name.get_ref().trim().is_empty() {
            self.mistake(&entry.name, "name", "is empty".into());
        }
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
        let path = self.file.parent().unwrap_or(Path::new("")).join(entry.suite.get_ref());
        let suite = std::fs::read(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
            .and_then(|json| Suite::parse(&json).map_err(|error| format!("{}: {error}", path.display())));
        let suite = suite.map_err(|message| self.mistake(&entry.suite, "suite", message)).ok();
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
    fn the_built_in_checkpoints_can_all_be_run() {
        for checkpoint in super::super::built_in().expect("a suite").list {
            assert!(checkpoint.suite.expectations.iter().all(|expectation| expectation.compile().is_ok()));
        }
    }
}
