//! Slack's markup, into which data goes only as text. Limits: <https://docs.slack.dev/reference/block-kit/blocks/>.

use serde_json::{Value, json};

/// The longest text Slack takes in a section, in characters.
pub(super) const TEXT_LIMIT: usize = 3_000;
/// Characters of one name or value that are shown.
const SHORT: usize = 200;

/// A message's text outside its blocks.
pub(super) fn text(data: &str) -> String {
    cut(&escaped(data))
}

/// `markup` is Slack's: data in it has been [escaped]. Slack is told to make neither links nor mentions of its own of it.
pub(super) fn section(markup: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(markup), "verbatim": true}})
}

/// Small print.
pub(super) fn context(markup: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": cut(markup), "verbatim": true}]})
}

/// The three characters that mean something to Slack: data can neither link nor call anybody.
pub(super) fn escaped(data: &str) -> String {
    data.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Data on one line, shortened and escaped.
pub(super) fn line(data: &str) -> String {
    let one_line = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    let mut short: String = data.chars().take(SHORT).map(one_line).collect();
    if data.chars().nth(SHORT).is_some() {
        short.push('…');
    }
    escaped(short.trim())
}

/// Data as code, which it cannot leave; an empty text would be no code to Slack.
pub(super) fn code(data: &str) -> String {
    let line = line(data).replace('`', "ˋ");
    if line.is_empty() { "(empty)".to_owned() } else { format!("`{line}`") }
}

/// A link to one of our own pages.
pub(super) fn link(url: &str, label: &str) -> String {
    format!("<{url}|{}>", line(label))
}

/// Calls the owner, when it is the id of a member or of a user group; names it otherwise.
pub(super) fn mention(owner: &str) -> String {
    let is_id = owner.len() >= 8 && owner.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    match owner.chars().next() {
        Some('U' | 'W') if is_id => format!("<@{owner}>"),
        Some('S') if is_id => format!("<!subteam^{owner}>"),
        _ => line(owner),
    }
}

/// Cuts a text that is too long, and never through an escaped character.
fn cut(markup: &str) -> String {
    if markup.chars().count() <= TEXT_LIMIT {
        return markup.to_owned();
    }
    let mut kept: String = markup.chars().take(TEXT_LIMIT - 1).collect();
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';')) {
        kept.truncate(at);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_called() {
        assert_eq!(mention("U012AB3CD"), "<@U012AB3CD>");
        assert_eq!(mention("S012AB3CD"), "<!subteam^S012AB3CD>");
        for (name, shown) in [("channel", "channel"), ("<!channel>", "&lt;!channel&gt;"), ("UPPER", "UPPER"), ("", "")]
        {
            assert_eq!(mention(name), shown);
        }
    }

    #[test]
    fn data_stays_in_its_code_and_on_its_line() {
        assert_eq!(code("a`b\n*c*"), "`aˋb *c*`");
        assert_eq!(code(" \n"), "(empty)");
        assert_eq!(code(&"x".repeat(500)).chars().count(), 203);
    }

    #[test]
    fn a_long_text_is_not_cut_through_an_escaped_character() {
        let text = text(&format!("{}&&&", "x".repeat(TEXT_LIMIT - 4)));
        assert!(text.ends_with("xx…"), "{}", &text[text.len() - 20..]);
        assert!(text.chars().count() <= TEXT_LIMIT);
    }
}
