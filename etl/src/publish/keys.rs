//! Keys of the modes that find rows again: each row of the view has one, whole and of its own.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use lakegate_catalog::CatalogError;
use lakegate_rules::{Gate, Scope, Severity, Suite};

use super::EVERY_ROW;
use super::conditions::{all_of, quoted};
use crate::EtlError;
use crate::pipeline::PublishStage;
use crate::run::Runner;

/// Keys that an error about repeated keys names.
pub(super) const NAMED_KEYS: usize = 5;

impl Runner {
    /// Refuses rows with a null in their key, unless the gate is certain to: its report says more. Refuses rows that have
    /// the same key.
    pub(super) async fn expect_keys(
        &self,
        publish: &PublishStage,
        key: &[String],
        source: &Arc<dyn TableProvider>,
        rules: Option<&Suite>,
    ) -> Result<(), EtlError> {
        let session = self.lakegate.engine.session();
        let judged: Vec<String> = key
            .iter()
            .filter(|column| rules.is_some_and(|suite| lets_no_null_pass(suite, column)))
            .cloned()
            .collect();
        if !judged.is_empty()
            && rows_with_nulls(&session, source, &judged).await?.is_some()
            && !self.has_waivers(publish).await?
        {
            return Ok(());
        }
        refuse_null_keys(&session, source, key, &publish.view).await?;
        refuse_repeated_keys(&session, source, key, publish).await
    }

    async fn has_waivers(&self, publish: &PublishStage) -> Result<bool, EtlError> {
        match self.lakegate.catalog.waivers(&publish.table).await {
            Ok(waivers) => Ok(!waivers.is_empty()),
            Err(CatalogError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a version with a null in this column never passes, but for a waiver.
fn lets_no_null_pass(suite: &Suite, column: &str) -> bool {
    suite.gate == Gate::Strict
        && suite.checks.iter().any(|check| {
            check.kind == "not_null"
                && check.column.as_deref() == Some(column)
                && check.severity == Severity::Error
                && check.scope == Scope::Table
                && check.where_.is_none()
                && check.thresholds.to_string() == EVERY_ROW
        })
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

/// Refuses rows of a merge that have the same key: which of them the table is to hold is not said.
pub(super) async fn refuse_repeated_keys(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    key: &[String],
    publish: &PublishStage,
) -> Result<(), EtlError> {
    match repeated_keys(session, source, key).await? {
        None => Ok(()),
        Some(repeated) => Err(EtlError::request(
            format!(
                "cannot merge view `{}` into `{}`: several of its rows have the same key: {repeated}",
                publish.view, publish.table
            ),
            "keep one row for each key in the view, or add columns to `key`".to_owned(),
        )),
    }
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
        let column = |batch: &RecordBatch| {
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

/// Names some keys that several rows have.
pub(super) async fn repeated_keys(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    key: &[String],
) -> Result<Option<String>, EtlError> {
    const ROWS: &str = "__lakegate_rows";
    let columns: Vec<Expr> = key.iter().map(|column| ident(column.as_str())).collect();
    let rows = session
        .read_table(Arc::clone(source))
        .and_then(|rows| rows.aggregate(columns, vec![count(lit(1)).alias(ROWS)]))
        .and_then(|groups| groups.filter(ident(ROWS).gt(lit(1))))
        .and_then(|groups| groups.limit(0, Some(NAMED_KEYS)))
        .map_err(EtlError::from_datafusion)?;
    named_rows(rows, key).await
}

/// Rows for people: `(day = 1, flight = 7)`; none when there are none.
pub(super) async fn named_rows(
    rows: DataFrame,
    columns: &[String],
) -> Result<Option<String>, EtlError> {
    let batches = rows.collect().await.map_err(EtlError::from_datafusion)?;
    let mut named = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let mut parts = Vec::new();
            for (index, column) in columns.iter().enumerate() {
                let value = array_value_to_string(batch.column(index), row)
                    .map_err(|error| EtlError::failed("cannot show a key", error))?;
                parts.push(format!("{column} = {value}"));
            }
            named.push(format!("({})", parts.join(", ")));
        }
    }
    Ok((!named.is_empty()).then(|| named.join(", ")))
}
