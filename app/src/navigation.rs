//! The pages there are: every head, the bottom bar, the keys and the palette list these.

/// A page that others lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub path: &'static str,
    pub name: &'static str,
    /// The key after `g`.
    pub key: &'static str,
    /// An icon of 24 by 24, as the path of its strokes.
    pub icon: &'static str,
    /// Whether heads and the bottom bar list it; the wordmark leads home.
    pub listed: bool,
}

/// All pages, in the order of every list.
pub const PAGES: [Page; 7] = [
    Page {
        path: "/dashboard",
        name: "Dashboard",
        key: "d",
        icon: "M7 4v3M7 15v5M5 7h4v8H5zM17 3v5M17 17v3M15 8h4v9h-4z",
        listed: true,
    },
    Page {
        path: "/watchlist",
        name: "Watchlist",
        key: "w",
        icon: "M4 6h9M4 12h9M4 18h9M17 5l3 3-3 3M17 19l3-3-3-3",
        listed: true,
    },
    Page { path: "/quality", name: "Quality", key: "q", icon: "M4 12l5 5L20 6", listed: true },
    Page { path: "/quarantine", name: "Quarantine", key: "r", icon: "M12 3l9 17H3zM12 10v4M12 17v.5", listed: true },
    Page {
        path: "/pipeline",
        name: "Pipeline",
        key: "p",
        icon: "M3 12h4M10 12h4M17 12h4M7 9h3v6H7zM14 9h3v6h-3z",
        listed: true,
    },
    Page { path: "/status", name: "Status", key: "s", icon: "M4 20V12M9 20V6M14 20v-9M19 20V9", listed: true },
    Page { path: "/", name: "Home", key: "h", icon: "M4 11l8-7 8 7v9H4z", listed: false },
];

/// The page of the navigation that an address is or belongs to.
pub fn current(path: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| {
        path == page.path || page.path != "/" && path.strip_prefix(page.path).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// An address with another theme in its query, and the rest as it was.
pub fn themed(path: &str, query: &str, theme: crate::query::Theme) -> String {
    let kept: Vec<&str> = query
        .trim_start_matches('?')
        .split('&')
        .filter(|pair| !pair.is_empty() && *pair != "theme" && !pair.starts_with("theme="))
        .collect();
    let path = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    theme.link(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Theme;

    #[test]
    fn a_page_below_another_belongs_to_it() {
        let path = |of: &str| current(of).map(|page| page.path);
        assert_eq!(path("/quality/runs/7"), Some("/quality"));
        assert_eq!(path("/quarantine"), Some("/quarantine"));
        assert_eq!(path("/"), Some("/"));
        assert_eq!((path("/qualityx"), path("/nowhere")), (None, None));
    }

    #[test]
    fn keys_are_different() {
        let mut keys = PAGES.map(|page| page.key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    }

    #[test]
    fn another_theme_leaves_the_rest_of_the_address() {
        assert_eq!(themed("/quality", "?show=failed&theme=light", Theme::Dark), "/quality?show=failed&theme=dark");
        assert_eq!(themed("/dashboard", "a=AMZN&theme=dark&b=AAPL", Theme::System), "/dashboard?a=AMZN&b=AAPL");
        assert_eq!(themed("/", "", Theme::Light), "/?theme=light");
    }
}
