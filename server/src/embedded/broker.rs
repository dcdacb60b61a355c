//! Kafka inside this process: librdkafka's mock cluster, on a loopback port of its own.
//!
//! It forgets everything at exit and keeps about the last 5 MB of a partition, so producers must pace themselves by what
//! was consumed.

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};

/// A broker that lives as long as this value.
pub struct Broker {
    // Owns the mock cluster; it produces nothing itself.
    owner: BaseProducer<DefaultProducerContext>,
}

impl Broker {
    /// Starts one broker.
    pub fn start() -> anyhow::Result<Self> {
        let owner = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()
            .context("the in-process Kafka broker did not start")?;
        Ok(Self { owner })
    }

    /// What clients set as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.owner.client().mock_cluster().expect("the owner was made with a mock cluster").bootstrap_servers()
    }

    /// Makes an empty topic. Clients that ask for an unknown topic get one with four partitions.
    pub fn create_topic(&self, name: &str, partitions: i32) -> anyhow::Result<()> {
        let cluster = self.owner.client().mock_cluster().expect("the owner was made with a mock cluster");
        cluster
            .create_topic(name, partitions, 1)
            .with_context(|| format!("the in-process Kafka broker did not make topic {name}"))
    }
}
