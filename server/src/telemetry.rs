//! Logs and metrics: where they go and how they look. What is worth saying is decided where it happens.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    io::{self, IsTerminal},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Upper bounds of the latency histograms, in seconds: from a cached answer to one that nobody waits for.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How often the recorder tidies up. Without it, samples pile up between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log filter is not understood: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the log to standard error, since standard output belongs to what a command prints. `filter` is a list of
/// directives such as `info,sqlx=warn`.
///
/// # Errors
/// The filter is not understood, or the process has a log already.
pub fn init_log(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

/// Makes Prometheus the process's recorder of metrics. Somebody must see to its [`upkeep`].
///
/// # Errors
/// The process has a recorder already.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// Keeps the recorder's memory bounded between two scrapes, until `stop`.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

fn describe() {
    metrics::describe_counter!("stockstream_http_requests_total", "Requests answered, by method, route and status");
    metrics::describe_histogram!(
        "stockstream_http_request_seconds",
        metrics::Unit::Seconds,
        "Time to the head of the response, by route"
    );
    metrics::describe_gauge!(
        "stockstream_postgres_connections",
        "Connections of this process to Postgres, by role and state"
    );
    metrics::describe_gauge!("stockstream_http_connections", "Open connections, WebSockets included");
    metrics::describe_counter!(
        "stockstream_http_connections_refused_total",
        "Connections refused because there were too many, in total or from one address"
    );
    metrics::describe_counter!(
        "stockstream_http_connections_cut_total",
        "Connections cut because the peer was too slow, by reason"
    );
    metrics::describe_counter!(
        "stockstream_findings_total",
        "Findings of the rules over several bars that became known, by rule and severity"
    );
    metrics::describe_gauge!(
        "stockstream_pack_waiting_changes",
        "Committed changes that the rules over several bars have not judged yet"
    );
    metrics::describe_counter!("stockstream_pack_changes_total", "Committed changes that those rules have judged");
    metrics::describe_histogram!(
        "stockstream_pack_step_seconds",
        metrics::Unit::Seconds,
        "Time that one step of those rules took, at most 4,000 changes"
    );
    metrics::describe_counter!("stockstream_http_rate_limited_total", "Requests refused with 429");
    metrics::describe_counter!("stockstream_http_accept_errors_total", "Times the system handed out no connection");
}
