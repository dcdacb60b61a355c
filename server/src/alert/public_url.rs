//! Where people find this program's pages, for links in messages.

use std::str::FromStr;
use url::Url;

/// `https://stock.example.com`, or with a path when a proxy serves the program below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("must be only a scheme, a host and perhaps a path: it is shown to everybody".to_owned());
        }
        Ok(Self(url))
    }
}

impl PublicUrl {
    /// The page of a run.
    pub fn run(&self, run_id: i64) -> String {
        self.page(&["quality", "runs", &run_id.to_string()])
    }

    /// The page of a suite.
    pub fn suite(&self, name: &str) -> String {
        self.page(&["quality", "suites", name])
    }

    fn page(&self, path: &[&str]) -> String {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        // What may stand in a path and means something to those who read links out of a text.
        url.to_string().replace('|', "%7C").replace('&', "%26")
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_below_the_url_with_or_without_a_slash() {
        for text in ["https://stock.example.com/app", "https://stock.example.com/app/"] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!(url.run(12), "https://stock.example.com/app/quality/runs/12");
        }
        let url: PublicUrl = "http://localhost:8080".parse().unwrap();
        assert_eq!(url.suite("a/b <c>|d&e"), "http://localhost:8080/quality/suites/a%2Fb%20%3Cc%3E%7Cd%26e");
    }

    #[test]
    fn what_is_no_plain_web_address_is_refused() {
        for text in ["stock.example.com", "ftp://x", "https://u:p@x", "https://x/?a=b", "https://x/#y", "data:x"] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
