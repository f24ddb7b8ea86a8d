//! SQL conditions that are put together from parts, and nulls where a publish cannot have them.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::SessionContext;

use super::quoted;
use crate::EtlError;

/// The condition that all of these hold; true when there are none.
pub(super) fn all_of(conditions: impl Iterator<Item = String>) -> String {
    joined(conditions, " AND ", "true")
}

/// The condition that one of these holds; false when there are none.
pub(super) fn any_of(conditions: impl Iterator<Item = String>) -> String {
    joined(conditions, " OR ", "false")
}

/// Each condition and the whole stand in parentheses: the SQL parser reads `a IS DISTINCT FROM b OR c` as
/// `a IS DISTINCT FROM (b OR c)`.
fn joined(conditions: impl Iterator<Item = String>, with: &str, when_none: &str) -> String {
    let conditions: Vec<String> = conditions
        .map(|condition| format!("({condition})"))
        .collect();
    match conditions.is_empty() {
        true => when_none.to_owned(),
        false => format!("({})", conditions.join(with)),
    }
}

/// Refuses rows whose key is null in part: such a row would be another one at each publish.
pub(super) async fn refuse_null_keys(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    key: &[String],
    view: &str,
) -> Result<(), EtlError> {
    let Some(nulls) = rows_with_nulls(session, source, key).await? else {
        return Ok(());
    };
    let condition = all_of(key.iter().map(|c| format!("{} IS NOT NULL", quoted(c))));
    Err(EtlError::request(
        format!("view `{view}` has rows with a null in their key: {nulls}"),
        format!("filter them in the SQL: `WHERE {condition}`"),
    ))
}

/// How many rows have a null in these columns, for people: "`id` in 3 rows, `day` in 1 row"; none when there are none.
pub(super) async fn rows_with_nulls(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    columns: &[String],
) -> Result<Option<String>, EtlError> {
    let named = |index: usize| format!("__lakegate_count_{index}");
    let counts: Vec<Expr> = std::iter::once(count(lit(1)))
        .chain(columns.iter().map(|column| count(ident(column.as_str()))))
        .enumerate()
        .map(|(index, count)| count.alias(named(index)))
        .collect();
    let frame = session
        .read_table(Arc::clone(source))
        .and_then(|rows| rows.aggregate(Vec::new(), counts))
        .map_err(EtlError::from_datafusion)?;
    let batches = frame.collect().await.map_err(EtlError::from_datafusion)?;
    let counted = |index: usize| -> i64 {
        let column = |batch: &datafusion::arrow::record_batch::RecordBatch| {
            let name = named(index);
            let counts = batch
                .column_by_name(&name)?
                .as_primitive_opt::<Int64Type>()?;
            (!counts.is_empty()).then(|| counts.value(0))
        };
        batches.iter().find_map(column).unwrap_or_default()
    };
    let rows = counted(0);
    let nulls: Vec<String> = columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| match rows - counted(index + 1) {
            0 => None,
            1 => Some(format!("`{column}` in 1 row")),
            nulls => Some(format!("`{column}` in {nulls} rows")),
        })
        .collect();
    Ok((!nulls.is_empty()).then(|| nulls.join(", ")))
}
