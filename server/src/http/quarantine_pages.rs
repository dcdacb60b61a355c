//! Refused records as the pages want them.

use super::{params, quarantine, quarantine::QuarantineListRequest};
use crate::{
    pipeline::{RecordSuites, codes, explain},
    store::{QuarantinedBytes, QuarantinedRecord, ReadError, RecordId, Store},
};
use app::{
    backend::Unavailable,
    payload::Payload,
    quarantine::{Reason, RecordAddress, RefusedList, RefusedRecord, RefusedRow},
};
use serde_json::Value;

/// Answers the list's question, which is a query string of the API.
pub(super) async fn list(
    store: &Store,
    suites: &RecordSuites,
    query: &str,
    control: bool,
) -> Result<RefusedList, Unavailable> {
    let request: QuarantineListRequest = params::read(query)
        .map_err(|problem| Unavailable(format!("This address cannot be understood: {}.", problem.detail())))?;
    let read = async {
        let page = quarantine::page_of(store, &request).await?;
        Ok::<_, ReadError>((page, store.count_open(RefusedList::COUNTED).await?, store.topics().await?))
    };
    let (page, open, topics) = read.await.map_err(super::pages::explain)?;
    let codes = codes().map(str::to_owned).chain(suites.codes().map(str::to_owned)).collect();
    let rows = page.records.into_iter().map(row).collect();
    Ok(RefusedList { rows, next_cursor: page.next_cursor, open, topics, codes, control })
}

/// Finds the record that an address names; one that names no record finds none.
pub(super) async fn record(
    store: &Store,
    suites: &RecordSuites,
    address: RecordAddress,
    control: bool,
) -> Result<Option<RefusedRecord>, Unavailable> {
    let RecordAddress { topic, partition, offset, incarnation } = address;
    let incarnation = incarnation.filter(|text| !text.is_empty()).map(|text| text.parse());
    let (Ok(partition), Ok(offset), Ok(incarnation)) = (partition.parse(), offset.parse(), incarnation.transpose())
    else {
        return Ok(None);
    };
    let id = RecordId { topic, partition, offset, incarnation };
    let found = store.find_quarantined(&id).await.map_err(super::pages::explain)?;
    Ok(found.map(|found| shown(found, suites, control)))
}

fn row(record: QuarantinedRecord) -> RefusedRow {
    RefusedRow {
        topic: record.topic,
        partition: record.partition,
        incarnation: record.incarnation,
        offset: record.offset,
        received_at: record.received_at,
        stage: record.stage,
        codes: record.codes,
        reason: record.reason,
        state: record.resolution.state.as_str().to_owned(),
        outcome: record.resolution.outcome,
    }
}

fn shown(found: QuarantinedBytes, suites: &RecordSuites, control: bool) -> RefusedRecord {
    let explained = explain(&found, suites);
    let reasons = explained.reasons.into_iter().map(|reason| Reason {
        code: reason.code,
        rule: reason.rule,
        found: reason.found,
        advice: reason.advice,
    });
    let header = |pair: &Value| {
        let value = match &pair[1] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (pair[0].as_str().unwrap_or_default().to_owned(), value)
    };
    let record = found.record.clone();
    RefusedRecord {
        timestamp: record.timestamp,
        rule_version: record.rule_version,
        reasons: reasons.collect(),
        acceptable: explained.acceptable,
        headers: found.headers_without_secrets().as_array().into_iter().flatten().map(header).collect(),
        key: found.key.as_deref().map(Payload::of),
        value: found.value.as_deref().map(Payload::of),
        attempts: record.resolution.attempts,
        decided_at: record.resolution.at,
        decided_by: record.resolution.by.clone(),
        note: record.resolution.note.clone(),
        control,
        row: row(record),
    }
}
