//! The state of a page as its URL says it. Whatever a link can show, a link can share.

use market::{Symbol, Timeframe};

/// Which of the two charts a narrow screen shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    #[default]
    A,
    B,
}

impl Side {
    pub fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// Light or dark, or as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Dark,
    Light,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The value of `data-theme` and of the query's `theme`; the system's theme has none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Dark => Some("dark"),
            Self::Light => Some("light"),
        }
    }

    pub fn parse(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|theme| theme.name().is_some() && theme.name() == text).unwrap_or_default()
    }

    /// The one that the `t` key goes to.
    pub fn next(self) -> Self {
        match self {
            Self::System => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::System,
        }
    }

    /// A path, which may have a query, with this theme in its query.
    pub fn link(self, path: &str) -> String {
        let joint = if path.contains('?') { '&' } else { '?' };
        self.name().map_or_else(|| path.to_owned(), |name| format!("{path}{joint}theme={name}"))
    }
}

/// The dashboard's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub a: Symbol,
    pub b: Symbol,
    pub timeframe: Timeframe,
    pub theme: Theme,
    pub side: Side,
}

fn symbol(text: Option<String>, otherwise: &str) -> Symbol {
    text.and_then(|text| text.trim().to_ascii_uppercase().parse().ok())
        .unwrap_or_else(|| otherwise.parse().expect("the default symbols are valid"))
}

impl View {
    /// Reads the query; whatever is missing or makes no sense becomes its default.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            a: symbol(value("a"), "AMZN"),
            b: symbol(value("b"), "AAPL"),
            timeframe: value("tf").and_then(|text| text.parse().ok()).unwrap_or_default(),
            theme: Theme::parse(value("theme").as_deref()),
            side: if value("show").as_deref() == Some("b") { Side::B } else { Side::A },
        }
    }

    pub fn symbol(&self, side: Side) -> &Symbol {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// Both symbols, once each.
    pub fn symbols(&self) -> Vec<Symbol> {
        if self.a == self.b { vec![self.a.clone()] } else { vec![self.a.clone(), self.b.clone()] }
    }

    pub fn with_symbol(mut self, side: Side, symbol: Symbol) -> Self {
        match side {
            Side::A => self.a = symbol,
            Side::B => self.b = symbol,
        }
        self
    }

    pub fn with_timeframe(self, timeframe: Timeframe) -> Self {
        Self { timeframe, ..self }
    }

    pub fn with_theme(self, theme: Theme) -> Self {
        Self { theme, ..self }
    }

    pub fn with_side(self, side: Side) -> Self {
        Self { side, ..self }
    }

    /// The link that shows this state. Symbols and timeframes need no escaping.
    pub fn link(&self) -> String {
        let mut link = format!("/dashboard?a={}&b={}&tf={}", self.a, self.b, self.timeframe);
        if let Some(theme) = self.theme.name() {
            link.push_str("&theme=");
            link.push_str(theme);
        }
        if self.side == Side::B {
            link.push_str("&show=b");
        }
        link
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn read(link: &str) -> View {
        let query = link.split_once('?').map_or("", |(_, query)| query);
        let pairs: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        View::read(|key| pairs.get(key).map(|value| (*value).to_owned()))
    }

    #[test]
    fn a_link_restores_the_state_it_was_made_from() {
        for link in [
            "/dashboard?a=AMZN&b=AAPL&tf=1m",
            "/dashboard?a=BRK.B&b=MSFT&tf=1d&theme=dark",
            "/dashboard?a=AMZN&b=AMZN&tf=15m&theme=light&show=b",
        ] {
            assert_eq!(read(link).link(), link);
        }
    }

    #[test]
    fn nonsense_in_the_query_becomes_the_default() {
        assert_eq!(read("/dashboard").link(), "/dashboard?a=AMZN&b=AAPL&tf=1m");
        assert_eq!(read("/dashboard?a=%3Cscript%3E&tf=2m&theme=pink&show=z").link(), "/dashboard?a=AMZN&b=AAPL&tf=1m");
        assert_eq!(read("/dashboard?a=msft").a.as_str(), "MSFT");
    }

    #[test]
    fn one_symbol_on_both_sides_is_asked_for_once() {
        assert_eq!(read("/dashboard?a=AMZN&b=AMZN").symbols().len(), 1);
    }
}
