//! The state of a page as its URL says it. Whatever a link can show, a link can share.

pub use crate::layout::Side;
use crate::{
    chart::look::Look,
    layout::{Layout, MOST},
    span::{Span, streamed},
    zone::Zone,
};
use market::{Symbol, Timeframe};
use std::fmt::Write;

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
    pub layout: Layout,
    /// Of each chart: at least two, and as many as the layout has. Those of a larger layout before stay.
    symbols: Vec<Symbol>,
    /// Of the bars; with `auto` as the time shown asks for.
    pub timeframe: Timeframe,
    pub auto: bool,
    /// Which time is shown.
    pub span: Span,
    pub zone: Zone,
    pub theme: Theme,
    /// The chart that a narrow screen shows, and that keys and commands are for.
    pub side: Side,
    /// Whether that chart has the page for itself.
    pub alone: bool,
    /// How each chart is looked at.
    looks: [Look; MOST],
    /// Whether up and down have colours that colour-blind eyes tell apart.
    pub safe_colors: bool,
}

/// The query's `tf` of bars that are as long as the time shown asks for.
const AUTO: &str = "auto";

/// Bars that a link may name: the page's own, and the longer ones that years are seen in.
const OFFERED: [Timeframe; 7] = {
    let [a, b, c, d, e] = Timeframe::USUAL;
    [a, b, c, d, e, Timeframe::WEEK_1, Timeframe::MONTH_1]
};

/// The query's key and value for colours that colour-blind eyes tell apart.
pub const COLORS: (&str, &str) = ("colors", "safe");

/// Symbols of charts for which a link names none.
const USUAL: [&str; MOST] = ["AMZN", "AAPL", "MSFT", "NVDA", "GOOGL", "META", "TSLA", "JPM", "XOM"];

fn usual(place: usize) -> Symbol {
    USUAL[place].parse().expect("the usual symbols are valid")
}

/// Symbols as a link names them, and for the gaps among the first `count` of them others that are not there yet.
fn symbols(named: [Option<Symbol>; MOST], count: usize) -> Vec<Symbol> {
    let last = named.iter().rposition(Option::is_some).map_or(0, |place| place + 1);
    let mut symbols: Vec<Symbol> = Vec::with_capacity(MOST);
    for place in 0..last.max(count) {
        let absent = |symbol: &Symbol| !symbols.contains(symbol) && !named.contains(&Some(symbol.clone()));
        let other = || (2..MOST).map(usual).find(absent);
        let symbol = named[place].clone();
        // The first two have theirs whatever else is shown.
        symbols.push(symbol.or_else(|| (place > 1).then(other).flatten()).unwrap_or_else(|| usual(place)));
    }
    symbols
}

impl View {
    /// Reads the query; whatever is missing or makes no sense becomes its default.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let look = |side: Side| {
            let suffix = side.suffix();
            let of = |key: &str| value(&format!("{key}{suffix}"));
            Look::read(of("type").as_deref(), of("scale").as_deref(), of("ind").as_deref())
                .comparing(of("cmp").as_deref())
        };
        let layout = value("layout").and_then(|text| Layout::parse(&text)).unwrap_or_default();
        let named = Side::ALL.map(|side| value(side.letter())?.trim().to_ascii_uppercase().parse().ok());
        let side = value("show").and_then(|text| Side::parse(&text)).unwrap_or_default();
        let tf = value("tf");
        let view = Self {
            layout,
            symbols: symbols(named, layout.count().max(2)),
            auto: tf.as_deref() == Some(AUTO),
            timeframe: tf
                .and_then(|text| text.parse().ok())
                .filter(|timeframe| OFFERED.contains(timeframe))
                .unwrap_or_default(),
            span: Span::read(&value),
            zone: Zone::parse(value("zone").as_deref()),
            theme: Theme::parse(value("theme").as_deref()),
            side,
            alone: value("alone").as_deref() == Some("1"),
            looks: Side::ALL.map(look),
            safe_colors: value(COLORS.0).as_deref() == Some(COLORS.1),
        };
        view.fitted()
    }

    /// With bars that the time shown can have, and a chart that the layout has.
    fn fitted(mut self) -> Self {
        if self.side.index() >= self.layout.count() {
            self.side = Side::A;
        }
        self.alone &= self.layout.count() > 1;
        if self.auto {
            self.timeframe = self.span.timeframe();
        }
        // Longer bars than a day have no stream, and no way to be played.
        if !matches!(self.span, Span::Between { .. }) {
            self.timeframe = streamed(self.timeframe);
        }
        self
    }

    /// The charts that are on the page.
    pub fn sides(&self) -> &'static [Side] {
        if self.alone { &Side::ALL[self.side.index()..=self.side.index()] } else { self.layout.sides() }
    }

    /// The grid that they are in.
    pub fn grid(&self) -> Layout {
        if self.alone { Layout::OFFERED[0] } else { self.layout }
    }

    /// The symbol of a chart that the layout has; those of others, and of a layout before, are the first's.
    pub fn symbol(&self, side: Side) -> &Symbol {
        self.symbols.get(side.index()).unwrap_or(&self.symbols[0])
    }

    /// All symbols that are shown, those compared with included, once each.
    pub fn symbols(&self) -> Vec<Symbol> {
        let sides = self.sides();
        let others = sides.iter().flat_map(|side| &self.look(*side).others);
        let mut symbols: Vec<Symbol> = Vec::new();
        for symbol in sides.iter().map(|side| self.symbol(*side)).chain(others) {
            if !symbols.contains(symbol) {
                symbols.push(symbol.clone());
            }
        }
        symbols
    }

    pub fn with_symbol(mut self, side: Side, symbol: Symbol) -> Self {
        if let Some(of) = self.symbols.get_mut(side.index()) {
            *of = symbol;
        }
        self
    }

    /// In another grid. Charts that come have the symbol that they had, or one of those known that no other has.
    pub fn with_layout(mut self, layout: Layout, known: &[Symbol]) -> Self {
        while self.symbols.len() < layout.count() {
            let place = self.symbols.len();
            let other = known.iter().find(|symbol| !self.symbols.contains(symbol)).or(known.get(place));
            self.symbols.push(other.cloned().unwrap_or_else(|| usual(place)));
        }
        Self { layout, alone: false, ..self }.fitted()
    }

    /// With the current chart for itself, or beside the others.
    pub fn with_alone(self, alone: bool) -> Self {
        Self { alone, ..self }.fitted()
    }

    pub fn with_timeframe(self, timeframe: Timeframe) -> Self {
        Self { timeframe, auto: false, ..self }.fitted()
    }

    /// With bars as long as the time shown asks for.
    pub fn with_auto(self) -> Self {
        Self { auto: true, ..self }.fitted()
    }

    pub fn with_span(self, span: Span) -> Self {
        Self { span, ..self }.fitted()
    }

    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    pub fn with_theme(self, theme: Theme) -> Self {
        Self { theme, ..self }
    }

    pub fn with_side(self, side: Side) -> Self {
        Self { side, ..self }
    }

    /// The chart after the current one, and after the last the first.
    pub fn next_side(&self) -> Side {
        self.layout.sides()[(self.side.index() + 1) % self.layout.count()]
    }

    pub fn look(&self, side: Side) -> &Look {
        &self.looks[side.index()]
    }

    pub fn with_look(mut self, side: Side, look: Look) -> Self {
        self.looks[side.index()] = look;
        self
    }

    pub fn with_safe_colors(self, safe_colors: bool) -> Self {
        Self { safe_colors, ..self }
    }

    /// What is shown, in a few words.
    pub fn title(&self) -> String {
        let names: Vec<_> = self.sides().iter().map(|side| self.symbol(*side).as_str()).collect();
        let names = match names.as_slice() {
            [first, _, _, _, _, ..] => format!("{first} and {} others", names.len() - 1),
            [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
            few => few.concat(),
        };
        format!("{names}, {}", self.timeframe)
    }

    /// The link that shows this state. Symbols and timeframes need no escaping.
    pub fn link(&self) -> String {
        let mut link = "/dashboard?".to_owned();
        // Writing to a String cannot fail.
        for (side, symbol) in Side::ALL.into_iter().zip(&self.symbols) {
            let _ = write!(link, "{}={symbol}&", side.letter());
        }
        link.push_str("tf=");
        let _ = if self.auto { write!(link, "{AUTO}") } else { write!(link, "{}", self.timeframe) };
        if self.layout != Layout::default() {
            let _ = write!(link, "&layout={}", self.layout);
        }
        self.span.write(&mut link);
        if let Some(zone) = self.zone.name() {
            let _ = write!(link, "&zone={zone}");
        }
        if let Some(theme) = self.theme.name() {
            link.push_str("&theme=");
            link.push_str(theme);
        }
        if self.side != Side::A {
            let _ = write!(link, "&show={}", self.side.letter());
        }
        if self.alone {
            link.push_str("&alone=1");
        }
        for side in Side::ALL {
            self.look(side).write(&mut link, &side.suffix());
        }
        if self.safe_colors {
            link.push_str("&colors=safe");
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
            "/dashboard?a=AMZN&b=AAPL&tf=auto&range=1w&zone=local&theme=dark",
            "/dashboard?a=AMZN&b=AAPL&tf=1w&from=2020-01-02T05:00Z&to=2024-01-02T05:00Z",
            "/dashboard?a=AMZN&b=AAPL&tf=1m&cmp=MSFT,GOOG&ind-b=rsi14&cmp-b=AMZN",
            "/dashboard?a=AMZN&b=AAPL&tf=5m&replay=2024-01-16&speed=600",
            "/dashboard?a=AMZN&b=AAPL&tf=1m&layout=1",
            "/dashboard?a=AMZN&b=AAPL&c=MSFT&d=TSLA&tf=1m&layout=4&theme=dark&show=d&alone=1&ind-c=rsi14&type-d=line",
            "/dashboard?a=A&b=B&c=C&d=D&e=E&f=F&g=G&h=H&i=I&tf=1m&layout=9",
            "/dashboard?a=AMZN&b=AAPL&c=MSFT&tf=1m",
            "/dashboard?a=AMZN&b=AAPL&tf=1m&ind=sma20,bb20&type-b=area&scale-b=log&ind-b=rsi14&colors=safe",
        ] {
            assert_eq!(read(link).link(), link);
        }
    }

    #[test]
    fn nonsense_in_the_query_becomes_the_default() {
        assert_eq!(read("/dashboard").link(), "/dashboard?a=AMZN&b=AAPL&tf=1m");
        assert_eq!(read("/dashboard?a=%3Cscript%3E&tf=2m&theme=pink&show=z").link(), "/dashboard?a=AMZN&b=AAPL&tf=1m");
        assert_eq!(read("/dashboard?a=msft").symbol(Side::A).as_str(), "MSFT");
        assert_eq!(read("/dashboard?layout=12&show=c&alone=1").side, Side::A, "a layout of two has no third chart");
        assert!(!read("/dashboard?layout=1&alone=1").alone);
    }

    #[test]
    fn a_grid_has_a_symbol_for_each_chart_and_none_twice_without_need() {
        let link = |query: &str| read(&format!("/dashboard?{query}")).link();
        assert_eq!(link("layout=4"), "/dashboard?a=AMZN&b=AAPL&c=MSFT&d=NVDA&tf=1m&layout=4");
        assert_eq!(link("a=MSFT&d=NVDA&layout=4"), "/dashboard?a=MSFT&b=AAPL&c=GOOGL&d=NVDA&tf=1m&layout=4");
        assert_eq!(read("/dashboard?layout=9").symbols().len(), 9);
    }

    #[test]
    fn another_layout_keeps_the_symbols_and_takes_new_ones_from_those_known() {
        let known: Vec<Symbol> = ["AAPL", "AMZN", "JPM", "XOM"].map(|symbol| symbol.parse().unwrap()).into();
        let layout = |text: &str| Layout::parse(text).unwrap();
        let four = read("/dashboard").with_layout(layout("4"), &known);
        assert_eq!(four.link(), "/dashboard?a=AMZN&b=AAPL&c=JPM&d=XOM&tf=1m&layout=4");
        let chosen = four.with_symbol(Side::C, "TSLA".parse().unwrap()).with_side(Side::D);
        let one = chosen.clone().with_layout(layout("1"), &known);
        assert_eq!((one.side, one.symbols().len()), (Side::A, 1), "what is not shown is not followed");
        assert_eq!(one.with_layout(layout("4"), &known).symbol(Side::C).as_str(), "TSLA");
        let alone = chosen.with_alone(true);
        assert_eq!((alone.sides(), alone.title().as_str()), (&[Side::D][..], "XOM, 1m"));
        assert_eq!(read("/dashboard").with_layout(layout("9"), &[]).symbols().len(), 9);
    }

    #[test]
    fn the_title_names_what_is_shown() {
        let title = |query: &str| read(&format!("/dashboard?{query}")).title();
        assert_eq!(title("layout=1"), "AMZN, 1m");
        assert_eq!(title("tf=5m"), "AMZN and AAPL, 5m");
        assert_eq!(title("layout=3"), "AMZN, AAPL and MSFT, 1m");
        assert_eq!(title("layout=9"), "AMZN and 8 others, 1m");
    }

    #[test]
    fn bars_are_as_long_as_the_time_shown_asks_for_and_no_longer_than_it_can_have() {
        let timeframe = |query: &str| read(&format!("/dashboard?{query}")).timeframe.to_string();
        assert_eq!(timeframe("tf=auto&range=1mo"), "15m");
        assert_eq!(timeframe("tf=auto&from=2000-01-01&to=2024-01-01"), "1mo");
        assert_eq!(timeframe("tf=1w"), "1d", "the stream has no weeks");
        assert_eq!(timeframe("tf=1mo&replay=2024-01-16"), "1d");
        let view = read("/dashboard?tf=auto&range=1y");
        assert_eq!(view.clone().with_span(Span::default()).timeframe, Timeframe::MINUTE_1);
        assert!(!view.with_timeframe(Timeframe::HOUR_1).auto);
    }

    #[test]
    fn one_symbol_on_both_sides_is_asked_for_once() {
        assert_eq!(read("/dashboard?a=AMZN&b=AMZN").symbols().len(), 1);
        assert_eq!(read("/dashboard?a=AMZN&b=AAPL&cmp=MSFT,AAPL&cmp-b=MSFT").symbols().len(), 3);
    }
}
