//! A record's key or value, made readable without changing what it says: JSON gets white space, other text stays as it
//! is, and anything else is shown as bytes.

use serde::{Deserialize, Serialize};

/// The most that a page shows of one key or value, in bytes; all of it is in the API's answer.
const SHOWN: usize = 64 * 1024;
const BYTES_PER_LINE: usize = 16;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Json,
    Text,
    Bytes,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Bytes => "not UTF-8",
        }
    }
}

/// A key or a value, to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    pub kind: Kind,
    pub text: String,
    /// How many there are.
    pub bytes: usize,
    /// Whether `text` says all of it.
    pub whole: bool,
}

impl Payload {
    pub fn of(bytes: &[u8]) -> Self {
        let whole = bytes.len() <= SHOWN;
        let (kind, text) = match std::str::from_utf8(bytes) {
            Ok(text) if whole && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
                (Kind::Json, indented(text))
            }
            Ok(text) => (Kind::Text, text[..text.floor_char_boundary(SHOWN)].to_owned()),
            Err(_) => (Kind::Bytes, hex(&bytes[..bytes.len().min(SHOWN)])),
        };
        Self { kind, text, bytes: bytes.len(), whole }
    }

    /// Whether a corrected copy can begin with this text.
    pub fn is_editable(&self) -> bool {
        self.kind == Kind::Json && self.whole
    }
}

/// The same JSON with one member per line. Only white space changes: no number, no name and no order does.
fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                text.push(c);
            }
            '{' | '[' => {
                text.push(c);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => text.push(c),
        }
    }
    text
}

/// Offset, bytes and what of them is ASCII, line by line.
fn hex(bytes: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String =
            line.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect();
        format!("{:06x}  {:<48} {ascii}", number * BYTES_PER_LINE, digits.join(" "))
    };
    bytes.chunks(BYTES_PER_LINE).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_says_what_it_said() {
        let json = r#"{"b":1.10,"a":[ ],"text":"{\"x\": [1,2]}\\","n":{"big":12345678901234567890.100}}"#;
        let payload = Payload::of(json.as_bytes());
        assert_eq!(
            payload.text,
            "{\n  \"b\": 1.10,\n  \"a\": [],\n  \"text\": \"{\\\"x\\\": [1,2]}\\\\\",\n  \"n\": {\n    \"big\": 12345678901234567890.100\n  }\n}"
        );
        assert!(payload.is_editable());
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is_and_bytes_as_bytes() {
        assert_eq!(Payload::of(b"{\"a\":").text, "{\"a\":");
        assert_eq!(Payload::of(b"{\"a\":").kind, Kind::Text);
        let bytes = Payload::of(&[0xff, 0x00, b'A']);
        assert_eq!(
            (bytes.kind, bytes.text.as_str()),
            (Kind::Bytes, "000000  ff 00 41                                         ..A")
        );
        let long = Payload::of("é".repeat(SHOWN).as_bytes());
        assert!(!long.whole && !long.is_editable() && long.text.len() <= SHOWN);
    }
}
