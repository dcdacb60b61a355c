//! Captured records: one JSON object per line, as in the fixtures and as `stockstream decode` reads them.

use crate::RawRecord;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// One line: `topic, partition, offset, timestamp, headers, key, value`. Key and value are the exact record texts, null
/// when the record has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedRecord {
    #[serde(default)]
    pub topic: String,
    #[serde(default, deserialize_with = "from_zero")]
    pub partition: i32,
    #[serde(default, deserialize_with = "from_zero")]
    pub offset: i64,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub timestamp: Option<i64>,
    /// Names and values, in the record's order; a name may repeat.
    #[serde(default)]
    pub headers: Vec<(String, Option<String>)>,
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub value: Option<String>,
}

/// Kafka counts partitions and offsets from zero.
fn from_zero<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default + PartialOrd>(input: D) -> Result<T, D::Error> {
    let number = T::deserialize(input)?;
    if number < T::default() { Err(D::Error::custom("partition and offset are 0 or more")) } else { Ok(number) }
}

impl CapturedRecord {
    /// The record as the decoder takes it.
    pub fn raw(&self) -> RawRecord<'_> {
        RawRecord {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp,
            key: self.key.as_deref().map(str::as_bytes),
            value: self.value.as_deref().map(str::as_bytes),
        }
    }
}

/// Why a line holds no record.
#[derive(Debug, thiserror::Error)]
#[error("not a captured record: {0}")]
pub struct InvalidLine(#[from] serde_json::Error);

/// Reads one line.
///
/// # Errors
/// [`InvalidLine`] when it is not a JSON object with these members; members may be missing.
pub fn parse_line(line: &str) -> Result<CapturedRecord, InvalidLine> {
    Ok(serde_json::from_str(line)?)
}
