//! One module per command: what the binary does when it is told so.

mod alert;
mod checkpoint;
mod decode;
mod demo;
mod docs;
mod health;
mod key;
mod pipeline;
mod quarantine;
mod report;
mod serve;
mod server;
mod suite;
mod validate;
mod verify;

use crate::{
    config::{AlertCommand, Cli, Command, ConfigCommand, DocsCommand, FeedCommand, Mistakes},
    http, source,
    store::SchemaError,
    telemetry,
};
use std::{io::Write, process::ExitCode};
use tokio_util::sync::CancellationToken;

/// Exit code of a wrong configuration, a database of another version included.
const WRONG_CONFIGURATION: u8 = 2;

/// Exit code of a command that asks something and could not, so that 1 can be an answer.
const COULD_NOT_ASK: u8 = 2;

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    match execute(cli) {
        Ok(code) => code,
        Err(Failure::Unasked(error)) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(COULD_NOT_ASK)
        }
        Err(Failure::Configuration(mistakes)) => {
            complain(&mistakes.to_string());
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(Failure::Other(error)) => {
            complain(&format!("error: {error:#}"));
            // A database of another version is a matter of configuration: a restart does not help.
            let refused = error.downcast_ref::<SchemaError>().is_some_and(SchemaError::is_final);
            if refused { ExitCode::from(WRONG_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

enum Failure {
    Configuration(Mistakes),
    /// A command whose 1 is an answer did not get so far.
    Unasked(anyhow::Error),
    Other(anyhow::Error),
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Configuration(mistakes)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// What to log, and how.
struct Log {
    filter: String,
    format: telemetry::LogFormat,
}

fn execute(cli: Cli) -> Result<ExitCode, Failure> {
    let log = Log { filter: cli.log, format: cli.log_format };
    match cli.command {
        Command::Demo(args) => {
            let config = args.check()?;
            block_on(log, |shutdown| demo::run(config, shutdown))?;
        }
        Command::Serve(args) => {
            let config = args.check()?;
            block_on(log, |shutdown| serve::run(config, shutdown))?;
        }
        Command::Feed(command) => {
            let summary = match command {
                FeedCommand::Replay(args) if args.load => {
                    block_on(log, |shutdown| source::load(args, shutdown))?.to_string()
                }
                FeedCommand::Replay(args) => block_on(log, |shutdown| source::replay(args, shutdown))?.to_string(),
                FeedCommand::Poll(args) => block_on(log, |shutdown| source::poll(args, shutdown))?.to_string(),
                FeedCommand::Stream(args) => block_on(log, |shutdown| source::stream(args, shutdown))?.to_string(),
            };
            say(&summary)?;
        }
        Command::Decode(args) => decode::run(&args)?,
        Command::Quarantine(command) => match block_on(log, |_| quarantine::run(command))? {
            quarantine::Ended::Well => {}
            quarantine::Ended::Refused => return Ok(ExitCode::FAILURE),
            quarantine::Ended::Misconfigured(mistakes) => return Err(mistakes.into()),
        },
        Command::Verify(args) => {
            let config = args.check()?;
            if !block_on(log, |stop| verify::run(config, stop)).map_err(Failure::Unasked)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Validate(args) => {
            let config = args.check()?;
            if !block_on(log, |_| validate::run(config)).map_err(Failure::Unasked)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Checkpoint(command) => {
            let target = command.target().clone().check()?;
            if !block_on(log, |_| checkpoint::run(command, target)).map_err(Failure::Unasked)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Suite(command) => {
            let (text, clean) = suite::run(&command).map_err(Failure::Unasked)?;
            say(&text)?;
            if !clean {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Docs(DocsCommand::Export(args)) => {
            let config = args.check()?;
            block_on(log, |_| docs::export(config))?;
        }
        Command::Openapi => {
            let document = http::openapi().to_pretty_json().map_err(anyhow::Error::from)?;
            say(&document)?;
        }
        Command::Config(ConfigCommand::Check(args)) => {
            let config = args.check()?;
            say(&format!("{:#}", config.redacted()))?;
        }
        Command::Config(ConfigCommand::Schema) => say(&format!("{:#}", crate::checkpoint::schema()))?,
        Command::Pipeline(command) => {
            let task = pipeline::Task::from(command);
            let target = task.args().target.clone().check()?;
            return block_on(log, |_| task.run(target)).map_err(Failure::Unasked);
        }
        Command::Key(command) => {
            let (task, url) = key::Task::check(command)?;
            if !block_on(log, |_| task.run(url))? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Alert(AlertCommand::Test(args)) => {
            let config = args.check()?;
            if !block_on(log, |_| alert::test(config)).map_err(Failure::Unasked)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Health(args) => block_on(log, |_| health::run(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a future with logging on, and a token that SIGINT and SIGTERM cancel.
fn block_on<T, F: Future<Output = anyhow::Result<T>>>(
    log: Log,
    run: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<T> {
    telemetry::init_log(&log.filter, log.format)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(signals(shutdown.clone()));
        run(shutdown).await
    })
}

/// The first signal asks for an orderly end, the second ends at once.
async fn signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for orderly in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if orderly {
            tracing::info!("stopping; once more to stop at once");
            shutdown.cancel();
        } else {
            end_at_once();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "asked for twice: at once means without an orderly end")]
fn end_at_once() {
    // 128 + SIGINT, as shells report it.
    std::process::exit(130);
}

/// Prints a result to standard output.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn complain(text: &str) {
    // Nothing can be done when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
