//! An expectation suite against a table: in one scan where one is enough, all of it as of one instant.
//!
//! What becomes SQL, and what it means, is [`quality::suite::sql`]'s business; this asks the database.

mod asset;
mod plan;
mod relative;
mod row;
mod run;

pub use asset::{Asset, AssetError, SOURCE, SOURCE_COLUMNS, table_as_sql};
pub use run::{RunError, Wanted};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use plan::{Plan, Scan, filter};
use quality::suite::{
    Aggregate, Condition, Distribution, ExpectationResult, Histogram, Observed, PARTIAL, RecordCheck, Suite,
    TableCheck, Tally, ValidationResult,
    sql::{Kind, Translator, quoted},
};
use row::Cells;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::sync::Arc;

/// Distinct values of one column that are looked at; a column with more has no set that anybody writes down.
const MAX_DISTINCT: usize = 100_000;
/// Outputs of one statement; Postgres takes 1,664.
const MAX_OUTPUTS: usize = 1_600;
/// How often the reader of a pass is told how far it is, in rows.
const TELL_EVERY: u64 = 50_000;

/// What is being done, for whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One scan answers this many expectations.
    Scan { expectations: usize },
    /// Rows are read for this many, because SQL cannot judge them the same way.
    Rows { expectations: usize, read: u64 },
    /// The rest: values in groups, and examples of what was unexpected; so many expectations are done.
    Rest { done: usize, expectations: usize },
}

/// Runs the suite. What cannot be evaluated (a column that does not exist, an expectation that is not supported) is a
/// result that says so. `at`: the time of the run.
///
/// # Errors
/// Postgres does not answer.
pub async fn validate(
    connection: &mut PgConnection,
    asset: &Asset,
    suite: &Suite,
    at: DateTime<Utc>,
    mut tell: impl FnMut(Step),
) -> Result<ValidationResult, sqlx::Error> {
    let mut transaction = asset.begin(connection).await?;
    let index = asset.index();
    let mut scan = Scan::new(&asset.columns, index.clone());
    let rows = scan.output("count(*)::text".into());
    let mut plans: Vec<Plan> = suite.expectations.iter().map(|expectation| scan.plan(expectation)).collect();

    tell(Step::Scan { expectations: plans.iter().filter(|plan| plan.is_scanned()).count() });
    let mut asked = Asked { asset, index, connection: &mut transaction, outputs: Vec::new() };
    asked.scan(&scan).await?;
    asked.pass(&mut plans, &mut tell).await?;
    let mut results = Vec::with_capacity(plans.len());
    for (done, (plan, expectation)) in plans.into_iter().zip(&suite.expectations).enumerate() {
        tell(Step::Rest { done, expectations: suite.expectations.len() });
        let expectation = expectation.clone();
        results.push(match plan {
            Plan::Refused(reason) => expectation.refused(&reason),
            Plan::Failed(reason) => expectation.failed(reason),
            Plan::Passed { tally, .. } => tally.finish(expectation),
            Plan::Counted { check, tally, condition, elements, missing, unexpected } => {
                let [elements, missing, unexpected] = [elements, missing, unexpected].map(|at| asked.count(at));
                let examples =
                    if unexpected > 0 { asked.examples(&check, condition.as_ref()).await? } else { Vec::new() };
                tally.counted(elements, missing, unexpected, examples).finish(expectation)
            }
            Plan::Table { check, condition, outputs, kind } => {
                let observed = asked.observe(&check, condition.as_ref(), &outputs, kind).await?;
                match observed.and_then(|observed| check.judge(&observed)) {
                    Ok((success, result)) => ExpectationResult { expectation, success, result, exception: None },
                    Err(reason) => expectation.failed(reason),
                }
            }
        });
    }
    let meta = [
        ("run_id", json!({"run_name": null, "run_time": at.to_rfc3339_opts(SecondsFormat::Millis, true)})),
        ("active_batch_definition", json!({"data_asset_name": asset.name})),
        ("row_count", asked.count(rows).into()),
        ("stockstream_version", env!("CARGO_PKG_VERSION").into()),
    ];
    transaction.rollback().await?;
    let meta = meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(ValidationResult { suite_name: suite.name.clone(), results, meta })
}

/// A table under questions, and what the scan has answered.
struct Asked<'a> {
    asset: &'a Asset,
    /// Columns that name a row.
    index: Arc<[String]>,
    connection: &'a mut PgConnection,
    outputs: Vec<Option<String>>,
}

impl Asked<'_> {
    async fn rows(&mut self, sql: String, translator: &Translator<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for parameter in &translator.parameters {
            query = query.bind(parameter);
        }
        query.fetch_all(&mut *self.connection).await
    }

    async fn scan(&mut self, scan: &Scan<'_>) -> Result<(), sqlx::Error> {
        for outputs in scan.outputs.chunks(MAX_OUTPUTS) {
            let sql = format!("select {} from {}", outputs.join(", "), self.asset.name);
            let rows = self.rows(sql, &scan.translator).await?;
            let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
            self.outputs.extend((0..outputs.len()).map(|at| row.get::<Option<String>, _>(at)));
        }
        Ok(())
    }

    fn count(&self, output: usize) -> u64 {
        self.outputs[output].as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn value(&self, output: usize, kind: Kind) -> Value {
        self.outputs[output].as_deref().map_or(Value::Null, |text| kind.read(text))
    }

    /// Shows every row to the checks that must see it.
    async fn pass(&mut self, plans: &mut [Plan], tell: &mut impl FnMut(Step)) -> Result<(), sqlx::Error> {
        let expectations = plans.iter().filter(|plan| matches!(plan, Plan::Passed { .. })).count();
        if expectations == 0 {
            return Ok(());
        }
        let mut cells = Cells::of(self.asset);
        let sql = format!("select {} from {}", cells.outputs().join(", "), self.asset.name);
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *self.connection);
        let mut read = 0;
        while let Some(row) = rows.try_next().await? {
            if read % TELL_EVERY == 0 {
                tell(Step::Rows { expectations, read });
            }
            read += 1;
            cells.take(&row);
            let key = cells.key();
            for plan in plans.iter_mut() {
                if let Plan::Passed { tally, condition } = plan
                    && condition.as_ref().is_none_or(|condition| condition.holds(&cells))
                {
                    tally.add(&cells, key);
                }
            }
        }
        Ok(())
    }

    /// Some of the rows that break a check: the value, or the values of its columns, and what names the row.
    async fn examples(
        &mut self,
        check: &RecordCheck,
        condition: Option<&Condition>,
    ) -> Result<Vec<(Value, Option<Value>)>, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let filter = filter(&mut translator, condition);
        let Ok(Some(predicate)) = translator.predicate(check) else { return Ok(Vec::new()) };
        let index = self.index.clone();
        let names = Tally::named_by(check, &index);
        let Ok(operands) = names.iter().map(|name| translator.column(name)).collect::<Result<Vec<_>, _>>() else {
            return Ok(Vec::new());
        };
        let shown: Vec<String> = operands.iter().map(|operand| operand.text()).collect();
        let sql = format!(
            "select {} from {} where {filter} and {} limit {PARTIAL}",
            shown.join(", "),
            self.asset.name,
            predicate.unexpected,
        );
        let rows = self.rows(sql, &translator).await?;
        let kinds: Vec<Kind> = operands.iter().map(|operand| operand.kind).collect();
        let key = self.asset.key.as_deref();
        let named = |row: &PgRow| {
            let cell = |(at, (name, value)): (usize, (&&str, Value))| {
                // A key is a whole number, and not one that happens to have no fraction.
                let whole = || row.get::<Option<&str>, _>(at)?.parse::<i64>().ok();
                let value = whole().filter(|_| key == Some(*name)).map_or(value, Value::from);
                ((*name).to_owned(), value)
            };
            Value::Object(names.iter().zip(cells(row, &kinds)).enumerate().map(cell).collect())
        };
        let looked_at = &kinds[..check.columns().len()];
        let is_named = !index.is_empty();
        let example = |row: &PgRow| (values(row, looked_at, check.is_of_one_column()), is_named.then(|| named(row)));
        Ok(rows.iter().map(example).collect())
    }

    /// What is observed of the table as a whole; or why it cannot be.
    async fn observe(
        &mut self,
        check: &TableCheck,
        condition: Option<&Condition>,
        outputs: &[usize],
        kind: Kind,
    ) -> Result<Result<Observed, String>, sqlx::Error> {
        Ok(Ok(match check {
            TableCheck::ColumnCount(_)
            | TableCheck::Columns(_)
            | TableCheck::ColumnSet { .. }
            | TableCheck::ColumnExists { .. }
            | TableCheck::ColumnHasType { .. } => Observed::Columns(self.asset.columns.clone()),
            TableCheck::RowCount(_) => Observed::Rows { here: self.count(outputs[0]), there: None },
            TableCheck::RowCountEqualsTable(other) => match Asset::describe(&mut *self.connection, other).await {
                Ok(other) => {
                    let sql = AssertSqlSafe(format!("select count(*) from {}", other.name));
                    let there: i64 = sqlx::query_scalar(sql).fetch_one(&mut *self.connection).await?;
                    Observed::Rows { here: self.count(outputs[0]), there: u64::try_from(there).ok() }
                }
                Err(AssetError::Database(error)) => return Err(error),
                Err(missing) => return Ok(Err(missing.to_string())),
            },
            TableCheck::Aggregate { column, aggregate: Aggregate::UniqueCount, .. } => {
                let groups = self.groups(std::slice::from_ref(column), condition).await?;
                Observed::Value(groups.groups.into())
            }
            TableCheck::Aggregate { column, aggregate: Aggregate::UniqueProportion, .. } => {
                let groups = self.groups(std::slice::from_ref(column), condition).await?;
                let proportion = (groups.rows > 0).then(|| groups.groups as f64 / groups.rows as f64);
                Observed::Value(proportion.into())
            }
            TableCheck::Aggregate { .. } => Observed::Value(self.value(outputs[0], kind)),
            TableCheck::Quantiles { .. } => {
                Observed::Values(outputs.iter().map(|output| self.value(*output, kind)).collect())
            }
            TableCheck::DistinctValues { column, .. }
            | TableCheck::MostCommonValue { column, .. }
            | TableCheck::Distribution { column, expected: Distribution::Values { .. }, .. } => {
                match self.distinct(column, condition).await? {
                    Some(distinct) => Observed::Distinct(distinct),
                    None => return Ok(Err(format!("{column} has more than {MAX_DISTINCT} distinct values"))),
                }
            }
            TableCheck::Distribution { expected: Distribution::Bins { .. }, .. } => {
                let counts: Vec<u64> = outputs.iter().map(|output| self.count(*output)).collect();
                let [below, bins @ .., above] = counts.as_slice() else { return Ok(Err("no bins".into())) };
                Observed::Histogram(Histogram { below: *below, bins: bins.to_vec(), above: *above })
            }
            TableCheck::Unique { columns, .. } => {
                let elements = self.count(outputs[0]);
                let groups = self.groups(columns, condition).await?;
                let examples = if groups.repeated > 0 { self.repeated(columns, condition).await? } else { Vec::new() };
                let missing = elements.saturating_sub(groups.rows);
                let examples = examples.into_iter().map(|value| (value, None)).collect();
                Observed::Unexpected { elements, missing, unexpected: groups.repeated, examples }
            }
            TableCheck::Near { column, fence, .. } => {
                self.far(column, fence, condition, self.count(outputs[0])).await?
            }
            TableCheck::Ordered { column, descending, strictly, .. } => {
                let falls = if *descending { "value > before" } else { "value < before" };
                let broken = if *strictly { format!("{falls} or value = before") } else { falls.to_owned() };
                return self.misplaced(column, &broken, condition, self.count(outputs[0])).await;
            }
            TableCheck::NoRows(query) => return self.find(query, condition).await,
        }))
    }

    /// A column's values that are not null with their counts, the most frequent first; `None` when there are too many.
    async fn distinct(
        &mut self,
        column: &str,
        condition: Option<&Condition>,
    ) -> Result<Option<Vec<(Value, u64)>>, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let filter = filter(&mut translator, condition);
        let Ok(operand) = translator.column(column) else { return Ok(None) };
        let sql = format!(
            "select {}, count(*) from {} where {filter} and {name} is not null group by {name} order by 2 desc, 1 limit {}",
            operand.text(),
            self.asset.name,
            MAX_DISTINCT + 1,
            name = quoted(column),
        );
        let rows = self.rows(sql, &translator).await?;
        let value = |row: &PgRow| (operand.kind.read(row.get(0)), row.get::<i64, _>(1).unsigned_abs());
        Ok((rows.len() <= MAX_DISTINCT).then(|| rows.iter().map(value).collect()))
    }

    /// The rows of which these columns are not all null, grouped by them.
    async fn groups(&mut self, columns: &[String], condition: Option<&Condition>) -> Result<Groups, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let sql = format!(
            "select count(*), coalesce(sum(times), 0)::bigint,
                coalesce(sum(times) filter (where times > 1 and whole), 0)::bigint
             from (select count(*) as times, {} as whole {}) as grouped",
            whole(columns),
            self.grouped(columns, &filter(&mut translator, condition)),
        );
        let rows = self.rows(sql, &translator).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let [groups, rows, repeated] = [0, 1, 2].map(|at| row.get::<i64, _>(at).unsigned_abs());
        Ok(Groups { groups, rows, repeated })
    }

    /// Some of the values that several rows share.
    async fn repeated(&mut self, columns: &[String], condition: Option<&Condition>) -> Result<Vec<Value>, sqlx::Error> {
        let mut translator = Translator::new(&self.asset.columns);
        let filter = filter(&mut translator, condition);
        let Ok(operands) = columns.iter().map(|name| translator.column(name)).collect::<Result<Vec<_>, _>>() else {
            return Ok(Vec::new());
        };
        let shown: Vec<String> = operands.iter().map(|operand| operand.text()).collect();
        let sql = format!(
            "select {} {} having count(*) > 1 and {} limit {PARTIAL}",
            shown.join(", "),
            self.grouped(columns, &filter),
            whole(columns),
        );
        let rows = self.rows(sql, &translator).await?;
        let kinds: Vec<Kind> = operands.iter().map(|operand| operand.kind).collect();
        Ok(rows.iter().map(|row| values(row, &kinds, columns.len() == 1)).collect())
    }

    fn grouped(&self, columns: &[String], filter: &str) -> String {
        let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let nulls: Vec<String> = names.iter().map(|name| format!("{name} is null")).collect();
        format!(
            "from {} where {filter} and not ({}) group by {}",
            self.asset.name,
            nulls.join(" and "),
            names.join(", ")
        )
    }
}

/// No column is null: as in SQL, null is not the same as null.
fn whole(columns: &[String]) -> String {
    columns.iter().map(|name| format!("{} is not null", quoted(name))).collect::<Vec<_>>().join(" and ")
}

/// Rows by the values that they share.
struct Groups {
    groups: u64,
    rows: u64,
    /// Rows whose values others have too.
    repeated: u64,
}

/// A row's outputs.
fn cells<'a>(row: &'a PgRow, kinds: &'a [Kind]) -> impl Iterator<Item = Value> + 'a {
    let text = |at| row.get::<Option<&str>, _>(at);
    kinds.iter().enumerate().map(move |(at, kind)| text(at).map_or(Value::Null, |text| kind.read(text)))
}

/// The first of them: the value itself for a single one, else all of them.
fn values(row: &PgRow, kinds: &[Kind], single: bool) -> Value {
    let mut values = cells(row, kinds);
    if single { values.next().unwrap_or_default() } else { values.collect() }
}
