//! Who is told of what: `[[route]]` in the file.

use super::file::Reading;
use crate::alert::{Scope, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use toml::Spanned;

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Messages as Slack's incoming webhooks take them.
    Slack,
    /// JSON documents (`docs/alerts.md`).
    Json,
}

/// A webhook, and what it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRoute {
    pub name: String,
    pub kind: RouteKind,
    /// The variable of the environment with the webhook's URL, which is a secret.
    pub url_env: String,
    pub scope: Scope,
    /// `FILE:LINE`, of `url_env`.
    pub place: String,
}

/// A webhook, and what it is told of. The targets that variables and flags name are told of everything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteEntry {
    /// Its name, which no other route has: for the log and the metrics.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// What the webhook is sent.
    kind: RouteKind,
    /// The variable of the environment with the webhook's URL: a secret has no place in a file under version control.
    #[schemars(with = "String", regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    url_env: Spanned<String>,
    /// What it is told of; without it of everything, or of suites only when `checkpoints` or `owners` are named.
    #[serde(default)]
    news: Vec<Subject>,
    /// Suites of these checkpoints and streams only.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    checkpoints: Vec<Spanned<String>>,
    /// Suites of these owners only.
    #[serde(default)]
    owners: Vec<String>,
}

impl RouteEntry {
    /// `names`: of all checkpoints and streams; `taken`: of the routes before.
    pub fn read(self, reading: &mut Reading<'_>, names: &HashSet<String>, taken: &mut HashSet<String>) -> AlertRoute {
        reading.name(&self.name);
        if !taken.insert(self.name.get_ref().clone()) {
            reading.mistake(&self.name, "name", format!("{:?} is there twice", self.name.get_ref()));
        }
        let variable = self.url_env.get_ref();
        let is_name = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !is_name(variable) {
            // What stands there may be the URL itself: it is not repeated.
            let reason = "is not the name of a variable of the environment: A-Z, a-z, 0-9 and _, no digit first";
            reading.mistake(&self.url_env, "url_env", reason.into());
        }
        for checkpoint in &self.checkpoints {
            if !names.contains(checkpoint.get_ref()) {
                let reason = format!("there is no checkpoint and no stream {:?}", checkpoint.get_ref());
                reading.mistake(checkpoint, "checkpoints", reason);
            }
        }
        AlertRoute {
            place: reading.place(&self.url_env),
            name: self.name.into_inner(),
            kind: self.kind,
            url_env: self.url_env.into_inner(),
            scope: Scope {
                news: self.news,
                checkpoints: self.checkpoints.into_iter().map(Spanned::into_inner).collect(),
                owners: self.owners,
            },
        }
    }
}
