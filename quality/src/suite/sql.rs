//! Checks as SQL in PostgreSQL's dialect, so that one scan of a table answers for as many of them as possible.
//!
//! An expression says of a row exactly what [`RecordCheck::judge`] says of the record. What SQL cannot say the same way
//! (regular expressions, formats, JSON) has none, and is left to a pass over the rows.

use super::{
    Aggregate, Bounds, Cell, ColumnRule, ColumnType, Comparison, Condition, IgnoreRow, Literal, RecordCheck,
    value::{decimal, instant, number_json},
};
use rust_decimal::Decimal;
use serde_json::Value;

/// A column as its table declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub column_type: ColumnType,
    /// The database's own name of the type.
    pub own_name: String,
}

/// Translates for one table, and collects the parameters of the statement that it makes.
#[derive(Clone, Debug)]
pub struct Translator<'t> {
    columns: &'t [Column],
    /// In the order of `$1`, `$2` …; all of them texts, cast where they stand.
    pub parameters: Vec<String>,
}

/// What SQL says of a row: whether the check does not speak of it, and whether the row breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    pub missing: String,
    pub unexpected: String,
}

/// How values of a column compare, and how they are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    Instant,
}

/// A column as an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    pub sql: String,
    pub kind: Kind,
}

/// A name as SQL writes it, whatever it holds.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Operand {
    fn of(column: &Column) -> Self {
        let name = quoted(&column.name);
        let (sql, kind) = match column.column_type {
            ColumnType::Integer | ColumnType::Decimal => (name, Kind::Number),
            ColumnType::Float => (format!("{name}::numeric"), Kind::Number),
            // By code point, as the program itself compares texts.
            ColumnType::Text | ColumnType::Boolean => (format!("({name}::text collate \"C\")"), Kind::Text),
            ColumnType::Date => (format!("({name}::timestamp at time zone 'UTC')"), Kind::Instant),
            ColumnType::Instant if column.own_name.contains("without time zone") => {
                (format!("({name} at time zone 'UTC')"), Kind::Instant)
            }
            ColumnType::Instant => (name, Kind::Instant),
        };
        Self { sql, kind }
    }

    /// An expression of this kind as text that [`Kind::read`] understands.
    pub fn text(&self) -> String {
        self.kind.text(&self.sql)
    }
}

impl Kind {
    fn text(self, sql: &str) -> String {
        match self {
            Self::Number | Self::Text => format!("({sql})::text"),
            Self::Instant => format!("to_char(({sql}) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
        }
    }

    /// A value from the text that the database gives for it; a text that is none (an infinite number) stays a text.
    pub fn read(self, text: &str) -> Value {
        match self {
            Self::Number => match (text.parse::<Decimal>(), text.parse::<f64>()) {
                (Ok(number), _) => number_json(number),
                (Err(_), Ok(double)) => serde_json::Number::from_f64(double).map_or_else(|| text.into(), Value::Number),
                (Err(_), Err(_)) => text.into(),
            },
            Self::Text => text.into(),
            Self::Instant => {
                let value = Value::from(text);
                instant(&value).map_or(value, |time| Cell::Instant(time).json())
            }
        }
    }

    const fn cast(self) -> &'static str {
        match self {
            Self::Number => "numeric",
            Self::Text => "text",
            Self::Instant => "timestamptz",
        }
    }
}

impl<'t> Translator<'t> {
    pub const fn new(columns: &'t [Column]) -> Self {
        Self { columns, parameters: Vec::new() }
    }

    /// A column by its name.
    ///
    /// # Errors
    /// There is no such column.
    pub fn column(&self, name: &str) -> Result<Operand, String> {
        let column = self.columns.iter().find(|column| column.name == name);
        column.map(Operand::of).ok_or_else(|| format!("there is no such column: {name}"))
    }

    fn bind(&mut self, value: String, cast: &str) -> String {
        self.parameters.push(value);
        format!("${}::{cast}", self.parameters.len())
    }

    /// A value of the suite as a parameter; `None` when it cannot be compared with such a column.
    fn literal(&mut self, value: &Value, kind: Kind) -> Option<String> {
        let text = match kind {
            Kind::Number => decimal(value)?.to_string(),
            Kind::Text => value.as_str()?.to_owned(),
            Kind::Instant => instant(value)?.to_rfc3339(),
        };
        // A zero byte is in no text of the database, so that nothing equals it; order before or after it is not asked for.
        (!text.contains('\0')).then(|| self.bind(text, kind.cast()))
    }

    /// What the database says of a row in answer to the check; `None` when it cannot say it the same way.
    ///
    /// # Errors
    /// There is no such column.
    pub fn predicate(&mut self, check: &RecordCheck) -> Result<Option<Predicate>, String> {
        let (missing, met) = match check {
            RecordCheck::Column { column: name, rule } => {
                let column = self.column(name)?;
                let is_null = format!("{} is null", quoted(name));
                match rule {
                    ColumnRule::Null => ("false".into(), is_null),
                    ColumnRule::NotNull => ("false".into(), format!("not {is_null}")),
                    rule => match self.met(&column, name, rule) {
                        Some(met) => (is_null, met),
                        None => return Ok(None),
                    },
                }
            }
            RecordCheck::PairGreater { a, b, or_equal, ignore } => {
                let (left, right) = (self.column(a)?, self.column(b)?);
                let sign = if *or_equal { ">=" } else { ">" };
                let met = if left.kind == right.kind {
                    format!("coalesce({} {sign} {}, false)", left.sql, right.sql)
                } else {
                    "false".into()
                };
                (ignored(&[a, b], *ignore), met)
            }
            RecordCheck::PairInSet { a, b, pairs, ignore } => {
                let (left, right) = (self.column(a)?, self.column(b)?);
                let each = pairs.iter().filter_map(|(first, second)| {
                    Some(format!("({} and {})", self.is_value(&left, first)?, self.is_value(&right, second)?))
                });
                let met = any_of(each.collect());
                (ignored(&[a, b], *ignore), met)
            }
            RecordCheck::SumEquals { columns, total, ignore } => {
                let operands = columns.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
                let met = if operands.iter().all(|operand| operand.kind == Kind::Number) {
                    let sum = operands.iter().map(|operand| operand.sql.as_str()).collect::<Vec<_>>().join(" + ");
                    let total = self.bind(total.to_string(), "numeric");
                    format!("coalesce({sum} = {total}, true)")
                } else {
                    ignored(columns, IgnoreRow::AnyMissing)
                };
                (ignored(columns, *ignore), met)
            }
            RecordCheck::AllEqual { columns, ignore } => {
                let operands = columns.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
                (ignored(columns, *ignore), all_of(operands.windows(2).map(|pair| same(&pair[0], &pair[1])).collect()))
            }
            RecordCheck::AllDifferent { columns, ignore } => {
                let operands = columns.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
                let pairs = operands.iter().enumerate().flat_map(|(at, left)| {
                    operands[..at].iter().map(move |right| format!("not ({})", same(left, right)))
                });
                (ignored(columns, *ignore), all_of(pairs.collect()))
            }
        };
        let unexpected = format!("(not ({missing}) and not ({met}))");
        Ok(Some(Predicate { missing, unexpected }))
    }

    /// What a value that is not null meets.
    fn met(&mut self, column: &Operand, name: &str, rule: &ColumnRule) -> Option<String> {
        Some(match rule {
            ColumnRule::Between(bounds) => self.within(column, bounds),
            ColumnRule::InSet(values) => self.is_in(column, values),
            ColumnRule::NotInSet(values) => format!("not {}", self.is_in(column, values)),
            ColumnRule::OfType(types) => {
                let declared = self.columns.iter().find(|column| column.name == name)?.column_type;
                types.iter().any(|(_, expected)| declared.satisfies(*expected)).to_string()
            }
            ColumnRule::Length(bounds) => {
                let declared = self.columns.iter().find(|column| column.name == name)?.column_type;
                let length = match declared {
                    ColumnType::Text | ColumnType::Integer => format!("char_length({}::text)", quoted(name)),
                    // The program writes decimals without the zeros behind them.
                    ColumnType::Decimal => format!("char_length(trim_scale({})::text)", quoted(name)),
                    _ => return None,
                };
                let end = |bound: Option<u64>, sign: &str| bound.map(|bound| format!("{length} {sign} {bound}"));
                let min = end(bounds.min, if bounds.strict_min { ">" } else { ">=" });
                all_of(min.into_iter().chain(end(bounds.max, if bounds.strict_max { "<" } else { "<=" })).collect())
            }
            ColumnRule::Null
            | ColumnRule::NotNull
            | ColumnRule::Matches { .. }
            | ColumnRule::MatchesNone(_)
            | ColumnRule::Strftime(_)
            | ColumnRule::Json => return None,
        })
    }

    fn within(&mut self, column: &Operand, bounds: &Bounds<Literal>) -> String {
        let ends = [
            (&bounds.min, if bounds.strict_min { ">" } else { ">=" }),
            (&bounds.max, if bounds.strict_max { "<" } else { "<=" }),
        ];
        let mut parts = Vec::new();
        for (bound, sign) in ends {
            let Some(bound) = bound else { continue };
            match self.literal(bound, column.kind) {
                Some(literal) => parts.push(format!("{} {sign} {literal}", column.sql)),
                // What cannot be compared does not lie inside.
                None => return "false".into(),
            }
        }
        all_of(parts)
    }

    fn is_in(&mut self, column: &Operand, values: &[Value]) -> String {
        let literals: Vec<String> = values.iter().filter_map(|value| self.literal(value, column.kind)).collect();
        if literals.is_empty() { "false".into() } else { format!("({} in ({}))", column.sql, literals.join(", ")) }
    }

    /// Whether a column holds this value, null included; `None` when it never can.
    fn is_value(&mut self, column: &Operand, value: &Value) -> Option<String> {
        if value.is_null() {
            return Some(format!("{} is null", column.sql));
        }
        let literal = self.literal(value, column.kind)?;
        Some(format!("coalesce({} = {literal}, false)", column.sql))
    }

    /// A row condition; true or false for every row. A column that does not exist meets none but "is null".
    pub fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Compare { column, comparison, parameter } => {
                let compared = self.column(column).ok().and_then(|column| {
                    let literal = self.literal(parameter, column.kind)?;
                    Some(compared(&column, *comparison, &literal))
                });
                compared.unwrap_or_else(|| "false".into())
            }
            Condition::In { column, values, negated } => match self.column(column) {
                Ok(column) => {
                    let is_in = self.is_in(&column, values);
                    let not = if *negated { "not " } else { "" };
                    format!("coalesce({not}{is_in} and {} is not null, false)", column.sql)
                }
                Err(_) => "false".into(),
            },
            Condition::Null { column, negated } => match self.column(column) {
                Ok(_) => format!("{} is {}null", quoted(column), if *negated { "not " } else { "" }),
                Err(_) => (!*negated).to_string(),
            },
            Condition::All(parts) => all_of(parts.iter().map(|part| self.condition(part)).collect()),
            Condition::Any(parts) => any_of(parts.iter().map(|part| self.condition(part)).collect()),
        }
    }

    /// An aggregate over the rows that `filter` lets through, as text; with the kind of what it gives. Aggregates of the
    /// distinct values are not made in a scan: they need the table's values in groups.
    ///
    /// # Errors
    /// There is no such column, or its values have no such aggregate.
    pub fn aggregate(&self, column: &str, aggregate: Aggregate, filter: &str) -> Result<(String, Kind), String> {
        let operand = self.column(column)?;
        let sql = &operand.sql;
        let filtered = |call: String| format!("{call} filter (where {filter})");
        let of_numbers = |call: String, cast: &str| {
            let text = Kind::Number.text(&format!("{}{cast}", filtered(call)));
            (operand.kind == Kind::Number)
                .then_some((text, Kind::Number))
                .ok_or_else(|| format!("{column} holds no numbers, but {}", self.own_name(column)))
        };
        match aggregate {
            Aggregate::Min => Ok((operand.kind.text(&filtered(format!("min({sql})"))), operand.kind)),
            Aggregate::Max => Ok((operand.kind.text(&filtered(format!("max({sql})"))), operand.kind)),
            Aggregate::Sum => of_numbers(format!("sum({sql})"), ""),
            // What is no sum of the values is a double, as it has no end of digits.
            Aggregate::Mean => of_numbers(format!("avg({sql})"), "::float8"),
            Aggregate::Stdev => of_numbers(format!("stddev_samp({sql})"), "::float8"),
            Aggregate::Median => of_numbers(format!("percentile_cont(0.5) within group (order by {sql}::float8)"), ""),
            Aggregate::NonNullProportion => Ok((
                format!(
                    "({}::float8 / nullif({}, 0))::text",
                    filtered(format!("count({sql})")),
                    filtered("count(*)".into())
                ),
                Kind::Number,
            )),
            Aggregate::UniqueCount | Aggregate::UniqueProportion => Err("is counted in groups".into()),
        }
    }

    /// The value at a quantile: the smallest that at least this part of the values does not exceed.
    ///
    /// # Errors
    /// There is no such column.
    pub fn quantile(&self, column: &str, quantile: Decimal, filter: &str) -> Result<(String, Kind), String> {
        let operand = self.column(column)?;
        let call =
            format!("percentile_disc({quantile}) within group (order by {}) filter (where {filter})", operand.sql);
        Ok((operand.kind.text(&call), operand.kind))
    }

    fn own_name(&self, column: &str) -> &str {
        self.columns.iter().find(|found| found.name == column).map_or("nothing", |found| &found.own_name)
    }
}

fn compared(column: &Operand, comparison: Comparison, literal: &str) -> String {
    format!("coalesce({} {} {literal}, false)", column.sql, comparison.sign())
}

/// Two columns of one row are the same; two nulls are.
fn same(left: &Operand, right: &Operand) -> String {
    if left.kind == right.kind {
        format!("{} is not distinct from {}", left.sql, right.sql)
    } else {
        format!("({} is null and {} is null)", left.sql, right.sql)
    }
}

fn ignored<C: AsRef<str>>(columns: &[C], ignore: IgnoreRow) -> String {
    let nulls = columns.iter().map(|column| format!("{} is null", quoted(column.as_ref())));
    match ignore {
        IgnoreRow::Never => "false".into(),
        IgnoreRow::AnyMissing => any_of(nulls.collect()),
        IgnoreRow::AllMissing => all_of(nulls.collect()),
    }
}

fn all_of(parts: Vec<String>) -> String {
    if parts.is_empty() { "true".into() } else { format!("({})", parts.join(" and ")) }
}

fn any_of(parts: Vec<String>) -> String {
    if parts.is_empty() { "false".into() } else { format!("({})", parts.join(" or ")) }
}
