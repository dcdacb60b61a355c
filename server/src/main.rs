//! The `stockstream` binary: parses its arguments and hands over.

use clap::Parser;
use server::{command, config::Cli};
use std::process::ExitCode;

/// Answers and records are many small things that one thread makes and another lets go: the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::run(Cli::parse())
}
