//! The `stockstream` binary: parses its arguments and hands over.

use clap::Parser;
use server::{command, config::Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    command::run(Cli::parse())
}
