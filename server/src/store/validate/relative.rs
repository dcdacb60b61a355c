//! Rows against other rows: what lies too far from the rest, what goes back behind the one before it, and what a query of
//! the suite's own finds.

use super::{Asked, filter};
use futures::TryFutureExt;
use quality::suite::{
    Condition, Fence, Observed, PARTIAL, Query,
    sql::{Translator, quoted},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Row};

impl Asked<'_> {
    /// The values that lie beyond the fence, of so many rows.
    pub(super) async fn far(
        &mut self,
        column: &str,
        fence: &Fence,
        condition: Option<&Condition>,
        elements: u64,
    ) -> Result<Observed, sqlx::Error> {
        // Without a deviation (one value, or all of them the same) nothing is far from anything: the comparison is null,
        // and null is not counted. Of a deviation of 0 and whole multiples of it, the mean alone is near.
        let (center, far) = match fence {
            Fence::ZScore { threshold, both_sides } => {
                let score = "(value - mean) / nullif(deviation, 0)";
                let far = if *both_sides {
                    format!("abs({score}) >= {}", threshold.abs())
                } else {
                    format!("{score} >= {threshold}")
                };
                (MEAN, far)
            }
            Fence::Deviations(multiplier) => {
                let width = format!("{multiplier} * deviation");
                (MEAN, format!("abs(value - mean) >= {width} and not ({width} = 0 and value = mean)"))
            }
            Fence::Quartiles(multiplier) => {
                let width = format!("{multiplier} * (upper - lower)");
                (QUARTILES, format!("(value < lower - {width} or value > upper + {width})"))
            }
        };
        let rows = format!("with center as (select {center} from looked_at) select * from looked_at, center");
        self.broken(column, &rows, &far, condition, elements).await
    }

    /// The values that break an order, of so many rows; or why there is none.
    pub(super) async fn misplaced(
        &mut self,
        column: &str,
        broken: &str,
        condition: Option<&Condition>,
        elements: u64,
    ) -> Result<Result<Observed, String>, sqlx::Error> {
        if self.asset.key.is_none() {
            let reason = format!("{} has no key that is a whole number, and so no order of its rows", self.asset.name);
            return Ok(Err(reason));
        }
        let rows = "select *, lag(value) over (order by key) as before from looked_at";
        self.broken(column, rows, broken, condition, elements).map_ok(Ok).await
    }

    /// Counts the rows for which `broken` holds among `rows`, which are made of `looked_at (key, value, shown)`.
    async fn broken(
        &mut self,
        column: &str,
        rows: &str,
        broken: &str,
        condition: Option<&Condition>,
        elements: u64,
    ) -> Result<Observed, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let filter = filter(&mut translator, condition);
        let operand = translator.column(column).map_err(sqlx::Error::ColumnNotFound)?;
        let key = self.asset.key.as_ref().map_or_else(|| "null".into(), |key| quoted(key));
        let sql = format!(
            "with looked_at as (
                select {key}::bigint as key, {value} as value, {shown} as shown from {table} where {filter} and {value} is not null),
             judged as ({rows}),
             broken as (select key, shown from judged where {broken})
             select (select count(*) from looked_at), (select count(*) from broken), key, shown
             from (select) as one left join (select * from broken order by key limit {PARTIAL}) as examples on true",
            value = operand.sql,
            shown = operand.text(),
            table = self.asset.name,
        );
        let rows = self.rows(sql, &translator).await?;
        let count = |at: usize| rows.first().map_or(0, |row| row.get::<i64, _>(at).unsigned_abs());
        let examples = rows.iter().filter_map(|row| {
            let shown: Option<&str> = row.get(3);
            Some((operand.kind.read(shown?), row.get::<Option<i64>, _>(2)))
        });
        Ok(Observed::Unexpected {
            elements,
            missing: elements.saturating_sub(count(0)),
            unexpected: count(1),
            examples: examples.collect(),
        })
    }

    /// What a query of the suite's own finds; or what the database says against it. It has the rights that all of this has:
    /// the reader's, in a transaction that cannot write.
    pub(super) async fn find(
        &mut self,
        query: &Query,
        condition: Option<&Condition>,
    ) -> Result<Result<Observed, String>, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let table = match condition {
            None => self.asset.name.clone(),
            Some(_) => {
                format!("(select * from {} where {}) as batch", self.asset.name, filter(&mut translator, condition))
            }
        };
        let sql = format!(
            "with unexpected as materialized ({}\n)
             select (select count(*) from unexpected),
                (select coalesce(jsonb_agg(to_jsonb(few)), '[]') from (select * from unexpected limit {PARTIAL}) as few)",
            query.of(&table),
        );
        // A mistake in it must not end the transaction, in which the rest of the suite is answered.
        let mut savepoint = self.connection.begin().await?;
        let mut asked = sqlx::query_as::<_, (i64, Value)>(AssertSqlSafe(sql));
        for parameter in &translator.parameters {
            asked = asked.bind(parameter);
        }
        match asked.fetch_one(&mut *savepoint).await {
            Ok((rows, examples)) => {
                savepoint.commit().await?;
                let examples = examples.as_array().cloned().unwrap_or_default();
                Ok(Ok(Observed::Found { rows: rows.unsigned_abs(), examples }))
            }
            Err(sqlx::Error::Database(error)) => {
                savepoint.rollback().await?;
                Ok(Err(format!("the database says: {}", error.message())))
            }
            Err(error) => Err(error),
        }
    }
}

const MEAN: &str = "avg(value)::float8 as mean, stddev_samp(value)::float8 as deviation";
const QUARTILES: &str = "percentile_cont(0.25) within group (order by value) as lower,
    percentile_cont(0.75) within group (order by value) as upper";
