//! Merges the rows of a query into a table, as `MERGE INTO` says.

use std::collections::BTreeSet;
use std::error::Error;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{Column, DFSchema, DataFusionError, JoinType, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::expr_fn::count_distinct;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::CommitProperties;

use super::condition::{simplifier, writable};
use super::merge::{Planned, PlannedMerge, RowAction, SOURCE, TARGET, merge};
use super::rows::or_conflict;
use super::run::{source_failed, starting_over};
use super::source::{FirstError, keeping_errors_of_any_rows};
use super::{Changed, SchemaEvolution, WriteContext};
use crate::gate::Trust;
use crate::table::GatedTable;
use crate::{At, Catalog, CatalogError, TableName};

/// What delta-rs says when a row of the table has several rows of the source that would change it.
const REPEATED: &str = "matched a target row with multiple source rows";

/// Rows of the table that have several rows of the source, at most, that an error names.
const NAMED_ROWS: usize = 3;

/// The number of a row of the source.
const ROW: &str = "__row";

/// A merge of the rows of a query into a table.
#[derive(Debug, Clone)]
pub struct RowMerge {
    /// The query.
    pub source: LogicalPlan,
    /// Which row of the source belongs to which row of the table; over [`RowMerge::source_column`] and
    /// [`RowMerge::target_column`], as every expression of a merge.
    pub on: Expr,
    /// What is done; of the clauses for a row, the first that applies is taken.
    pub clauses: Vec<MergeClause>,
}

/// What a merge does to some rows.
#[derive(Debug, Clone)]
pub struct MergeClause {
    /// Applies when this is true; always when absent.
    pub when: Option<Expr>,
    /// Which rows, and what is done to them.
    pub rows: MergeRows,
}

/// The rows that a clause of a merge is for, and what is done to them: columns are set to values of the column's type.
#[derive(Debug, Clone)]
pub enum MergeRows {
    /// Rows of the table with a row of the source: they are updated.
    UpdateMatched(Vec<(String, Expr)>),
    /// Rows of the table with a row of the source: they are deleted.
    DeleteMatched,
    /// Rows of the source without a row of the table: they are inserted. Columns that are not named are null.
    Insert(Vec<(String, Expr)>),
    /// Rows of the table without a row of the source: they are updated.
    UpdateOthers(Vec<(String, Expr)>),
    /// Rows of the table without a row of the source: they are deleted.
    DeleteOthers,
}

impl RowMerge {
    /// A column of the source in an expression.
    pub fn source_column(name: &str) -> Column {
        Column::new(Some(TableReference::bare(SOURCE)), name)
    }

    /// A column of the table in an expression.
    pub fn target_column(name: &str) -> Column {
        Column::new(Some(TableReference::bare(TARGET)), name)
    }

    fn planned(&self) -> PlannedMerge {
        let mut planned = PlannedMerge {
            on: self.on.clone(),
            ..PlannedMerge::default()
        };
        for MergeClause { when, rows } in self.clauses.clone() {
            let with = |set| Planned { when, set };
            match rows {
                MergeRows::UpdateMatched(set) => {
                    planned.matched.push((RowAction::Update, with(set)));
                }
                MergeRows::DeleteMatched => {
                    planned.matched.push((RowAction::Delete, with(Vec::new())));
                }
                MergeRows::Insert(set) => planned.not_matched.push(with(set)),
                MergeRows::UpdateOthers(set) => {
                    let others = &mut planned.not_matched_by_source;
                    others.push((RowAction::Update, with(set)));
                }
                MergeRows::DeleteOthers => {
                    let others = &mut planned.not_matched_by_source;
                    others.push((RowAction::Delete, with(Vec::new())));
                }
            }
        }
        planned
    }
}

impl RowMerge {
    /// The merge with conditions that delta-rs can write down.
    fn writable(
        &self,
        session: &SessionContext,
        columns: &SchemaRef,
        source: &DFSchema,
    ) -> Result<PlannedMerge, DataFusionError> {
        let source = DFSchema::try_from_qualified_schema(SOURCE, source.as_arrow())?;
        let target = DFSchema::try_from_qualified_schema(TARGET, columns)?;
        let both = source.join(&target)?;
        let simplifier = simplifier(session, &both);
        let mut merge = self.planned();
        merge.on = writable(merge.on, &both, &[], &simplifier)?;
        let matched = merge.matched.iter_mut().map(|(_, clause)| clause);
        let others = merge.not_matched_by_source.iter_mut();
        let others = others.map(|(_, clause)| clause);
        for clause in matched.chain(&mut merge.not_matched).chain(others) {
            if let Some(when) = clause.when.take() {
                clause.when = Some(writable(when, &both, &[], &simplifier)?);
            }
        }
        Ok(merge)
    }
}

impl Catalog {
    /// Merges rows into a table in one commit through the gate. When other writers change the table meanwhile, it starts
    /// over, a few times. The number of rows that were inserted, updated or deleted is returned.
    ///
    /// # Errors
    /// As [`Catalog::write`]; [`CatalogError::NotFound`] when there is no such table; [`CatalogError::Invalid`], with the
    /// key, when several rows of the source would change one row of the table.
    pub async fn merge_rows(
        &self,
        session: &SessionContext,
        name: &TableName,
        merge: &RowMerge,
    ) -> Result<Changed, CatalogError> {
        name.refuse_system("changed")?;
        starting_over(name, || self.try_merge(session, name, merge)).await
    }

    async fn try_merge(
        &self,
        session: &SessionContext,
        name: &TableName,
        rows: &RowMerge,
    ) -> Result<Changed, CatalogError> {
        let trust = Trust {
            writes_its_files: true,
            ..Trust::default()
        };
        let context = WriteContext::default();
        let table = self.open_existing(name, context, trust).await?;
        let before = table.version();
        let errors = FirstError::default();
        let source = keeping_errors_of_any_rows(rows.source.clone(), name, &errors);
        let source = source.map_err(|error| unplanned(name, error))?;
        let planned = rows.writable(session, &table.columns()?.schema, source.schema());
        let planned = planned.map_err(|error| {
            CatalogError::invalid(
                format!("a condition of the merge into `{name}` cannot be planned: {error}"),
                "write it over the columns of the source and the table".to_owned(),
            )
        })?;
        let log = table.table.log_store();
        let merged = merge(
            session,
            &table.table,
            SchemaEvolution::Refuse,
            planned,
            source,
            CommitProperties::default(),
        )
        .await;
        if let Err(error) = &merged
            && is_repeated(error)
        {
            return Err(self.repeated(session, &table, before, rows).await);
        }
        let counts = merged.as_ref().ok().map(|(_, metrics)| {
            metrics.num_target_rows_inserted
                + metrics.num_target_rows_updated
                + metrics.num_target_rows_deleted
        });
        let table = match self.conclude(table, merged.map(|(table, _)| table)).await {
            Err(CatalogError::Failed { message, source }) => {
                return Err(match errors.take() {
                    Some(error) => source_failed(name, error),
                    None => {
                        let error = CatalogError::Failed { message, source };
                        or_conflict(error, name, &log, before).await
                    }
                });
            }
            concluded => concluded?,
        };
        self.changed(&table, before, counts).await
    }

    /// The error of a merge in which several rows of the source would change one row of the table: it names that row by
    /// the columns that the join looks at.
    async fn repeated(
        &self,
        session: &SessionContext,
        table: &GatedTable,
        version: i64,
        merge: &RowMerge,
    ) -> CatalogError {
        let name = &table.name;
        let keys = match self.repeated_keys(session, name, version, merge).await {
            Ok(keys) if !keys.is_empty() => format!(": {}", keys.join(", ")),
            // That there are some is known; which, need not be.
            Ok(_) | Err(_) => String::new(),
        };
        CatalogError::invalid(
            format!("several rows of the source would change one row of `{name}`{keys}"),
            "let the source have one row for each row of the table, for example by GROUP BY or SELECT DISTINCT"
                .to_owned(),
        )
    }

    async fn repeated_keys(
        &self,
        session: &SessionContext,
        name: &TableName,
        version: i64,
        merge: &RowMerge,
    ) -> Result<Vec<String>, CatalogError> {
        let failed = |error| unplanned(name, error);
        let target = self.snapshot(name, At::Version(version)).await?.scan()?;
        let target = LogicalPlanBuilder::scan(TARGET, provider_as_source(target), None);
        let target = target.and_then(LogicalPlanBuilder::build).map_err(failed)?;
        let keys: BTreeSet<Column> = merge
            .on
            .column_refs()
            .into_iter()
            .filter(|column| column.relation == Some(TableReference::bare(TARGET)))
            .cloned()
            .collect();
        let keys: Vec<Expr> = keys.into_iter().map(Expr::Column).collect();
        let numbered = LogicalPlanBuilder::from(merge.source.clone())
            .window([row_number().alias(ROW)])
            .and_then(|rows| rows.alias(SOURCE))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failed)?;
        let row = Expr::Column(RowMerge::source_column(ROW));
        let repeated = LogicalPlanBuilder::from(target)
            .join_on(numbered, JoinType::Inner, [merge.on.clone()])
            .and_then(|rows| rows.aggregate(keys.clone(), [count_distinct(row).alias(ROW)]))
            .and_then(|rows| rows.filter(col(ROW).gt(lit(1_i64))))
            .and_then(|rows| rows.project(keys.clone()))
            .and_then(|rows| rows.sort(keys.iter().map(|key| key.clone().sort(true, true))))
            .and_then(|rows| rows.limit(0, Some(NAMED_ROWS)))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failed)?;
        let batches = DataFrame::new(session.state(), repeated).collect().await;
        let mut named = Vec::new();
        for batch in batches.map_err(failed)? {
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let columns = schema.fields().iter().zip(batch.columns());
                let values = columns.map(|(field, values)| {
                    let value = array_value_to_string(values, row);
                    format!("{} = {}", field.name(), value.unwrap_or_default())
                });
                named.push(values.collect::<Vec<_>>().join(" AND "));
            }
        }
        Ok(named)
    }
}

fn is_repeated(error: &DeltaTableError) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains(REPEATED) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn unplanned(name: &TableName, error: DataFusionError) -> CatalogError {
    CatalogError::failed(format!("the merge into `{name}` cannot be planned"), error)
}
