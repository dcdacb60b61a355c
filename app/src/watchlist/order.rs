//! Which rows the watchlist shows and in which order, as its address says it. Whatever a link can show, a link can share.

use super::{Figures, PATH, severity};
use crate::query::Theme;
use market::{Symbol, watchlist::WatchRow};
use std::cmp::Ordering;

/// The longest filter: no symbol is longer.
pub const MAX_FILTER: usize = 15;

/// What rows are ordered by: the table's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    #[default]
    Symbol,
    Last,
    Change,
    Percent,
    Volume,
    /// By when the newest change was committed.
    Fresh,
    /// By the worst severity, then by how much there is of it.
    Quality,
}

impl Column {
    pub const ALL: [Self; 7] =
        [Self::Symbol, Self::Last, Self::Change, Self::Percent, Self::Volume, Self::Fresh, Self::Quality];

    /// Its name in an address.
    pub fn key(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Last => "last",
            Self::Change => "change",
            Self::Percent => "percent",
            Self::Volume => "volume",
            Self::Fresh => "fresh",
            Self::Quality => "quality",
        }
    }

    /// Its name in the table's head.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symbol => "Symbol",
            Self::Last => "Last",
            Self::Change => "Change",
            Self::Percent => "%",
            Self::Volume => "Volume",
            Self::Fresh => "Freshness",
            Self::Quality => "Quality",
        }
    }
}

/// A column, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

/// One row with what it is ordered by.
#[derive(Clone, Debug)]
pub struct Ranked {
    pub row: WatchRow,
    pub now: Figures,
}

impl Sort {
    /// `-percent` is by percent, the largest first.
    fn parse(text: &str) -> Self {
        let (descending, key) = text.strip_prefix('-').map_or((false, text), |key| (true, key));
        let column = Column::ALL.into_iter().find(|column| column.key() == key);
        column.map_or_else(Self::default, |column| Self { column, descending })
    }

    fn text(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column.key())
    }

    /// What pressing a column's head comes to: its own beginning, or else the other way round.
    pub fn pressed(self, column: Column) -> Self {
        let descending = if self.column == column { !self.descending } else { column != Column::Symbol };
        Self { column, descending }
    }

    /// The value of `aria-sort` of a column's head.
    pub fn aria(self, column: Column) -> &'static str {
        match (self.column == column, self.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// The symbols in this order; by name where it says nothing. What is not known stands last either way.
    pub fn of(self, mut rows: Vec<Ranked>) -> Vec<Symbol> {
        rows.sort_by(|a, b| self.compare(a, b).then_with(|| a.row.symbol.cmp(&b.row.symbol)));
        rows.into_iter().map(|ranked| ranked.row.symbol).collect()
    }

    fn compare(self, a: &Ranked, b: &Ranked) -> Ordering {
        let turn = |order: Ordering| if self.descending { order.reverse() } else { order };
        let known_first = |a: Option<_>, b: Option<_>| match (a, b) {
            (Some(a), Some(b)) => turn(Ord::cmp(&a, &b)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        match self.column {
            Column::Symbol => turn(a.row.symbol.cmp(&b.row.symbol)),
            Column::Last => turn(a.now.last.cmp(&b.now.last)),
            Column::Change => known_first(a.now.change, b.now.change),
            Column::Percent => known_first(a.now.percent, b.now.percent),
            Column::Volume => turn(a.now.volume.cmp(&b.now.volume)),
            Column::Fresh => turn(a.row.committed_at.cmp(&b.row.committed_at)),
            Column::Quality => {
                let rank = |row: &WatchRow| (severity(row), row.findings, row.tagged);
                turn(rank(&a.row).cmp(&rank(&b.row)))
            }
        }
    }
}

/// The page's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub sort: Sort,
    /// What names have in them, in capitals.
    pub filter: String,
    pub theme: Theme,
}

impl Asked {
    /// Reads the query; whatever makes no sense becomes its default.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            sort: value("sort").map_or_else(Sort::default, |text| Sort::parse(&text)),
            filter: value("filter").map_or_else(String::new, |text| legal(&text)),
            theme: Theme::parse(value("theme").as_deref()),
        }
    }

    pub fn with_sort(self, sort: Sort) -> Self {
        Self { sort, ..self }
    }

    pub fn with_theme(self, theme: Theme) -> Self {
        Self { theme, ..self }
    }

    pub fn with_filter(self, filter: &str) -> Self {
        Self { filter: legal(filter), ..self }
    }

    pub fn lets_through(&self, symbol: &Symbol) -> bool {
        symbol.as_str().contains(&self.filter)
    }

    /// What the form carries beside the filter.
    pub fn sort_text(&self) -> Option<String> {
        (self.sort != Sort::default()).then(|| self.sort.text())
    }

    /// The link that shows this state. Nothing in it needs escaping.
    pub fn link(&self) -> String {
        let mut pairs: Vec<String> = Vec::new();
        pairs.extend(self.sort_text().map(|sort| format!("sort={sort}")));
        pairs.extend((!self.filter.is_empty()).then(|| format!("filter={}", self.filter)));
        let path = if pairs.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", pairs.join("&")) };
        self.theme.link(&path)
    }
}

/// Of what was typed, what a symbol can have in it.
fn legal(text: &str) -> String {
    let text = text.to_ascii_uppercase();
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).take(MAX_FILTER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::{figures, tests::row};
    use market::Severity;
    use std::collections::HashMap;

    fn read(link: &str) -> Asked {
        let query = link.split_once('?').map_or("", |(_, query)| query);
        let pairs: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        Asked::read(|key| pairs.get(key).map(|value| (*value).to_owned()))
    }

    #[test]
    fn a_link_restores_the_state_it_was_made_from() {
        for link in ["/watchlist", "/watchlist?sort=-percent&filter=BRK.B", "/watchlist?sort=fresh&theme=dark"] {
            assert_eq!(read(link).link(), link);
        }
        assert_eq!(read("/watchlist?sort=-pink&filter=%3Cam%3E&theme=pink").link(), "/watchlist?filter=3CAM3E");
    }

    #[test]
    fn a_pressed_head_sorts_by_it_and_then_the_other_way() {
        let first = Sort::default().pressed(Column::Percent);
        assert_eq!((first.text().as_str(), first.aria(Column::Percent)), ("-percent", "descending"));
        assert_eq!(first.pressed(Column::Percent).text(), "percent");
        assert_eq!(first.pressed(Column::Symbol), Sort::default());
        assert_eq!(first.aria(Column::Symbol), "none");
    }

    #[test]
    fn rows_without_a_change_stand_last_whichever_way_they_are_ordered() {
        let rows = || {
            let rows = [row("B", 90, Some(100)), row("C", 100, None), row("A", 110, Some(100))];
            rows.map(|row| Ranked { now: figures(&row, &[]), row }).to_vec()
        };
        let order = |sort: &str| Sort::parse(sort).of(rows()).iter().map(ToString::to_string).collect::<String>();
        assert_eq!([order("symbol"), order("-percent"), order("percent")], ["ABC", "ABC", "BAC"]);
        assert_eq!([order("-symbol"), order("last"), order("-volume")], ["CBA", "BCA", "ABC"]);
    }

    #[test]
    fn the_worst_quality_stands_first_and_more_of_it_before_less() {
        let with = |symbol: &str, worst, findings, tagged| WatchRow { worst, findings, tagged, ..row(symbol, 1, None) };
        let rows = [
            with("A", None, 0, 0),
            with("B", Some(Severity::Critical), 1, 0),
            with("C", None, 0, 9),
            with("D", Some(Severity::Warning), 2, 0),
        ];
        let rows = rows.map(|row| Ranked { now: figures(&row, &[]), row }).to_vec();
        let order: String = Sort::parse("-quality").of(rows).iter().map(ToString::to_string).collect();
        assert_eq!(order, "BDCA");
    }
}
