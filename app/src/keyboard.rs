//! What a key means. Pure: the listener in `components::shortcuts` feeds it.

use market::Timeframe;

/// What the keyboard can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    FocusSymbol,
    Timeframe(Timeframe),
    NextTheme,
    Dashboard,
    Quarantine,
    Quality,
    Home,
    ToggleHelp,
    /// The first key of a two-key command was pressed.
    AwaitPage,
}

/// All shortcuts, for the sheet that `?` shows.
pub const SHEET: [(&str, &str); 12] = [
    ("/", "choose a symbol"),
    ("1 – 5", "timeframe 1m, 5m, 15m, 1h, 1d"),
    ("t", "theme: system, dark, light"),
    ("g d", "dashboard"),
    ("g r", "refused records"),
    ("g q", "quality"),
    ("g h", "home"),
    ("← →", "bar by bar, in a focused chart; Home, End"),
    ("+ −", "zoom, in a focused chart"),
    ("l", "back to the newest bar, in a focused chart"),
    ("?", "this sheet"),
    ("Esc", "close, or leave a field"),
];

/// The meaning of `key`, when `after_g` says whether a `g` came just before.
pub fn action(key: &str, after_g: bool) -> Option<Action> {
    if after_g {
        match key {
            "d" => return Some(Action::Dashboard),
            "r" => return Some(Action::Quarantine),
            "q" => return Some(Action::Quality),
            "h" => return Some(Action::Home),
            _ => {}
        }
    }
    match key {
        "/" => Some(Action::FocusSymbol),
        "t" => Some(Action::NextTheme),
        "g" => Some(Action::AwaitPage),
        "?" => Some(Action::ToggleHelp),
        digit => {
            let index = digit.parse::<usize>().ok()?.checked_sub(1)?;
            Timeframe::ALL.get(index).copied().map(Action::Timeframe)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_choose_timeframes_and_no_others_exist() {
        assert_eq!(action("1", false), Some(Action::Timeframe(Timeframe::Minute1)));
        assert_eq!(action("5", false), Some(Action::Timeframe(Timeframe::Day1)));
        assert_eq!(action("0", false), None);
        assert_eq!(action("6", false), None);
    }

    #[test]
    fn pages_need_two_keys() {
        assert_eq!(action("g", false), Some(Action::AwaitPage));
        assert_eq!(action("d", false), None);
        assert_eq!(action("d", true), Some(Action::Dashboard));
        assert_eq!(action("r", true), Some(Action::Quarantine));
        assert_eq!(action("q", true), Some(Action::Quality));
        assert_eq!(action("h", true), Some(Action::Home));
        assert_eq!(action("t", true), Some(Action::NextTheme));
    }
}
