//! A message, encoded at most once per encoding however many clients get it.

use axum::{
    body::Bytes,
    extract::ws::{Message, Utf8Bytes},
};
use market::wire::ServerMessage;
use std::sync::OnceLock;

/// How a client wants its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Json,
    MessagePack,
}

/// One message with its encodings.
#[derive(Debug)]
pub struct Frame {
    message: ServerMessage,
    json: OnceLock<Utf8Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl Frame {
    pub fn new(message: ServerMessage) -> Self {
        Self { message, json: OnceLock::new(), msgpack: OnceLock::new() }
    }

    pub fn message(&self) -> &ServerMessage {
        &self.message
    }

    /// The frame as the socket sends it.
    pub fn encode(&self, encoding: Encoding) -> Message {
        match encoding {
            Encoding::Json => Message::Text(self.json.get_or_init(|| json(&self.message)).clone()),
            Encoding::MessagePack => Message::Binary(
                self.msgpack
                    .get_or_init(|| {
                        rmp_serde::to_vec_named(&self.message).expect("wire types have no unserializable parts").into()
                    })
                    .clone(),
            ),
        }
    }
}

fn json(message: &ServerMessage) -> Utf8Bytes {
    serde_json::to_string(message).expect("wire types have string keys only").into()
}
