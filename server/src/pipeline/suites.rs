//! The suites that every record of the stream is held to, as one set with a name: its digest. Who has the same set says the
//! same of a record, whenever and wherever.

use crate::store::SuiteSet;
use quality::suite::{Gate, StreamSuite, Suite, SuiteError};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A set of suites, compiled. Cheap to clone; the default has none.
#[derive(Clone, Debug, Default)]
pub struct RecordSuites {
    list: Arc<[StreamSuite]>,
    /// `None` when there are none.
    set: Option<Arc<SuiteSet>>,
}

impl RecordSuites {
    pub fn new(suites: impl IntoIterator<Item = Suite>) -> Self {
        let list: Arc<[StreamSuite]> = suites.into_iter().map(StreamSuite::new).collect();
        let set = (!list.is_empty()).then(|| {
            let document = list.iter().map(|stream| stream.suite.to_json()).collect::<Value>().to_string();
            let digest = Sha256::digest(document.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            Arc::new(SuiteSet { digest, document })
        });
        Self { list, set }
    }

    /// The set that was kept.
    ///
    /// # Errors
    /// It is none, or none that this version can read.
    pub fn read(set: &SuiteSet) -> Result<Self, SuiteError> {
        let suites: Vec<Value> =
            serde_json::from_str(&set.document).map_err(|error| SuiteError::Json(error.to_string()))?;
        let suites = suites.into_iter().map(|suite| Suite::parse(suite.to_string().as_bytes()));
        Ok(Self { set: Some(Arc::new(set.clone())), ..Self::new(suites.collect::<Result<Vec<_>, _>>()?) })
    }

    /// What is kept of it; `None` when there are no suites.
    pub fn set(&self) -> Option<&SuiteSet> {
        self.set.as_deref()
    }

    pub fn list(&self) -> &[StreamSuite] {
        &self.list
    }

    /// The expectations that have this code; several when a suite expects the same of a column twice.
    pub fn gates(&self, code: &str) -> impl Iterator<Item = &Gate> {
        self.list.iter().flat_map(StreamSuite::gates).filter(move |gate| *gate.code == *code)
    }

    /// The codes of all expectations, as rows and refused records carry them.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(StreamSuite::gates).map(|gate| &*gate.code)
    }

    /// Says at start-up what is judged, and by name what is not.
    pub fn announce(&self) {
        for StreamSuite { suite, .. } in &*self.list {
            tracing::info!(suite = suite.name, expectations = suite.expectations.len(), "judges every record");
        }
        for stream in &*self.list {
            for left_out in stream.left_out() {
                tracing::warn!(suite = stream.suite.name, "not judged record by record: {left_out}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"expectation_suite_name": "old", "meta": {"by": "ann"}, "expectations": [
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close"}}]}"#;

    #[test]
    fn a_set_that_was_kept_is_the_set_that_was_loaded() {
        let suites = RecordSuites::new([Suite::parse(OLD.as_bytes()).unwrap()]);
        let set = suites.set().expect("it has a suite");
        let read = RecordSuites::read(set).expect("it can be read");
        assert_eq!(read.set(), Some(set));
        assert_eq!(read.list()[0].suite, suites.list()[0].suite);
        assert_eq!(read.codes().collect::<Vec<_>>(), ["suite:old:expect_column_values_to_not_be_null:close"]);
    }

    #[test]
    fn a_severity_that_the_file_leaves_open_is_part_of_the_digest() {
        let digest = |severity| {
            let suites = RecordSuites::new([Suite::parse_with(OLD.as_bytes(), severity).unwrap()]);
            suites.set().expect("it has a suite").digest.clone()
        };
        assert_ne!(digest(quality::Severity::Warning), digest(quality::Severity::Critical));
        assert_eq!(RecordSuites::default().set(), None);
    }
}
