//! Writes that replace the rows that meet a condition.

use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, SessionContext};

use super::Write;
use super::condition::{simplifier, writable};
use crate::{CatalogError, TableSnapshot};

/// The condition on the rows of a table that a write replaces, as delta-rs takes it.
///
/// # Errors
/// When it cannot be planned over the table's columns, or is the same for every row.
pub(super) fn replaced_rows(
    session: &SessionContext,
    write: &Write,
    predicate: &str,
    existing: &TableSnapshot,
) -> Result<Expr, CatalogError> {
    let no_condition = |error: DataFusionError| no_condition(write, &error);
    let columns = DFSchema::try_from(existing.schema.as_ref().clone()).map_err(no_condition)?;
    let simplifier = simplifier(session, &columns);
    let condition = condition(session, write, predicate, &columns)?;
    let condition = simplifier
        .coerce(condition, &columns)
        .and_then(|condition| {
            writable(
                condition,
                &columns,
                &existing.partition_columns,
                &simplifier,
            )
        })
        .map_err(no_condition)?;
    match condition.column_refs().is_empty() {
        true => Err(CatalogError::invalid(
            format!(
                "`replace_where` of `{}` is the same for every row: {predicate}",
                write.table
            ),
            Some("write `mode: overwrite` to replace all rows".to_owned()),
        )),
        false => Ok(condition),
    }
}

/// Every row of a write that replaces some rows must be one of those.
pub(super) async fn refuse_rows_outside(
    session: &SessionContext,
    write: &Write,
    predicate: &str,
) -> Result<(), CatalogError> {
    let failed = |error| {
        CatalogError::failed(
            format!("the rows for `{}` cannot be computed", write.table),
            error,
        )
    };
    let condition = condition(session, write, predicate, write.source.schema())?;
    let outside = DataFrame::new(session.state(), write.source.clone())
        .filter(condition.is_not_true())
        .map_err(failed)?
        .count()
        .await
        .map_err(failed)?;
    if outside == 0 {
        return Ok(());
    }
    Err(CatalogError::invalid(
        format!(
            "{outside} of the rows for `{}` are outside of `replace_where`: {predicate}",
            write.table
        ),
        Some("filter them in the SQL, or widen the condition".to_owned()),
    ))
}

/// Plans a condition, so that its names mean the same at every write; delta-rs would tell them apart by case.
fn condition(
    session: &SessionContext,
    write: &Write,
    predicate: &str,
    columns: &DFSchema,
) -> Result<Expr, CatalogError> {
    session
        .state()
        .create_logical_expr(predicate, columns)
        .map_err(|error| no_condition(write, &error))
}

fn no_condition(write: &Write, error: &DataFusionError) -> CatalogError {
    CatalogError::invalid(
        format!(
            "`replace_where` of `{}` is not a condition: {error}",
            write.table
        ),
        Some("write it as in a WHERE clause, over columns of the view".to_owned()),
    )
}
