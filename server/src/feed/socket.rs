//! The bytes of one WebSocket. tungstenite reads and judges what comes in; what goes out is a queue of encoded frames
//! that are shared between sockets, written without copying and many at a time. Knows nothing of what messages say.
//!
//! `tokio_tungstenite`'s own stream is not used, because it copies every frame into a buffer per socket that stays as
//! large as the largest frame it ever held (a snapshot: 40 KB for each idle client), because it can neither read nor
//! answer pings while it writes, and because it drops the connection where RFC 6455 wants a Close frame.

use super::allowance::Allowance;
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::tungstenite::{
    self, Message, Utf8Bytes,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext},
};

/// The largest message accepted, whole or in fragments, in bytes.
pub const MAX_MESSAGE: usize = 64 << 10;
/// What is read at once. Clients say little: this is most of what an idle socket costs.
const READ_BUFFER: usize = 1 << 10;
/// Bytes that a client may send at once, and per second: whoever sends more floods. This also counts what never becomes
/// a message, such as endless empty fragments.
const BYTES: (u32, u32) = (256 << 10, 16 << 10);
/// Frames in one write.
const WRITE_FRAMES: usize = 16;
/// Entries for which an empty queue keeps its memory.
const KEPT_CAPACITY: usize = 16;
/// What is read, at most, of a client that was told to go.
const LAST_READS: usize = 256 << 10;
/// The longest reason that fits into a Close frame, in bytes.
const MAX_REASON: usize = 123;

/// One client's socket, past its handshake.
pub struct Socket<Io> {
    io: Io,
    protocol: WebSocketContext,
    output: VecDeque<Bytes>,
    /// Since when there is output that the client has not taken.
    waiting_since: Option<Instant>,
    heard_at: Instant,
    bytes: Allowance,
}

/// What happens on a socket.
#[derive(Debug)]
pub enum Event {
    /// Text, binary, ping (it is answered already) or pong.
    Message(Message),
    /// The client does not take the output as fast as it comes; [`Socket::waiting_since`] says since when.
    Waiting,
    /// All output is written.
    Written,
    Ended(Ended),
}

/// Why nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client said goodbye.
    Left,
    /// The connection broke.
    Gone,
    /// The client sends more than it may.
    Flood,
    /// The client breaks the rules of RFC 6455: the close code and the reason.
    Violation(u16, String),
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Socket<Io> {
    pub fn new(io: Io) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let now = Instant::now();
        Self {
            io,
            protocol: WebSocketContext::new(Role::Server, Some(config)),
            output: VecDeque::new(),
            waiting_since: None,
            heard_at: now,
            bytes: Allowance::new(BYTES.0, BYTES.1, now),
        }
    }

    /// Puts an encoded frame behind the others.
    pub fn send(&mut self, frame: Bytes) {
        self.output.push_back(frame);
    }

    /// Asks the client for a sign of life.
    pub fn ping(&mut self) {
        // Fails only behind a Close frame, where nobody waits for an answer.
        let _ = self.protocol.write(&mut Outgoing(&mut self.output), Message::Ping(Bytes::new()));
    }

    /// Since when there is output that the client has not taken.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Whether everything is written.
    pub fn is_written(&self) -> bool {
        self.output.is_empty()
    }

    /// When the last byte came.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Reads and writes until something happens. Nothing is lost when it is dropped before.
    pub async fn event(&mut self) -> Event {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let (was_writing, was_waiting) = (!self.output.is_empty(), self.waiting_since.is_some());
        let mut heard = 0;
        let received = {
            let outgoing = Outgoing(&mut self.output);
            self.protocol.read(&mut Both { io: &mut self.io, cx, outgoing, heard: &mut heard })
        };
        if heard > 0 {
            self.heard_at = Instant::now();
            if !self.bytes.take(heard, self.heard_at) {
                return Poll::Ready(Event::Ended(Ended::Flood));
            }
        }
        if let Ok(Message::Close(_)) = received {
            // Queues the answer.
            let _ = self.protocol.flush(&mut Outgoing(&mut self.output));
            return Poll::Ready(Event::Ended(Ended::Left));
        }
        let written = self.poll_write(cx);
        if matches!(written, Poll::Ready(Err(_))) {
            return Poll::Ready(Event::Ended(Ended::Gone));
        }
        match received {
            Ok(message) => Poll::Ready(Event::Message(message)),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if was_writing && written.is_ready() {
                    Poll::Ready(Event::Written)
                } else if !was_waiting && written.is_pending() {
                    Poll::Ready(Event::Waiting)
                } else {
                    Poll::Pending
                }
            }
            Err(error) => Poll::Ready(Event::Ended(ended(&error))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
            let frames = self.output.iter().zip(&mut slices).map(|(frame, slice)| *slice = IoSlice::new(frame)).count();
            let Poll::Ready(written) = Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..frames]) else {
                self.waiting_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            let mut written = written?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(frame) = self.output.front_mut().filter(|_| written > 0) {
                let part = written.min(frame.len());
                frame.advance(part);
                written -= part;
                if frame.is_empty() {
                    self.output.pop_front();
                }
            }
        }
        self.waiting_since = None;
        self.output.shrink_to(KEPT_CAPACITY);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Ends the connection in good order, as far as the client lets it within the time: what is queued, then the Close
    /// frame if there is one, then the end of the stream, and then whatever the client still sends is thrown away,
    /// because closing a connection with unread data makes the kernel take back what was just written.
    pub async fn farewell(mut self, close: Option<(u16, &str)>, within: Duration) {
        if let Some((code, reason)) = close {
            let frame = CloseFrame { code: code.into(), reason: shortened(reason) };
            let _ = self.protocol.close(&mut Outgoing(&mut self.output), Some(frame));
        }
        let goodbye = async {
            poll_fn(|cx| self.poll_write(cx)).await?;
            self.io.shutdown().await?;
            let mut waste = [0; 512];
            let mut left = LAST_READS;
            while left > 0 {
                match self.io.read(&mut waste).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            io::Result::Ok(())
        };
        // It is over either way.
        let _ = tokio::time::timeout(within, goodbye).await;
    }
}

fn shortened(reason: &str) -> Utf8Bytes {
    reason[..reason.floor_char_boundary(MAX_REASON)].into()
}

fn ended(error: &tungstenite::Error) -> Ended {
    use tungstenite::Error;
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ended::Gone,
        Error::Protocol(error) => Ended::Violation(1002, error.to_string()),
        Error::Utf8(_) => Ended::Violation(1007, "text must be UTF-8".to_owned()),
        // The protocol has no length with the highest bit set.
        Error::Capacity(CapacityError::MessageTooLong { size, .. }) if i64::try_from(*size).is_err() => {
            Ended::Violation(1002, "no such length".to_owned())
        }
        Error::Capacity(_) => Ended::Violation(1009, format!("more than {MAX_MESSAGE} bytes")),
        _ => Ended::Gone,
    }
}

/// What tungstenite writes goes behind what is queued, so that frames never mix.
struct Outgoing<'a>(&'a mut VecDeque<Bytes>);

impl io::Write for Outgoing<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.0.push_back(Bytes::copy_from_slice(frame));
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for Outgoing<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The connection, as tungstenite sees it.
struct Both<'a, 'w, Io> {
    io: &'a mut Io,
    cx: &'a mut Context<'w>,
    outgoing: Outgoing<'a>,
    heard: &'a mut u32,
}

impl<Io: AsyncRead + Unpin> io::Read for Both<'_, '_, Io> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                let read = buffer.filled().len();
                *self.heard = self.heard.saturating_add(read.try_into().unwrap_or(u32::MAX));
                Ok(read)
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<Io> io::Write for Both<'_, '_, Io> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.outgoing.write(frame)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
