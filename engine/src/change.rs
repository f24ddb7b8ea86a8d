//! Statements that change tables. Every change is a commit through the gate, or none.

pub(crate) mod alias;
pub(crate) mod assign;
mod merge;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNode;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    DdlStatement, DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, WriteOp,
};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use lakegate_catalog::{
    CatalogError, Expects, RowChange, RowMerge, TableName, Write, WriteContext, WriteMode,
    WriteOptions, WriteOutcome,
};

use crate::access::OnBehalf;
use crate::maintenance::Maintenance;
use crate::parameters::Parameters;
use crate::query::Binding;
use crate::statement::table_name;
use crate::{
    Engine, EngineError, ErrorKind, Pins, Planned, QueryOptions, Right, Statement, bad_value,
};
use assign::Assigned;
use merge::row_merge;

/// The way out for a change that there is not.
pub(crate) const WHAT_CHANGES_TABLES: &str = "tables change by INSERT, UPDATE, DELETE, MERGE, CREATE TABLE and DROP TABLE, and by pipelines; OPTIMIZE and VACUUM look after their files";

/// A change that has been planned.
pub(crate) struct Change {
    session: SessionContext,
    kind: Kind,
    /// The columns that it sets.
    assigned: Option<Assigned>,
}

enum Kind {
    /// Writes rows to a table that exists.
    Insert {
        table: TableName,
        mode: WriteMode,
        source: LogicalPlan,
    },
    /// Makes a table of rows, of which there may be none.
    Create {
        table: TableName,
        if_not_exists: bool,
        source: LogicalPlan,
        partition_by: Vec<String>,
    },
    /// Deletes or updates rows.
    Rows {
        table: TableName,
        change: RowChange,
        condition: Option<Expr>,
    },
    /// Merges rows into a table.
    Merge { table: TableName, merge: RowMerge },
    /// Puts files together, or deletes those that no version needs.
    Maintain(Maintenance),
    /// Deletes a table.
    Drop { table: TableName, if_exists: bool },
}

impl Kind {
    /// The right that it needs, on its table.
    fn needs(&self) -> (Right, &TableName) {
        match self {
            Self::Insert { table, .. } | Self::Rows { table, .. } | Self::Merge { table, .. } => {
                (Right::Write, table)
            }
            Self::Create { table, .. } | Self::Drop { table, .. } => (Right::Manage, table),
            Self::Maintain(what) => (Right::Manage, what.table()),
        }
    }
}

impl Engine {
    /// Plans a change with its values, once for each row of them; none means once, without values.
    pub(crate) async fn plan_change(
        &self,
        statement: &Statement,
        rows: &[Vec<ScalarValue>],
        behalf: OnBehalf<'_>,
    ) -> Result<Change, EngineError> {
        let rows = rows.iter().map(|values| crate::queries::named(values));
        let rows: Vec<Parameters> = rows.collect();
        let all = match rows.len() {
            0 | 1 => None,
            _ => assign::insert_of_all(statement, &rows)?,
        };
        let (statement, rows) = match &all {
            Some(all) => (all, Vec::new()),
            None => (statement, rows),
        };
        let mut rows = rows.into_iter();
        let first = rows.next().unwrap_or_default();
        let first = self.plan_once(statement, first, None, behalf).await?;
        let pins = first.pins.clone();
        let mut change = change_of(first, statement)?;
        let (right, table) = change.kind.needs();
        behalf.expect(right, table)?;
        for values in rows {
            // All rows of values see the same rows of tables.
            let next = self
                .plan_once(statement, values, Some(pins.clone()), behalf)
                .await?;
            change = change.and(change_of(next, statement)?)?;
        }
        Ok(change)
    }

    async fn plan_once(
        &self,
        statement: &Statement,
        parameters: Parameters,
        pins: Option<Pins>,
        behalf: OnBehalf<'_>,
    ) -> Result<Planned, EngineError> {
        let options = QueryOptions {
            parameters,
            pins,
            ..QueryOptions::default()
        };
        let planned = self
            .understand(statement, options, Binding::Values, behalf)
            .await?;
        let planned = planned.coerced()?;
        if let LogicalPlan::Dml(dml) = &planned.plan {
            // What is wrong with the values themselves is found before anything is written.
            let optimized = planned.session.state().optimize(&dml.input);
            optimized.map_err(EngineError::from_execution)?;
        }
        Ok(planned)
    }

    /// Makes a change. The number of rows that it brought is returned, when it is known.
    pub(crate) async fn make(&self, change: Change) -> Result<Option<u64>, EngineError> {
        let Change {
            session,
            kind,
            assigned,
        } = change;
        let made = self.make_kind(&session, kind).await;
        made.map_err(
            |error| match assigned.and_then(|assigned| assigned.error()) {
                Some(unfit) if error.kind() != ErrorKind::Refused => unfit.into(),
                _ => error,
            },
        )
    }

    async fn make_kind(
        &self,
        session: &SessionContext,
        kind: Kind,
    ) -> Result<Option<u64>, EngineError> {
        let catalog = self.catalog();
        match kind {
            Kind::Drop { table, if_exists } => match catalog.drop_with_rows(&table).await {
                Err(CatalogError::NotFound { .. }) if if_exists => Ok(Some(0)),
                dropped => Ok(dropped.map(|()| Some(0))?),
            },
            Kind::Rows {
                table,
                change,
                condition,
            } => {
                let changed = catalog
                    .change_rows(session, &table, &change, condition.as_ref())
                    .await;
                Ok(changed.map_err(of_write)?.rows)
            }
            Kind::Maintain(what) => self.maintain(what).await,
            Kind::Merge { table, merge } => {
                let merged = catalog.merge_rows(session, &table, &merge).await;
                Ok(merged.map_err(of_write)?.rows)
            }
            Kind::Create {
                table,
                if_not_exists,
                source,
                partition_by,
            } => {
                if if_not_exists && catalog.entry(&table).await.is_ok() {
                    return Ok(Some(0));
                }
                let expects = match if_not_exists {
                    true => Expects::IfNotExists,
                    false => Expects::Absence,
                };
                let mut write = write_of(table, WriteMode::Append, source, expects);
                write.options.partition_by = partition_by;
                let written = catalog.write(session, write).await.map_err(of_write)?;
                Ok(match written.outcome {
                    WriteOutcome::AlreadyDone => Some(0),
                    _ => written.added_rows,
                })
            }
            Kind::Insert {
                table,
                mode,
                source,
            } => {
                let write = write_of(table, mode, source, Expects::Presence);
                let written = catalog.write(session, write).await;
                Ok(written.map_err(of_write)?.added_rows)
            }
        }
    }
}

/// A value that cannot be computed is a mistake of the SQL, and shows only where the rows are written.
pub(crate) fn of_write(error: CatalogError) -> EngineError {
    match bad_value(&error) {
        Some(why) => EngineError::invalid(
            format!("a value cannot be computed: {why}"),
            None,
            "leave such rows out, or make the value null with `TRY_CAST`".to_owned(),
        ),
        None => error.into(),
    }
}

pub(crate) fn write_of(
    table: TableName,
    mode: WriteMode,
    source: LogicalPlan,
    expects: Expects,
) -> Write {
    let added: Arc<dyn TableProvider> = Arc::new(ViewTable::new(source.clone(), None));
    Write {
        table,
        mode,
        source,
        options: WriteOptions {
            expects,
            ..WriteOptions::default()
        },
        context: WriteContext {
            added: Some(added),
            ..WriteContext::default()
        },
    }
}

impl Change {
    /// Both as one, so that all rows come in one commit.
    fn and(self, next: Self) -> Result<Self, EngineError> {
        let (
            Kind::Insert {
                table,
                mode,
                source,
            },
            Kind::Insert {
                source: further, ..
            },
        ) = (self.kind, next.kind)
        else {
            return Err(EngineError::invalid(
                "only an INSERT takes more than one row of values",
                None,
                "bind one row".to_owned(),
            ));
        };
        let both = LogicalPlanBuilder::from(source).union(further);
        let both = both.and_then(LogicalPlanBuilder::build);
        Ok(Self {
            session: self.session,
            assigned: self.assigned,
            kind: Kind::Insert {
                table,
                mode,
                source: both.map_err(EngineError::from_planning)?,
            },
        })
    }
}

/// What a plan changes.
fn change_of(planned: Planned, statement: &Statement) -> Result<Change, EngineError> {
    if let Some(what) = &statement.maintenance {
        return Ok(Change {
            session: planned.session,
            kind: Kind::Maintain(what.clone()),
            assigned: None,
        });
    }
    let schema = &statement.options.schema;
    let kind = match planned.plan {
        LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Delete | WriteOp::Update) => {
            let (change, condition) = row_change(&dml)?;
            Kind::Rows {
                table: named(&dml.table_name, schema)?,
                change,
                condition,
            }
        }
        LogicalPlan::Dml(dml) => {
            let mode = match &dml.op {
                WriteOp::MergeInto(merge) => {
                    let kind = Kind::Merge {
                        table: named(&dml.table_name, schema)?,
                        merge: row_merge(&dml, merge)?,
                    };
                    return Ok(Change {
                        session: planned.session,
                        kind,
                        assigned: planned.assigned,
                    });
                }
                WriteOp::Insert(InsertOp::Append) => WriteMode::Append,
                WriteOp::Insert(InsertOp::Overwrite) => WriteMode::Overwrite,
                other => return Err(not_supported(&other.to_string())),
            };
            Kind::Insert {
                table: named(&dml.table_name, schema)?,
                mode,
                source: match &planned.assigned {
                    Some(assigned) => assigned.rows(&dml.input),
                    None => Ok(LogicalPlan::clone(&dml.input)),
                }
                .map_err(EngineError::from_planning)?,
            }
        }
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => {
            let what = [
                (create.or_replace, "CREATE OR REPLACE TABLE"),
                (create.temporary, "CREATE TEMPORARY TABLE"),
                (!create.constraints.is_empty(), "a table with constraints"),
                (
                    !create.column_defaults.is_empty(),
                    "a column with a default",
                ),
            ];
            if let Some((_, what)) = what.iter().find(|(is_asked_for, _)| *is_asked_for) {
                return Err(not_supported(what));
            }
            if create.input.schema().fields().is_empty() {
                return Err(EngineError::invalid(
                    "a table needs a column",
                    None,
                    "write `CREATE TABLE t (id BIGINT)`, or `CREATE TABLE t AS SELECT ...`"
                        .to_owned(),
                ));
            }
            Kind::Create {
                table: named(&create.name, schema)?,
                if_not_exists: create.if_not_exists,
                source: LogicalPlan::clone(&create.input),
                partition_by: statement.partition_by.clone(),
            }
        }
        LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => Kind::Drop {
            table: named(&drop.name, schema)?,
            if_exists: drop.if_exists,
        },
        other => {
            return Err(EngineError::Bug(format!(
                "no change, but: {}",
                other.display()
            )));
        }
    };
    Ok(Change {
        session: planned.session,
        kind,
        assigned: planned.assigned,
    })
}

/// What a DELETE or UPDATE does to the rows of its table.
fn row_change(dml: &DmlStatement) -> Result<(RowChange, Option<Expr>), EngineError> {
    let (change, rows) = match (&dml.op, dml.input.as_ref()) {
        (WriteOp::Update, LogicalPlan::Projection(projection)) => {
            let columns = projection.expr.iter().zip(projection.schema.fields());
            let changed = columns.filter_map(|(value, field)| match value.clone().unalias() {
                Expr::Column(column) if column.name == *field.name() => None,
                value => Some((field.name().clone(), value)),
            });
            (
                RowChange::Update(changed.collect()),
                projection.input.as_ref(),
            )
        }
        (WriteOp::Delete, rows) => (RowChange::Delete, rows),
        // What is not understood must not pass for a DELETE.
        (other, _) => return Err(not_supported(&other.to_string())),
    };
    let (condition, table) = match rows {
        LogicalPlan::Filter(filter) => (Some(filter.predicate.clone()), filter.input.as_ref()),
        table => (None, table),
    };
    let table = match table {
        LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
        table => table,
    };
    if !matches!(table, LogicalPlan::TableScan(_)) {
        return Err(not_supported(
            "UPDATE with FROM, or with columns behind its alias,",
        ));
    }
    let assigned = match &change {
        RowChange::Update(assigned) => assigned.as_slice(),
        RowChange::Delete => &[],
    };
    let mut exprs = assigned.iter().map(|(_, value)| value).chain(&condition);
    if exprs.any(has_subquery) {
        return Err(not_supported("a subquery in a DELETE or UPDATE"));
    }
    Ok((change, condition))
}

fn has_subquery(expr: &Expr) -> bool {
    let found = expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
        ))
    });
    found.unwrap_or(true)
}

fn named(reference: &TableReference, schema: &str) -> Result<TableName, EngineError> {
    let parts = [
        reference.catalog(),
        reference.schema(),
        Some(reference.table()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().map(str::to_owned).collect();
    let name = table_name(&parts, None, schema)?;
    name.ok_or_else(|| not_supported("a change of `information_schema`"))
}

fn not_supported(what: &str) -> EngineError {
    EngineError::Unsupported {
        message: format!("{what} is not supported here"),
        hint: Some(WHAT_CHANGES_TABLES.to_owned()),
    }
}

#[cfg(test)]
mod tests;
