//! The table that a suite is run against, as the database describes it.

use quality::suite::{
    ColumnType,
    sql::{Column, quoted},
};
use sqlx::{PgConnection, Row};
use std::sync::Arc;

/// What a suite is run against when nothing else is asked for: the replica, as the source's table looks.
pub const SOURCE: &str = "source_stock";
/// Its columns: those that suites speak of.
pub const SOURCE_COLUMNS: [&str; 9] =
    ["record_id", "time", "open", "high", "low", "close", "volume", "symbol", "event_time"];
const READER: &str = "stockstream_reader";

/// A table or view.
#[derive(Clone, Debug)]
pub struct Asset {
    /// As SQL writes it.
    pub name: String,
    pub columns: Vec<Column>,
    /// A whole number that tells rows apart, for results to name them by.
    pub key: Option<String>,
    /// How many rows the database takes it to have.
    pub estimate: u64,
    /// Whether the role that may only read may read it.
    pub reader_may: bool,
}

/// Why there is no such asset.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    #[error("there is no table or view {0}")]
    Missing(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The name of a table, with or without a schema, as SQL writes it.
pub fn table_as_sql(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

impl Asset {
    /// Looks it up by its name, with or without a schema.
    ///
    /// # Errors
    /// There is no such table, or Postgres does not answer.
    pub async fn describe(connection: &mut PgConnection, name: &str) -> Result<Self, AssetError> {
        let found = sqlx::query(
            "select c.oid::bigint, c.oid::regclass::text, greatest(c.reltuples, 0)::bigint,
                exists (select from pg_roles where rolname = $2)
                    and pg_has_role(current_user, (select oid from pg_roles where rolname = $2), 'member')
                    and has_table_privilege((select oid from pg_roles where rolname = $2), c.oid, 'select')
             from pg_class c where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')",
        )
        .bind(table_as_sql(name))
        .bind(READER)
        .fetch_optional(&mut *connection)
        .await?;
        let found = found.ok_or_else(|| AssetError::Missing(name.to_owned()))?;
        let oid: i64 = found.get(0);
        let rows = sqlx::query(
            "select attname::text, format_type(atttypid, null),
                exists (select from pg_index where indrelid = attrelid and indisprimary and indnkeyatts = 1
                    and indkey[0] = attnum)
             from pg_attribute where attrelid = $1::bigint::oid and attnum > 0 and not attisdropped order by attnum",
        )
        .bind(oid)
        .fetch_all(&mut *connection)
        .await?;
        let columns: Vec<(Column, bool)> = rows
            .iter()
            .map(|row| {
                let own_name: String = row.get(1);
                // What is none of the known types is looked at as the text that the database writes for it.
                let column_type = ColumnType::named(&own_name).unwrap_or(ColumnType::Text);
                (Column { name: row.get(0), column_type, own_name }, row.get(2))
            })
            .collect();
        let is_whole = |column: &Column| column.column_type == ColumnType::Integer;
        let key = columns
            .iter()
            .find(|(column, is_primary)| *is_primary && is_whole(column))
            .or_else(|| columns.iter().find(|(column, _)| column.name == "record_id" && is_whole(column)))
            .map(|(column, _)| column.name.clone());
        Ok(Self {
            name: found.get(1),
            columns: columns.into_iter().map(|(column, _)| column).collect(),
            key,
            estimate: u64::try_from(found.get::<i64, _>(2)).unwrap_or(0),
            reader_may: found.get(3),
        })
    }

    /// Columns that name a row: its key, and its symbol and time where it is a bar, whose provenance they lead to.
    pub fn index(&self) -> Arc<[String]> {
        let bar = ["symbol", "time"].into_iter().filter(|name| self.columns.iter().any(|column| column.name == *name));
        let bar: Vec<&str> = bar.collect();
        let bar = if bar.len() == 2 { bar } else { Vec::new() };
        self.key.iter().map(String::as_str).chain(bar).map(str::to_owned).collect()
    }

    /// A transaction that may only read and sees one instant; it may take its time, unlike a client's question.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn begin<'c>(
        &self,
        connection: &'c mut PgConnection,
    ) -> Result<sqlx::Transaction<'c, sqlx::Postgres>, sqlx::Error> {
        use sqlx::Connection;
        let mut transaction =
            connection.begin_with("begin transaction isolation level repeatable read, read only").await?;
        sqlx::raw_sql("set local statement_timeout = 0; set local timezone = 'UTC'").execute(&mut *transaction).await?;
        if self.reader_may {
            sqlx::query("set local role stockstream_reader").execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }
}
