//! What names a traded instrument.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// A ticker: 1 to 15 characters, an upper-case ASCII letter first, then upper-case letters, digits, `.` or `-`
/// (`AMZN`, `BRK.B`, `BF-B`). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Arc<str>);

/// The text is not a ticker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a symbol: 1 to 15 characters, A-Z first, then A-Z, 0-9, '.' or '-'")]
pub struct InvalidSymbol(pub String);

impl Symbol {
    /// Longest ticker accepted, in characters.
    pub const MAX_LEN: usize = 15;

    /// Whether the text is a ticker, without building one.
    pub fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        (1..=Self::MAX_LEN).contains(&bytes.len())
            && bytes[0].is_ascii_uppercase()
            && bytes[1..].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Self::is_valid(text) { Ok(Self(text.into())) } else { Err(InvalidSymbol(text.chars().take(40).collect())) }
    }
}

impl TryFrom<String> for Symbol {
    type Error = InvalidSymbol;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0.as_ref().to_owned()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickers_are_accepted() {
        for text in ["A", "AMZN", "BRK.B", "BF-B", "X2Y", "ABCDEFGHIJKLMNO"] {
            assert!(text.parse::<Symbol>().is_ok(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "amzn", "1A", ".A", "A B", "ABCDEFGHIJKLMNOP", "ÄPL", "A\0"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }
}
