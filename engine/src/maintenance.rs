//! `OPTIMIZE` and `VACUUM`: files of a table are put together, or deleted. Its rows stay as they are.
//!
//! ```sql
//! OPTIMIZE silver.orders WHERE day = '2024-01-31' ZORDER BY (customer, product)
//! VACUUM silver.orders RETAIN 240 HOURS
//! VACUUM silver.orders DRY RUN
//! ```
//!
//! The parser does not know `RETAIN` and `DRY RUN`: they are taken out of the token stream.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, ObjectName, Statement as SqlStatement, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use lakegate_catalog::{SYSTEM_SCHEMA, TableName};

use crate::statement::{place_of, table_name, written_parts};
use crate::{Engine, EngineError, Place};

/// How long files are kept that older versions need, when nothing is said. It is the shortest time, too: time travel and
/// queries that run need those files.
const RETENTION_HOURS: u64 = 7 * 24;

/// What is done to the files of a table.
#[derive(Debug, Clone)]
pub(crate) enum Maintenance {
    /// Small files are put together.
    Optimize {
        table: TableName,
        z_order: Vec<String>,
        /// Partition columns, and expressions of which each has to be the value of one.
        partitions: Vec<(String, Expr)>,
    },
    /// Files that no version needs are deleted.
    Vacuum {
        table: TableName,
        retention: Duration,
        /// Whether they are only named.
        dry_run: bool,
    },
}

/// What a `VACUUM` says behind the table's name.
#[derive(Debug, Default)]
pub(crate) struct VacuumClauses {
    hours: Option<(String, Option<Place>)>,
    dry_run: bool,
}

/// Takes `RETAIN n HOURS` and `DRY RUN` out of the tokens of a `VACUUM`.
pub(crate) fn take_clauses(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, VacuumClauses) {
    let mut clauses = VacuumClauses::default();
    let mut words: Vec<usize> = (0..tokens.len())
        .filter(|i| !matches!(tokens[*i].token, Token::Whitespace(_) | Token::SemiColon))
        .collect();
    let is = |index: Option<&usize>, wanted: &str| {
        index.is_some_and(|index| match &tokens[*index].token {
            Token::Word(word) => {
                word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted)
            }
            _ => false,
        })
    };
    if !is(words.first(), "vacuum") {
        return (tokens, clauses);
    }
    let mut taken = Vec::new();
    if let [.., dry, run] = words.as_slice()
        && is(Some(dry), "dry")
        && is(Some(run), "run")
    {
        clauses.dry_run = true;
        taken.extend(words.split_off(words.len() - 2));
    }
    if let [.., retain, number, hours] = words.as_slice()
        && is(Some(retain), "retain")
        && is(Some(hours), "hours")
    {
        let number = &tokens[*number];
        clauses.hours = Some((number.token.to_string(), place_of(number.span.start)));
        taken.extend(words.split_off(words.len() - 3));
    }
    let left = tokens.into_iter().enumerate();
    let left = left.filter(|(index, _)| !taken.contains(index));
    (left.map(|(_, token)| token).collect(), clauses)
}

impl VacuumClauses {
    fn retention(&self) -> Result<Duration, EngineError> {
        let Some((text, place)) = &self.hours else {
            return Ok(Duration::from_secs(RETENTION_HOURS * 3_600));
        };
        let Ok(hours) = text.parse::<u32>() else {
            return Err(EngineError::invalid(
                format!("`{text}` is not a number of hours"),
                *place,
                "write `RETAIN 240 HOURS`".to_owned(),
            ));
        };
        if u64::from(hours) < RETENTION_HOURS {
            return Err(EngineError::invalid(
                format!("a retention of {hours} hours is too short"),
                *place,
                format!(
                    "queries that run and versions of the last week need their files: at least {RETENTION_HOURS} hours; who runs the server can go below by `lakegate catalog vacuum --retention`"
                ),
            ));
        }
        Ok(Duration::from_secs(u64::from(hours) * 3_600))
    }
}

impl Maintenance {
    /// What a statement does to the files of a table; none for one of another kind.
    pub(crate) fn of(
        statement: &DfStatement,
        clauses: &VacuumClauses,
        schema: &str,
    ) -> Result<Option<Self>, EngineError> {
        let DfStatement::Statement(statement) = statement else {
            return Ok(None);
        };
        match statement.as_ref() {
            SqlStatement::OptimizeTable {
                name,
                has_table_keyword: _,
                on_cluster,
                partition,
                include_final,
                deduplicate,
                predicate,
                zorder,
            } => {
                refuse(&[
                    (on_cluster.is_some(), "ON CLUSTER"),
                    (partition.is_some(), "PARTITION (write `WHERE day = ...`)"),
                    (*include_final, "FINAL"),
                    (deduplicate.is_some(), "DEDUPLICATE"),
                ])?;
                let columns = zorder.iter().flatten().map(column);
                let z_order: Option<Vec<String>> = columns.collect();
                let mut partitions = Vec::new();
                let understood = match predicate {
                    Some(predicate) => equalities(predicate, &mut partitions),
                    None => true,
                };
                match (z_order, understood) {
                    (Some(z_order), true) => Ok(Some(Self::Optimize {
                        table: named(name, schema)?,
                        z_order,
                        partitions,
                    })),
                    (None, _) => Err(not_supported("an expression in ZORDER BY")),
                    (_, false) => Err(EngineError::Unsupported {
                        message: "this condition of an OPTIMIZE is not supported".to_owned(),
                        hint: Some(
                            "write `column = value` for partition columns, joined by AND"
                                .to_owned(),
                        ),
                    }),
                }
            }
            SqlStatement::Vacuum(vacuum) => {
                refuse(&[
                    (vacuum.full, "VACUUM FULL"),
                    (vacuum.sort_only, "SORT ONLY"),
                    (vacuum.delete_only, "DELETE ONLY"),
                    (vacuum.reindex, "REINDEX"),
                    (vacuum.recluster, "RECLUSTER"),
                    (vacuum.threshold.is_some(), "TO ... PERCENT"),
                    (vacuum.boost, "BOOST"),
                ])?;
                let Some(name) = &vacuum.table_name else {
                    return Err(EngineError::invalid(
                        "VACUUM needs a table",
                        None,
                        "write `VACUUM schema.table`".to_owned(),
                    ));
                };
                Ok(Some(Self::Vacuum {
                    table: named(name, schema)?,
                    retention: clauses.retention()?,
                    dry_run: clauses.dry_run,
                }))
            }
            _ => Ok(None),
        }
    }

    /// Whose files are looked after.
    pub(crate) const fn table(&self) -> &TableName {
        match self {
            Self::Optimize { table, .. } | Self::Vacuum { table, .. } => table,
        }
    }

    /// Whether it only says what it would do.
    pub(crate) const fn is_reading(&self) -> bool {
        matches!(self, Self::Vacuum { dry_run: true, .. })
    }
}

impl Engine {
    /// Does it, and gives the number of files that are no more needed, or were deleted.
    pub(crate) async fn maintain(&self, what: Maintenance) -> Result<Option<u64>, EngineError> {
        match what {
            Maintenance::Optimize {
                table,
                z_order,
                partitions,
            } => {
                let partitions: Option<Vec<(String, String)>> = partitions
                    .into_iter()
                    .map(|(column, value)| Some((column, literal(&value)?)))
                    .collect();
                let Some(partitions) = partitions else {
                    return Err(not_supported("a computed value in WHERE"));
                };
                let session = self.session();
                let catalog = self.catalog();
                let optimized = catalog
                    .optimize_partitions(&session, &table, &z_order, None, &partitions)
                    .await?;
                Ok(Some(optimized.files_removed))
            }
            Maintenance::Vacuum {
                table, retention, ..
            } => {
                let vacuumed = self.catalog().vacuum(&table, retention, false).await?;
                Ok(Some(vacuumed.files.len() as u64))
            }
        }
    }

    /// The files that a vacuum would delete.
    pub(crate) async fn vacuum_rows(&self, what: &Maintenance) -> Result<RecordBatch, EngineError> {
        let files = match what {
            Maintenance::Vacuum {
                table, retention, ..
            } => self.catalog().vacuum(table, *retention, true).await?.files,
            Maintenance::Optimize { .. } => Vec::new(),
        };
        let schema = Schema::new(vec![Field::new("file", DataType::Utf8, false)]);
        let files = Arc::new(StringArray::from(files));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![files]);
        batch.map_err(|error| EngineError::Bug(error.to_string()))
    }
}

/// Collects `column = value` from a condition; false for one that says something else.
fn equalities(condition: &Expr, found: &mut Vec<(String, Expr)>) -> bool {
    let mut left = vec![condition];
    while let Some(condition) = left.pop() {
        match condition {
            Expr::Nested(inner) => left.push(inner),
            Expr::BinaryOp {
                left: one,
                op: BinaryOperator::And,
                right: other,
            } => left.extend([one.as_ref(), other.as_ref()]),
            Expr::BinaryOp {
                left: name,
                op: BinaryOperator::Eq,
                right: value,
            } => match column(name) {
                Some(name) => found.push((name, value.as_ref().clone())),
                None => return false,
            },
            _ => return false,
        }
    }
    true
}

fn column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => written_parts(&ObjectName::from(vec![ident.clone()]))?.pop(),
        _ => None,
    }
}

/// A value as the log of a table writes it.
fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => Some(text.clone()),
            Value::Boolean(truth) => Some(truth.to_string()),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => Some(format!("-{}", literal(expr)?)),
        Expr::TypedString(typed) => typed.value.value.clone().into_string(),
        Expr::Cast { expr, .. } => literal(expr),
        _ => None,
    }
}

fn named(name: &ObjectName, schema: &str) -> Result<TableName, EngineError> {
    let parts = written_parts(name).unwrap_or_default();
    let table = table_name(&parts, None, schema)?;
    let table = table.filter(|table| table.schema != SYSTEM_SCHEMA);
    table.ok_or_else(|| not_supported("upkeep of system tables"))
}

fn refuse(clauses: &[(bool, &str)]) -> Result<(), EngineError> {
    match clauses.iter().find(|(is_written, _)| *is_written) {
        Some((_, what)) => Err(not_supported(what)),
        None => Ok(()),
    }
}

fn not_supported(what: &str) -> EngineError {
    EngineError::Unsupported {
        message: format!("{what} is not supported here"),
        hint: Some(
            "there are `OPTIMIZE t [WHERE day = '...'] [ZORDER BY (a, b)]` and `VACUUM t [RETAIN n HOURS] [DRY RUN]`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn small_files_are_put_together_and_old_ones_are_named() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE t (a INT, d VARCHAR) PARTITIONED BY (d)",
                "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
                "INSERT INTO t VALUES (3, 'x'), (4, 'y')",
            ])
            .await;
        let optimized = fixture.change("OPTIMIZE t WHERE d = 'x'").await;
        assert_eq!(optimized.unwrap(), Some(2));
        let optimized = fixture
            .change("OPTIMIZE TABLE default.t ZORDER BY (a)")
            .await;
        assert_eq!(optimized.unwrap(), Some(3));
        let rows = fixture.answer("SELECT sum(a) AS s FROM t").await;
        assert!(rows.unwrap().contains("| 10 |"));
        let files = fixture.answer("VACUUM t RETAIN 168 HOURS DRY RUN").await;
        assert!(!files.unwrap().contains("parquet"));
        assert_eq!(fixture.change("VACUUM t").await.unwrap(), Some(0));
    }

    #[tokio::test]
    async fn upkeep_that_there_is_not_is_refused_by_name() {
        let fixture = Fixture::new().await;
        fixture.changes(&["CREATE TABLE t (a INT)"]).await;
        for (sql, expected) in [
            (
                "VACUUM t RETAIN 1 HOURS",
                "a retention of 1 hours is too short",
            ),
            ("VACUUM t RETAIN x HOURS", "`x` is not a number of hours"),
            ("VACUUM FULL t", "VACUUM FULL"),
            ("VACUUM", "needs a table"),
            ("VACUUM gone", "`default.gone` does not exist"),
            ("OPTIMIZE gone", "`default.gone` does not exist"),
            ("OPTIMIZE t FINAL", "FINAL is not supported"),
            ("OPTIMIZE t WHERE a > 1", "this condition of an OPTIMIZE"),
            ("OPTIMIZE t WHERE a = 1", "is not partitioned by `a`"),
            ("OPTIMIZE t ZORDER BY (b)", "no such column"),
            ("OPTIMIZE lakegate.queries", "upkeep of system tables"),
        ] {
            let refusal = fixture.refusal(sql).await;
            assert!(refusal.contains(expected), "{sql}: {refusal}");
        }
    }
}
