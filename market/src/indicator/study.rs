//! Indicators by name, as a chart's link names them.

use super::{Bollinger, Ema, Macd, Rsi, Sma, Vwap, float};
use crate::{Bar, Timeframe};
use std::{fmt, str::FromStr};

/// Longest period that a name may ask for.
const LONGEST: u16 = 400;
/// The width of Bollinger's bands, in standard deviations.
const BAND_WIDTH: f64 = 2.0;
const MACD: (usize, usize, usize) = (12, 26, 9);

/// One indicator with its period: `sma20`, `ema50`, `bb20`, `vwap`, `rsi14`, `macd`. Without a number, `sma`, `ema` and `bb`
/// mean 20 and `rsi` means 14. MACD is 12, 26, 9 and the bands are 2 standard deviations wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Study {
    Sma(u16),
    Ema(u16),
    Vwap,
    Bollinger(u16),
    Rsi(u16),
    Macd,
}

/// The text names no indicator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an indicator: use sma, ema, bb or rsi with a period from 2 to {LONGEST}, vwap or macd")]
pub struct InvalidStudy(pub String);

/// Values that a study has at most at one bar.
pub const LINES: usize = 3;

/// A study's values at one bar, in the order of [`Study::lines`]; the places after them stay empty.
pub type Values = [Option<f64>; LINES];

impl Study {
    /// What its values are called, first the one that stands for it.
    pub fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Bollinger(_) => &["middle", "upper", "lower"],
            Self::Macd => &["macd", "signal", "histogram"],
            Self::Sma(_) | Self::Ema(_) | Self::Vwap | Self::Rsi(_) => &["value"],
        }
    }

    /// Whether it has the scale of prices and is drawn over the candles; the others have a pane of their own.
    pub fn over_prices(self) -> bool {
        !matches!(self, Self::Rsi(_) | Self::Macd)
    }

    /// As people write it: `Bollinger 20, 2`.
    pub fn title(self) -> String {
        match self {
            Self::Sma(period) => format!("SMA {period}"),
            Self::Ema(period) => format!("EMA {period}"),
            Self::Vwap => "VWAP".to_owned(),
            Self::Bollinger(period) => format!("Bollinger {period}, {BAND_WIDTH}"),
            Self::Rsi(period) => format!("RSI {period}"),
            Self::Macd => format!("MACD {}, {}, {}", MACD.0, MACD.1, MACD.2),
        }
    }

    /// Begins it before the first bar.
    pub fn start(self, timeframe: Timeframe) -> Run {
        Run(match self {
            Self::Sma(period) => State::Sma(Sma::new(period.into())),
            Self::Ema(period) => State::Ema(Ema::new(period.into())),
            Self::Vwap => State::Vwap(Vwap::new(timeframe)),
            Self::Bollinger(period) => State::Bollinger(Bollinger::new(period.into(), BAND_WIDTH)),
            Self::Rsi(period) => State::Rsi(Rsi::new(period.into())),
            Self::Macd => State::Macd(Macd::new(MACD.0, MACD.1, MACD.2)),
        })
    }
}

impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sma(period) => write!(f, "sma{period}"),
            Self::Ema(period) => write!(f, "ema{period}"),
            Self::Vwap => f.write_str("vwap"),
            Self::Bollinger(period) => write!(f, "bb{period}"),
            Self::Rsi(period) => write!(f, "rsi{period}"),
            Self::Macd => f.write_str("macd"),
        }
    }
}

impl FromStr for Study {
    type Err = InvalidStudy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (name, number) = text.split_at(digits);
        let period = |otherwise: u16| match number {
            "" => Some(otherwise),
            number => number.parse().ok().filter(|period| (2..=LONGEST).contains(period)),
        };
        let bare = || number.is_empty().then_some(());
        match name {
            "sma" => period(20).map(Self::Sma),
            "ema" => period(20).map(Self::Ema),
            "bb" => period(20).map(Self::Bollinger),
            "rsi" => period(14).map(Self::Rsi),
            "vwap" => bare().map(|()| Self::Vwap),
            "macd" => bare().map(|()| Self::Macd),
            _ => None,
        }
        .ok_or_else(|| InvalidStudy(text.chars().take(40).collect()))
    }
}

/// A study on its way through the bars.
#[derive(Clone, Debug)]
pub struct Run(State);

#[derive(Clone, Debug)]
enum State {
    Sma(Sma),
    Ema(Ema),
    Vwap(Vwap),
    Bollinger(Bollinger),
    Rsi(Rsi),
    Macd(Macd),
}

fn one(value: Option<f64>) -> Values {
    [value, None, None]
}

impl Run {
    /// Closes a bar.
    pub fn push(&mut self, bar: &Bar) -> Values {
        let close = float(bar.close);
        match &mut self.0 {
            State::Sma(sma) => one(sma.push(close)),
            State::Ema(ema) => one(ema.push(close)),
            State::Vwap(vwap) => one(vwap.push(bar)),
            State::Bollinger(bands) => bollinger(bands.push(close)),
            State::Rsi(rsi) => one(rsi.push(close)),
            State::Macd(point) => macd(point.push(close)),
        }
    }

    /// The values if the bar closed as it is.
    pub fn peek(&self, bar: &Bar) -> Values {
        let close = float(bar.close);
        match &self.0 {
            State::Sma(sma) => one(sma.peek(close)),
            State::Ema(ema) => one(ema.peek(close)),
            State::Vwap(vwap) => one(vwap.peek(bar)),
            State::Bollinger(bands) => bollinger(bands.peek(close)),
            State::Rsi(rsi) => one(rsi.peek(close)),
            State::Macd(point) => macd(point.peek(close)),
        }
    }
}

fn bollinger(bands: Option<super::Bands>) -> Values {
    [bands.map(|bands| bands.middle), bands.map(|bands| bands.upper), bands.map(|bands| bands.lower)]
}

fn macd(point: Option<super::MacdPoint>) -> Values {
    let signal = point.and_then(|point| point.signal);
    [point.map(|point| point.macd), signal, point.and_then(|point| point.histogram())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_short_names_mean_the_usual_periods() {
        for name in ["sma20", "ema50", "vwap", "bb20", "rsi14", "macd", "sma400"] {
            assert_eq!(name.parse::<Study>().unwrap().to_string(), name);
        }
        assert_eq!("bb".parse(), Ok(Study::Bollinger(20)));
        assert_eq!("rsi".parse(), Ok(Study::Rsi(14)));
    }

    #[test]
    fn other_names_are_refused_with_what_would_do() {
        for name in ["", "sma1", "sma401", "ema99999999", "vwap3", "macd12", "sma20x", "RSI", "é9"] {
            assert!(name.parse::<Study>().is_err(), "{name}");
        }
        let why = "sma0".parse::<Study>().unwrap_err().to_string();
        assert_eq!(
            why,
            "\"sma0\" is not an indicator: use sma, ema, bb or rsi with a period from 2 to 400, vwap or macd"
        );
    }
}
