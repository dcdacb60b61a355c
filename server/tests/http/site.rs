//! A server with a database of its own, asked in process.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, Method, Request, StatusCode, header},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use leptos::config::LeptosOptions;
use market::{
    Bar, session_on,
    wire::{SourceKind, SourceMode},
};
use metrics_exporter_prometheus::PrometheusHandle;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use server::{
    access::{KeyMode, Keys},
    checkpoint::{Checkpoint, Runner},
    embedded::Postgres,
    feed::{CatchUp, Door, Feed, Hub, SocketConfig},
    http::{self, Answers, AppState},
    pipeline::{self, StatusWriter},
    store::Store,
    telemetry,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    str::FromStr,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// What the site has at `/pkg/stockstream.js`.
pub const SCRIPT: &str = "export default function hydrate() { return 'hydrated hydrated hydrated hydrated'; }\n";

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| telemetry::install_recorder().expect("no other recorder in this process"));

/// One server for all tests that run at the same time; the last one to end stops it.
struct Shared {
    postgres: Postgres,
    _directory: TempDir,
}

async fn shared() -> Arc<Shared> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let directory = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(directory.path()).await.unwrap();
    let mut connection = connect(&postgres.url()).await;
    // Nobody needs these databases after a crash of the machine.
    for sql in ["alter system set fsync = off", "select pg_reload_conf()"] {
        connection.execute(sql).await.unwrap();
    }
    let store = store(&postgres.create_database(TEMPLATE).await.unwrap());
    store.migrate().await.unwrap();
    store.pool().close().await;
    let started = Arc::new(Shared { postgres, _directory: directory });
    *shared = Arc::downgrade(&started);
    started
}

/// The database that those of the sites are copies of: with all tables, and empty.
const TEMPLATE: &str = "http_template";

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

fn store(url: &SecretString) -> Store {
    Store::new(PgConnectOptions::from_str(url.expose_secret()).unwrap(), 4)
}

/// A row of `stock`.
#[derive(Clone)]
pub struct Row {
    pub symbol: &'static str,
    pub bar: Bar,
    pub event_time: DateTime<Utc>,
}

/// A bar with one price, and an event a minute after its start.
pub fn row(symbol: &'static str, time: &str, price: &str) -> Row {
    let time: DateTime<Utc> = time.parse().unwrap();
    let price: Decimal = price.parse().unwrap();
    let bar = Bar { time, open: price, high: price, low: price, close: price, volume: 100 };
    Row { symbol, bar, event_time: time + TimeDelta::minutes(1) }
}

pub struct Site {
    answers: Answers,
    pub state: AppState,
    pub pipeline: StatusWriter,
    _files: TempDir,
    _shared: Option<Arc<Shared>>,
}

impl Site {
    /// With an empty database.
    pub async fn start() -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let shared = shared().await;
        let name = format!("http_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let server = shared.postgres.url();
        let copy = format!("create database {name} template {TEMPLATE}");
        connect(&server).await.execute(AssertSqlSafe(copy)).await.unwrap();
        let url = PgConnectOptions::from_str(server.expose_secret()).unwrap().database(&name).to_url_lossy();
        Self { _shared: Some(shared), ..Self::on(&url.to_string().into()).await }
    }

    /// On a database that is there.
    pub async fn on(url: &SecretString) -> Self {
        let store = store(url);
        store.migrate().await.unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::create_dir(files.path().join("pkg")).unwrap();
        std::fs::write(files.path().join("pkg/stockstream.js"), SCRIPT).unwrap();
        std::fs::write(files.path().join("sw.js"), SCRIPT).unwrap();
        let (pipeline, status) = pipeline::channel();
        let feed = Feed {
            hub: Hub::default(),
            catch_up: CatchUp::new(store.clone()),
            door: Door::new(SocketConfig::default()),
            store,
            status,
            source: SourceKind { mode: SourceMode::Live, simulated: false, speed: None },
            budget_ms: 2_000,
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
        };
        let options = LeptosOptions::builder()
            .output_name("stockstream")
            .site_root(files.path().to_str().unwrap())
            .site_pkg_dir("pkg")
            .build();
        let state = AppState::new(feed, options, METRICS.clone(), pipeline::Controls::default());
        Self { answers: http::answers(state.clone()), state, pipeline, _files: files, _shared: None }
    }

    pub fn store(&self) -> &Store {
        &self.state.feed.store
    }

    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// The same server with these limits per caller.
    pub fn answers_with(&self, limits: &http::Limits) -> Answers {
        http::answers(self.state.clone().limited(limits))
    }

    /// With the control endpoints open to this token.
    pub fn controlled_by(self, token: &str) -> Self {
        let state = self.state.controlled_by(Some(&token.parse().unwrap()));
        Self { answers: http::answers(state.clone()), state, ..self }
    }

    /// With keys, the control token as it was, and a heart that beats fast.
    pub fn with_keys(self, mode: KeyMode, token: Option<&str>) -> Self {
        let mut state = self.state;
        let sockets = SocketConfig { beat_every: Duration::from_millis(20), ..SocketConfig::default() };
        state.feed.door = Door::checking(sockets, Keys::new(mode));
        let token = token.map(|token| token.parse().unwrap());
        let state = state.controlled_by(token.as_ref()).limited(&http::Limits::default());
        Self { answers: http::answers(state.clone()), state, ..self }
    }

    /// With the state that it has now.
    pub fn served_as_it_is(self) -> Self {
        Self { answers: http::answers(self.state.clone()), ..self }
    }

    /// With these checkpoints, which only run when somebody asks.
    pub fn with_checkpoints(self, checkpoints: Vec<Checkpoint>) -> Self {
        let runner = Runner::new(self.store().clone(), checkpoints);
        let state = self.state.running(runner);
        Self { answers: http::answers(state.clone()), state, ..self }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.send(method, path, headers, "").await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(HeaderName, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = self.answers.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, bytes, path: path.to_owned() }
    }

    pub async fn insert(&self, rows: &[Row]) {
        let (mut symbols, mut times, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let (mut opens, mut highs, mut lows, mut closes, mut volumes) = (vec![], vec![], vec![], vec![], vec![]);
        for Row { symbol, bar, event_time } in rows {
            symbols.push(*symbol);
            times.push(bar.time);
            events.push(*event_time);
            opens.push(bar.open);
            highs.push(bar.high);
            lows.push(bar.low);
            closes.push(bar.close);
            volumes.push(bar.volume);
        }
        sqlx::query("insert into symbol(symbol) select distinct unnest($1::text[]) on conflict do nothing")
            .bind(&symbols)
            .execute(self.store().pool())
            .await
            .unwrap();
        sqlx::query(
            "insert into stock (topic_id, record_id, symbol_id, time, open, high, low, close, volume, event_time,
                version_epoch, version_hi, version_lo, incarnation, partition, \"offset\", op, received_at, committed_at,
                rules)
             select 1, (select coalesce(max(record_id), 0) from stock) + row_number() over (), symbol_id, time, open,
                high, low, close, volume, event_time, 1, 1, 1, 1, 0, 1, 'c', event_time, event_time + interval '1 second',
                0
             from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::numeric[], $5::numeric[], $6::numeric[],
                $7::numeric[], $8::bigint[]) as row(symbol, time, event_time, open, high, low, close, volume)
             join symbol using (symbol)",
        )
        .bind(symbols)
        .bind(times)
        .bind(events)
        .bind(opens)
        .bind(highs)
        .bind(lows)
        .bind(closes)
        .bind(volumes)
        .execute(self.store().pool())
        .await
        .unwrap();
    }

    /// Some sessions around a change to daylight saving time, with gaps and with minutes that are there twice; gives
    /// what people should see.
    pub async fn fill(&self, symbol: &'static str, seed: u64) -> Vec<Bar> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut rows, mut bars) = (Vec::new(), Vec::new());
        let first: NaiveDate = "2024-03-07".parse().unwrap();
        for session in first.iter_days().take(7).filter_map(session_on) {
            let mut time = session.open;
            while time < session.close {
                let mut price = || Decimal::new(random.random_range(1_500_000..1_600_000), 4);
                let (open, close) = (price(), price());
                let (high, low) = (open.max(close) + price(), open.min(close) - Decimal::ONE);
                let bar = Bar { time, open, high, low, close, volume: random.random_range(0..1_000_000) };
                let event_time = time + TimeDelta::minutes(1);
                if random.random_ratio(1, 10) {
                    let older = Bar { close: close + Decimal::ONE, volume: 1, ..bar };
                    rows.push(Row { symbol, bar: older, event_time: time });
                }
                rows.push(Row { symbol, bar, event_time });
                bars.push(bar);
                let gap =
                    if random.random_ratio(1, 20) { random.random_range(2..90) } else { random.random_range(1..4) };
                time += TimeDelta::minutes(gap);
            }
        }
        self.insert(&rows).await;
        bars
    }
}

pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub bytes: Bytes,
    path: String,
}

impl Answer {
    /// The header's text; empty when there is none.
    pub fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}: {}", self.path, self.text()))
    }

    pub fn ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, StatusCode::OK, "{}: {}", self.path, self.text());
        self.json()
    }

    /// Checks that this is a refusal of that kind, complete and consistent.
    pub fn problem(&self, status: StatusCode, code: &str) -> Value {
        let body: Value = self.json();
        assert_eq!((self.status, &body["code"]), (status, &Value::from(code)), "{}: {body}", self.path);
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{}", self.path);
        assert_eq!(body["status"], status.as_u16());
        assert_eq!(body["type"], format!("urn:stockstream:problem:{code}"));
        assert_eq!(body["detail"], body["message"]);
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()));
        body
    }

    pub fn is_problem(&self, status: StatusCode, code: &str) {
        self.problem(status, code);
    }
}
