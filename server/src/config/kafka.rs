//! Which Kafka, and what of it: the same for everything that reads topics.

use super::{Brokers, Checked, KafkaProperty, Mistakes, Topic, value};
use crate::pipeline::{Assignment, ConsumerConfig};
use clap::Args;
use secrecy::ExposeSecret;

#[derive(Clone, Debug, Args)]
pub struct KafkaArgs {
    /// Kafka bootstrap servers, host:port, separated by commas.
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: Option<Checked<Brokers>>,
    /// Topic with Debezium's change events; may repeat, or be separated by commas.
    #[arg(long = "topic", env = "KAFKA_TOPICS", value_delimiter = ',')]
    topics: Vec<Checked<Topic>>,
    /// Consumer group under which `serve` reports offsets for lag tools; the offsets that count are in Postgres. `verify`
    /// joins no group and reports nothing.
    #[arg(long, env = "KAFKA_GROUP", default_value = "stockstream")]
    group: String,
    /// Any librdkafka property as key=value (security.protocol=…, sasl.password=…); may repeat, or be separated by
    /// semicolons.
    #[arg(long = "kafka-property", env = "KAFKA_PROPERTIES", value_delimiter = ';', hide_env_values = true)]
    kafka_properties: Vec<Checked<KafkaProperty>>,
}

impl KafkaArgs {
    /// What to consume, when nothing is wrong with it.
    pub(super) fn check(self, assignment: Assignment, mistakes: &mut Mistakes) -> Option<ConsumerConfig> {
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
        if let Err(reason) = value::check_properties(&properties) {
            mistakes.add("--kafka-property", reason);
        }
        Some(ConsumerConfig {
            brokers: brokers?.0,
            topics: topics.into_iter().flatten().map(|topic| topic.0).collect(),
            group: self.group,
            assignment,
            properties,
        })
    }
}
