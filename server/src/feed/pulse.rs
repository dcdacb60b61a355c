//! The pipeline's state, told to every client once a second while it changes.

use super::{frame::Frame, hub::Hub};
use crate::pipeline::StatusHandle;
use market::wire::ServerMessage;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tells until `shutdown`. A rate is the records of the last second.
pub async fn pulse(hub: Hub, status: StatusHandle, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut before = status.borrow().clone();
    let mut at = tokio::time::Instant::now();
    let mut told = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let now = status.borrow().clone();
        let seconds = at.elapsed().as_secs_f64();
        at = tokio::time::Instant::now();
        let rows_per_second =
            if seconds > 0.0 { ((now.consumed - before.consumed) as f64 / seconds).round() } else { 0.0 };
        before = now.clone();
        hub.set_rate(rows_per_second as u64);
        metrics::gauge!("stockstream_feed_sessions").set(hub.sessions() as f64);
        if let Some(lag) = now.lag {
            metrics::gauge!("stockstream_lag_records").set(lag as f64);
        }
        let message = ServerMessage::Pipe { state: now.state, lag: now.lag, rows_per_second };
        if told.as_ref() != Some(&message) {
            told = Some(message.clone());
            hub.broadcast(Frame::new(message));
        }
    }
}
