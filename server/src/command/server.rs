//! A running server, as commands ask it and give it orders.

use crate::{config::Target, outbound};
use anyhow::{Context, bail};
use reqwest::{Client, Method, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::time::Duration;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Server {
    client: Client,
    target: Target,
}

impl Server {
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(target: Target) -> anyhow::Result<Self> {
        Ok(Self { client: outbound::personal_client(PATIENCE)?, target })
    }

    /// # Errors
    /// It does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Gives an order, which takes the token.
    ///
    /// # Errors
    /// There is no token, or the server does not answer, or refuses.
    pub async fn order(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        if self.target.token.is_none() {
            bail!("an order needs the server's control token: set STOCKSTREAM_CONTROL_TOKEN, or give --token");
        }
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = self.target.url.join(path).context("the server's address cannot have this path")?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
            if let Some(token) = &self.target.token {
                request = request.bearer_auth(token.0.expose_secret());
            }
        }
        let response = request.send().await.map_err(|error| {
            anyhow::anyhow!(
                "{} does not answer: {}; name another server with --url",
                self.target.url,
                outbound::describe(error)
            )
        })?;
        read(response).await
    }
}

/// The answer, or the server's own words why there is none.
async fn read(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let body: Value = response.json().await.map_err(|error| {
        anyhow::anyhow!("the answer ({status}) is not stockstream's: {}", outbound::describe(error))
    })?;
    if status.is_success() {
        return Ok(body);
    }
    bail!("{} ({status})", body["detail"].as_str().unwrap_or("the server refuses"));
}
