//! How one chart is looked at: what the link says about it beside its symbol.

use market::{Symbol, indicator::Study};
use std::fmt::Write;

/// Most studies on one chart, and most panes below it: a screen has no room for more.
const MOST_STUDIES: usize = 8;
const MOST_PANES: usize = 3;
/// Most symbols that one is compared with: there are no more lines that can be told apart.
const MOST_OTHERS: usize = 4;

/// How bars are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    Candles,
    HeikinAshi,
    Line,
    Area,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Candles, Self::HeikinAshi, Self::Line, Self::Area];

    /// As in the link.
    pub fn name(self) -> &'static str {
        match self {
            Self::Candles => "candles",
            Self::HeikinAshi => "heikin-ashi",
            Self::Line => "line",
            Self::Area => "area",
        }
    }

    /// As on the page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Candles => "Candles",
            Self::HeikinAshi => "Heikin-Ashi",
            Self::Line => "Line",
            Self::Area => "Area",
        }
    }

    pub fn is_candles(self) -> bool {
        matches!(self, Self::Candles | Self::HeikinAshi)
    }
}

/// How one chart is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub kind: Kind,
    /// Whether equal distances are equal ratios.
    pub log: bool,
    pub studies: Vec<Study>,
    /// Symbols that the chart's own is compared with, all as percents of change since the first bar in view.
    pub others: Vec<Symbol>,
}

impl Look {
    /// Reads the query's values; whatever makes no sense is left out.
    pub fn read(kind: Option<&str>, scale: Option<&str>, studies: Option<&str>) -> Self {
        let mut look = Self {
            kind: Kind::ALL.into_iter().find(|known| Some(known.name()) == kind).unwrap_or_default(),
            log: scale == Some("log"),
            studies: Vec::new(),
            others: Vec::new(),
        };
        for study in studies.unwrap_or_default().split(',').filter_map(|name| name.trim().parse().ok()) {
            look.add(study);
        }
        look
    }

    /// With the symbols of the query's value; whatever is none is left out.
    pub fn comparing(mut self, symbols: Option<&str>) -> Self {
        for symbol in symbols.unwrap_or_default().split(',') {
            if let Ok(symbol) = symbol.trim().to_ascii_uppercase().parse() {
                self.add_other(symbol);
            }
        }
        self
    }

    fn add_other(&mut self, symbol: Symbol) {
        if self.others.len() < MOST_OTHERS && !self.others.contains(&symbol) {
            self.others.push(symbol);
        }
    }

    /// With the symbol if it was absent and there is room, without it if it was there.
    pub fn compared(mut self, symbol: &Symbol) -> Self {
        let before = self.others.len();
        self.others.retain(|known| known != symbol);
        if self.others.len() == before {
            self.add_other(symbol.clone());
        }
        self
    }

    /// Whether prices are drawn as percents of change, which have no logarithm.
    pub fn is_percent(&self) -> bool {
        !self.others.is_empty()
    }

    pub fn is_log(&self) -> bool {
        self.log && !self.is_percent()
    }

    /// Writes what is not the default into a link, each key followed by `suffix`.
    pub fn write(&self, link: &mut String, suffix: &str) {
        // Writing to a String cannot fail.
        if self.kind != Kind::default() {
            let _ = write!(link, "&type{suffix}={}", self.kind.name());
        }
        if self.log {
            let _ = write!(link, "&scale{suffix}=log");
        }
        let names: Vec<_> = self.studies.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            let _ = write!(link, "&ind{suffix}={}", names.join(","));
        }
        let names: Vec<_> = self.others.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            let _ = write!(link, "&cmp{suffix}={}", names.join(","));
        }
    }

    /// Studies with a pane of their own, in the order of the panes.
    pub fn panes(&self) -> impl Iterator<Item = Study> + '_ {
        self.studies.iter().copied().filter(|study| !study.over_prices())
    }

    fn add(&mut self, study: Study) {
        let fits = study.over_prices() || self.panes().count() < MOST_PANES;
        if fits && self.studies.len() < MOST_STUDIES && !self.studies.contains(&study) {
            self.studies.push(study);
        }
    }

    /// With the study if it was absent and there is room, without it if it was there.
    pub fn toggled(mut self, study: Study) -> Self {
        let before = self.studies.len();
        self.studies.retain(|known| *known != study);
        if self.studies.len() == before {
            self.add(study);
        }
        self
    }

    pub fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(look: &Look) -> String {
        let mut link = String::new();
        look.write(&mut link, "");
        link
    }

    #[test]
    fn a_look_is_written_as_it_was_read_and_nonsense_is_left_out() {
        let look = Look::read(Some("line"), Some("log"), Some("sma20,nonsense,ema50,bb,rsi,sma20,rsi2,rsi3,macd"));
        assert_eq!(link(&look), "&type=line&scale=log&ind=sma20,ema50,bb20,rsi14,rsi2,rsi3");
        assert_eq!(link(&Look::read(Some("pie"), None, Some(""))), "");
    }

    #[test]
    fn symbols_are_compared_by_the_link_and_as_percents() {
        let look = Look::read(None, Some("log"), None).comparing(Some("msft,AAPL,msft,<b>,A,B,C"));
        assert_eq!(link(&look), "&scale=log&cmp=MSFT,AAPL,A,B");
        assert!(look.is_percent() && !look.is_log());
        let look = look.compared(&"MSFT".parse().unwrap()).compared(&"TSLA".parse().unwrap());
        assert_eq!(link(&look), "&scale=log&cmp=AAPL,A,B,TSLA");
    }

    #[test]
    fn a_study_is_switched_on_and_off() {
        let look = Look::default().toggled(Study::Vwap).toggled(Study::Macd);
        assert_eq!(look.studies, [Study::Vwap, Study::Macd]);
        assert_eq!(look.panes().collect::<Vec<_>>(), [Study::Macd]);
        assert_eq!(look.toggled(Study::Vwap).studies, [Study::Macd]);
    }
}
