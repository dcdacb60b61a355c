//! Orders that the browser gives the server, and questions that not everybody may ask. The control token is typed in by
//! the operator, sent with each request and kept in memory only.

use crate::{
    pipeline::{Scope, Taken},
    quality::Started,
    quarantine::{Attempt, Order, Report},
};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

/// Orders a redrive.
///
/// # Errors
/// Why the order was not taken, in a sentence.
pub async fn redrive(token: &str, order: &Order) -> Result<Report, String> {
    let body = serde_json::to_string(order).map_err(|error| error.to_string())?;
    ask("POST", "/api/v1/quarantine/redrive", token, Some(&body)).await
}

/// Gives the pipeline an order: `pause`, `resume` or `drain`.
///
/// # Errors
/// Why the order was not taken, in a sentence.
pub async fn pipeline(token: &str, order: &str, scope: &Scope) -> Result<Taken, String> {
    let body = serde_json::to_string(scope).map_err(|error| error.to_string())?;
    ask("POST", &format!("{}/{order}", crate::pipeline::API), token, Some(&body)).await
}

/// Orders that a record stays refused.
///
/// # Errors
/// Why it was not decided, in a sentence.
pub async fn dismiss(token: &str, record: &str, incarnation: Option<i32>, note: &str) -> Result<(), String> {
    let body = serde_json::json!({ "record": record, "incarnation": incarnation, "note": note }).to_string();
    ask::<serde::de::IgnoredAny>("POST", "/api/v1/quarantine/dismiss", token, Some(&body)).await.map(drop)
}

/// Orders a run of a checkpoint.
///
/// # Errors
/// Why there is none, in a sentence.
pub async fn run(token: &str, checkpoint: &str) -> Result<Started, String> {
    let body = serde_json::json!({ "checkpoint": checkpoint }).to_string();
    ask("POST", "/api/v1/validations", token, Some(&body)).await
}

/// The audit trail of one record, newest first.
///
/// # Errors
/// Why it is not told, in a sentence.
pub async fn trail(token: &str, record: &str, incarnation: i32) -> Result<Vec<Attempt>, String> {
    let record = crate::quarantine::escaped(record);
    ask("GET", &format!("/api/v1/audit?record={record}&incarnation={incarnation}"), token, None).await
}

/// A refusal, as far as it is shown.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

async fn ask<T: DeserializeOwned>(method: &str, path: &str, token: &str, body: Option<&str>) -> Result<T, String> {
    let no_token =
        |_: JsValue| "This cannot be a control token: it has characters that no header can carry.".to_owned();
    let away = |_: JsValue| "The server does not answer. Nothing is known of the order; try again.".to_owned();
    let headers = Headers::new().map_err(away)?;
    headers.set("Authorization", &format!("Bearer {token}")).map_err(no_token)?;
    let request = RequestInit::new();
    request.set_method(method);
    if let Some(body) = body {
        headers.set("Content-Type", "application/json").map_err(away)?;
        request.set_body(&JsValue::from_str(body));
    }
    request.set_headers(&headers);
    let fetched = leptos::prelude::window().fetch_with_str_and_init(path, &request);
    let response: Response = JsFuture::from(fetched).await.map_err(away)?.dyn_into().map_err(away)?;
    let text = JsFuture::from(response.text().map_err(away)?).await.map_err(away)?.as_string().unwrap_or_default();
    if response.ok() {
        return serde_json::from_str(&text).map_err(|error| format!("The answer cannot be understood: {error}."));
    }
    let status = response.status();
    Err(serde_json::from_str(&text)
        .map_or_else(|_| format!("The server answered with status {status}."), |problem: Problem| problem.detail))
}
