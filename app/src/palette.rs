//! What the command palette offers, and how what is typed finds it. Knows no browser.

use crate::{
    layout::Layout,
    navigation::PAGES,
    query::{Theme, View},
    span::{Range, Span, USUAL_SPEED, bounds, day_of, opening},
    zone::Zone,
};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use market::{Symbol, Timeframe};

/// Bars that are copied as a command or exported: what the API gives at once.
const BARS: u32 = 10_000;
/// Entries that are listed at once.
pub const SHOWN: usize = 12;

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Page(&'static str),
    Symbol(Symbol),
    Timeframe(Timeframe),
    /// Shows another time.
    Span(Span),
    Zone(Zone),
    Layout(Layout),
    /// The current chart alone, or all charts again.
    Alone(bool),
    Theme(Theme),
    CopyLink,
    /// Copies the line that asks the API for what the page shows.
    CopyCurl,
    /// Downloads the bars of the chart that is shown.
    ExportCsv,
}

/// One line of the palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind of thing it is: `page`, `symbol` …
    pub kind: &'static str,
    pub name: String,
    /// The keys that do the same, or nothing.
    pub keys: String,
    pub command: Command,
}

impl Entry {
    fn new(kind: &'static str, name: impl Into<String>, keys: impl Into<String>, command: Command) -> Self {
        Self { kind, name: name.into(), keys: keys.into(), command }
    }
}

/// Everything that can be done on a page; `view` is the dashboard's, `day` one that can be played.
pub fn entries(symbols: &[Symbol], view: Option<&View>, day: Option<NaiveDate>) -> Vec<Entry> {
    let mut entries: Vec<_> = PAGES
        .iter()
        .map(|page| Entry::new("page", page.name, format!("g {}", page.key), Command::Page(page.path)))
        .collect();
    entries.extend(
        symbols.iter().map(|symbol| Entry::new("symbol", symbol.to_string(), "", Command::Symbol(symbol.clone()))),
    );
    if let Some(view) = view {
        entries.extend(Timeframe::USUAL.iter().enumerate().map(|(index, &timeframe)| {
            Entry::new(
                "timeframe",
                format!("Bars of {timeframe}"),
                (index + 1).to_string(),
                Command::Timeframe(timeframe),
            )
        }));
        entries.push(Entry::new("time", "Live: the newest bars", "l", Command::Span(Span::default())));
        entries.extend(
            Range::QUICK.map(|range| Entry::new("time", range.title(), "", Command::Span(Span::Live(Some(range))))),
        );
        entries.extend(day.map(|day| {
            let span = Span::Replay { at: opening(day), speed: USUAL_SPEED };
            Entry::new("time", span.title(Zone::Exchange), "r", Command::Span(span))
        }));
        entries.extend(
            Zone::ALL.map(|zone| Entry::new("zone", format!("Clock: {}", zone.title()), "", Command::Zone(zone))),
        );
        entries
            .extend(Layout::OFFERED.map(|layout| Entry::new("layout", layout.title(), "v", Command::Layout(layout))));
        if view.layout.count() > 1 {
            let name = if view.alone { "All charts again" } else { "This chart alone" };
            entries.push(Entry::new("layout", name, "f", Command::Alone(!view.alone)));
        }
        entries.push(Entry::new("action", "Export CSV of the chart's bars", "", Command::ExportCsv));
    }
    entries.push(Entry::new("action", "Copy link to this page", "", Command::CopyLink));
    entries.push(Entry::new("action", "Copy as curl", "", Command::CopyCurl));
    for (name, theme) in [("Light theme", Theme::Light), ("Dark theme", Theme::Dark), ("System theme", Theme::System)] {
        entries.push(Entry::new("theme", name, "t", Command::Theme(theme)));
    }
    entries
}

/// The entries that have what was typed, the best first. Each word of it must be in the entry: as the beginning of a word
/// best, within one less, letter by letter in their order least.
pub fn search(entries: &[Entry], typed: &str) -> Vec<Entry> {
    let wanted: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(u32, &Entry)> = entries
        .iter()
        .filter_map(|entry| {
            let text = format!("{} {}", entry.name, entry.kind).to_lowercase();
            let scores: Option<Vec<u32>> = wanted.iter().map(|word| score(&text, word)).collect();
            Some((scores?.iter().sum(), entry))
        })
        .collect();
    // Stable: what fits equally well stays in order.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, entry)| entry.clone()).take(SHOWN).collect()
}

fn score(text: &str, word: &str) -> Option<u32> {
    if text == word || text.starts_with(&format!("{word} ")) {
        return Some(5);
    }
    if text.starts_with(word) {
        return Some(4);
    }
    if text.split(|c: char| !c.is_alphanumeric()).any(|of_text| of_text.starts_with(word)) {
        return Some(3);
    }
    if text.contains(word) {
        return Some(2);
    }
    let mut letters = text.chars();
    word.chars().all(|wanted| letters.any(|letter| letter == wanted)).then_some(1)
}

/// The path of the API that answers with what a page shows.
pub fn api_path(page: &str, view: Option<&View>) -> &'static str {
    match page {
        _ if view.is_some() => "/api/v1/bars",
        "/watchlist" => "/api/v1/watchlist",
        "/pipeline" => "/api/v1/pipeline",
        "/status" => "/api/v1/freshness",
        "/quality" => "/api/v1/validations",
        "/quarantine" => "/api/v1/quarantine",
        _ => "/api/v1/symbols",
    }
}

/// The bars of the chart that is shown, the newest first; `csv`: as a file.
pub fn bars_path(view: &View, csv: bool) -> String {
    let format = if csv { "&format=csv" } else { "" };
    let window = match view.span {
        Span::Live(_) => None,
        Span::Between { from, to } => Some((from, to)),
        Span::Replay { at, .. } => Some(bounds(day_of(at))),
    };
    let instant = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let window = window.map(|(from, to)| format!("&start={}&end={}", instant(from), instant(to))).unwrap_or_default();
    format!(
        "/api/v1/bars?symbol={}&timeframe={}&sort=desc&limit={BARS}{window}{format}",
        view.symbol(view.side),
        view.timeframe
    )
}

/// The line that asks for what a page shows. `origin` is the server's, as the browser knows it.
pub fn curl(origin: &str, page: &str, view: Option<&View>) -> String {
    let path = view.map_or_else(|| api_path(page, None).to_owned(), |view| bars_path(view, false));
    format!("curl '{origin}{path}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(typed: &str) -> Vec<String> {
        let symbols: Vec<Symbol> = ["AAPL", "AMZN", "MSFT"].map(|symbol| symbol.parse().unwrap()).into();
        let view = View::read(|_| None);
        search(&entries(&symbols, Some(&view), NaiveDate::from_ymd_opt(2024, 1, 16)), typed)
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    }

    #[test]
    fn what_is_typed_finds_pages_symbols_timeframes_and_actions() {
        assert_eq!(names("")[0], "Dashboard", "without a word, everything in its order");
        assert_eq!(names("amzn"), ["AMZN"]);
        assert_eq!(names("pipe")[0], "Pipeline");
        assert_eq!(names("dark")[0], "Dark theme");
        assert_eq!(names("csv")[0], "Export CSV of the chart's bars");
        assert_eq!(names("15m")[0], "Bars of 15m");
        assert_eq!(names("replay")[0], "Replay of 16 Jan 2024");
        assert_eq!(names("last week")[0], "Last week");
        assert_eq!(names("local")[0], "Clock: Local");
        assert_eq!(names("layout 9"), ["9 charts, 3 × 3"]);
        assert_eq!(names("alone")[0], "This chart alone");
        assert_eq!(names("mzn"), ["AMZN"], "within a word");
        assert_eq!(names("qrt")[0], "Quarantine", "letters in their order");
        assert!(names("xyzzy").is_empty());
    }

    #[test]
    fn a_page_without_charts_offers_neither_timeframes_nor_bars() {
        let all = entries(&[], None, None);
        assert!(
            all.iter()
                .all(|entry| !matches!(entry.command, Command::Timeframe(_) | Command::Layout(_) | Command::ExportCsv))
        );
    }

    #[test]
    fn what_is_copied_asks_for_what_is_shown() {
        let view = View::read(|key| (key == "tf").then(|| "5m".to_owned()));
        assert_eq!(
            curl("http://localhost:8080", "/dashboard", Some(&view)),
            "curl 'http://localhost:8080/api/v1/bars?symbol=AMZN&timeframe=5m&sort=desc&limit=10000'"
        );
        assert_eq!(curl("https://a", "/pipeline", None), "curl 'https://a/api/v1/pipeline'");
        assert!(bars_path(&view, true).ends_with("&format=csv"));
        let day = view.with_span(Span::read(|key| (key == "replay").then(|| "2024-01-16".to_owned())));
        let path = bars_path(&day, false);
        assert!(path.ends_with("&start=2024-01-16T05:00:00Z&end=2024-01-17T05:00:00Z"), "{path}");
    }
}
