//! `stockstream verify`: what can be asked of it.

use super::{DatabaseUrl, KafkaArgs, Mistakes, StoreArgs};
use crate::pipeline::{Assignment, ConsumerConfig};
use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// How many differences of each kind to print.
    #[arg(long, default_value_t = 5)]
    examples: usize,
    /// JSON instead of text: one object per topic and line.
    #[arg(long)]
    json: bool,
}

/// [`VerifyArgs`], checked.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    pub database_url: DatabaseUrl,
    pub consumer: ConsumerConfig,
    pub examples: usize,
    pub json: bool,
}

impl VerifyArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<VerifyConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let database_url = mistakes.require("--database-url", "DATABASE_URL", self.store.database_url);
        let consumer = self.kafka.check(Assignment::Static, &mut mistakes);
        let config = (|| {
            Some(VerifyConfig {
                database_url: database_url?,
                consumer: consumer?,
                examples: self.examples,
                json: self.json,
            })
        })();
        mistakes.or(config)
    }
}
