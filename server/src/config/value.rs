//! The types of single values, each of which knows what it accepts.

use market::Symbol;
use rdkafka::{ClientConfig, error::KafkaError};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr};

pub(super) fn in_range<T: FromStr + PartialOrd + Display>(text: &str, range: &RangeInclusive<T>) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident, $range:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(pub u32);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                in_range(text, &$range).map(Self)
            }
        }
    };
}

ranged!(
    /// Milliseconds.
    Budget,
    1..=3_600_000
);
ranged!(
    /// Multiples of real time.
    Speed,
    1..=3_600
);
ranged!(
    /// Connections of a pool.
    Pool,
    1..=1_000
);

/// Kafka bootstrap servers.
#[derive(Clone, Debug)]
pub struct Brokers(pub String);

impl FromStr for Brokers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for broker in text.split(',') {
            let port =
                broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) {
                return Err(format!("{broker:?} is not host:port"));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// A Kafka topic.
#[derive(Clone, Debug)]
pub struct Topic(pub String);

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 249 || !text.chars().all(legal) {
            return Err("a topic has 1 to 249 characters of a-z A-Z 0-9 . _ -".into());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A Postgres URL that was understood; its password does not print.
#[derive(Clone, Debug)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    pub fn options(&self) -> PgConnectOptions {
        self.0.expose_secret().parse().expect("checked when it was parsed")
    }

    /// The URL with its password as `***`, wherever in the URL it stands.
    pub fn redacted(&self) -> String {
        let Ok(mut url) = url::Url::parse(self.0.expose_secret()) else { return "***".to_owned() };
        let authority = url.password().map(|_| "***");
        if url.set_password(authority).is_err() {
            return "***".to_owned();
        }
        let settings: Vec<_> = url.query_pairs().into_owned().collect();
        if !settings.is_empty() {
            let shown = |(key, value): (String, String)| {
                let secret =
                    !matches!(key.as_str(), "host" | "port" | "user" | "dbname" | "sslmode" | "application_name");
                (key, if secret { "***".to_owned() } else { value })
            };
            url.query_pairs_mut().clear().extend_pairs(settings.into_iter().map(shown));
        }
        // A `*` may stand for itself in a URL, but is encoded in a query.
        url.to_string().replace("%2A", "*")
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("must start with postgres://".into());
        }
        // What is wrong may be the password, or be taken for one: the text is not repeated.
        PgConnectOptions::from_str(text).map_err(|_| {
            "is not understood: postgres://user:password@host:port/database?setting=value, with what is not a letter or \
             digit of the password as %xx"
        })?;
        Ok(Self(SecretString::from(text)))
    }
}

/// One librdkafka property; its value may be a secret and does not print.
#[derive(Clone, Debug)]
pub struct KafkaProperty {
    pub key: String,
    pub value: SecretString,
}

/// A symbol and the file with its prices.
#[derive(Clone, Debug)]
pub struct SymbolFile {
    pub symbol: Symbol,
    pub file: PathBuf,
}

impl FromStr for SymbolFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (symbol, file) = text.split_once('=').ok_or("expected SYMBOL=FILE")?;
        let symbol = symbol.parse().map_err(|error: market::InvalidSymbol| error.to_string())?;
        if file.is_empty() {
            return Err("the file name is empty".into());
        }
        Ok(Self { symbol, file: file.into() })
    }
}

impl FromStr for KafkaProperty {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("expected key=value")?;
        Ok(Self { key: key.to_owned(), value: SecretString::from(value) })
    }
}

/// Asks librdkafka whether it knows these properties and takes their values.
///
/// # Errors
/// It does not. The text names the property and never its value, which may be a secret.
pub(super) fn check_properties(properties: &[(String, String)]) -> Result<(), String> {
    let mut client = ClientConfig::new();
    client.extend(properties.iter().cloned());
    match client.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, reason, key, value)) if !value.is_empty() => {
            Err(format!("{key}: {}", reason.replace(&value, "***")))
        }
        Err(KafkaError::ClientConfig(_, reason, key, _)) => Err(format!("{key}: {reason}")),
        Err(_) => Err("librdkafka does not take these properties".to_owned()),
    }
}
