//! A database with a table like the source's, of which nearly everything may be null or odd.

use chrono::{DateTime, TimeDelta, Utc};
use market::StockRow;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use server::embedded::Postgres;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

pub struct Database {
    pub postgres: Postgres,
    _directory: TempDir,
}

impl Database {
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().unwrap();
        let postgres = Postgres::start(&directory.path().join("data")).await.unwrap();
        Self { postgres, _directory: directory }
    }

    pub fn url(&self) -> String {
        self.postgres.url().expose_secret().to_owned()
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

/// Texts that SQL and regular expressions may take for something else.
const SYMBOLS: [&str; 8] = ["AMZN", "AAPL", "", "a%b_c", "it's", "ÄPFEL 🍎", "{\"json\": 1}", "2024-01-16 14:30:00"];

/// Rows with nulls, repeated values, and prices that break every order.
pub fn odd_rows(count: i64) -> Vec<StockRow> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let start: DateTime<Utc> = "2024-01-16T14:30:00Z".parse().unwrap();
    (0..count)
        .map(|record_id| {
            let mut maybe = |value: Decimal| (!random.random_ratio(1, 10)).then_some(value);
            let price = |cents: i64| Decimal::new(cents, 2);
            let (open, high, low, close) = (
                maybe(price(15_000 + record_id % 7 * 50)),
                maybe(price(15_100 + record_id % 5 * 50)),
                maybe(price(14_900 - record_id % 3 * 100)),
                maybe(Decimal::new(1_500_000 + record_id * 37 % 9_999, 4)),
            );
            StockRow {
                record_id,
                time: random.random_ratio(9, 10).then(|| start + TimeDelta::minutes(record_id % 40)),
                open,
                high,
                low,
                close,
                volume: random.random_ratio(9, 10).then(|| record_id % 11 * 1_000),
                symbol: random.random_ratio(9, 10).then(|| SYMBOLS[record_id as usize % SYMBOLS.len()].into()),
                event_time: Some(start + TimeDelta::minutes(record_id % 40) + TimeDelta::milliseconds(1_500)),
                ..StockRow::default()
            }
        })
        .collect()
}

/// Makes a table of these rows. Prices are DECIMAL(12, 4), as in the source.
pub async fn fill(connection: &mut PgConnection, name: &str, rows: &[StockRow]) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create table {name} (record_id bigint primary key, time timestamptz, open numeric(12,4), high numeric(12,4),
            low numeric(12,4), close numeric(12,4), volume bigint, symbol text, event_time timestamptz)"
    )))
    .execute(&mut *connection)
    .await
    .unwrap();
    for row in rows {
        sqlx::query(sqlx::AssertSqlSafe(format!("insert into {name} values ($1, $2, $3, $4, $5, $6, $7, $8, $9)")))
            .bind(row.record_id)
            .bind(row.time)
            .bind(row.open)
            .bind(row.high)
            .bind(row.low)
            .bind(row.close)
            .bind(row.volume)
            .bind(&row.symbol)
            .bind(row.event_time)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}
