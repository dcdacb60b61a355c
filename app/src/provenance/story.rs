//! What is told of a candle: by the server, as HTML.

use crate::{
    components::{ChangeList, HopTimeline, MinuteList, RowFacts, RuleList},
    format,
};
use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use market::provenance::{Original, OriginalState, Provenance, RowImage};
use rust_decimal::Decimal;

/// All that is known of a candle, to be put into the drawer.
pub fn told(found: Provenance) -> String {
    // Of its own, and not below that of a page which this thread may have rendered before.
    Owner::new_root(None).with(|| if found.minutes.is_empty() { story(found) } else { minutes(found) }.to_html())
}

fn story(found: Provenance) -> AnyView {
    let gone = found.row.is_none().then(|| {
        view! { <p class="provenance-nothing">"No row holds this minute any more. These are the changes that the change log still has of it."</p> }
    });
    view! {
        {gone}
        <HopTimeline hops=hops(&found) />
        <RowFacts row=found.row duplicates=found.duplicates />
        <ChangeList events=found.events note=found.note refused=found.refused />
        <RuleList verdicts=found.verdicts />
    }
    .into_any()
}

fn minutes(found: Provenance) -> AnyView {
    view! { <MinuteList symbol=found.symbol minutes=found.minutes note=found.note /> }.into_any()
}

/// A place that the change passed on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub name: &'static str,
    pub at: Option<DateTime<Utc>>,
    /// Since the one before it that is known.
    pub took: Option<TimeDelta>,
}

/// The way of the change that made the row what it is.
pub fn hops(provenance: &Provenance) -> Vec<Hop> {
    let Some(row) = &provenance.row else { return Vec::new() };
    let event = provenance.events.iter().find(|event| event.place == row.place);
    let (connector_at, kafka_at) =
        event.map_or((None, None), |event| (event.original.connector_at, event.original.kafka_at));
    let passed = [
        ("Source committed", row.source_at),
        ("Connector read", connector_at),
        ("Kafka stored", kafka_at),
        ("Server received", Some(row.received_at)),
        ("Server committed", Some(row.committed_at)),
    ];
    let mut before = None;
    passed
        .into_iter()
        .map(|(name, at)| {
            let took = at.zip(before).map(|(at, before)| at - before);
            before = at.or(before);
            Hop { name, at, took }
        })
        .collect()
}

/// One column of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub before: String,
    pub after: String,
    /// Both are known and differ.
    pub changed: bool,
}

/// The columns of a change, before and after it.
pub fn columns(original: &Original) -> Vec<Column> {
    let cells = |image: Option<&RowImage>| {
        let price =
            |pick: fn(&RowImage) -> Option<Decimal>| image.and_then(pick).map(|price| price.normalize().to_string());
        let time = |pick: fn(&RowImage) -> Option<DateTime<Utc>>| image.and_then(pick).map(format::precise_instant);
        [
            ("open", price(|image| image.open)),
            ("high", price(|image| image.high)),
            ("low", price(|image| image.low)),
            ("close", price(|image| image.close)),
            ("volume", image.and_then(|image| image.volume).map(format::count)),
            ("time", time(|image| image.time)),
            ("symbol", image.and_then(|image| image.symbol.clone())),
            ("event_time", time(|image| image.event_time)),
        ]
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| format::UNKNOWN.to_owned());
    let (before, after) = (cells(original.before.as_ref()), cells(original.after.as_ref()));
    before
        .into_iter()
        .zip(after)
        .map(|((name, before), (_, after))| Column {
            name,
            changed: before.is_some() && after.is_some() && before != after,
            before: known(&before),
            after: known(&after),
        })
        .filter(|column| column.before != format::UNKNOWN || column.after != format::UNKNOWN)
        .collect()
}

/// Why a record's contents are not shown; `None` when they are.
pub fn absence(state: OriginalState) -> Option<&'static str> {
    match state {
        OriginalState::Kept => None,
        OriginalState::Expired => Some("The record is no longer in Kafka."),
        OriginalState::Unanswered => Some("Kafka did not answer in time; the record may still be there."),
        OriginalState::Unreadable => Some("The record is in Kafka, but this version cannot read it."),
        OriginalState::NotAsked => Some("Only the newest twelve records are read again from Kafka."),
    }
}

/// What happened, in a word, by the source's letter.
pub fn operation(op: char) -> &'static str {
    match op {
        'c' => "insert",
        'u' => "update",
        'r' => "snapshot",
        'd' => "delete",
        _ => "change",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(close: &str) -> RowImage {
        RowImage {
            symbol: Some("AMZN".to_owned()),
            time: None,
            open: None,
            high: None,
            low: None,
            close: close.parse().ok(),
            volume: Some(18_250),
            event_time: None,
        }
    }

    #[test]
    fn a_change_marks_the_columns_that_differ_and_leaves_out_what_nobody_knows() {
        let original = Original { before: Some(image("153.40")), after: Some(image("153.5")), ..Original::default() };
        let shown: Vec<(&str, bool)> = columns(&original).iter().map(|column| (column.name, column.changed)).collect();
        assert_eq!(shown, [("close", true), ("volume", false), ("symbol", false)]);
        let inserted = columns(&Original { after: Some(image("153.5")), ..Original::default() });
        assert!(inserted.iter().all(|column| !column.changed && column.before == format::UNKNOWN));
        assert_eq!(inserted[0].after, "153.5");
    }
}
