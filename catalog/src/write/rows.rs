//! Deletes and updates rows of a table where they are.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::SessionContext;
use deltalake::logstore::LogStoreRef;

use super::condition::{simplifier, writable};
use super::run::{delta_session, starting_over, writer_properties};
use super::{WriteContext, WriteOutcome, Written};
use crate::gate::Trust;
use crate::table::GatedTable;
use crate::{Catalog, CatalogError, TableName};

/// What is done to rows of a table.
#[derive(Debug, Clone)]
pub enum RowChange {
    /// They are deleted.
    Delete,
    /// Columns of theirs are set, each to a value of its row.
    Update(Vec<(String, Expr)>),
}

/// Rows that a change met.
#[derive(Debug, Clone)]
pub struct Changed {
    /// How many, when that is known.
    pub rows: Option<u64>,
    /// What the table is after it.
    pub written: Written,
}

impl Catalog {
    /// Deletes or updates the rows for which a condition is true, all without one, in one commit through the gate. When
    /// other writers change the table meanwhile, it starts over, a few times.
    ///
    /// # Errors
    /// As [`Catalog::write`], and [`CatalogError::NotFound`] when there is no such table.
    pub async fn change_rows(
        &self,
        session: &SessionContext,
        name: &TableName,
        change: &RowChange,
        condition: Option<&Expr>,
    ) -> Result<Changed, CatalogError> {
        name.refuse_system("changed")?;
        starting_over(name, || self.try_change(session, name, change, condition)).await
    }

    async fn try_change(
        &self,
        session: &SessionContext,
        name: &TableName,
        change: &RowChange,
        condition: Option<&Expr>,
    ) -> Result<Changed, CatalogError> {
        let trust = Trust {
            writes_its_files: true,
            ..Trust::default()
        };
        let context = WriteContext::default();
        let table = self.open_existing(name, context, trust).await?;
        let of_table = table.columns()?;
        let columns = DFSchema::try_from(of_table.schema.as_ref().clone());
        let columns = columns.map_err(|error| unplanned(name, &error))?;
        let simplifier = simplifier(session, &columns);
        let planned = |expr: &Expr| {
            let planned = plan(expr, &columns, &simplifier);
            planned.map_err(|error| unplanned(name, &error))
        };
        let before = table.version();
        let condition = match condition.map(planned).transpose()? {
            Some(condition) => match Met::of(writable(
                condition,
                &columns,
                &of_table.partition_columns,
                &simplifier,
            )) {
                Ok(Met::Always) => None,
                Ok(Met::Never) => return self.changed(&table, before, Some(0)).await,
                Ok(Met::BySome(condition)) => Some(condition),
                Err(error) => return Err(unplanned(name, &error)),
            },
            None => None,
        };
        let state = Arc::new(delta_session(session));
        let result = match change {
            RowChange::Delete => {
                let builder = table.table.clone().delete();
                let builder = builder
                    .with_session_state(state)
                    .with_writer_properties(writer_properties());
                let builder = match condition {
                    Some(condition) => builder.with_predicate(condition),
                    None => builder,
                };
                let deleted = builder.await;
                deleted.map(|(table, metrics)| (table, metrics.num_deleted_rows))
            }
            RowChange::Update(assignments) => {
                let mut builder = table
                    .table
                    .clone()
                    .update()
                    .with_session_state(state)
                    .with_writer_properties(writer_properties());
                if let Some(condition) = condition {
                    builder = builder.with_predicate(condition);
                }
                for (column, value) in assignments {
                    builder = builder.with_update(Column::from_name(column), planned(value)?);
                }
                let updated = builder.await;
                updated.map(|(table, metrics)| (table, Some(metrics.num_updated_rows)))
            }
        };
        let rows = result.as_ref().ok().and_then(|(_, rows)| *rows);
        let result = result.map(|(table, _)| table);
        let log = table.table.log_store();
        let table = match self.conclude(table, result).await {
            Err(error) => return Err(or_conflict(error, name, &log, before).await),
            Ok(table) => table,
        };
        self.changed(&table, before, rows).await
    }

    pub(super) async fn changed(
        &self,
        table: &GatedTable,
        before: i64,
        rows: Option<usize>,
    ) -> Result<Changed, CatalogError> {
        let outcome = match table.version() == before {
            // No row was met.
            true => WriteOutcome::AlreadyDone,
            false => WriteOutcome::Committed,
        };
        self.adopt(table).await?;
        Ok(Changed {
            rows: rows.map(|rows| rows as u64),
            written: self.describe(table, outcome)?,
        })
    }
}

/// The error of an operation with a condition; a conflict when other writers changed the table meanwhile: delta-rs reads
/// the condition again then, from the SQL that it wrote, and may fail ([`writable`]).
pub(super) async fn or_conflict(
    error: CatalogError,
    name: &TableName,
    log: &LogStoreRef,
    before: i64,
) -> CatalogError {
    let (CatalogError::Failed { .. }, Ok(version)) = (&error, u64::try_from(before)) else {
        return error;
    };
    match log.get_latest_version(version).await {
        Ok(latest) if latest > version => CatalogError::Conflict {
            message: format!("other writers changed `{name}` at the same time"),
            source: Some(Box::new(error)),
        },
        _ => error,
    }
}

/// Which rows meet a condition.
enum Met {
    Always,
    /// It is false or null, whatever the row.
    Never,
    BySome(Expr),
}

impl Met {
    /// delta-rs takes a condition that names no column for one over partitions, and a null for one that all of them meet.
    fn of(condition: Result<Expr, DataFusionError>) -> Result<Self, DataFusionError> {
        let condition = condition?;
        if let Expr::Literal(value, _) = &condition {
            return Ok(match value {
                ScalarValue::Boolean(Some(true)) => Self::Always,
                _ => Self::Never,
            });
        }
        match condition.column_refs().is_empty() {
            true => plan_err!("it names no column"),
            false => Ok(Self::BySome(condition)),
        }
    }
}

/// An expression over the columns of the table alone, with both sides of each operator in one type.
fn plan(
    expr: &Expr,
    columns: &DFSchema,
    simplifier: &ExprSimplifier,
) -> Result<Expr, DataFusionError> {
    let expr = expr.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
            other => Transformed::no(other),
        })
    })?;
    simplifier.coerce(expr.data, columns)
}

fn unplanned(name: &TableName, error: &DataFusionError) -> CatalogError {
    CatalogError::invalid(
        format!("a condition or value for `{name}` cannot be planned: {error}"),
        "write it over the columns of the table".to_owned(),
    )
}
