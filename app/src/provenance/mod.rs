//! Where a candle came from: the part of the address that names it, the question behind it, and what the answer amounts to.
//!
//! The candle is named behind the `#`, which browsers keep to themselves: a page with an open drawer is the same page to
//! the server, and a link to it opens the drawer again. What is told in the drawer is written by the server: nothing of it
//! changes while it is read, and a page that downloads no code for it is there sooner.

#[cfg(feature = "ssr")]
mod story;

#[cfg(feature = "ssr")]
pub use story::{Column, Hop, absence, columns, hops, operation, told};

use crate::format;
use chrono::{DateTime, SecondsFormat, Utc};
use market::{Symbol, Timeframe};

/// One bar of a symbol, by the start of its interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub timeframe: Timeframe,
}

impl Candle {
    /// `#AMZN@2024-01-16T14:31Z`; of a bar longer than a minute `#AMZN@2024-01-16T14:30Z/5m`.
    pub fn hash(&self) -> String {
        let minute = format!("#{}@{}", self.symbol, format::minute(self.time));
        if self.timeframe == Timeframe::MINUTE_1 { minute } else { format!("{minute}/{}", self.timeframe) }
    }

    /// Reads the part behind the `#`, with or without it.
    pub fn parse(hash: &str) -> Option<Self> {
        let (symbol, bar) = hash.trim_start_matches('#').split_once('@')?;
        let (time, timeframe) = match bar.split_once('/') {
            Some((time, timeframe)) => (time, timeframe.parse().ok()?),
            None => (bar, Timeframe::MINUTE_1),
        };
        let time = format::read_minute(time)?;
        Some(Self { symbol: symbol.to_ascii_uppercase().parse().ok()?, time, timeframe })
    }

    /// Puts it behind the `#` of the page's address, as a new entry of the history.
    pub fn show(&self) {
        #[cfg(feature = "hydrate")]
        let _ = leptos::prelude::window().location().set_hash(&self.hash());
    }

    /// Puts it there in place of the candle before.
    #[cfg(feature = "hydrate")]
    pub fn turn_to(&self) {
        // Refused only by a document that is gone.
        let _ = leptos::prelude::window().location().replace(&self.hash());
    }

    /// Where the server tells people where it came from.
    pub fn path(&self) -> String {
        let time = self.time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let path = format!("/bars/{}/{time}/provenance", self.symbol);
        if self.timeframe == Timeframe::MINUTE_1 { path } else { format!("{path}?timeframe={}", self.timeframe) }
    }

    /// Where it tells programs.
    pub fn api(&self) -> String {
        format!("/api/v1{}", self.path())
    }

    /// As people say it.
    pub fn title(&self) -> String {
        format!("{} {}", self.symbol, format::bar_time(self.time, self.timeframe))
    }
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What there is to tell, as HTML.
    Found(String),
    /// Nothing is known of the candle; why, for people.
    Unknown(String),
    /// It cannot be told now; why, for people.
    Failed(String),
}

/// Asks the server, in the browser.
#[cfg(feature = "hydrate")]
pub async fn ask(candle: &Candle) -> Answer {
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;

    #[derive(serde::Deserialize)]
    struct Problem {
        detail: String,
    }
    let fetch = async {
        let response = JsFuture::from(leptos::prelude::window().fetch_with_str(&candle.path())).await.ok()?;
        let response: web_sys::Response = response.dyn_into().ok()?;
        let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
        Some((response.status(), text))
    };
    let Some((status, text)) = fetch.await else {
        return Answer::Failed(
            "The server does not answer. The charts come back by themselves; this can be tried again.".to_owned(),
        );
    };
    if status == 200 {
        return Answer::Found(text);
    }
    let detail = serde_json::from_str(&text)
        .map_or_else(|_| format!("The server answered with status {status}."), |problem: Problem| problem.detail);
    if status == 404 || status == 400 { Answer::Unknown(detail) } else { Answer::Failed(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candle_is_read_from_the_hash_it_was_written_to() {
        for hash in ["#AMZN@2024-01-16T14:31Z", "#BRK.B@2024-07-01T13:30Z", "#AMZN@2024-01-16T05:00Z/1d"] {
            assert_eq!(Candle::parse(hash).map(|candle| candle.hash()).as_deref(), Some(hash));
        }
        let typed = Candle::parse("amzn@2024-01-16T14:31Z").unwrap();
        assert_eq!(typed.path(), "/bars/AMZN/2024-01-16T14:31:00Z/provenance");
        assert_eq!(typed.api(), "/api/v1/bars/AMZN/2024-01-16T14:31:00Z/provenance");
        assert_eq!(typed.title(), "AMZN Tue 16 Jan 2024 09:31 EST");
        assert!(Candle { timeframe: Timeframe::DAY_1, ..typed }.path().ends_with("?timeframe=1d"));
    }

    #[test]
    fn what_names_no_candle_is_none() {
        let nonsense = ["", "#", "#AMZN", "#@2024-01-16T14:31Z", "#AMZN@yesterday", "#AMZN@2024-01-16T14:31"];
        for hash in nonsense.into_iter().chain(["#<b>@2024-01-16T14:31Z", "#AMZN@2024-01-16T14:31Z/soon"]) {
            assert_eq!(Candle::parse(hash), None, "{hash}");
        }
    }
}
