//! The `{"schema": …, "payload": …}` frame of Connect's JSON converter, and the schemas seen in it.

use super::schema::{self, Shape};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{fmt, sync::Arc};

/// A message without its frame.
#[derive(Clone, Debug)]
pub(super) struct Framed<'a> {
    /// `None` when the message carries no schema.
    pub shape: Option<Arc<Shape>>,
    /// JSON text, not yet known to be well-formed.
    pub payload: &'a str,
}

/// Why a message could not be taken out of its frame.
pub(super) enum FrameError {
    NotUtf8,
    Json(serde_json::Error),
    Schema(serde_json::Error),
}

/// The schemas seen lately. Four fifths of a message are its schema block, identical from message to message: comparing
/// it with the last one costs a small fraction of parsing it.
#[derive(Debug, Default)]
pub(super) struct Schemas(Vec<Known>);

#[derive(Debug)]
struct Known {
    /// Everything up to the payload's first byte; empty when the payload came first.
    head: Box<str>,
    /// The schema block itself.
    text: Box<str>,
    shape: Arc<Shape>,
}

impl Schemas {
    /// A topic has one schema, two around an `ALTER TABLE`, few more when tables share it.
    const MOST: usize = 8;

    /// Takes a message out of its frame, if it has one. The payload may turn out to be ill-formed where the frame was
    /// recognised by its head alone; [`Self::unframe_slowly`] then says what is wrong with the whole.
    pub fn unframe<'a>(&mut self, message: &'a [u8]) -> Result<Framed<'a>, FrameError> {
        match self.known(message) {
            Some(framed) => Ok(framed),
            None => self.unframe_slowly(message),
        }
    }

    /// The same, reading the whole message.
    pub fn unframe_slowly<'a>(&mut self, message: &'a [u8]) -> Result<Framed<'a>, FrameError> {
        let text = std::str::from_utf8(message).map_err(|_| FrameError::NotUtf8)?;
        let bare = Framed { shape: None, payload: text };
        if !matches!(first_key(text), Some("schema" | "payload")) {
            return Ok(bare);
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let frame = json.deserialize_map(FrameVisitor).and_then(|frame| json.end().map(|()| frame));
        match frame.map_err(FrameError::Json)? {
            Frame { schema: Some(schema), payload: Some(payload), foreign: false } if schema.get() != "null" => {
                let shape = self.learn(text, schema.get(), payload.get())?;
                Ok(Framed { shape: Some(shape), payload: payload.get() })
            }
            // Schemaless data through a converter that has schemas switched on.
            Frame { payload: Some(payload), foreign: false, schema: Some(_) } => {
                Ok(Framed { shape: None, payload: payload.get() })
            }
            _ => Ok(bare),
        }
    }

    /// The frame when its head is a known one.
    fn known<'a>(&mut self, message: &'a [u8]) -> Option<Framed<'a>> {
        let at =
            self.0.iter().position(|known| !known.head.is_empty() && message.starts_with(known.head.as_bytes()))?;
        let rest = message[self.0[at].head.len()..].trim_ascii_end().strip_suffix(b"}")?;
        let payload = std::str::from_utf8(rest).ok()?;
        self.0[..=at].rotate_right(1);
        Some(Framed { shape: Some(Arc::clone(&self.0[0].shape)), payload })
    }

    fn learn(&mut self, message: &str, text: &str, payload: &str) -> Result<Arc<Shape>, FrameError> {
        let shape = match self.0.iter().find(|known| *known.text == *text) {
            Some(known) => Arc::clone(&known.shape),
            None => Arc::new(schema::parse(text).map_err(FrameError::Schema)?),
        };
        let (schema_at, payload_at) = (offset_in(message, text), offset_in(message, payload));
        let head = if schema_at < payload_at { &message[..payload_at] } else { "" };
        if !self.0.iter().any(|known| *known.head == *head && *known.text == *text) {
            self.0.truncate(Self::MOST - 1);
            self.0.insert(0, Known { head: head.into(), text: text.into(), shape: Arc::clone(&shape) });
        }
        Ok(shape)
    }
}

/// Where a slice of `whole` starts in it.
fn offset_in(whole: &str, part: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// The first key of a JSON object, when it is written without escapes.
pub(super) fn first_key(text: &str) -> Option<&str> {
    let rest = text.trim_ascii_start().strip_prefix('{')?.trim_ascii_start().strip_prefix('"')?;
    rest.split_once('"').map(|(key, _)| key)
}

#[derive(Default)]
struct Frame<'de> {
    schema: Option<&'de RawValue>,
    payload: Option<&'de RawValue>,
    /// Something else is in it: then it is a row with columns of these names.
    foreign: bool,
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Frame<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut frame = Frame::default();
        while let Some(name) = fields.next_key::<String>()? {
            let slot = match name.as_str() {
                "schema" => &mut frame.schema,
                "payload" => &mut frame.payload,
                _ => {
                    frame.foreign = true;
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(fields.next_value()?).is_some() {
                return Err(A::Error::custom(format_args!("duplicate field {name}")));
            }
        }
        Ok(frame)
    }
}
