//! What can be configured, and how: a flag or an environment variable each, so that `--help` is the manual.

mod alert;
mod checked;
mod checkpoint;
mod control;
mod docs;
mod kafka;
mod key;
mod limits;
mod policy;
mod quarantine;
mod sockets;
mod validate;
mod value;
mod verify;

pub use alert::{AlertArgs, AlertCommand, AlertConfig};
pub use checked::{Checked, Mistakes};
pub use checkpoint::{CheckpointCommand, CheckpointRunArgs};
pub use control::{ControlArgs, ControlToken, PipelineArgs, PipelineCommand, Target, TargetArgs};
pub use docs::{DocsCommand, DocsExportArgs, DocsExportConfig, DocsTarget};
pub use kafka::KafkaArgs;
pub use key::{KeyArgs, KeyCommand, KeyCreateArgs, KeyLsArgs, KeyOrder, KeyRevokeArgs};
pub use limits::LimitArgs;
pub use policy::PolicyArgs;
pub use quarantine::{
    QuarantineCommand, QuarantineDismissArgs, QuarantineLsArgs, QuarantineRedriveArgs, QuarantineShowArgs, RecordPart,
    StoreArgs, SuitesArgs,
};
pub use sockets::SocketArgs;
pub use validate::{ValidateArgs, ValidateConfig};
pub use value::{Brokers, Budget, DatabaseUrl, KafkaProperty, Pool, Speed, SymbolFile, Topic};
pub use verify::{VerifyArgs, VerifyConfig};

use crate::{
    access::KeyMode,
    checkpoint::{Checkpoints, StreamCheck, built_in},
    feed::SocketConfig,
    http::Limits,
    pipeline::{Assignment, ConsumerConfig},
    store::Policy,
    telemetry::LogFormat,
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// Turns a database of stock bars into a live, trustworthy dashboard.
#[derive(Debug, Parser)]
#[command(name = "stockstream", version, about, long_about = None, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// What to log, as a tracing filter (`info`, `server=debug,rdkafka=warn`).
    #[arg(long, env = "STOCKSTREAM_LOG", default_value = "info", global = true)]
    pub log: String,
    /// What a line of the log looks like.
    #[arg(long, env = "STOCKSTREAM_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on this machine, with nothing installed: private PostgreSQL, in-process Kafka, a replay feed, the
    /// dashboard.
    Demo(DemoArgs),
    /// The server against a real Kafka and a real Postgres.
    Serve(ServeArgs),
    /// Writes bars into a source database table.
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Reads captured Kafka records (JSON Lines) and prints what is understood of each, or why not.
    Decode(DecodeArgs),
    /// Looks at refused records and gives them another chance.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Folds topics by the written rule, record by record, and compares with the store: missing, different, duplicate and
    /// ghost rows, refused records, counters. Works beside a running server, changes nothing, and needs about 200 bytes of
    /// memory per key. Exit code 0: everything agrees; 1: it does not; 2: could not run.
    Verify(VerifyArgs),
    /// Runs expectation suites of Great Expectations, of either dialect, against a table, in one scan where one is enough.
    /// Changes nothing. Exit code 0: every expectation is met; 1: not every one; 2: could not run.
    Validate(ValidateArgs),
    /// Looks at the checkpoints of a running server, which validate tables by a schedule, and runs one now.
    ///
    /// Exit codes: 0 done, and every expectation is met; 1 not every one is; 2 nothing could be asked or run.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Looks at an expectation suite of Great Expectations, of either dialect.
    #[command(subcommand)]
    Suite(SuiteCommand),
    /// Writes what suites found as pages for those who cannot ask the server.
    #[command(subcommand)]
    Docs(DocsCommand),
    /// Prints the OpenAPI document of the REST API.
    Openapi,
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Looks at, pauses, resumes or drains the pipeline of a running server.
    ///
    /// Exit codes: 0 done, or everything runs; 1 not everything runs, or a drain has not ended in time; 2 nothing could be
    /// asked or ordered.
    #[command(subcommand)]
    Pipeline(PipelineCommand),
    /// Makes, lists and revokes keys of programs. Works beside a running server, which knows of it at once.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Looks after alerts.
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Asks a running server whether it is ready; exit code 0 when it is. For container health checks.
    Health(HealthArgs),
}

#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// Replays an Alpha-Vantage-style CSV, or simulated bars, into MySQL, MariaDB or Postgres; with --load in bulk.
    Replay(crate::source::ReplayArgs),
    /// Asks an HTTP API for bars again and again: the original stock API, Alpha Vantage.
    Poll(crate::source::PollArgs),
    /// Listens to a vendor's WebSocket: Finnhub, Massive (Polygon), Alpaca.
    Stream(crate::source::StreamArgs),
}

#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// Explains what a suite really checks; exit code 1 when there is something to say against it.
    Lint(SuiteArgs),
    /// Prints a suite of the 0.x dialect in the 1.x dialect; keys without a place there are kept in `meta`.
    Migrate(SuiteArgs),
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is moved once")]
pub enum ConfigCommand {
    /// Prints the resolved configuration of `serve` as JSON, secrets as `***`; exit code 2 with every mistake if there
    /// is one.
    Check(ServeArgs),
    /// Prints the JSON schema of the file with the checkpoints, for editors.
    Schema,
}

/// Where to listen and what to show: the same for every way to run.
#[derive(Clone, Debug, Args)]
pub struct WebArgs {
    /// Address and port of the dashboard and the API.
    #[arg(long, env = "STOCKSTREAM_LISTEN", default_value = "127.0.0.1:8080")]
    listen: Checked<SocketAddr>,
    /// Directory with the built browser files (pkg/, fonts, favicon).
    #[arg(long, env = "STOCKSTREAM_SITE_ROOT", default_value = "target/site")]
    site_root: PathBuf,
    /// How late data may be and still be called live, in milliseconds, 1 to 3600000.
    #[arg(long, env = "STOCKSTREAM_BUDGET_MS", default_value = "2000")]
    budget_ms: Checked<Budget>,
    /// File with the checkpoints: which expectation suite is run against which table, and how often. Without it the
    /// built-in suite for bars is run every five minutes. Its [[stream]] tables name suites that every record is held to as
    /// it arrives (docs/stream-suites.md), and its [[route]] tables who is told of what (docs/alerts.md).
    #[arg(long, env = "STOCKSTREAM_CHECKPOINTS", value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    alerts: AlertArgs,
    #[command(flatten)]
    sockets: SocketArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    web: WebArgs,
    /// Where the private PostgreSQL keeps its data; delete it to start over. Default: stockstream in this user's data
    /// directory, /var/lib/stockstream for root.
    #[arg(long, env = "STOCKSTREAM_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Speed of the replay, in multiples of real time, 1 to 3600.
    #[arg(long, env = "STOCKSTREAM_SPEED", default_value = "60")]
    speed: Checked<Speed>,
    /// Seed of the generator: the same seed makes the same prices.
    #[arg(long, env = "STOCKSTREAM_SEED", default_value = "7")]
    seed: Checked<u64>,
    /// Replay real prices of a symbol from an Alpha-Vantage-style file (time,open,high,low,close,volume); may repeat.
    #[arg(long, value_name = "SYMBOL=FILE")]
    csv: Vec<Checked<SymbolFile>>,
}

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    web: WebArgs,
    /// The Postgres to keep everything in: postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<Checked<DatabaseUrl>>,
    /// Connections to Postgres for readers, 1 to 1000; each partition's writer has one more.
    #[arg(long, env = "STOCKSTREAM_DATABASE_CONNECTIONS", default_value = "16")]
    database_connections: Checked<Pool>,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Which partitions this instance consumes: all of them (static, for one instance), or those that the consumer group
    /// gives it (group, for several instances that share the work and take over from each other).
    #[arg(long, env = "STOCKSTREAM_ASSIGNMENT", value_enum, default_value = "static")]
    assignment: Assignment,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DecodeArgs {
    /// File with one captured record per line; standard input when absent or `-`.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct SuiteArgs {
    /// The suite's JSON file; `-` for standard input.
    pub file: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// Address and port of the server.
    #[arg(long, env = "STOCKSTREAM_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// [`WebArgs`], checked.
#[derive(Clone, Debug)]
pub struct WebConfig {
    pub listen: SocketAddr,
    pub site_root: PathBuf,
    pub budget_ms: u32,
    /// Expectation suites that are run while the server runs.
    pub checkpoints: Checkpoints,
    pub limits: Limits,
    /// Who has to have a key.
    pub api_keys: KeyMode,
    /// Opens the control endpoints; without it they are closed.
    pub control_token: Option<ControlToken>,
    pub alerts: AlertConfig,
    pub sockets: SocketConfig,
}

/// [`DemoArgs`], checked.
#[derive(Clone, Debug)]
pub struct DemoConfig {
    pub web: WebConfig,
    pub data_dir: PathBuf,
    pub speed: u32,
    pub seed: u64,
    pub csv: Vec<SymbolFile>,
}

/// [`ServeArgs`], checked.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    pub web: WebConfig,
    pub database_url: DatabaseUrl,
    pub database_connections: u32,
    pub consumer: ConsumerConfig,
    pub policy: Policy,
}

impl WebArgs {
    fn check(self, mistakes: &mut Mistakes) -> Option<WebConfig> {
        let listen = mistakes.check("--listen", self.listen);
        let budget_ms = mistakes.check("--budget-ms", self.budget_ms);
        let checkpoints = match &self.checkpoints {
            Some(file) => Checkpoints::read(file).map_err(|error| error.to_string()),
            None => built_in().map_err(|error| error.to_string()),
        };
        let checkpoints = checkpoints.map_err(|reason| mistakes.add("--checkpoints", reason)).ok();
        let limits = self.limits.check(mistakes);
        let control_token = self.control.check(mistakes);
        let routes = checkpoints.as_ref().map(|checkpoints| checkpoints.routes.as_slice());
        let alerts = self.alerts.check(routes.unwrap_or_default(), mistakes);
        let listen = listen.map(|listen| (listen, self.keys.mode(listen)));
        let sockets = self.sockets.check(mistakes);
        let (listen, api_keys) = listen?;
        Some(WebConfig {
            listen,
            site_root: self.site_root,
            budget_ms: budget_ms?.0,
            checkpoints: checkpoints?,
            limits: limits?,
            api_keys,
            control_token,
            alerts: alerts?,
            sockets: sockets?,
        })
    }
}

impl DemoArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<DemoConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let web = self.web.check(&mut mistakes);
        let speed = mistakes.check("--speed", self.speed);
        let seed = mistakes.check("--seed", self.seed);
        let csv: Vec<_> = self.csv.into_iter().filter_map(|file| mistakes.check("--csv", file)).collect();
        for SymbolFile { symbol, file } in &csv {
            if let Err(error) = std::fs::File::open(file) {
                mistakes.add("--csv", format!("{symbol}={}: {error}", file.display()));
            }
        }
        let data_dir = self.data_dir.or_else(default_data_dir);
        if data_dir.is_none() {
            mistakes.add("--data-dir", "this user has no home directory: name one".into());
        }
        let config = (|| Some(DemoConfig { web: web?, data_dir: data_dir?, speed: speed?.0, seed: seed?, csv }))();
        mistakes.or(config)
    }
}

impl ServeArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<ServeConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let web = self.web.check(&mut mistakes);
        let database_url = mistakes.require("--database-url", "DATABASE_URL", self.database_url);
        let connections = mistakes.check("--database-connections", self.database_connections);
        let consumer = self.kafka.check(self.assignment, &mut mistakes);
        let policy = self.policy.check(&mut mistakes);
        let config = (|| {
            Some(ServeConfig {
                policy: policy?,
                web: web?,
                database_url: database_url?,
                database_connections: connections?.0,
                consumer: consumer?,
            })
        })();
        mistakes.or(config)
    }
}

impl ServeConfig {
    /// The configuration as it is in force, with every secret as `***`.
    pub fn redacted(&self) -> serde_json::Value {
        serde_json::json!({
            "listen": self.web.listen,
            "site_root": self.web.site_root,
            "budget_ms": self.web.budget_ms,
            "checkpoints": self.web.checkpoints.list.iter().map(|checkpoint| &checkpoint.name).collect::<Vec<_>>(),
            "streams": self.web.checkpoints.streams.iter().map(StreamCheck::redacted).collect::<Vec<_>>(),
            "max_connections": self.web.limits.connections,
            "max_connections_per_address": self.web.limits.connections_per_address,
            "rate_limit": self.web.limits.requests_per_second,
            "limit_loopback": self.web.limits.limit_loopback,
            "api_keys": self.web.api_keys.to_string(),
            "control_token": self.web.control_token.as_ref().map(|_| "***"),
            "alerts": self.web.alerts.redacted(),
            "allow_origins":
                self.web.sockets.allowed_origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "max_sockets": self.web.sockets.max_sockets,
            "max_sockets_per_address": self.web.sockets.max_sockets_per_address,
            "database_url": self.database_url.redacted(),
            "database_connections": self.database_connections,
            "brokers": self.consumer.brokers,
            "topics": self.consumer.topics,
            "group": self.consumer.group,
            "sweep_limit_percent": self.policy.sweep_limit_percent,
            "tombstone_hours": self.policy.tombstones.as_secs() / 3_600,
            "change_log_hours": self.policy.change_log.as_secs() / 3_600,
            "change_log_changes": self.policy.change_log_changes,
            "assignment": format!("{:?}", self.consumer.assignment).to_lowercase(),
            "kafka_properties":
                self.consumer.properties.iter().map(|(key, _)| format!("{key}=***")).collect::<Vec<_>>(),
        })
    }
}

/// `$XDG_DATA_HOME/stockstream` or `~/.local/share/stockstream`. Root's home is closed to the user under which
/// PostgreSQL must run then, so root gets a directory of the system.
fn default_data_dir() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if home.as_deref() == Some(std::path::Path::new("/root")) {
        return Some("/var/lib/stockstream".into());
    }
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(home?.join(".local/share")))
        .map(|data| data.join("stockstream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<ServeConfig, Mistakes> {
        let all = ["stockstream", "serve"].iter().chain(arguments);
        match Cli::try_parse_from(all).expect("clap accepts it").command {
            Command::Serve(args) => args.check(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let mistakes =
            serve(&["--listen", "nowhere", "--database-url", "mysql://x", "--topic", "a b", "--budget-ms", "0"])
                .expect_err("it is wrong")
                .to_string();
        for flag in ["--listen", "--database-url", "--topic", "--budget-ms", "--brokers"] {
            assert!(mistakes.contains(flag), "{flag} is missing in:\n{mistakes}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = serve(&[
            "--database-url",
            "postgres://app:hunter2@db:5432/stock",
            "--brokers",
            "kafka:9092",
            "--topic",
            "a,b",
            "--kafka-property",
            "sasl.password=hunter2",
        ])
        .expect("it is right");
        let text = config.redacted().to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://app:***@db:5432/stock"), "{text}");
        assert_eq!(config.consumer.topics, ["a", "b"]);
    }

    #[test]
    fn clap_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn the_example_environment_names_every_variable_and_parses() {
        use clap::CommandFactory;
        let text = include_str!("../../../.env.example");
        let example: std::collections::HashMap<&str, &str> =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
        let command = Cli::command();
        let mut arguments = vec!["serve"];
        let flags: Vec<String> = ["serve", "demo"]
            .iter()
            .filter_map(|name| command.find_subcommand(name))
            .flat_map(clap::Command::get_arguments)
            .chain(command.get_arguments())
            .filter_map(|argument| {
                let variable = argument.get_env()?.to_string_lossy();
                // It names a file, which is there only for those who have written one.
                let is_commented_out = text.lines().any(|line| line.starts_with(&format!("#{variable}=")));
                if is_commented_out {
                    return None;
                }
                let value =
                    example.get(variable.as_ref()).unwrap_or_else(|| panic!("{variable} is not in .env.example"));
                Some(format!("--{}={value}", argument.get_long()?))
            })
            .collect();
        let only_demo = ["--data-dir", "--speed", "--seed"];
        let (demo, shared): (Vec<_>, Vec<_>) =
            flags.iter().map(String::as_str).partition(|flag| only_demo.iter().any(|name| flag.starts_with(name)));
        arguments.extend(shared.iter().copied().collect::<std::collections::BTreeSet<_>>());
        let parsed = Cli::try_parse_from(std::iter::once("stockstream").chain(arguments)).expect("clap accepts it");
        let Command::Serve(args) = parsed.command else { panic!("asked for serve") };
        args.check().map_err(|mistakes| mistakes.to_string()).expect("serve's example is right");
        let demo: Vec<&str> = ["stockstream", "demo"].into_iter().chain(demo).collect();
        let Command::Demo(args) = Cli::try_parse_from(demo).expect("clap accepts it").command else { panic!("demo") };
        args.check().map_err(|mistakes| mistakes.to_string()).expect("demo's example is right");
    }
}
