//! How many charts the dashboard shows, and in which grid. Pure.

use std::fmt;

/// The most charts of one page.
pub const MOST: usize = 9;
/// The longest row or column.
const LONGEST: u8 = 4;

/// Which chart of a layout, in the order of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    #[default]
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
}

impl Side {
    pub const ALL: [Self; MOST] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F, Self::G, Self::H, Self::I];

    /// Its place, from 0 on.
    pub fn index(self) -> usize {
        self as usize
    }

    /// In links, and in the ids of what is in its panel.
    pub fn letter(self) -> &'static str {
        &"abcdefghi"[self.index()..=self.index()]
    }

    /// For people.
    pub fn name(self) -> &'static str {
        &"ABCDEFGHI"[self.index()..=self.index()]
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.letter() == text)
    }

    /// Behind the query's keys of what each chart has for itself.
    pub fn suffix(self) -> String {
        if self == Self::A { String::new() } else { format!("-{}", self.letter()) }
    }
}

/// A grid of charts, filled row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    count: u8,
    columns: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self::of(2)
    }
}

impl Layout {
    /// Those that the menu, the key and the palette offer; a link may ask for others.
    pub const OFFERED: [Self; 7] =
        [Self::of(1), Self::of(2), Self { count: 2, columns: 1 }, Self::of(3), Self::of(4), Self::of(6), Self::of(9)];

    /// The usual grid of so many charts, from one to nine.
    const fn of(count: u8) -> Self {
        let columns = match count {
            1 => 1,
            2 | 4 => 2,
            7 | 8 => 4,
            _ => 3,
        };
        Self { count, columns }
    }

    /// A number of charts, or columns and rows: `4`, `1x2`; up to nine charts and four a side.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u8>().ok().filter(|number| (1..=MOST as u8).contains(number));
        let Some((columns, rows)) = text.split_once('x') else { return number(text).map(Self::of) };
        let (columns, rows) = (number(columns)?, number(rows)?);
        let fits = columns.max(rows) <= LONGEST && usize::from(columns * rows) <= MOST;
        fits.then_some(Self { count: columns * rows, columns })
    }

    pub fn columns(self) -> u8 {
        self.columns
    }

    pub fn rows(self) -> u8 {
        self.count.div_ceil(self.columns)
    }

    pub fn count(self) -> usize {
        usize::from(self.count)
    }

    /// Its charts.
    pub fn sides(self) -> &'static [Side] {
        &Side::ALL[..self.count()]
    }

    /// Whether charts have too little room for their statistics and tables.
    pub fn is_dense(self) -> bool {
        self.count > 2 || self.rows() > 1
    }

    /// The one that the key goes to; with `back` the one before.
    pub fn next(self, back: bool) -> Self {
        let by = if back { Self::OFFERED.len() - 1 } else { 1 };
        let place = Self::OFFERED.iter().position(|offered| *offered == self);
        place.map_or(Self::default(), |place| Self::OFFERED[(place + by) % Self::OFFERED.len()])
    }

    /// A frame with lines between the charts: the path of an icon of 24 by 24.
    pub fn icon(self) -> String {
        let mut path = "M3 5h18v14H3z".to_owned();
        let (columns, rows) = (self.columns, self.rows());
        (1..columns).for_each(|column| path.push_str(&format!("M{} 5v14", 3 + 18 * column / columns)));
        (1..rows).for_each(|row| path.push_str(&format!("M3 {}h18", 5 + 14 * row / rows)));
        path
    }

    /// For people.
    pub fn title(self) -> String {
        let rows = self.rows();
        match (self.count, self.columns) {
            (1, _) => "One chart".to_owned(),
            (2, 2) => "Two side by side".to_owned(),
            (2, _) => "Two, one above the other".to_owned(),
            (3, 3) => "Three side by side".to_owned(),
            (count, columns) if count == columns => format!("{count} side by side"),
            (count, columns) if count == columns * rows => format!("{count} charts, {columns} × {rows}"),
            (count, _) => format!("{count} charts"),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::of(self.count) {
            write!(f, "{}", self.count)
        } else {
            write!(f, "{}x{}", self.columns, self.rows())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_read_as_it_is_written_and_has_nine_charts_at_most() {
        for text in ["1", "2", "1x2", "3", "1x3", "4", "4x1", "5", "6", "2x3", "7", "8", "9"] {
            assert_eq!(Layout::parse(text).map(|layout| layout.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Layout::parse("3x3"), Layout::parse("9"));
        for text in ["", "0", "x", "10", "1x5", "5x1", "4x3", "2x0", "2x2x2", "-1x1", "99x99", "256"] {
            assert_eq!(Layout::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_number_of_charts_has_a_grid_with_room_for_them() {
        for count in 1..=MOST {
            let layout = Layout::parse(&count.to_string()).unwrap();
            let cells = usize::from(layout.columns()) * usize::from(layout.rows());
            assert!(layout.count() == count && (count..=count + 1).contains(&cells), "{layout:?}");
            assert_eq!(layout.sides().last().map(|side| side.index()), Some(count - 1));
        }
        assert_eq!(Layout::default().to_string(), "2");
    }

    #[test]
    fn the_key_goes_through_all_that_are_offered_and_round_and_back() {
        let mut layout = Layout::OFFERED[0];
        for offered in Layout::OFFERED {
            assert_eq!(layout, offered);
            assert_eq!(layout.next(false).next(true), layout);
            layout = layout.next(false);
        }
        assert_eq!(layout, Layout::OFFERED[0]);
        assert_eq!(Layout::parse("8").map(|layout| layout.next(false)), Some(Layout::default()));
    }

    #[test]
    fn a_chart_is_known_by_its_letter() {
        for side in Side::ALL {
            assert_eq!(Side::parse(side.letter()), Some(side));
            assert_eq!(side.letter().to_uppercase(), side.name());
        }
        assert_eq!((Side::parse(""), Side::parse("j")), (None, None));
        assert_eq!((Side::A.suffix().as_str(), Side::C.suffix().as_str()), ("", "-c"));
    }
}
