//! Holds thousands of clients on a running server, and tells every ten seconds what they cost and what they get.
//!
//! ```text
//! soak_sockets SERVER CLIENTS MINUTES SYMBOLS [PID]
//! soak_sockets 127.0.0.1:8080 9000 10 AMZN,AAPL 4711
//! ```
//!
//! Each client watches one of the symbols, by turns. PID is the server's process: with it, memory is told, in all and
//! per client. Clients come from 127.0.0.1, 127.0.0.2 and so on, 5,000 from each, because an address has only so many
//! ports. Both sides need descriptors: `ulimit -n 20000` before each. Exit code 1 when a client saw a gap or was cut.

use chrono::Utc;
use futures::{SinkExt, StreamExt};
use market::wire::{Record, ServerMessage};
use std::{
    error::Error,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Clients from one address.
const PER_ADDRESS: usize = 5_000;
/// Clients that connect at the same time.
const AT_ONCE: usize = 50;
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Delays are counted by the millisecond up to this.
const LONGEST_MS: usize = 10_000;

struct Tally {
    open: AtomicU64,
    frames: AtomicU64,
    snapshots: AtomicU64,
    gaps: AtomicU64,
    cut: AtomicU64,
    delays: Vec<AtomicU64>,
}

impl Tally {
    /// The delay under which 99 of 100 were since the last call, in milliseconds.
    fn p99(&self) -> usize {
        let counts: Vec<u64> = self.delays.iter().map(|count| count.swap(0, Relaxed)).collect();
        let below = counts.iter().sum::<u64>() * 99 / 100;
        let mut sum = 0;
        let longer = counts.iter().position(|count| {
            sum += count;
            sum > below
        });
        longer.unwrap_or(0)
    }
}

async fn watch(
    server: SocketAddr,
    place: usize,
    symbol: &str,
    tally: &Tally,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let socket = TcpSocket::new_v4()?;
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + place / PER_ADDRESS)?);
    socket.bind((source, 0).into())?;
    let stream = socket.connect(server).await?;
    let config = WebSocketConfig::default().read_buffer_size(2 << 10).write_buffer_size(0);
    let (mut socket, _) =
        client_async_with_config(format!("ws://{server}/api/v1/stream"), stream, Some(config)).await?;
    socket.send(Message::text(format!(r#"{{"type":"sub","symbols":["{symbol}"],"bars":60}}"#))).await?;
    tally.open.fetch_add(1, Relaxed);
    let mut mine = None;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        tally.frames.fetch_add(1, Relaxed);
        if !text.starts_with(r#"{"type":"snap""#) && !text.starts_with(r#"{"type":"delta""#) {
            continue; // the generator shares the machine with the server: it reads only what it needs
        }
        match serde_json::from_str(&text)? {
            ServerMessage::Snap { seq, .. } => {
                tally.snapshots.fetch_add(1, Relaxed);
                mine = Some(seq);
            }
            ServerMessage::Delta { prev, seq, records, .. } => {
                if mine.is_none_or(|mine| prev > mine) {
                    tally.gaps.fetch_add(1, Relaxed);
                }
                mine = mine.max(Some(seq));
                let committed = records.iter().map(|record| match record {
                    Record::Bar { committed_at, .. }
                    | Record::Rev { committed_at, .. }
                    | Record::Del { committed_at, .. } => *committed_at,
                });
                if let Some(at) = committed.max() {
                    let delay = usize::try_from((Utc::now() - at).num_milliseconds()).unwrap_or(0);
                    tally.delays[delay.min(LONGEST_MS)].fetch_add(1, Relaxed);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Resident memory of a process in KiB.
fn resident(pid: Option<u32>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([server, clients, minutes, symbols], pid) = match arguments.as_slice() {
        [a, b, c, d] => ([a, b, c, d], None),
        [a, b, c, d, pid] => ([a, b, c, d], Some(pid.parse()?)),
        _ => return Err("usage: soak_sockets SERVER CLIENTS MINUTES SYMBOLS [PID]".into()),
    };
    let (server, clients, minutes): (SocketAddr, usize, u64) = (server.parse()?, clients.parse()?, minutes.parse()?);
    let symbols: Vec<Arc<str>> = symbols.split(',').map(Into::into).collect();
    let tally = Arc::new(Tally {
        open: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        snapshots: AtomicU64::new(0),
        gaps: AtomicU64::new(0),
        cut: AtomicU64::new(0),
        delays: (0..=LONGEST_MS).map(|_| AtomicU64::new(0)).collect(),
    });
    let before = resident(pid);
    let mut out = std::io::stdout();
    writeln!(out, "seconds  clients  frames/s  p99 ms  snapshots  gaps  cut  server MiB  KiB/client")?;
    let begun = Instant::now();
    let connecting = {
        let tally = tally.clone();
        tokio::spawn(async move {
            for place in 0..clients {
                while place as u64 - tally.open.load(Relaxed) - tally.cut.load(Relaxed) >= AT_ONCE as u64 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let (tally, symbol) = (tally.clone(), symbols[place % symbols.len()].clone());
                tokio::spawn(async move {
                    let ended = watch(server, place, &symbol, &tally).await;
                    if tally.cut.fetch_add(1, Relaxed) == 0 {
                        let _ = writeln!(std::io::stderr(), "the first client that ended: {ended:?}");
                    }
                });
            }
        })
    };
    let mut tick = tokio::time::interval(TELL_EVERY);
    tick.tick().await;
    let (mut frames, mut told_at) = (0, begun);
    while begun.elapsed() < Duration::from_secs(60 * minutes) {
        tick.tick().await;
        let all = tally.frames.load(Relaxed);
        let rate = (all - frames) as f64 / told_at.elapsed().as_secs_f64();
        (frames, told_at) = (all, Instant::now());
        let open = tally.open.load(Relaxed);
        let memory = resident(pid);
        let each = memory.zip(before).map(|(now, before)| now.saturating_sub(before) as f64 / open.max(1) as f64);
        writeln!(
            out,
            "{:7.0}  {open:7}  {rate:8.0}  {:6}  {:9}  {:4}  {:3}  {:10.1}  {:10.2}",
            begun.elapsed().as_secs_f64(),
            tally.p99(),
            tally.snapshots.load(Relaxed),
            tally.gaps.load(Relaxed),
            tally.cut.load(Relaxed),
            memory.unwrap_or(0) as f64 / 1024.0,
            each.unwrap_or(0.0),
        )?;
    }
    connecting.abort();
    if tally.gaps.load(Relaxed) + tally.cut.load(Relaxed) > 0 {
        Err("a client saw a gap or was cut".into())
    } else {
        Ok(())
    }
}
