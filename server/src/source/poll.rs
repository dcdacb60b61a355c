//! `stockstream feed poll`: asks an HTTP API again and again, and writes what is new.

use super::gaps::Gaps;
use super::inspect::Inspector;
use super::keys::{KeyArgs, Keys};
use super::pause::Pause;
use super::sink::{Sink, TableArgs};
use super::tally::Tally;
use super::vendor::{Answer, Refusal, alpha_vantage, original};
use crate::outbound::{describe, personal_client};
use crate::progress;
use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use market::{Bar, Symbol};
use rand::Rng;
use reqwest::{Client, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

const ALPHA_VANTAGE: &str = "https://www.alphavantage.co/query";
/// The largest answer that is read: Alpha Vantage's longest month has some three megabytes.
const MOST_BYTES: usize = 32 << 20;
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Which API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PollPreset {
    /// The original stock API: one line per question, from `/stock` and `/stock1`, which remember where a client is, or from
    /// `/line/{n}`.
    Original,
    /// Alpha Vantage's intraday series of one minute, as JSON.
    AlphaVantage,
    /// The same as CSV.
    AlphaVantageCsv,
}

/// Options of `feed poll`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  stockstream feed poll --preset original --url http://127.0.0.1:8080/stock --interval 1s
  stockstream feed poll --preset original --url 'http://127.0.0.1:8080/line/{n}' --state /var/lib/feed/amzn.json
  STOCKSTREAM_FEED_KEY=… stockstream feed poll --preset alpha-vantage --symbol AMZN,AAPL --interval 1h

SOURCE_DATABASE_URL names the database. Bars that are there already are left alone or corrected, so a poll may be run
again, and two may run at once (docs/feeds.md).")]
pub struct PollArgs {
    #[command(flatten)]
    pub into: TableArgs,
    /// Which API is asked.
    #[arg(long, value_enum)]
    pub preset: PollPreset,
    /// Where it is. `{n}` is replaced by the number of the line (original). Alpha Vantage's own address by default.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Whose bars, separated by commas (Alpha Vantage): one question for each.
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',')]
    pub symbols: Vec<Symbol>,
    /// The time between two polls: 1s, 5m.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// By how many percent a pause is made longer or shorter by chance, so that many polls do not ask at once.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub jitter: u32,
    /// How long a question may take.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Lines that one poll asks for at most (original); it ends earlier at the end of the file.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: u64,
    /// Where to keep the number of the next line, so that the next run goes on there (`{n}`).
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Stop after so many polls; without, at a signal.
    #[arg(long, value_name = "N")]
    pub polls: Option<u64>,
    /// Give up after so many failures in a row; without, never: pauses grow to five minutes.
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Where a poll of numbered lines is.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// Of which API, without query.
    of: String,
    next_line: u64,
}

/// Polls until the shutdown, or as often as asked, and says what was written.
///
/// # Errors
/// When the options contradict each other, the API refuses for good (key, address), or the database does.
pub async fn poll(args: PollArgs, shutdown: CancellationToken) -> anyhow::Result<Tally> {
    let started = Instant::now();
    let mut run = Poll::new(args)?;
    run.sink.progress = progress::spinner(Duration::from_millis(200));
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        polled = run.poll() => polled,
    };
    run.sink.progress.finish_and_clear();
    run.sink.close().await;
    run.tally.reconnects.0 = run.sink.reconnects;
    run.tally.took = started.elapsed();
    if ended.is_err() {
        info!("until then: {}", run.tally);
    }
    ended.map(|()| run.tally)
}

struct Poll {
    args: PollArgs,
    keys: Keys,
    client: Client,
    url: String,
    /// `None`: the API remembers, or there is nothing to remember.
    next_line: Option<u64>,
    sink: Sink,
    tally: Tally,
    inspector: Inspector,
    gaps: Gaps,
    /// What the last answer for a symbol held: an answer repeats most of the one before.
    before: HashMap<Symbol, HashMap<DateTime<Utc>, Bar>>,
}

/// A question that was not answered with bars.
enum Failure {
    Passing { reason: String, after: Option<Duration> },
    Final(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Final(error)
    }
}

impl Poll {
    fn new(args: PollArgs) -> anyhow::Result<Self> {
        let keys = args.keys.read()?;
        let url = match (args.preset, &args.url) {
            (PollPreset::Original, None) => bail!("--preset original wants --url, such as http://127.0.0.1:8080/stock"),
            (_, Some(url)) => url.clone(),
            (_, None) => ALPHA_VANTAGE.to_owned(),
        };
        let plain = Url::parse(&url.replace("{n}", "0")).with_context(|| format!("--url {url} is no URL"))?;
        if !matches!(plain.scheme(), "http" | "https") {
            bail!("--url {url} is neither http:// nor https://");
        }
        let is_numbered = url.contains("{n}");
        if args.preset != PollPreset::Original {
            keys.key()?;
            if args.symbols.is_empty() {
                bail!("--preset alpha-vantage wants --symbol");
            }
        }
        if args.state.is_some() && !is_numbered {
            bail!("--state is of an API whose lines are numbered: --url …/line/{{n}}");
        }
        let next_line = match &args.state {
            Some(file) => Some(read_state(file, &place(&url))?),
            None => is_numbered.then_some(0),
        };
        let client = personal_client(args.timeout).context("TLS cannot be set up")?;
        let sink = Sink::new(args.into.clone());
        Ok(Self {
            args,
            keys,
            client,
            url,
            next_line,
            sink,
            tally: Tally::default(),
            inspector: Inspector::default(),
            gaps: Gaps::default(),
            before: HashMap::new(),
        })
    }

    async fn poll(&mut self) -> anyhow::Result<()> {
        self.sink.prepare().await?;
        let mut pause = Pause::between(PAUSES.0.min(self.args.interval.max(Duration::from_millis(10))), PAUSES.1);
        let mut polls = 0;
        loop {
            match self.poll_once().await {
                Ok(()) => {
                    pause.reset();
                    polls += 1;
                    if self.args.polls.is_some_and(|most| polls >= most) {
                        return Ok(());
                    }
                    let shift = f64::from(self.args.jitter) / 100.0;
                    sleep(self.args.interval.mul_f64(rand::rng().random_range(1.0 - shift..=1.0 + shift))).await;
                }
                Err(Failure::Passing { reason, after }) => {
                    let reason = self.keys.redact(&reason);
                    if self.args.retries.is_some_and(|most| pause.taken() >= most) {
                        bail!("gave up after {} failures in a row: {reason}", pause.taken() + 1);
                    }
                    let next = pause.next().max(after.unwrap_or_default());
                    self.sink.progress.suspend(|| warn!(retry_ms = next.as_millis() as u64, "{reason}; trying again"));
                    sleep(next).await;
                }
                Err(Failure::Final(error)) => bail!("{}", self.keys.redact(&format!("{error:#}"))),
            }
        }
    }

    async fn poll_once(&mut self) -> Result<(), Failure> {
        if self.args.preset == PollPreset::Original {
            return self.poll_lines().await;
        }
        for symbol in self.args.symbols.clone() {
            let body = self.ask(self.question(&symbol)?).await?;
            let answer = match self.args.preset {
                PollPreset::AlphaVantageCsv => alpha_vantage::understand_csv(&body, &symbol),
                _ => alpha_vantage::understand_json(&body, &symbol),
            };
            self.write(answer?).await?;
        }
        Ok(())
    }

    /// Line after line until the end of the file. What was read before a failure is written all the same: an API that
    /// remembers where we are will not give it again.
    async fn poll_lines(&mut self) -> Result<(), Failure> {
        let mut read = Answer::default();
        let mut next = self.next_line;
        let mut asked = 0;
        let ended = loop {
            if asked == self.args.lines {
                break Ok(());
            }
            asked += 1;
            let url = match next {
                Some(line) => self.url.replace("{n}", &line.to_string()),
                None => self.url.clone(),
            };
            let answered = match Url::parse(&url) {
                Ok(url) => self.ask(url).await.and_then(|body| Ok(original::understand(&body)?)),
                Err(error) => Err(Failure::Final(error.into())),
            };
            match answered {
                Ok(line) => {
                    read.bars.extend(line.bars);
                    read.unreadable.extend(line.unreadable);
                    next = next.map(|line| line + 1);
                }
                Err(Failure::Passing { reason, .. }) if reason == Refusal::End.to_string() => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        self.write(read).await?;
        self.next_line = next;
        if let (Some(file), Some(next_line)) = (&self.args.state, next) {
            write_state(file, &State { of: place(&self.url), next_line })?;
        }
        ended
    }

    fn question(&self, symbol: &Symbol) -> anyhow::Result<Url> {
        let mut url = Url::parse(&self.url)?;
        let kind = if self.args.preset == PollPreset::AlphaVantageCsv { "csv" } else { "json" };
        url.query_pairs_mut()
            .append_pair("function", "TIME_SERIES_INTRADAY")
            .append_pair("interval", "1min")
            .append_pair("symbol", symbol.as_str())
            .append_pair("datatype", kind)
            .append_pair("apikey", self.keys.key()?);
        Ok(url)
    }

    async fn ask(&self, url: Url) -> Result<String, Failure> {
        let passing = |reason: String| Failure::Passing { reason, after: None };
        let sent = self.client.get(url).send().await;
        let mut response = sent.map_err(|error| passing(describe(error)))?;
        let status = response.status();
        let after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let after = after.map(Duration::from_secs).map(|after| after.min(Duration::from_secs(24 * 3_600)));
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| passing(describe(error)))? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err(Failure::Final(anyhow::anyhow!("the answer is longer than {} MiB", MOST_BYTES >> 20)));
            }
            body.extend_from_slice(&piece);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = || format!("the API answers {status}: {}", body.trim().chars().take(200).collect::<String>());
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(Failure::Passing { reason: said(), after })
            }
            status if status.is_server_error() => Err(Failure::Passing { reason: said(), after }),
            _ => Err(Failure::Final(anyhow::anyhow!(said()))),
        }
    }

    async fn write(&mut self, answer: Answer) -> anyhow::Result<()> {
        let now = Utc::now();
        let Answer { bars, unreadable } = answer;
        self.tally.read += (bars.len() + unreadable.len()) as u64;
        for reason in unreadable {
            self.tally.refuse("unreadable", || reason);
        }
        let mut seen: HashMap<Symbol, HashMap<DateTime<Utc>, Bar>> = HashMap::new();
        let mut rows = Vec::with_capacity(bars.len());
        for (symbol, bar) in bars {
            if let Some((rule, reason)) = self.inspector.refuses(&symbol, &bar, now) {
                self.tally.refuse(rule, || format!("{symbol} {}: {reason}", bar.time));
                continue;
            }
            let is_known = self.before.get(&symbol).and_then(|before| before.get(&bar.time)) == Some(&bar);
            seen.entry(symbol.clone()).or_default().insert(bar.time, bar);
            if is_known {
                self.tally.written.duplicates += 1;
                continue;
            }
            if let Some(gap) = self.gaps.follow(&symbol, bar.time) {
                self.tally.miss(gap);
            }
            rows.push((symbol, bar));
        }
        for piece in rows.chunks(self.args.into.batch) {
            self.tally.written += self.sink.upsert(piece.to_vec()).await?;
        }
        self.before.extend(seen);
        self.sink.progress.set_message(format!("{} read, {} written", self.tally.read, self.tally.written.inserted));
        Ok(())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(_) => Self::Final(refusal.into()),
            Refusal::End | Refusal::Busy(_) | Refusal::Strange(_) => {
                Self::Passing { reason: refusal.to_string(), after: None }
            }
        }
    }
}

/// Scheme, host, port and path of an API: what may be written down.
fn place(url: &str) -> String {
    let without_query = url.split(['?', '#']).next().unwrap_or_default();
    match without_query.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => without_query.to_owned(),
    }
}

fn read_state(file: &Path, of: &str) -> anyhow::Result<u64> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    let state: State =
        serde_json::from_str(&text).with_context(|| format!("{} is no state of a poll", file.display()))?;
    if state.of != of {
        bail!("{} is the state of a poll of {}, not of {of}: name another file", file.display(), state.of);
    }
    Ok(state.next_line)
}

/// Writes a state so that a crash leaves the old one or the new one.
fn write_state(file: &Path, state: &State) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let text = serde_json::to_string(state)?;
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, file))
        .with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: PollArgs,
    }

    fn new(options: &[&str]) -> Result<Poll, String> {
        let mut all = vec!["poll", "--database-url=mysql://a:secret@127.0.0.1/d"];
        all.extend(options);
        let args = Cli::try_parse_from(all).map_err(|error| error.to_string())?.args;
        Poll::new(args).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn options_that_contradict_each_other_are_refused_with_advice() {
        for (options, advice) in [
            (vec!["--preset=original"], "wants --url"),
            (vec!["--preset=original", "--url=ftp://x"], "neither http"),
            (vec!["--preset=original", "--url=stock"], "is no URL"),
            (vec!["--preset=original", "--url=http://x/stock", "--state=x"], "numbered"),
            (vec!["--preset=alpha-vantage", "--symbol=amzn"], "is not a symbol"),
            (vec!["--preset=alpha-vantage", "--key-file=/nonexistent"], "/nonexistent"),
            (vec!["--preset=original", "--url=http://x/", "--jitter=101"], "101"),
        ] {
            let said = new(&options).err().unwrap_or_else(|| panic!("{options:?}"));
            assert!(said.contains(advice), "{said}");
        }
        assert_eq!(new(&["--preset=original", "--url=http://x/line/{n}"]).unwrap().next_line, Some(0));
        assert_eq!(new(&["--preset=original", "--url=http://x/stock"]).unwrap().next_line, None);
    }

    #[test]
    fn a_state_belongs_to_its_api_and_names_no_password() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.json");
        let of = place("http://user:hunter2@x:81/line/{n}?apikey=hunter2");
        assert_eq!(of, "http://x:81/line/{n}");
        assert_eq!(read_state(&file, &of).unwrap(), 0);
        write_state(&file, &State { of: of.clone(), next_line: 7 }).unwrap();
        assert_eq!(read_state(&file, &of).unwrap(), 7);
        assert!(read_state(&file, "http://y/line/{n}").unwrap_err().to_string().contains("name another file"));
        std::fs::write(&file, "{").unwrap();
        assert!(read_state(&file, &of).is_err());
    }
}
