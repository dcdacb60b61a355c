//! What a key means. Pure: the listener in `components::shortcuts` feeds it, and the sheet that `?` shows is made of the
//! same table.

use crate::navigation::PAGES;
use market::Timeframe;

/// What the keyboard can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    FocusSymbol,
    Timeframe(Timeframe),
    NextTheme,
    /// To the newest bar of the live stream.
    Live,
    /// Play a past day; when one is played, pause or go on.
    Replay,
    /// The next layout of charts, or the one before.
    Layout {
        back: bool,
    },
    /// The current chart alone, or all charts again.
    Alone,
    /// Another chart becomes the current one.
    NextChart,
    /// The page at this path.
    Page(&'static str),
    ToggleHelp,
    /// The first key of a two-key command was pressed.
    AwaitPage,
}

/// A line of the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub keys: String,
    pub meaning: String,
}

/// Keys that mean the same on every page.
const KEYS: [(&str, Action, &str); 9] = [
    ("/", Action::FocusSymbol, "choose the symbol of the current chart"),
    ("l", Action::Live, "live: back to the newest bar"),
    ("r", Action::Replay, "replay a past day; then pause and play"),
    ("v", Action::Layout { back: false }, "view: the next layout, 1 to 9 charts"),
    ("V", Action::Layout { back: true }, "the layout before"),
    ("n", Action::NextChart, "next chart: keys and commands are for it"),
    ("f", Action::Alone, "that chart alone, and all charts again"),
    ("t", Action::NextTheme, "theme: system, dark, light"),
    ("?", Action::ToggleHelp, "this sheet"),
];

/// Keys that something else listens to: the palette, a focused chart, the browser.
const ELSEWHERE: [(&str, &str); 6] = [
    ("Ctrl K, ⌘ K", "commands: symbols, pages, timeframes, actions"),
    ("← →", "bar by bar, in a focused chart; Home, End"),
    ("+ −", "zoom, in a focused chart"),
    ("Enter", "where the bar came from, in a focused chart"),
    ("↑ ↓", "symbol by symbol, in the watchlist; Home, End; Enter opens its charts"),
    ("Esc", "close, or leave a field"),
];

/// All shortcuts there are, for the sheet.
pub fn sheet() -> Vec<Line> {
    let line = |keys: &str, meaning: &str| Line { keys: keys.to_owned(), meaning: meaning.to_owned() };
    let timeframes = Timeframe::USUAL.map(|timeframe| timeframe.to_string());
    let mut lines = vec![line(&format!("1 – {}", timeframes.len()), &format!("bars of {}", timeframes.join(", ")))];
    lines.extend(KEYS.map(|(key, _, meaning)| line(key, meaning)));
    lines.extend(PAGES.map(|page| line(&format!("g {}", page.key), &format!("go to {}", page.name.to_lowercase()))));
    lines.extend(ELSEWHERE.map(|(keys, meaning)| line(keys, meaning)));
    lines
}

/// The meaning of `key`, when `after_g` says whether a `g` came just before.
pub fn action(key: &str, after_g: bool) -> Option<Action> {
    if after_g && let Some(page) = PAGES.iter().find(|page| page.key == key) {
        return Some(Action::Page(page.path));
    }
    if key == "g" {
        return Some(Action::AwaitPage);
    }
    if let Some((_, action, _)) = KEYS.iter().find(|(of, _, _)| *of == key) {
        return Some(*action);
    }
    let index = key.parse::<usize>().ok()?.checked_sub(1)?;
    Timeframe::USUAL.get(index).copied().map(Action::Timeframe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_choose_timeframes_and_no_others_exist() {
        for (index, timeframe) in Timeframe::USUAL.into_iter().enumerate() {
            assert_eq!(action(&(index + 1).to_string(), false), Some(Action::Timeframe(timeframe)));
        }
        assert_eq!(action("0", false), None);
        assert_eq!(action(&(Timeframe::USUAL.len() + 1).to_string(), false), None);
    }

    #[test]
    fn pages_need_two_keys() {
        assert_eq!(action("g", false), Some(Action::AwaitPage));
        assert_eq!(action("d", false), None);
        assert_eq!(action("d", true), Some(Action::Page("/dashboard")));
        assert_eq!(action("r", true), Some(Action::Page("/quarantine")));
        assert_eq!(action("p", true), Some(Action::Page("/pipeline")));
        assert_eq!(action("t", true), Some(Action::NextTheme));
    }

    #[test]
    fn the_sheet_has_every_key_that_means_something() {
        let keys: Vec<String> = sheet().into_iter().map(|line| line.keys).collect();
        for (key, ..) in KEYS {
            assert!(keys.iter().any(|keys| keys == key), "{key}");
        }
        for page in PAGES {
            assert!(keys.contains(&format!("g {}", page.key)), "{}", page.name);
        }
    }
}
