//! `stockstream feed stream`: listens to a vendor's WebSocket and writes minutes.
//!
//! One task listens, another writes, with a bounded channel between them. When the database is away for longer than that
//! holds, nobody listens, the vendor ends the connection, and what was missed is a gap that is reported: nothing is lost
//! without a word.

use super::gaps::Gap;
use super::inspect::Inspector;
use super::keys::{KeyArgs, Keys};
use super::minutes::{Heard, Minutes};
use super::pause::Pause;
use super::sink::{Sink, TableArgs};
use super::socket::{self, Socket};
use super::tally::Tally;
use super::target::Written;
use super::vendor::{Event, alpaca, finnhub, massive};
use crate::progress;
use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use market::{Bar, Symbol};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

/// The first pause after a lost connection, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long a vendor may take to say that it is ready.
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// A connection that is silent for longer is dead: it is asked for a sign of life before.
const SILENCE: Duration = Duration::from_secs(60);
const PING_EVERY: Duration = Duration::from_secs(20);
/// How often what is over is handed to the writer.
const HAND_OVER: Duration = Duration::from_millis(500);
/// Batches that may wait for the writer.
const WAITING: usize = 64;
/// How long a writer has at the end.
const FAREWELL: Duration = Duration::from_secs(10);

/// Whose stream is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StreamPreset {
    /// Finnhub: trades.
    Finnhub,
    /// Massive, formerly Polygon.io: minutes or trades.
    #[value(alias = "polygon")]
    Massive,
    /// Alpaca: minutes or trades. This program serves the same stream at /v2/{feed}.
    Alpaca,
}

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The vendor's own minutes, corrections included.
    Bars,
    /// Trades, from which minutes are made here.
    Trades,
}

/// Options of `feed stream`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  STOCKSTREAM_FEED_KEY=… STOCKSTREAM_FEED_SECRET=… stockstream feed stream --preset alpaca --symbol AMZN,AAPL
  stockstream feed stream --preset massive --key-file massive.key --symbol AMZN --kind trades
  stockstream feed stream --preset finnhub --key-file finnhub.key --symbol AMZN

SOURCE_DATABASE_URL names the database. Minutes that are there already are left alone or corrected. What was missed while
the connection was away is said at the end, and can be had by `feed poll` or `feed replay` (docs/feeds.md).")]
pub struct StreamArgs {
    #[command(flatten)]
    pub into: TableArgs,
    /// Whose stream is listened to.
    #[arg(long, value_enum)]
    pub preset: StreamPreset,
    /// Where it is: ws:// or wss://. The vendor's own address by default (Alpaca: the feed iex).
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Whose prices, separated by commas.
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',', required = true)]
    pub symbols: Vec<Symbol>,
    /// What is listened to: the vendor's minutes where it has them, trades otherwise.
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// How long after its end a minute waits for late trades before it is written; later ones correct it.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
    /// Stop after so many bars; without, at a signal.
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
    /// Give up after so many failures in a row to connect; without, never: pauses grow to a minute.
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Listens until the shutdown, or until as many bars have come as asked, and says what was written.
///
/// # Errors
/// When the options contradict each other, the vendor refuses for good (key, symbols), or the database does.
pub async fn stream(args: StreamArgs, shutdown: CancellationToken) -> anyhow::Result<Tally> {
    let started = Instant::now();
    let listener = Listener::new(&args)?;
    let mut sink = Sink::new(args.into.clone());
    tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(Tally::default()),
        prepared = sink.prepare() => prepared?,
    }
    let progress = progress::spinner(Duration::from_millis(200));
    sink.progress = progress.clone();
    let (rows, waiting) = mpsc::channel(WAITING);
    let mut writer = Writer(tokio::spawn(write(sink, waiting)));
    let mut run = Stream {
        listener,
        rows: Some(rows),
        left: args.rows.unwrap_or(u64::MAX),
        retries: args.retries,
        tally: Tally::default(),
        inspector: Inspector::default(),
        minutes: Minutes::new(Utc::now(), TimeDelta::from_std(args.grace).unwrap_or(TimeDelta::MAX)),
        lost_at: None,
        progress,
    };
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        listened = run.listen() => listened,
    };
    if ended.is_ok() && shutdown.is_cancelled() {
        // Minutes that are over are whole, even when their grace is not over.
        run.flush_at_end();
    }
    run.rows = None;
    run.progress.finish_and_clear();
    // A database that refuses is the reason for an end of the listening, not the other way round.
    let (written, reconnects) = writer.end().await?;
    run.tally.written = written;
    run.tally.reconnects.0 = reconnects;
    run.tally.took = started.elapsed();
    if ended.is_err() {
        info!("until then: {}", run.tally);
    }
    ended.map(|()| run.tally)
}

type Rows = Vec<(Symbol, Bar)>;

/// The task that writes.
struct Writer(JoinHandle<anyhow::Result<(Written, u32)>>);

impl Writer {
    /// Waits until everything is written, for a while.
    async fn end(&mut self) -> anyhow::Result<(Written, u32)> {
        match timeout(FAREWELL, &mut self.0).await {
            Ok(ended) => ended.context("the writer ended unexpectedly")?,
            Err(_) => {
                self.0.abort();
                bail!("the source database is away: the last bars were not written within {} s", FAREWELL.as_secs())
            }
        }
    }
}

async fn write(mut sink: Sink, mut waiting: mpsc::Receiver<Rows>) -> anyhow::Result<(Written, u32)> {
    let mut written = Written::default();
    let most = sink.into.batch;
    while let Some(rows) = waiting.recv().await {
        for piece in rows.chunks(most) {
            written += sink.upsert(piece.to_vec()).await?;
        }
    }
    sink.close().await;
    Ok((written, sink.reconnects))
}

/// What is said to a vendor, and how its answers are read.
struct Listener {
    preset: StreamPreset,
    url: Url,
    symbols: Vec<Symbol>,
    kind: Kind,
    keys: Keys,
}

impl Listener {
    fn new(args: &StreamArgs) -> anyhow::Result<Self> {
        let keys = args.keys.read()?;
        let default = match args.preset {
            StreamPreset::Finnhub => "wss://ws.finnhub.io",
            StreamPreset::Massive => "wss://socket.massive.com/stocks",
            StreamPreset::Alpaca => "wss://stream.data.alpaca.markets/v2/iex",
        };
        let text = args.url.as_deref().unwrap_or(default);
        let mut url = Url::parse(text).with_context(|| format!("--url {text} is no URL"))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            bail!("--url {text} is neither ws:// nor wss://");
        }
        let key = keys.key()?;
        match args.preset {
            StreamPreset::Finnhub if args.kind == Some(Kind::Bars) => {
                bail!("Finnhub streams trades only: --kind trades")
            }
            StreamPreset::Finnhub => {
                url.query_pairs_mut().append_pair("token", key);
            }
            StreamPreset::Alpaca => drop(keys.secret()?),
            StreamPreset::Massive => {}
        }
        let usual = if args.preset == StreamPreset::Finnhub { Kind::Trades } else { Kind::Bars };
        let (preset, kind, symbols) = (args.preset, args.kind.unwrap_or(usual), args.symbols.clone());
        Ok(Self { preset, url, symbols, kind, keys })
    }

    fn understand(&self, text: &str) -> Vec<Event> {
        match self.preset {
            StreamPreset::Finnhub => finnhub::understand(text),
            StreamPreset::Massive => massive::understand(text),
            StreamPreset::Alpaca => alpaca::understand(text),
        }
    }

    /// What to answer.
    fn answers(&self, event: &Event) -> anyhow::Result<Vec<String>> {
        let trades = self.kind == Kind::Trades;
        Ok(match (event, self.preset) {
            (Event::Connected, StreamPreset::Massive) => vec![massive::authentication(self.keys.key()?)],
            (Event::Connected, StreamPreset::Alpaca) => {
                vec![alpaca::authentication(self.keys.key()?, self.keys.secret()?)]
            }
            (Event::Authenticated, StreamPreset::Massive) => vec![massive::subscription(&self.symbols, trades)],
            (Event::Authenticated, StreamPreset::Alpaca) => vec![alpaca::subscription(&self.symbols, trades)],
            _ => Vec::new(),
        })
    }
}

/// Why a connection ended.
enum End {
    Lost(String),
    Refused(anyhow::Error),
    /// As many bars as asked have come, or the writer has ended.
    Enough,
}

struct Stream {
    listener: Listener,
    /// To the writer.
    rows: Option<mpsc::Sender<Rows>>,
    /// Bars that are still wanted.
    left: u64,
    retries: Option<u32>,
    tally: Tally,
    inspector: Inspector,
    minutes: Minutes,
    /// Since when nothing is heard.
    lost_at: Option<DateTime<Utc>>,
    progress: ProgressBar,
}

impl Stream {
    async fn listen(&mut self) -> anyhow::Result<()> {
        let mut pause = Pause::between(PAUSES.0, PAUSES.1);
        let mut connections = 0_u32;
        loop {
            let reason = match socket::connect(&self.listener.url).await {
                Ok(mut socket) => {
                    connections += 1;
                    self.tally.reconnects.1 = connections - 1;
                    match self.follow(&mut socket, &mut pause).await {
                        End::Lost(reason) => reason,
                        End::Refused(error) => return Err(error),
                        End::Enough => {
                            socket.close().await;
                            return Ok(());
                        }
                    }
                }
                Err(reason) => reason,
            };
            let reason = self.listener.keys.redact(&reason);
            if self.retries.is_some_and(|most| pause.taken() >= most) {
                bail!("gave up after {} failures in a row: {reason}", pause.taken() + 1);
            }
            let next = pause.next();
            self.progress.suspend(|| {
                warn!(retry_ms = next.as_millis() as u64, "the vendor's stream is away ({reason}), connecting again");
            });
            // Minutes that are over go on being written.
            if !self.hand_over(Utc::now()).await {
                return Ok(());
            }
            sleep(next).await;
        }
    }

    /// Follows a connection to its end.
    async fn follow(&mut self, socket: &mut Socket, pause: &mut Pause) -> End {
        if self.listener.preset == StreamPreset::Finnhub {
            for question in finnhub::subscriptions(&self.listener.symbols) {
                if let Err(reason) = socket.send(question).await {
                    return End::Lost(reason);
                }
            }
            // It confirms nothing: from now on trades come.
            self.is_heard(pause);
        }
        let welcome_by = tokio::time::Instant::now() + WELCOME_WITHIN;
        let mut heard_at = tokio::time::Instant::now();
        let mut hand_over = interval(HAND_OVER);
        hand_over.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = interval(PING_EVERY);
        let mut is_welcome = self.listener.preset == StreamPreset::Finnhub;
        let end = loop {
            tokio::select! {
                message = socket.next() => {
                    heard_at = tokio::time::Instant::now();
                    let text = match message {
                        Ok(Some(text)) => text,
                        Ok(None) => continue,
                        Err(reason) => break End::Lost(reason),
                    };
                    match self.heard(socket, &text, pause).await {
                        Ok(welcome) => is_welcome |= welcome,
                        Err(end) => break end,
                    }
                }
                _ = hand_over.tick() => {
                    let now = Utc::now();
                    if !self.hand_over(now).await || self.left == 0 {
                        break End::Enough;
                    }
                    if !is_welcome && tokio::time::Instant::now() > welcome_by {
                        break End::Lost(format!("it did not take the subscription within {} s", WELCOME_WITHIN.as_secs()));
                    }
                    if heard_at.elapsed() > SILENCE {
                        break End::Lost(format!("it was silent for {} s", SILENCE.as_secs()));
                    }
                }
                _ = ping.tick() => {
                    if let Err(reason) = socket.ping().await {
                        break End::Lost(reason);
                    }
                }
            }
        };
        if is_welcome {
            self.lost_at = Some(Utc::now());
        }
        end
    }

    /// Takes a message; says whether the vendor has taken the subscription with it.
    async fn heard(&mut self, socket: &mut Socket, text: &str, pause: &mut Pause) -> Result<bool, End> {
        let mut is_welcome = false;
        let mut bars = Rows::new();
        for event in self.listener.understand(text) {
            for answer in self.listener.answers(&event).map_err(End::Refused)? {
                socket.send(answer).await.map_err(End::Lost)?;
            }
            let now = Utc::now();
            match event {
                Event::Subscribed => {
                    is_welcome = true;
                    self.is_heard(pause);
                }
                Event::Bar(symbol, bar) => {
                    self.tally.read += 1;
                    if let Some(bar) = self.inspected(symbol, bar, now) {
                        bars.push(bar);
                    }
                }
                Event::Trade(trade) => {
                    self.tally.read += 1;
                    let reason = match self.minutes.hear(&trade, now) {
                        Heard::InTime | Heard::Late => continue,
                        Heard::TooLate => "too_late",
                        Heard::OfPartOfAMinute => "part_of_a_minute",
                        Heard::Void => "void",
                    };
                    self.tally.refuse(reason, || format!("trade of {} at {}", trade.symbol, trade.at));
                }
                Event::Denied { reason, is_final } => {
                    let reason = self.listener.keys.redact(&reason);
                    return Err(if is_final {
                        End::Refused(anyhow::anyhow!("the vendor refuses: {reason}"))
                    } else {
                        End::Lost(reason)
                    });
                }
                Event::Unusable(reason) => {
                    self.tally.read += 1;
                    self.tally.refuse("unreadable", || self.listener.keys.redact(&reason));
                }
                Event::Connected | Event::Authenticated | Event::Other => {}
            }
        }
        if self.send(bars).await { Ok(is_welcome) } else { Err(End::Enough) }
    }

    /// From now on everything is heard.
    fn is_heard(&mut self, pause: &mut Pause) {
        let now = Utc::now();
        pause.reset();
        match self.lost_at.take() {
            Some(lost_at) => {
                let gap = Gap::of_outage(lost_at, now);
                self.progress.suspend(|| warn!("missed: {gap}"));
                self.tally.miss(gap);
                self.minutes.interrupted(lost_at, now);
            }
            None => {
                self.minutes.interrupted(now, now);
                self.progress.suspend(|| info!(symbols = self.listener.symbols.len(), "the stream is live"));
            }
        }
    }

    fn inspected(&mut self, symbol: Symbol, bar: Bar, now: DateTime<Utc>) -> Option<(Symbol, Bar)> {
        if let Some((rule, reason)) = self.inspector.refuses(&symbol, &bar, now) {
            self.tally.refuse(rule, || format!("{symbol} {}: {reason}", bar.time));
            return None;
        }
        Some((symbol, bar))
    }

    /// Hands minutes that are over to the writer; false when it takes no more.
    async fn hand_over(&mut self, now: DateTime<Utc>) -> bool {
        let over = self.minutes.over(now);
        let rows: Rows = over.into_iter().filter_map(|(symbol, bar)| self.inspected(symbol, bar, now)).collect();
        self.send(rows).await
    }

    async fn send(&mut self, mut rows: Rows) -> bool {
        let Some(writer) = &self.rows else { return false };
        if rows.is_empty() {
            return !writer.is_closed();
        }
        rows.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= rows.len() as u64;
        self.progress.set_message(format!("{} read", self.tally.read));
        writer.send(rows).await.is_ok() && self.left > 0
    }

    /// At the end nobody waits for late trades.
    fn flush_at_end(&mut self) {
        let now = Utc::now();
        let over = self.minutes.over_now(now);
        let rows: Rows = over.into_iter().filter_map(|(symbol, bar)| self.inspected(symbol, bar, now)).collect();
        if let Some(writer) = self.rows.as_ref().filter(|_| !rows.is_empty())
            && writer.try_send(rows).is_err()
        {
            warn!("the last minutes were not written: the source database is away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::Write;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: StreamArgs,
    }

    fn listener(options: &[&str]) -> Result<Listener, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "hunter2\nswordfish\n").unwrap();
        let file = format!("--key-file={}", file.path().display());
        let mut all = vec!["stream", "--database-url=mysql://a:secret@127.0.0.1/d", &file, "--symbol=AMZN,AAPL"];
        all.extend(options);
        let args = Cli::try_parse_from(all).map_err(|error| error.to_string())?.args;
        Listener::new(&args).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn every_vendor_has_its_address_its_kind_and_its_words() {
        let finnhub = listener(&["--preset=finnhub"]).unwrap();
        assert_eq!(finnhub.url.as_str(), "wss://ws.finnhub.io/?token=hunter2");
        assert_eq!(finnhub.kind, Kind::Trades);
        let massive = listener(&["--preset=polygon", "--kind=trades"]).unwrap();
        assert_eq!(massive.answers(&Event::Connected).unwrap(), [r#"{"action":"auth","params":"hunter2"}"#]);
        assert!(massive.answers(&Event::Authenticated).unwrap()[0].contains("T.AMZN,T.AAPL"));
        let alpaca = listener(&["--preset=alpaca"]).unwrap();
        assert!(alpaca.answers(&Event::Connected).unwrap()[0].contains("swordfish"));
        assert!(alpaca.answers(&Event::Authenticated).unwrap()[0].contains("updatedBars"));
        assert!(alpaca.answers(&Event::Subscribed).unwrap().is_empty());
    }

    #[test]
    fn options_that_contradict_each_other_are_refused_with_advice() {
        for (options, advice) in [
            (vec!["--preset=finnhub", "--kind=bars"], "trades only"),
            (vec!["--preset=alpaca", "--url=http://x"], "neither ws"),
            (vec!["--preset=alpaca", "--url=x"], "is no URL"),
            (vec!["--preset=alpaca", "--symbol=x"], "is not a symbol"),
        ] {
            let said = listener(&options).err().unwrap_or_else(|| panic!("{options:?}"));
            assert!(said.contains(advice), "{said}");
        }
    }
}
