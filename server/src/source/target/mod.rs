//! The table of a source database, in MySQL's and in Postgres' words. All SQL of the `feed` command is here.

mod upsert;

pub use upsert::Written;

use chrono::{DateTime, DurationRound, NaiveDateTime, TimeDelta, Utc};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, QueryBuilder};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::timeout;

/// A statement that takes longer has lost its server.
const STATEMENT_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const COLUMNS: [&str; 8] = ["time", "open", "high", "low", "close", "volume", "symbol", "event_time"];

/// Most rows in one statement: MySQL takes 65,535 values.
pub const MOST_ROWS: usize = 65_535 / COLUMNS.len();

/// Where a source database is; the password does not print.
#[derive(Clone)]
pub struct SourceUrl(SecretString);

impl FromStr for SourceUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let checked = match text.split_once("://") {
            Some(("mysql" | "mariadb", _)) => MySqlConnectOptions::from_str(text).map(drop),
            Some(("postgres" | "postgresql", _)) => PgConnectOptions::from_str(text).map(drop),
            _ => return Err("expected mysql://, mariadb:// or postgres://user:password@host:port/database".to_owned()),
        };
        checked.map_err(|error| error.to_string())?;
        Ok(Self(SecretString::from(text)))
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceUrl(***)")
    }
}

/// A table's name, perhaps with its schema: `stock`, `stream_db.stock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(Vec<String>);

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_plain = |part: &String| {
            part.len() <= 63
                && part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if parts.len() > 2 || !parts.iter().all(is_plain) {
            return Err("expected TABLE or SCHEMA.TABLE, each of letters, digits and _".to_owned());
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl TableName {
    fn quoted(&self, quote: char) -> String {
        self.0.iter().map(|part| format!("{quote}{part}{quote}")).collect::<Vec<_>>().join(".")
    }
}

/// Bars that are written by one statement, all at the same event time.
#[derive(Clone, Debug)]
pub(in crate::source) struct Batch {
    pub rows: Vec<(Symbol, Bar)>,
    pub event_time: DateTime<Utc>,
}

/// An open connection to the table.
pub(in crate::source) enum Target {
    MySql {
        connection: MySqlConnection,
        table: String,
        /// Whether `event_time` keeps milliseconds.
        precise: bool,
    },
    Postgres {
        connection: PgConnection,
        table: String,
    },
}

impl Target {
    pub(in crate::source) async fn connect(url: &SourceUrl, table: &TableName) -> Result<Self, sqlx::Error> {
        let url = url.0.expose_secret();
        let connecting = async {
            if url.starts_with("postgres") {
                let options = PgConnectOptions::from_str(url)?.options([("timezone", "UTC")]);
                let connection = options.connect().await?;
                return Ok(Self::Postgres { connection, table: table.quoted('"') });
            }
            let options = MySqlConnectOptions::from_str(url)?.timezone(Some("+00:00".to_owned()));
            let mut connection = options.connect().await?;
            let precise = has_milliseconds(&mut connection, table).await?;
            Ok(Self::MySql { connection, table: table.quoted('`'), precise })
        };
        timeout(CONNECT_WITHIN, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Makes the table when it is not there.
    pub(in crate::source) async fn create_table(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql { connection, table, precise } => {
                sqlx::raw_sql(AssertSqlSafe(format!(
                    "create table if not exists {table} (record_id int auto_increment primary key, `time` datetime not null, \
                     `open` float not null, `high` float not null, `low` float not null, `close` float not null, \
                     `volume` float not null, `symbol` varchar(40), `event_time` datetime(3) default now(3), \
                     index symbol_time (`symbol`, `time`))"
                )))
                .execute(&mut *connection)
                .await?;
                *precise = true;
            }
            Self::Postgres { connection, table } => {
                let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
                    .bind(table.as_str())
                    .fetch_one(&mut *connection)
                    .await?;
                if is_there {
                    // Perhaps somebody else's, and large: whoever owns it decides on its indexes.
                    return Ok(());
                }
                let index = format!("{}_symbol_time", table.replace(['"', '.'], "_").trim_matches('_'));
                sqlx::raw_sql(AssertSqlSafe(format!(
                    "create table if not exists {table} (record_id serial primary key, time timestamp not null, \
                     open real not null, high real not null, low real not null, close real not null, \
                     volume double precision not null, symbol varchar(40), event_time timestamptz default now()); \
                     create index if not exists \"{index}\" on {table} (symbol, time)"
                )))
                .execute(connection)
                .await?;
            }
        }
        Ok(())
    }

    /// The newest bar's minute.
    pub(in crate::source) async fn newest_time(&mut self) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        let newest: Option<NaiveDateTime> = match self {
            Self::MySql { connection, table, .. } => {
                sqlx::query_scalar(AssertSqlSafe(format!("select max(`time`) from {table}")))
                    .fetch_one(connection)
                    .await?
            }
            Self::Postgres { connection, table } => {
                let sql = format!("select max(time)::timestamp from {table}");
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?
            }
        };
        Ok(newest.map(|newest| newest.and_utc()))
    }

    /// Writes a batch: all of it or nothing.
    pub(in crate::source) async fn insert(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let event_time = self.kept(batch.event_time);
        let writing = async {
            match self {
                Self::MySql { connection, table, .. } => {
                    let mut sql = QueryBuilder::new(format!("insert into {table} (`{}`) ", COLUMNS.join("`,`")));
                    sql.push_values(&batch.rows, |mut row, (symbol, bar)| {
                        row.push_bind(bar.time.naive_utc());
                        for price in [bar.open, bar.high, bar.low, bar.close] {
                            row.push_bind(price);
                        }
                        row.push_bind(bar.volume).push_bind(symbol.as_str()).push_bind(event_time);
                    });
                    sql.build().execute(connection).await.map(drop)
                }
                Self::Postgres { connection, table } => {
                    // Columns may be of any type that these can be assigned to.
                    let sql = format!(
                        "insert into {table} ({}) select *, $8::timestamp from unnest($1::timestamp[], $2::numeric[], \
                         $3::numeric[], $4::numeric[], $5::numeric[], $6::bigint[], $7::text[])",
                        COLUMNS.join(",")
                    );
                    let prices =
                        |of: fn(&Bar) -> Decimal| batch.rows.iter().map(|(_, bar)| of(bar)).collect::<Vec<_>>();
                    sqlx::query(AssertSqlSafe(sql))
                        .bind(batch.rows.iter().map(|(_, bar)| bar.time.naive_utc()).collect::<Vec<_>>())
                        .bind(prices(|bar| bar.open))
                        .bind(prices(|bar| bar.high))
                        .bind(prices(|bar| bar.low))
                        .bind(prices(|bar| bar.close))
                        .bind(batch.rows.iter().map(|(_, bar)| bar.volume).collect::<Vec<_>>())
                        .bind(batch.rows.iter().map(|(symbol, _)| symbol.as_str()).collect::<Vec<_>>())
                        .bind(event_time)
                        .execute(connection)
                        .await
                        .map(drop)
                }
            }
        };
        timeout(STATEMENT_WITHIN, writing).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Whether a batch was written before the connection was lost. A statement writes all rows or none, so one tells.
    pub(in crate::source) async fn has(&mut self, batch: &Batch) -> Result<bool, sqlx::Error> {
        let Some((symbol, bar)) = batch.rows.last() else { return Ok(true) };
        let event_time = self.kept(batch.event_time);
        let found: i64 = match self {
            Self::MySql { connection, table, .. } => {
                let sql =
                    format!("select count(*) from {table} where `symbol` = ? and `time` = ? and `event_time` = ?");
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .bind(symbol.as_str())
                    .bind(bar.time.naive_utc())
                    .bind(event_time)
                    .fetch_one(connection)
                    .await?
            }
            Self::Postgres { connection, table } => {
                let sql = format!(
                    "select count(*) from {table} where symbol = $1 and time = $2::timestamp and event_time = $3::timestamp"
                );
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .bind(symbol.as_str())
                    .bind(bar.time.naive_utc())
                    .bind(event_time)
                    .fetch_one(connection)
                    .await?
            }
        };
        Ok(found > 0)
    }

    pub(in crate::source) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::MySql { connection, .. } => connection.close().await,
            Self::Postgres { connection, .. } => connection.close().await,
        }
    }

    /// The time as the column keeps it: MySQL would round half a second up, into the future.
    fn kept(&self, time: DateTime<Utc>) -> NaiveDateTime {
        let unit = match self {
            Self::MySql { precise: false, .. } => TimeDelta::seconds(1),
            _ => TimeDelta::milliseconds(1),
        };
        time.duration_trunc(unit).unwrap_or(time).naive_utc()
    }
}

async fn has_milliseconds(connection: &mut MySqlConnection, table: &TableName) -> Result<bool, sqlx::Error> {
    let (schema, name) = match table.0.as_slice() {
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        parts => (None, parts.last().map_or("", String::as_str)),
    };
    let precision: i64 = sqlx::query_scalar(
        "select cast(coalesce(max(datetime_precision), 0) as signed) from information_schema.columns \
         where table_schema = coalesce(?, database()) and table_name = ? and column_name = 'event_time'",
    )
    .bind(schema)
    .bind(name)
    .fetch_one(connection)
    .await?;
    Ok(precision >= 3)
}

/// Whether trying again may help: the server is away, starting, stopping or overloaded.
pub(in crate::source) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            // Postgres: shutdown and start-up, connection failures, too many connections, serialisation and deadlock.
            // MySQL gives the same classes for lost connections and deadlocks, and these numbers for the others: too many
            // connections, shutdown, lock wait timeout, killed connection.
            ["57P", "08", "53", "40"].iter().any(|class| code.starts_with(class))
                || error
                    .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                    .is_some_and(|error| [1040, 1053, 1205, 1927].contains(&error.number()))
        }
        _ => false,
    }
}

/// What a user can do about an error that will not go away.
pub(in crate::source) fn explain(error: sqlx::Error, table: &TableName) -> anyhow::Error {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let advice = match code.as_str() {
        "42P01" | "42S02" => format!("table {table} is not there: make it, or add --create-table"),
        "28000" | "28P01" => "the source database refuses this user or password (--database-url)".to_owned(),
        "3D000" | "42000" => {
            "the source database is not there, or this user may not use it (--database-url)".to_owned()
        }
        _ => format!("the bars could not be written to table {table}"),
    };
    // Its text only: the error of the database would say the same once more as the source of this one.
    anyhow::anyhow!("{advice}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_cannot_end_its_quotes() {
        assert_eq!("stream_db.stock".parse::<TableName>().unwrap().quoted('`'), "`stream_db`.`stock`");
        for text in ["", ".", "a.b.c", "a b", "a`b", "a\"; drop table b; --", "1a", "ä"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_names_a_database_that_is_known_and_hides_its_password() {
        for text in ["mysql://a:secret@h/d", "mariadb://a:secret@h:3307/d", "postgres://a:secret@h/d"] {
            let url: SourceUrl = text.parse().unwrap();
            assert!(!format!("{url:?}").contains("secret"));
        }
        for text in ["", "sqlite://x", "stock", "mysql://h:port/d"] {
            assert!(text.parse::<SourceUrl>().is_err(), "{text}");
        }
    }
}
