//! A connection that does not wait for ever for its reader.
//!
//! A peer that asks and then does not read fills the send buffer and would keep the answer in memory for as long as it
//! likes. Whoever takes less than [`LEAST_BYTES`] per period is cut. It also holds the connection's place, so that the
//! place is free exactly when the connection is gone, also after an upgrade to a WebSocket.

use super::limit::Place;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// What a reader must take in one period to be waited for in the next.
const LEAST_BYTES: usize = 16 * 1024;

pub(super) struct Patient<S> {
    stream: S,
    period: Duration,
    /// Runs from the first write that had to wait until all is written.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Written since the period began.
    taken: usize,
    _place: Place,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, period: Duration, place: Place) -> Self {
        Self { stream, period, deadline: None, taken: 0, _place: place }
    }

    /// Called with the outcome of each write; fails when the reader was waited for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.taken += bytes;
            if let Some(deadline) = self.deadline.as_mut().filter(|_| self.taken >= LEAST_BYTES) {
                deadline.as_mut().reset(Instant::now() + self.period);
                self.taken = 0;
            }
            return written;
        }
        if written.is_ready() {
            return written;
        }
        if self.deadline.is_none() {
            self.taken = 0;
        }
        let period = self.period;
        ready!(self.deadline.get_or_insert_with(|| Box::pin(sleep(period))).as_mut().poll(cx));
        metrics::counter!("stockstream_http_connections_cut_total", "reason" => "slow_reader").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for when everything was written: nobody is waited for any more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.deadline = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
