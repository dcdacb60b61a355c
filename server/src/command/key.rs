//! `stockstream key`: keys of programs, made, listed and revoked by hand.

use super::{report::table, say};
use crate::{
    access::{ApiKey, KeyId},
    config::{DatabaseUrl, KeyCommand, KeyLsArgs, KeyOrder, KeyRevokeArgs, Mistakes},
    store::{KeyRow, NewKey, Store},
};
use anyhow::Context;
use chrono::SecondsFormat;
use secrecy::ExposeSecret;
use serde_json::json;

/// What to do.
pub enum Task {
    Create(KeyOrder),
    Ls { all: bool, json: bool },
    Revoke(KeyId),
}

impl Task {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(command: KeyCommand) -> Result<(Self, DatabaseUrl), Mistakes> {
        Ok(match command {
            KeyCommand::Create(args) => {
                let (order, url) = args.check()?;
                (Self::Create(order), url)
            }
            KeyCommand::Ls(KeyLsArgs { store, all, json }) => (Self::Ls { all, json }, store.check()?),
            KeyCommand::Revoke(KeyRevokeArgs { store, id }) => (Self::Revoke(id), store.check()?),
        })
    }

    /// Whether there was what was to be revoked.
    pub async fn run(self, url: DatabaseUrl) -> anyhow::Result<bool> {
        let store = Store::new(url.options(), 2);
        store.require_current().await.with_context(|| format!("cannot use {}", url.redacted()))?;
        match self {
            Self::Create(order) => create(&store, &order).await.map(|()| true),
            Self::Ls { all, json } => list(&store, all, json).await.map(|()| true),
            Self::Revoke(id) => revoke(&store, &id).await,
        }
    }
}

async fn create(store: &Store, order: &KeyOrder) -> anyhow::Result<()> {
    let KeyOrder { name, scopes, requests_per_second, json } = order;
    let key = ApiKey::random();
    let new = NewKey { key: &key, name, scopes, requests_per_second: *requests_per_second };
    store.create_api_key(&new).await.context("the key was not made")?;
    let (whole, secret) = (key.whole(), key.secret().expose_secret());
    if *json {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        return say(&json!({
            "key_id": key.id.as_str(), "secret": secret, "key": whole.expose_secret(), "name": name, "scopes": scopes,
            "requests_per_second": requests_per_second
        })
        .to_string());
    }
    let whole = whole.expose_secret();
    say(&format!(
        "id      {id}\nsecret  {secret}\nkey     {whole}\n\nThe secret is not kept: this is the only time it is shown.\n\
         Authorization: Bearer {whole}",
        id = key.id
    ))
}

async fn list(store: &Store, all: bool, json: bool) -> anyhow::Result<()> {
    let keys = store.list_api_keys(all).await?;
    if json {
        let lines: Vec<String> = keys.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        return if lines.is_empty() { Ok(()) } else { say(&lines.join("\n")) };
    }
    if keys.is_empty() {
        return say(if all { "There are no keys." } else { "There are no keys in force." });
    }
    let rows = keys.iter().map(|key| {
        let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        [
            key.key_id.clone(),
            key.scopes.join(","),
            key.requests_per_second.map_or("any".to_owned(), |rate| format!("{rate}/s")),
            instant(key.created_at),
            key.revoked_at.map_or("no".to_owned(), instant),
            key.name.clone(),
        ]
    });
    say(table(["ID", "SCOPES", "RATE", "CREATED", "REVOKED", "NAME"], rows).trim_end())
}

async fn revoke(store: &Store, id: &KeyId) -> anyhow::Result<bool> {
    match store.revoke_api_key(id).await? {
        Some(KeyRow { name, revoked_at: Some(at), .. }) => {
            say(&format!("{id} ({name}) is revoked since {}.", at.to_rfc3339_opts(SecondsFormat::Secs, true)))?;
            Ok(true)
        }
        _ => {
            say(&format!("There is no key {id}; `stockstream key ls --all` lists what there is."))?;
            Ok(false)
        }
    }
}
