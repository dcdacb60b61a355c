//! What the stream does not tell, in the browser: older bars and earlier findings, by REST.

use super::{Live, MOST, Series};
use chrono::{DateTime, SecondsFormat, Utc};
use leptos::{prelude::*, task::spawn_local};
use market::{
    Bar, Symbol, Timeframe,
    wire::{BarsPage, FindingsPage},
};
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

/// Bars of one page of history, and findings asked for.
const PAGE: usize = 500;

/// `None` when the server does not answer, or not with this: what is shown stays, and the next question may succeed.
async fn get<T: DeserializeOwned>(path: &str) -> Option<T> {
    let response: Response = JsFuture::from(window().fetch_with_str(path)).await.ok()?.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    serde_json::from_str(&text).ok()
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Fetches the bars before the first one, unless there are none, or enough. Calls `done` when that is over.
pub fn older(symbol: &Symbol, timeframe: Timeframe, series: ArcRwSignal<Series>, done: impl FnOnce() + 'static) {
    let first = series.with_untracked(|series| {
        let wanted = !series.complete && series.bars.len() < MOST;
        series.bars.first().filter(|_| wanted).map(|bar| bar.time)
    });
    let Some(first) = first else { return done() };
    let path =
        format!("/api/v1/bars?symbol={symbol}&timeframe={timeframe}&sort=desc&limit={PAGE}&end={}", instant(first));
    spawn_local(async move {
        if let Some(page) = get::<BarsPage>(&path).await {
            series.update(|series| series.prepend(&page.bars, page.next_cursor.is_none()));
        }
        done();
    });
}

/// Fetches what the rules found from that time on, before the stream could tell.
pub fn findings(live: Live, symbol: &Symbol, from: DateTime<Utc>) {
    let path = format!("/api/v1/findings?symbol={symbol}&from={}&limit={PAGE}", instant(from));
    spawn_local(async move {
        if let Some(page) = get::<FindingsPage>(&path).await {
            live.findings.maybe_update(|findings| findings.take(page.findings));
        }
    });
}

/// At most so many bars before `to`, the newest of them, oldest first. `None` when the server does not answer, or not
/// with them.
pub async fn bars(
    symbol: &Symbol,
    timeframe: Timeframe,
    from: Option<DateTime<Utc>>,
    to: DateTime<Utc>,
    most: usize,
) -> Option<Vec<Bar>> {
    let start = from.map(|from| format!("&start={}", instant(from))).unwrap_or_default();
    let end = instant(to);
    let path = format!("/api/v1/bars?symbol={symbol}&timeframe={timeframe}&sort=desc&limit={most}{start}&end={end}");
    let mut page = get::<BarsPage>(&path).await?;
    page.bars.reverse();
    Some(page.bars)
}
