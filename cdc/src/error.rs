//! Why a record could not be understood.

/// The reason a record goes to quarantine before any rule sees it. [`DecodeError::code`] is stable and goes into the
/// quarantine table; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("record of {bytes} bytes is larger than {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("{part} is not UTF-8")]
    NotUtf8 { part: &'static str },
    #[error("{part} is not JSON: {reason}")]
    NotJson { part: &'static str, reason: String },
    #[error("neither a Debezium envelope nor a flattened row: {reason}")]
    UnknownShape { reason: String },
    #[error("unknown operation {op:?}")]
    UnknownOp { op: String },
    #[error("operation {op:?} without a row")]
    MissingRow { op: &'static str },
    #[error("no primary key: neither the record's key nor its row has record_id")]
    NoKey,
    #[error("the record's key says record_id {key}, its row says {row}")]
    KeyMismatch { key: i64, row: i64 },
    #[error("column {column}: expected {expected}, found {found}")]
    WrongType { column: String, expected: &'static str, found: String },
    #[error("column {column}: {value} is out of range")]
    OutOfRange { column: String, value: String },
    #[error(
        "column {column}: a base64 decimal whose scale is in no schema; set decimal.handling.mode=string or keep the schema"
    )]
    DecimalScaleUnknown { column: String },
    #[error("column {column}: the source did not send the value of an unchanged TOAST column")]
    UnavailableValue { column: String },
    #[error("source position: {reason}")]
    BadPosition { reason: String },
}

impl DecodeError {
    /// A stable snake_case name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::UnknownShape { .. } => "unknown_shape",
            Self::UnknownOp { .. } => "unknown_op",
            Self::MissingRow { .. } => "missing_row",
            Self::NoKey => "no_key",
            Self::KeyMismatch { .. } => "key_mismatch",
            Self::WrongType { .. } => "wrong_type",
            Self::OutOfRange { .. } => "out_of_range",
            Self::DecimalScaleUnknown { .. } => "decimal_scale_unknown",
            Self::UnavailableValue { .. } => "unavailable_value",
            Self::BadPosition { .. } => "bad_position",
        }
    }
}
