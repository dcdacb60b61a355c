//! A reader of the JSON that Connect's converter writes: no white space, no escapes in keys.
//!
//! It exists for speed alone. It accepts a strict subset of JSON and gives up (`None`) at anything else; `serde_json` then
//! reads the same text again and is the authority on what it means and on what is wrong with it.

/// Deeper nesting is left to `serde_json`.
const DEEPEST: u32 = 8;

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Whether everything was read.
    pub fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Reads `null`, or leaves the cursor where it is.
    pub fn null(&mut self) -> bool {
        let is_null = self.text.as_bytes()[self.at..].starts_with(b"null");
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// Reads an object; `member` must read the value of each key.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        if self.peek()? != b'}' {
            loop {
                let key = self.string()?;
                self.expect(b':')?;
                member(self, key)?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.expect(b'}')
    }

    /// Reads any value and gives its text.
    pub fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.peek()? {
            b'"' => self.skip_string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' => self.object(|cursor, _| cursor.value().map(drop))?,
            b'[' => self.array()?,
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let word: &[u8] = [&b"null"[..], b"true", b"false"].into_iter().find(|word| rest.starts_with(word))?;
                self.at += word.len();
            }
        }
        self.text.get(start..self.at)
    }

    fn array(&mut self) -> Option<()> {
        self.expect(b'[')?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        if self.peek()? != b']' {
            loop {
                self.value()?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.expect(b']')
    }

    /// The content of a string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        if rest[length] != b'"' {
            return None;
        }
        self.at = start + length + 1;
        self.text.get(start..start + length)
    }

    /// Any string, whose escapes are checked and left as they are.
    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            self.at += length + 1;
            match rest[length] {
                b'"' => return Some(()),
                b'\\' => match rest.get(length + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                    b'u' if rest.get(length + 2..length + 6)?.iter().all(u8::is_ascii_hexdigit) => self.at += 5,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, value::RawValue};

    fn accepts(text: &str) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.value().is_some() && cursor.at_end()
    }

    #[test]
    fn what_a_converter_writes_is_read() {
        for text in
            [r#"{"a":null,"b":[1,-2.5e3,true],"c":{"d":"ü"}}"#, "0", "-0.0", "[]", "{}", r#""""#, r#""\n\u00fc\"""#]
        {
            assert!(accepts(text), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left_to_the_library() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for text in [
            "",
            " 1",
            "01",
            "1.",
            "nul",
            "{",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "[1,]",
            r#"{"\n":1}"#,
            r#""\x""#,
            r#""\u12""#,
            "\"\u{1}\"",
            "1 2",
            &deep,
        ] {
            assert!(!accepts(text), "{text}");
        }
    }

    #[test]
    fn every_captured_payload_is_read_without_the_library() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium");
        for entry in std::fs::read_dir(folder).expect("the fixtures are part of the repository") {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a readable fixture");
            for line in text.lines() {
                let record = crate::captured::parse_line(line).expect("a captured record");
                for text in [record.key, record.value].into_iter().flatten() {
                    assert!(accepts(&text), "{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_it_accepts_is_json(text in r#"[\[\]{}:,"0-9eE.+\-a\\ ntrue]{0,24}"#) {
            if accepts(&text) {
                prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn compact_json_of_plain_values_is_accepted(numbers in prop::collection::vec(any::<i64>(), 0..5), word in "[a-zA-Z ]{0,8}") {
            let value: Value = serde_json::json!({ "list": numbers, word.clone(): [word, null, 1.5] });
            prop_assert!(accepts(&value.to_string()));
        }
    }
}
