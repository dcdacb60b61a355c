//! A message, encoded at most once per encoding however many clients get it.

use bytes::Bytes;
use market::wire::ServerMessage;
use serde::Serialize;
use std::sync::OnceLock;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame as WebSocketFrame,
    coding::{Data, OpCode},
};

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
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl Frame {
    pub fn new(message: ServerMessage) -> Self {
        Self { message, json: OnceLock::new(), msgpack: OnceLock::new() }
    }

    pub fn message(&self) -> &ServerMessage {
        &self.message
    }

    /// The frame as it stands on the wire, header included.
    pub fn encoded(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Json => self.json.get_or_init(|| encode(&self.message, encoding)),
            Encoding::MessagePack => self.msgpack.get_or_init(|| encode(&self.message, encoding)),
        }
        .clone()
    }
}

/// A message that only one client gets.
pub fn encode<Message: Serialize + ?Sized>(message: &Message, encoding: Encoding) -> Bytes {
    let (payload, kind) = match encoding {
        Encoding::Json => (serde_json::to_vec(message).expect("wire types have string keys only"), Data::Text),
        Encoding::MessagePack => {
            (rmp_serde::to_vec_named(message).expect("wire types have no unserializable parts"), Data::Binary)
        }
    };
    let mut frame = Vec::with_capacity(payload.len() + 10);
    WebSocketFrame::message(payload, OpCode::Data(kind), true)
        .format(&mut frame)
        .expect("a vector takes what it is given");
    frame.into()
}
