//! What a picture of a chart says of itself, so that it can be understood without the page.

use super::plot::Plot;
use crate::format::minute;
use chrono::{DateTime, Utc};
use market::Symbol;

/// The words on a picture, and the name it is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    pub title: String,
    /// The time in view, and whose picture it is.
    pub about: String,
    /// A word that must not be missed, or nothing.
    pub mark: &'static str,
    pub file: String,
}

impl Caption {
    /// `seen`: starts of the first and the last bar in view.
    pub fn of(symbol: &Symbol, plot: &Plot, seen: Option<(DateTime<Utc>, DateTime<Utc>)>, simulated: bool) -> Self {
        let timeframe = plot.timeframe;
        let mut title = format!("{symbol} {timeframe}");
        for other in &plot.look.others {
            title.push_str(&format!(" vs {other}"));
        }
        if plot.look.is_percent() {
            title.push_str(", % of change");
        }
        let studies: Vec<_> = plot.look.studies.iter().map(|study| study.title()).collect();
        if !studies.is_empty() {
            title.push_str(&format!(" · {}", studies.join(", ")));
        }
        let time = seen.map(|(first, last)| format!("{} · ", plot.zone.full_window(first, last, timeframe)));
        let stamp = seen.map(|(_, last)| format!("-{}", minute(last).replace(['-', ':'], "")));
        Self {
            title,
            about: format!("{}stockstream", time.unwrap_or_default()),
            mark: if simulated { "SIMULATED" } else { "" },
            file: format!("{symbol}-{timeframe}{}.png", stamp.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chart::look::Look, live::Series};
    use market::Timeframe;

    #[test]
    fn a_picture_says_what_it_shows_and_whether_its_prices_are_made_up() {
        let look = Look::read(None, None, Some("sma20")).comparing(Some("MSFT"));
        let plot = Plot::new(&Series::default(), Timeframe::MINUTE_5, look);
        let (first, last) = ("2024-01-12T14:30:00Z".parse().unwrap(), "2024-01-16T15:00:00Z".parse().unwrap());
        let caption = Caption::of(&"AMZN".parse().unwrap(), &plot, Some((first, last)), true);
        assert_eq!(caption.title, "AMZN 5m vs MSFT, % of change · SMA 20");
        assert_eq!(caption.about, "12 Jan 2024 09:30 – 16 Jan 2024 10:00 EST · stockstream");
        assert_eq!((caption.mark, caption.file.as_str()), ("SIMULATED", "AMZN-5m-20240116T1500Z.png"));
        assert_eq!(Caption::of(&"AMZN".parse().unwrap(), &plot, None, false).mark, "");
    }
}
