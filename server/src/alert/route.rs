//! Who is told of what: a target that hears a part of the news.

use super::{AlertKind, News, Notice, Setback, Target};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What news are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Runs of expectation suites, and checkpoints that are silent.
    Suites,
    /// The pipeline: it stands still, a partition is paused, records expired unread.
    Pipeline,
    /// What the rules over several bars find that is critical.
    Findings,
}

impl Subject {
    fn of(news: &News) -> Self {
        match news {
            News::Suites(_) => Self::Suites,
            News::Pipeline(alert) if alert.kind == AlertKind::CriticalFindings => Self::Findings,
            News::Pipeline(_) => Self::Pipeline,
        }
    }
}

/// Which news a route carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// None named: all, but only [`Subject::Suites`] where checkpoints or owners are named.
    pub news: Vec<Subject>,
    /// Suites of these checkpoints and streams only; none named: of all.
    pub checkpoints: Vec<String>,
    /// Suites of these owners only; none named: of all.
    pub owners: Vec<String>,
}

impl Scope {
    /// What of the news is in it: a digest may lose some of its items.
    pub fn part_of(&self, news: &News) -> Option<News> {
        let names_suites = !(self.checkpoints.is_empty() && self.owners.is_empty());
        let subject = Subject::of(news);
        let carries = if self.news.is_empty() {
            !names_suites || subject == Subject::Suites
        } else {
            self.news.contains(&subject)
        };
        if !carries {
            return None;
        }
        let News::Suites(notice) = news else { return Some(news.clone()) };
        if !names_suites {
            return Some(news.clone());
        }
        let names = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|named| named == name))
        };
        let mut items = notice.items.clone();
        items.retain(|item| {
            names(&self.checkpoints, Some(&item.checkpoint)) && names(&self.owners, item.owner.as_deref())
        });
        (!items.is_empty()).then(|| News::Suites(Arc::new(Notice { at: notice.at, items })))
    }
}

/// A target that hears what is in its scope.
#[derive(Debug)]
pub struct Route {
    pub name: String,
    pub scope: Scope,
    pub target: Box<dyn Target>,
}

impl Target for Route {
    fn name(&self) -> &str {
        &self.name
    }

    fn part_of(&self, news: &News) -> Option<News> {
        self.scope.part_of(news)
    }

    fn deliver<'a>(&'a self, news: &'a News) -> BoxFuture<'a, Result<(), Setback>> {
        self.target.deliver(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, Event, Item, Turn};
    use chrono::{DateTime, Utc};

    fn at() -> DateTime<Utc> {
        "2024-01-16T14:31:00Z".parse().unwrap()
    }

    fn digest(of: &[(&str, Option<&str>)]) -> News {
        let item = |(checkpoint, owner): &(&str, Option<&str>)| Item {
            event: Event::Nodata,
            checkpoint: (*checkpoint).to_owned(),
            owner: owner.map(str::to_owned),
            first_seen: at(),
            failed_runs: 0,
            run: None,
        };
        News::from(Notice { at: at(), items: of.iter().map(item).collect() })
    }

    fn alert(kind: AlertKind) -> News {
        let (subject, message) = ("pipeline".to_owned(), "down".to_owned());
        News::from(Alert { kind, turn: Turn::Opened, subject, message, at: at(), since: at() })
    }

    fn checkpoints(news: Option<News>) -> Vec<String> {
        let Some(News::Suites(notice)) = news else { return Vec::new() };
        notice.items.iter().map(|item| item.checkpoint.clone()).collect()
    }

    #[test]
    fn a_route_without_a_scope_carries_everything() {
        let scope = Scope::default();
        assert!(scope.part_of(&alert(AlertKind::PipelineDown)).is_some());
        assert!(scope.part_of(&alert(AlertKind::CriticalFindings)).is_some());
        assert_eq!(checkpoints(scope.part_of(&digest(&[("a", None), ("b", Some("x"))]))), ["a", "b"]);
    }

    #[test]
    fn a_digest_loses_what_is_of_other_checkpoints_and_owners_and_vanishes_when_nothing_is_left() {
        let all = digest(&[("a", Some("x")), ("b", Some("x")), ("a", Some("y")), ("a", None)]);
        let scope = Scope { checkpoints: vec!["a".into()], owners: vec!["x".into()], ..Scope::default() };
        assert_eq!(checkpoints(scope.part_of(&all)), ["a"]);
        let scope = Scope { owners: vec!["z".into()], ..Scope::default() };
        assert!(scope.part_of(&all).is_none());
    }

    #[test]
    fn a_route_that_names_checkpoints_hears_of_the_pipeline_only_when_it_says_so() {
        let mut scope = Scope { checkpoints: vec!["a".into()], ..Scope::default() };
        assert!(scope.part_of(&alert(AlertKind::PipelineDown)).is_none());
        scope.news = vec![Subject::Pipeline];
        assert!(scope.part_of(&alert(AlertKind::PipelineDown)).is_some());
        assert!(scope.part_of(&alert(AlertKind::CriticalFindings)).is_none());
        assert!(scope.part_of(&digest(&[("a", None)])).is_none());
    }
}
