//! `stockstream verify`: what can be asked of it.

use super::{Brokers, Checked, DatabaseUrl, KafkaProperty, Mistakes, StoreArgs, Topic};
use crate::pipeline::{Assignment, ConsumerConfig};
use clap::Args;
use secrecy::ExposeSecret;

#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Kafka bootstrap servers, host:port, separated by commas.
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: Option<Checked<Brokers>>,
    /// Topic to verify; may repeat, or be separated by commas.
    #[arg(long = "topic", env = "KAFKA_TOPICS", value_delimiter = ',')]
    topics: Vec<Checked<Topic>>,
    /// Prefix of the client's group name; no group is joined and nothing is committed.
    #[arg(long, env = "KAFKA_GROUP", default_value = "stockstream")]
    group: String,
    /// Any librdkafka property as key=value (security.protocol=…, sasl.password=…); may repeat, or be separated by
    /// semicolons.
    #[arg(long = "kafka-property", env = "KAFKA_PROPERTIES", value_delimiter = ';', hide_env_values = true)]
    kafka_properties: Vec<Checked<KafkaProperty>>,
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
        let brokers = mistakes.require("--brokers", "KAFKA_BROKERS", self.brokers);
        let topics: Vec<_> = self.topics.into_iter().map(|topic| mistakes.check("--topic", topic)).collect();
        if topics.is_empty() {
            mistakes.add("--topic", "missing; give at least one, or set KAFKA_TOPICS".into());
        }
        let properties: Vec<_> = self
            .kafka_properties
            .into_iter()
            .filter_map(|property| mistakes.check("--kafka-property", property))
            .map(|property| (property.key, property.value.expose_secret().to_owned()))
            .collect();
        let config = (|| {
            Some(VerifyConfig {
                database_url: database_url?,
                consumer: ConsumerConfig {
                    brokers: brokers?.0,
                    topics: topics.into_iter().flatten().map(|topic| topic.0).collect(),
                    group: self.group,
                    assignment: Assignment::Static,
                    properties,
                },
                examples: self.examples,
                json: self.json,
            })
        })();
        mistakes.or(config)
    }
}
