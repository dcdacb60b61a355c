//! `stockstream feed replay --load`: files into the table as fast as the database takes them.
//!
//! One thread reads, checks and sorts lines into pieces while the database writes the piece before. A piece is one
//! transaction, which leaves rows alone that are there already: a load that was stopped is finished by running it again.

use super::csv::{CsvError, Lines};
use super::gaps::Gaps;
use super::inspect::Inspector;
use super::replay::ReplayArgs;
use super::sink::Sink;
use super::tally::Tally;
use crate::config::SymbolFile;
use crate::progress;
use anyhow::Context;
use chrono::Utc;
use market::{Bar, Symbol};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bars in one transaction: enough that its end costs nothing, few enough that three of them need little memory.
const PIECE: usize = 50_000;
/// Pieces that are read ahead.
const AHEAD: usize = 2;

/// Lines of a file, checked.
#[derive(Default)]
struct Piece {
    rows: Vec<(Symbol, Bar)>,
    /// What was read and refused, and the gaps between.
    tally: Tally,
    /// Bytes of all files up to its end.
    bytes: u64,
}

/// Loads the files of `--csv` until their end or the shutdown, and says what was written.
///
/// # Errors
/// When a file cannot be read, or the database refuses for good.
pub async fn load(args: ReplayArgs, shutdown: CancellationToken) -> anyhow::Result<Tally> {
    let started = Instant::now();
    let mut sizes = 0;
    for SymbolFile { file, .. } in &args.csv {
        // Before anything is waited for: each can be opened, and is a file of bars.
        Lines::open(file)?;
        sizes += std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    }
    let mut sink = Sink::new(args.into.clone());
    let mut tally = Tally::default();
    let (send, mut pieces) = mpsc::channel(AHEAD);
    let files = args.csv;
    let reading = tokio::task::spawn_blocking(move || read(&files, &send));
    let loading = async {
        sink.prepare().await?;
        sink.progress = progress::bar(Some(sizes), "{bar:32} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
        while let Some(Piece { rows, tally: read, bytes }) = pieces.recv().await {
            tally.written += sink.upsert(rows).await?;
            tally.add_read(read);
            sink.progress.set_position(bytes);
        }
        anyhow::Ok(())
    };
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        loaded = loading => loaded,
    };
    // The reader ends when nobody takes its pieces.
    drop(pieces);
    sink.progress.finish_and_clear();
    ended?;
    reading.await.context("the reader of the files ended unexpectedly")??;
    sink.close().await;
    tally.reconnects.0 = sink.reconnects;
    tally.took = started.elapsed();
    Ok(tally)
}

fn read(files: &[SymbolFile], pieces: &mpsc::Sender<Piece>) -> Result<(), CsvError> {
    let now = Utc::now();
    let mut before = 0;
    for SymbolFile { symbol, file } in files {
        let mut lines = Lines::open(file)?;
        let (mut inspector, mut gaps) = (Inspector::default(), Gaps::default());
        let mut piece = Piece::default();
        while let Some((line, bar)) = lines.next_bar()? {
            piece.tally.read += 1;
            let refused = match &bar {
                Ok(bar) => inspector.refuses(symbol, bar, now),
                Err(reason) => Some(("unreadable", reason.clone())),
            };
            match (refused, bar) {
                (Some((rule, reason)), _) => {
                    piece.tally.refuse(rule, || format!("{}, line {line}: {reason}", file.display()));
                }
                (None, Ok(bar)) => {
                    if let Some(gap) = gaps.neighbour(symbol, bar.time) {
                        piece.tally.miss(gap);
                    }
                    piece.rows.push((symbol.clone(), bar));
                }
                (None, Err(_)) => {}
            }
            if piece.rows.len() >= PIECE {
                piece.bytes = before + lines.bytes();
                let whole =
                    std::mem::replace(&mut piece, Piece { rows: Vec::with_capacity(PIECE), ..Piece::default() });
                if pieces.blocking_send(whole).is_err() {
                    return Ok(());
                }
            }
        }
        before += lines.bytes();
        piece.bytes = before;
        if pieces.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
