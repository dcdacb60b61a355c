//! `feed stream` against vendors that speak as the real ones were recorded to, and against our own Alpaca stream.

use super::table::{PATIENCE, Source, key_file};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use clap::Parser;
use futures::{SinkExt, StreamExt};
use server::source::{StreamArgs, Tally, stream};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: StreamArgs,
}

async fn run(options: Vec<&str>) -> anyhow::Result<Tally> {
    let args = Cli::try_parse_from(options)?.args;
    timeout(PATIENCE, stream(args, CancellationToken::new())).await.expect("the stream ends in time")
}

/// A vendor's side of a connection.
struct Side {
    socket: WebSocketStream<TcpStream>,
    query: String,
}

impl Side {
    async fn accept(listener: &TcpListener) -> Self {
        let (wire, _) = listener.accept().await.expect("somebody comes");
        let mut query = String::new();
        #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
        let look = |request: &Request, response: Response| {
            query = request.uri().to_string();
            Ok(response)
        };
        let socket = accept_hdr_async(wire, look).await.expect("it is a WebSocket");
        Self { socket, query }
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.expect("the client listens");
    }

    async fn hear(&mut self) -> String {
        loop {
            match self.socket.next().await.expect("the client is there").expect("it speaks") {
                Message::Text(text) => return text.as_str().to_owned(),
                _ => continue,
            }
        }
    }

    /// Reads until the client goes.
    async fn wait(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

async fn vendor() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    (listener, format!("ws://{address}/v2/iex"))
}

fn bar(kind: &str, minute: u32, close: &str) -> String {
    format!(
        r#"[{{"T":"{kind}","S":"AMZN","o":153.42,"h":160,"l":150,"c":{close},"v":18250,"n":1,"vw":153.4,"t":"2024-01-16T14:{minute}:00Z"}}]"#
    )
}

async fn welcome(side: &mut Side) {
    side.say(r#"[{"T":"success","msg":"connected"}]"#).await;
    assert_eq!(side.hear().await, r#"{"action":"auth","key":"hunter2","secret":"swordfish"}"#);
    side.say(r#"[{"T":"success","msg":"authenticated"}]"#).await;
    assert!(side.hear().await.contains(r#""bars":["AMZN"]"#));
    side.say(r#"[{"T":"subscription","trades":[],"quotes":[],"bars":["AMZN"],"updatedBars":["AMZN"]}]"#).await;
}

#[tokio::test]
async fn bars_of_alpaca_are_written_corrected_and_the_gap_of_a_lost_connection_is_reported() {
    let mut source = Source::start().await;
    let (listener, url) = vendor().await;
    let speaking = tokio::spawn(async move {
        let mut side = Side::accept(&listener).await;
        welcome(&mut side).await;
        side.say(bar("b", 31, "153.36")).await;
        side.say(bar("b", 32, "170")).await; // above its high
        side.say(bar("u", 31, "153.40")).await;
        side.socket.close(None).await.expect("it closes");
        drop(side);
        let mut side = Side::accept(&listener).await;
        welcome(&mut side).await;
        side.say(bar("b", 35, "153.55")).await;
        side.say(bar("b", 35, "153.55")).await;
        side.wait().await;
    });
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = ["--preset", "alpaca", "--url", &url, "--symbol", "AMZN", "--key-file", &keys, "--rows", "4"];
    let tally = run(source.options("stream", &options)).await.unwrap();
    timeout(PATIENCE, speaking).await.unwrap().unwrap();
    assert_eq!((tally.read, tally.refused(), tally.reconnects.1), (5, 1, 1), "{tally}");
    // One and the same minute may come in one batch or in two.
    let written = tally.written;
    assert_eq!(written.inserted + written.corrected + written.duplicates, 4, "{tally}");
    assert_eq!(written.inserted, 2, "{tally}");
    assert_eq!(tally.gaps.len(), 1, "{tally}");
    assert!(tally.to_string().contains("gap: not connected"), "{tally}");
    let rows = source.rows().await;
    assert_eq!(rows, ["AMZN 2024-01-16 14:31:00 153.4 18250", "AMZN 2024-01-16 14:35:00 153.55 18250"]);
}

#[tokio::test]
async fn a_vendor_that_refuses_the_key_ends_the_stream_without_printing_it() {
    let source = Source::start().await;
    let (listener, url) = vendor().await;
    tokio::spawn(async move {
        let mut side = Side::accept(&listener).await;
        side.say(r#"[{"ev":"status","status":"connected","message":"Connected Successfully"}]"#).await;
        assert_eq!(side.hear().await, r#"{"action":"auth","params":"hunter2"}"#);
        side.say(r#"[{"ev":"status","status":"auth_failed","message":"authentication failed: hunter2"}]"#).await;
        side.wait().await;
    });
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = ["--preset", "massive", "--url", &url, "--symbol", "AMZN", "--key-file", &keys];
    let error = format!("{:#}", run(source.options("stream", &options)).await.unwrap_err());
    assert!(error.contains("auth_failed") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn trades_become_minutes_and_those_of_a_minute_that_was_not_heard_from_its_start_do_not() {
    let mut source = Source::start().await;
    let (listener, url) = vendor().await;
    // Trades of the next whole minutes, as a vendor whose clock runs ahead would send them: the bars are written when they
    // are over by our clock, so the stream is ended and asked for those that are over.
    let minute = TimeDelta::minutes(1);
    let now: DateTime<Utc> = Utc::now().duration_trunc(minute).unwrap();
    let sale = move |time: DateTime<Utc>, price: &str| {
        format!(
            r#"{{"type":"trade","data":[{{"c":["1"],"p":{price},"s":"AMZN","t":{},"v":100}}]}}"#,
            time.timestamp_millis()
        )
    };
    let (heard, all_heard) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut side = Side::accept(&listener).await;
        assert!(side.query.ends_with("?token=hunter2"), "{}", side.query);
        assert_eq!(side.hear().await, r#"{"symbol":"AMZN","type":"subscribe"}"#);
        side.say(sale(now - minute, "153.42")).await;
        side.say(r#"{"type":"ping"}"#).await;
        side.say("not JSON").await;
        side.say(sale(now + minute, "153.42")).await;
        // An answer to a ping proves that everything before it was read.
        side.socket.send(Message::Ping(Vec::new().into())).await.expect("the client listens");
        while let Some(Ok(message)) = side.socket.next().await {
            if message.is_pong() {
                break;
            }
        }
        let _ = heard.send(());
        side.wait().await;
    });
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = ["--preset", "finnhub", "--url", &url, "--symbol", "AMZN", "--key-file", &keys];
    let args = Cli::try_parse_from(source.options("stream", &options)).unwrap().args;
    let stop = CancellationToken::new();
    let streaming = tokio::spawn(stream(args, stop.clone()));
    timeout(PATIENCE, all_heard).await.unwrap().unwrap();
    stop.cancel();
    let tally = timeout(PATIENCE, streaming).await.unwrap().unwrap().unwrap();
    assert_eq!(tally.read, 3, "{tally}");
    assert_eq!(tally.refused["part_of_a_minute"].0, 1, "{tally}");
    assert_eq!(tally.refused["unreadable"].0, 1, "{tally}");
    assert_eq!(source.rows().await, [""; 0], "the minute is not over, and part of a bar is a wrong bar");
}

/// `stockstream demo`, killed when dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn our_own_alpaca_stream_feeds_another_source() {
    let mut source = Source::start().await;
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    std::fs::create_dir(place("site")).unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_stockstream"))
        .args(["demo", "--listen", "127.0.0.1:0", "--speed", "600", "--log", "warn"])
        .args(["--data-dir", &place("data"), "--site-root", &place("site")])
        .stdout(Stdio::piped())
        .spawn()
        .map(Demo)
        .unwrap();
    let said = BufReader::new(demo.0.stdout.take().unwrap());
    let address = tokio::task::spawn_blocking(move || {
        said.lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("live: http://")?.1.split_once('/')?.0.to_owned()))
    });
    let address = timeout(PATIENCE, address).await.unwrap().unwrap().expect("the demo says where it is");
    let url = format!("ws://{address}/v2/iex");
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = ["--preset", "alpaca", "--url", &url, "--symbol", "AMZN,AAPL", "--key-file", &keys, "--rows", "6"];
    let tally = run(source.options("stream", &options)).await.unwrap();
    let written = tally.written;
    assert_eq!(written.inserted + written.corrected + written.duplicates, 6, "{tally}");
    assert_eq!(tally.refused(), 0, "{tally}");
    assert_eq!(source.rows().await.len() as u64, written.inserted);
    // What was written is what the demo serves.
    let body = reqwest::get(format!("http://{address}/api/v1/bars?symbol=AMZN&sort=desc&limit=10000")).await;
    let page: serde_json::Value = serde_json::from_slice(&body.unwrap().bytes().await.unwrap()).unwrap();
    let served: Vec<String> =
        page["bars"].as_array().unwrap().iter().map(|bar| bar["time"].as_str().unwrap().to_owned()).collect();
    for row in source.rows().await.iter().filter(|row| row.starts_with("AMZN")) {
        let time = row.split(' ').skip(1).take(2).collect::<Vec<_>>().join("T") + "Z";
        assert!(served.contains(&time), "{row} in {served:?}");
    }
}
