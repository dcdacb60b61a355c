//! `stockstream checkpoint`: what can be asked of it.

use super::TargetArgs;
use clap::{Args, Subcommand};

#[derive(Clone, Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Lists the checkpoints: which suite is run against which table, how often, and how that stands. Needs no token.
    Ls(TargetArgs),
    /// Runs a checkpoint now, and waits for the result. Unlike `validate` it records the run, shows it on the quality
    /// pages, and tells whom the checkpoint tells.
    Run(CheckpointRunArgs),
}

#[derive(Clone, Debug, Args)]
pub struct CheckpointRunArgs {
    /// The checkpoint's name, as `checkpoint ls` has it.
    pub name: String,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Seconds to wait for the run, 1 to 86400.
    #[arg(long, default_value = "3600", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

impl CheckpointCommand {
    pub fn target(&self) -> &TargetArgs {
        match self {
            Self::Ls(target) | Self::Run(CheckpointRunArgs { target, .. }) => target,
        }
    }
}
