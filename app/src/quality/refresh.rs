//! Asks the API again and again, in the browser, while the page is looked at.

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use std::{future::Future, time::Duration};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

/// How often.
const PERIOD: Duration = Duration::from_secs(5);

/// Runs `ask` every few seconds until the component is gone; not while the page is hidden.
pub fn repeat<F: Future<Output = ()> + 'static>(ask: impl Fn() -> F + 'static) {
    repeat_every(PERIOD, ask);
}

/// The same with a period of one's own.
pub fn repeat_every<F: Future<Output = ()> + 'static>(period: Duration, ask: impl Fn() -> F + 'static) {
    let handle = set_interval_with_handle(
        move || {
            if !document().hidden() {
                leptos::task::spawn_local(ask());
            }
        },
        period,
    );
    if let Ok(handle) = handle {
        on_cleanup(move || handle.clear());
    }
}

/// What is at this path of the same server; `None` when it does not answer, or not with this.
pub async fn fetch<T: DeserializeOwned>(path: &str) -> Option<T> {
    let response = JsFuture::from(window().fetch_with_str(path)).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    serde_json::from_str(&text).ok()
}
