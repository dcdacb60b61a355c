//! How each expectation of a suite is answered: by an output of the scan, by a pass over the rows, or by values in groups.

use quality::suite::{
    Aggregate, Check, Condition, Distribution, Expectation, RecordCheck, Rule, TableCheck, Tally, Unsupported,
    sql::{Column, Kind, Translator},
};
use std::sync::Arc;

/// How one expectation is answered.
pub enum Plan {
    /// It cannot be run here.
    Refused(Unsupported),
    /// It cannot be run on this table.
    Failed(String),
    /// The scan counts its records: those that it looks at, those it does not speak of, those that break it.
    Counted {
        check: RecordCheck,
        tally: Tally,
        condition: Option<Condition>,
        elements: usize,
        missing: usize,
        unexpected: usize,
    },
    /// SQL cannot judge it the same way: it sees every row.
    Passed { tally: Tally, condition: Option<Condition> },
    /// It is about the table as a whole. `outputs` of the scan, and the kind of value that they are.
    Table { check: TableCheck, condition: Option<Condition>, outputs: Vec<usize>, kind: Kind },
}

/// One statement, that goes over the table once.
pub struct Scan<'t> {
    pub translator: Translator<'t>,
    /// Expressions that give text.
    pub outputs: Vec<String>,
    /// Columns that name a row.
    index: Arc<[String]>,
}

impl<'t> Scan<'t> {
    pub fn new(columns: &'t [Column], index: Arc<[String]>) -> Self {
        Self { translator: Translator::new(columns), outputs: Vec::new(), index }
    }

    /// The place of an output, which is there once however often it is asked for.
    pub fn output(&mut self, sql: String) -> usize {
        self.outputs.iter().position(|output| *output == sql).unwrap_or_else(|| {
            self.outputs.push(sql);
            self.outputs.len() - 1
        })
    }

    fn count(&mut self, filter: &str) -> usize {
        self.output(format!("(count(*) filter (where {filter}))::text"))
    }

    /// Plans one expectation, and takes from the scan what it can.
    pub fn plan(&mut self, expectation: &Expectation) -> Plan {
        let Check { rule, condition, .. } = match expectation.compile() {
            Ok(check) => check,
            Err(reason) => return Plan::Refused(reason),
        };
        let filter = filter(&mut self.translator, condition.as_ref());
        match rule {
            Rule::Records { check, mostly } => {
                let tally = Tally::new(check.clone(), mostly).indexed_by(self.index.clone());
                match self.translator.predicate(&check) {
                    Ok(Some(predicate)) => Plan::Counted {
                        elements: self.count(&filter),
                        missing: self.count(&format!("{filter} and {}", predicate.missing)),
                        unexpected: self.count(&format!("{filter} and {}", predicate.unexpected)),
                        check,
                        tally,
                        condition,
                    },
                    Ok(None) => Plan::Passed { tally, condition },
                    Err(reason) => Plan::Failed(reason),
                }
            }
            Rule::Table(check) => match self.table(&check, &filter) {
                Ok((outputs, kind)) => Plan::Table { check, condition, outputs, kind },
                Err(reason) => Plan::Failed(reason),
            },
        }
    }

    fn table(&mut self, check: &TableCheck, filter: &str) -> Result<(Vec<usize>, Kind), String> {
        match check {
            TableCheck::RowCount(_) | TableCheck::RowCountEqualsTable(_) => {
                Ok((vec![self.count(filter)], Kind::Number))
            }
            TableCheck::Aggregate {
                aggregate: Aggregate::UniqueCount | Aggregate::UniqueProportion, column, ..
            }
            | TableCheck::DistinctValues { column, .. }
            | TableCheck::MostCommonValue { column, .. }
            | TableCheck::Distribution { column, expected: Distribution::Values { .. }, .. } => {
                Ok((Vec::new(), self.translator.column(column)?.kind))
            }
            TableCheck::Distribution { column, expected: Distribution::Bins { edges, .. }, .. } => {
                let name = self.numbers(column)?;
                let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Err("no bins".into()) };
                let mut outputs = vec![self.count(&format!("{filter} and {name} < {first}"))];
                for (at, pair) in edges.windows(2).enumerate() {
                    let end = if at + 2 == edges.len() { "<=" } else { "<" };
                    let inside = format!("{filter} and {name} >= {} and {name} {end} {}", pair[0], pair[1]);
                    outputs.push(self.count(&inside));
                }
                outputs.push(self.count(&format!("{filter} and {name} > {last}")));
                Ok((outputs, Kind::Number))
            }
            TableCheck::Near { column, .. } => {
                self.numbers(column)?;
                Ok((vec![self.count(filter)], Kind::Number))
            }
            TableCheck::Ordered { column, .. } => {
                let kind = self.translator.column(column)?.kind;
                Ok((vec![self.count(filter)], kind))
            }
            TableCheck::Aggregate { column, aggregate, .. } => {
                let (sql, kind) = self.translator.aggregate(column, *aggregate, filter)?;
                Ok((vec![self.output(sql)], kind))
            }
            TableCheck::Quantiles { column, quantiles } => {
                let kind = self.translator.column(column)?.kind;
                let outputs = quantiles.iter().map(|(quantile, _)| {
                    let (sql, _) = self.translator.quantile(column, *quantile, filter)?;
                    Ok(self.output(sql))
                });
                Ok((outputs.collect::<Result<_, String>>()?, kind))
            }
            TableCheck::Unique { columns, .. } => {
                columns.iter().try_for_each(|column| self.translator.column(column).map(drop))?;
                Ok((vec![self.count(filter)], Kind::Text))
            }
            TableCheck::ColumnCount(_)
            | TableCheck::Columns(_)
            | TableCheck::ColumnSet { .. }
            | TableCheck::ColumnExists { .. }
            | TableCheck::ColumnHasType { .. }
            | TableCheck::NoRows(_) => Ok((Vec::new(), Kind::Text)),
        }
    }

    /// A column that holds numbers, as SQL.
    fn numbers(&self, column: &str) -> Result<String, String> {
        let operand = self.translator.column(column)?;
        if operand.kind == Kind::Number { Ok(operand.sql) } else { Err(format!("{column} holds no numbers")) }
    }
}

/// The rows that an expectation speaks of, as SQL.
pub fn filter(translator: &mut Translator<'_>, condition: Option<&Condition>) -> String {
    condition.map_or_else(|| "true".to_owned(), |condition| translator.condition(condition))
}

impl Plan {
    /// Whether the scan has a part in it.
    pub const fn is_scanned(&self) -> bool {
        match self {
            Self::Counted { .. } => true,
            Self::Table { outputs, .. } => !outputs.is_empty(),
            Self::Refused(_) | Self::Failed(_) | Self::Passed { .. } => false,
        }
    }
}
