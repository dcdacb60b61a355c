//! What expectation suites found: runs, and the trend of each expectation.

use super::{ReadError, Store, read::within, validate};
use chrono::{DateTime, Utc};
use quality::suite::{ExpectationResult, ValidationResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

/// Why a suite was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its time had come.
    Schedule,
    /// Somebody asked.
    Demand,
    /// A window of the stream was over.
    Window,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Demand => "demand",
            Self::Window => "window",
        }
    }
}

/// A run without its results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow, ToSchema)]
pub struct ValidationRun {
    pub run_id: i64,
    pub suite: String,
    /// The table that was validated, or the stream.
    pub asset: String,
    /// `schedule`, `demand` or `window`.
    #[schema(value_type = Cause)]
    pub cause: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    /// Whether every expectation is met.
    pub success: bool,
    /// Expectations, and how many of them are met.
    pub evaluated: i32,
    pub met: i32,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub suite: Option<String>,
    /// Only those of which some expectation is not met.
    pub failed: bool,
    /// Only runs before this one.
    pub before: Option<i64>,
}

/// One run in the trend of an expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow, ToSchema)]
pub struct TrendPoint {
    pub run_id: i64,
    pub started_at: DateTime<Utc>,
    pub success: bool,
    /// The observed value, where it is a number.
    pub observed: Option<f64>,
    /// Unexpected values, in percent of those that are not null.
    pub unexpected: Option<f64>,
}

/// What an expectation's trend goes by: a hash of its type and arguments.
fn expectation_hash(kind: &str, kwargs: &Value) -> i64 {
    xxh3_64(format!("{kind} {kwargs}").as_bytes()).cast_signed()
}

impl Store {
    /// Records a run, and answers with its number.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn record_validation(
        &self,
        asset: &str,
        cause: Cause,
        started_at: DateTime<Utc>,
        finished_at: DateTime<Utc>,
        result: &ValidationResult,
    ) -> Result<i64, sqlx::Error> {
        let (met, evaluated) = result.met();
        let mut transaction = self.pool.begin().await?;
        let run_id: i64 = sqlx::query_scalar(
            "insert into validation_run (suite, asset, cause, started_at, finished_at, success, evaluated, met, result)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning run_id",
        )
        .bind(&result.suite_name)
        .bind(asset)
        .bind(cause.as_str())
        .bind(started_at)
        .bind(finished_at)
        .bind(result.success())
        .bind(i32::try_from(evaluated).unwrap_or(i32::MAX))
        .bind(i32::try_from(met).unwrap_or(i32::MAX))
        .bind(without_zero_bytes(result.to_json()))
        .fetch_one(&mut *transaction)
        .await?;
        let each = |result: &ExpectationResult| {
            let number = |key: &str| result.result.get(key).and_then(Value::as_f64).filter(|number| number.is_finite());
            let kwargs = Value::Object(result.expectation.kwargs.clone());
            (
                expectation_hash(&result.expectation.kind, &kwargs),
                result.success,
                number("observed_value"),
                number("unexpected_percent"),
            )
        };
        let rows: Vec<_> = result.results.iter().map(each).collect();
        sqlx::query(
            "insert into validation_expectation (run_id, place, expectation, success, observed, unexpected)
             select $1, place - 1, expectation, success, observed, unexpected
             from unnest($2::bigint[], $3::boolean[], $4::double precision[], $5::double precision[]) with ordinality
                as result (expectation, success, observed, unexpected, place)",
        )
        .bind(run_id)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(run_id)
    }

    /// Runs, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn validation_runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<ValidationRun>, ReadError> {
        within(async {
            sqlx::query_as(
                "select run_id, suite, asset, cause, started_at, finished_at, success, evaluated, met from validation_run
                 where ($1::text is null or suite = $1) and (not $2 or not success) and ($3::bigint is null or run_id < $3)
                 order by run_id desc limit $4",
            )
            .bind(&filter.suite)
            .bind(filter.failed)
            .bind(filter.before)
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
        })
        .await
    }

    /// A run and its results, as Great Expectations writes them.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn validation_run(&self, run_id: i64) -> Result<Option<(ValidationRun, Value)>, ReadError> {
        within(async {
            let row = sqlx::query(
                "select run_id, suite, asset, cause, started_at, finished_at, success, evaluated, met, result
                 from validation_run where run_id = $1",
            )
            .bind(run_id)
            .fetch_optional(self.readers())
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some((sqlx::FromRow::from_row(&row)?, row.try_get("result")?)))
        })
        .await
    }

    /// The newest run of each suite, by the suite's name.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn validation_suites(&self) -> Result<Vec<ValidationRun>, ReadError> {
        within(async {
            sqlx::query_as(
                "select distinct on (suite) run_id, suite, asset, cause, started_at, finished_at, success, evaluated, met
                 from validation_run order by suite, run_id desc",
            )
            .fetch_all(self.readers())
            .await
        })
        .await
    }

    /// The newest run of each of these suites on its table, in their order.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn newest_runs(&self, of: &[(&str, &str)]) -> Result<Vec<Option<ValidationRun>>, ReadError> {
        let (suites, tables): (Vec<_>, Vec<_>) =
            of.iter().map(|(suite, table)| (*suite, validate::table_as_sql(table))).unzip();
        let rows = within(
            sqlx::query(
                "select wanted.place, run.run_id, run.suite, run.asset, run.cause, run.started_at, run.finished_at,
                    run.success, run.evaluated, run.met
                 from unnest($1::text[], $2::text[]) with ordinality as wanted (suite, asset, place)
                 cross join lateral (
                    select * from validation_run where suite = wanted.suite and asset = to_regclass(wanted.asset)::text
                    order by run_id desc limit 1) run",
            )
            .bind(suites)
            .bind(tables)
            .fetch_all(self.readers()),
        )
        .await?;
        let mut found: Vec<Option<ValidationRun>> = vec![None; of.len()];
        for row in rows {
            let place: i64 = row.try_get("place")?;
            if let Some(slot) = usize::try_from(place - 1).ok().and_then(|place| found.get_mut(place)) {
                *slot = Some(sqlx::FromRow::from_row(&row)?);
            }
        }
        Ok(found)
    }

    /// The first run, and when it began, since which a suite has been failing; `None` when its last run met everything. Of
    /// windows of the stream, or of tables: what fails on one says nothing of the other.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn failing_since(&self, suite: &str, windows: bool) -> Result<Option<(i64, DateTime<Utc>)>, ReadError> {
        within(
            sqlx::query_as(
                "select run_id, started_at from validation_run
                 where suite = $1 and (cause = 'window') = $2 and run_id > coalesce(
                    (select max(run_id) from validation_run where suite = $1 and (cause = 'window') = $2 and success), 0)
                 order by run_id limit 1",
            )
            .bind(suite)
            .bind(windows)
            .fetch_optional(self.readers()),
        )
        .await
    }

    /// What became of each expectation of a run in its suite's last runs up to this one, the oldest first, at most
    /// `limit` of each; in the order of the run's results, and empty when there is no such run.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn validation_trends(&self, run_id: i64, limit: u32) -> Result<Vec<Vec<TrendPoint>>, ReadError> {
        #[derive(sqlx::FromRow)]
        struct Placed {
            place: i32,
            #[sqlx(flatten)]
            point: TrendPoint,
        }
        let placed: Vec<Placed> = within(async {
            sqlx::query_as(
                "select mine.place, trend.*
                 from validation_run run join validation_expectation mine using (run_id) cross join lateral (
                    select result.run_id, earlier.started_at, result.success, result.observed, result.unexpected
                    from validation_expectation result join validation_run earlier on earlier.run_id = result.run_id
                    where result.expectation = mine.expectation and earlier.suite = run.suite
                        and (earlier.cause = 'window') = (run.cause = 'window') and result.run_id <= $1
                    order by result.run_id desc limit $2) trend
                 where run.run_id = $1 order by mine.place, trend.run_id",
            )
            .bind(run_id)
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
        })
        .await?;
        let mut trends: Vec<Vec<TrendPoint>> = Vec::new();
        for Placed { place, point } in placed {
            let place = usize::try_from(place).unwrap_or_default();
            trends.resize_with(trends.len().max(place + 1), Vec::new);
            trends[place].push(point);
        }
        Ok(trends)
    }

    /// Forgets runs that began before `before`, but each suite's last one; gives back how many.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn prune_validations(&self, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        let done = sqlx::query(
            "delete from validation_run old where started_at < $1
                and run_id < (select max(run_id) from validation_run newer where newer.suite = old.suite)",
        )
        .bind(before)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// Postgres keeps no zero byte, in JSON either; a suite may name one.
fn without_zero_bytes(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").into(),
        Value::Array(values) => values.into_iter().map(without_zero_bytes).collect(),
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_zero_bytes(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}
