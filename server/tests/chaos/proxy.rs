//! A TCP proxy that can be told to misbehave: cut, refuse, delay, or swallow everything.

use super::process::{free_port, local};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Pass,
    /// Every piece of data waits this long.
    Delay(Duration),
    /// Connections are taken and ended at once.
    Refuse,
    /// As when packets are lost for good: whatever is said on a connection of this time, or earlier, is never heard
    /// and never answered, and its client is never told. The service's side is dropped when the mode ends, as its
    /// operating system would.
    Swallow,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    target: SocketAddr,
    /// Connections older than the last cut are dropped.
    cuts: u64,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    state: Arc<watch::Sender<State>>,
}

impl Proxy {
    /// Listens on a port of its own and connects to `target`.
    ///
    /// # Errors
    /// The port was taken meanwhile.
    pub async fn start(target: u16) -> std::io::Result<Self> {
        let port = free_port();
        let listener = TcpListener::bind(local(port)).await?;
        let (state, seen) = watch::channel(State { mode: Mode::Pass, target: local(target), cuts: 0 });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, seen.clone()));
            }
        });
        Ok(Self { port, state: Arc::new(state) })
    }

    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// From now on connects to another service, and ends the connections to the former one.
    pub fn turn_to(&self, target: u16) {
        self.state.send_modify(|state| {
            state.target = local(target);
            state.cuts += 1;
        });
    }
}

/// One connection, to its end.
async fn carry(mut client: TcpStream, mut seen: watch::Receiver<State>) {
    let State { mode, target, cuts } = *seen.borrow();
    if mode == Mode::Refuse {
        return;
    }
    let upstream = if mode == Mode::Swallow {
        None
    } else {
        let Ok(mut upstream) = TcpStream::connect(target).await else { return };
        // Latency is what the mode says, not what the system adds.
        let _ = (upstream.set_nodelay(true), client.set_nodelay(true));
        let both = async {
            let (from_client, to_client) = client.split();
            let (from_upstream, to_upstream) = upstream.split();
            let up = pump(from_client, to_upstream, seen.clone());
            let down = pump(from_upstream, to_client, seen.clone());
            let _ = tokio::try_join!(up, down);
        };
        let mut watched = seen.clone();
        tokio::select! {
            () = both => return,
            _ = watched.wait_for(|state| state.cuts != cuts || state.mode == Mode::Swallow) => {}
        }
        Some(upstream)
    };
    if seen.borrow().cuts != cuts {
        return;
    }
    let over = seen.wait_for(|state| state.cuts != cuts || state.mode != Mode::Swallow).await;
    if !over.is_ok_and(|state| state.cuts == cuts) {
        return;
    }
    drop(upstream);
    // The client may write for ever; nobody answers.
    let mut void = tokio::io::sink();
    tokio::select! {
        _ = tokio::io::copy(&mut client, &mut void) => {}
        _ = seen.wait_for(|state| state.cuts != cuts) => {}
    }
}

/// One direction, until its end.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    seen: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        let mode = seen.borrow().mode;
        if let Mode::Delay(delay) = mode {
            tokio::time::sleep(delay).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
