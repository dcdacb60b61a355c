//! Which rules there are beyond the row.

use market::Severity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A rule that looks at more than one row. Its code is its name in the store, in JSON and in `stockstream.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackRule {
    DuplicateIdentical,
    DuplicateDifferent,
    OutOfOrder,
    Gap,
    FrozenPrice,
    ReturnOutlier,
    VolumeOutlier,
    ScaleError,
    SplitLike,
    ClockSkew,
    UnknownSymbol,
    Silence,
    Freshness,
    RowCount,
}

impl PackRule {
    pub const ALL: [Self; 14] = [
        Self::DuplicateIdentical,
        Self::DuplicateDifferent,
        Self::OutOfOrder,
        Self::Gap,
        Self::FrozenPrice,
        Self::ReturnOutlier,
        Self::VolumeOutlier,
        Self::ScaleError,
        Self::SplitLike,
        Self::ClockSkew,
        Self::UnknownSymbol,
        Self::Silence,
        Self::Freshness,
        Self::RowCount,
    ];

    /// Those that [`judge`](super::judge) decides: the bars alone say whether they hold, so bars that are judged again
    /// resolve what no longer does.
    pub const OF_BARS: [Self; 10] = [
        Self::DuplicateIdentical,
        Self::DuplicateDifferent,
        Self::Gap,
        Self::FrozenPrice,
        Self::ReturnOutlier,
        Self::VolumeOutlier,
        Self::ScaleError,
        Self::SplitLike,
        Self::ClockSkew,
        Self::UnknownSymbol,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Self::DuplicateIdentical => "duplicate_identical",
            Self::DuplicateDifferent => "duplicate_different",
            Self::OutOfOrder => "out_of_order",
            Self::Gap => "gap",
            Self::FrozenPrice => "frozen_price",
            Self::ReturnOutlier => "return_outlier",
            Self::VolumeOutlier => "volume_outlier",
            Self::ScaleError => "scale_error",
            Self::SplitLike => "split_like",
            Self::ClockSkew => "clock_skew",
            Self::UnknownSymbol => "unknown_symbol",
            Self::Silence => "silence",
            Self::Freshness => "freshness",
            Self::RowCount => "row_count",
        }
    }

    /// The rule with that [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }

    /// How much it matters where nothing else is configured.
    pub const fn severity(self) -> Severity {
        match self {
            Self::ScaleError | Self::Silence | Self::RowCount => Severity::Critical,
            Self::DuplicateIdentical | Self::OutOfOrder | Self::VolumeOutlier => Severity::Info,
            Self::DuplicateDifferent
            | Self::Gap
            | Self::FrozenPrice
            | Self::ReturnOutlier
            | Self::SplitLike
            | Self::ClockSkew
            | Self::UnknownSymbol
            | Self::Freshness => Severity::Warning,
        }
    }
}

impl fmt::Display for PackRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
