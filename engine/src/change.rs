//! Statements that change tables. Every change is a commit through the gate, or none.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DdlStatement, LogicalPlan, LogicalPlanBuilder, WriteOp};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use lakegate_catalog::{CatalogError, TableName, Write, WriteContext, WriteMode, WriteOptions};

use crate::parameters::Parameters;
use crate::query::Binding;
use crate::statement::table_name;
use crate::{Engine, EngineError, Planned, QueryOptions, Statement};

/// Rows of values that one statement takes. Each is planned for itself.
const MOST_ROWS_OF_VALUES: usize = 1_000;

/// A change that has been planned.
pub(crate) struct Change {
    session: SessionContext,
    kind: Kind,
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
    },
    /// Deletes a table.
    Drop { table: TableName, if_exists: bool },
}

impl Engine {
    /// Plans a change with its values, once for each row of them; none means once, without values.
    pub(crate) async fn plan_change(
        &self,
        statement: &Statement,
        rows: &[Vec<ScalarValue>],
    ) -> Result<Change, EngineError> {
        if rows.len() > MOST_ROWS_OF_VALUES {
            return Err(EngineError::invalid(
                format!(
                    "{} rows of values were bound, and one statement takes {MOST_ROWS_OF_VALUES}",
                    rows.len()
                ),
                None,
                "send the rows as a stream: `adbc_ingest`".to_owned(),
            ));
        }
        let mut rows = rows.iter().map(|values| crate::queries::named(values));
        let first = rows.next().unwrap_or_default();
        let mut change = self.plan_once(statement, first).await?;
        for values in rows {
            let next = self.plan_once(statement, values).await?;
            change = change.and(next)?;
        }
        Ok(change)
    }

    async fn plan_once(
        &self,
        statement: &Statement,
        parameters: Parameters,
    ) -> Result<Change, EngineError> {
        let options = QueryOptions {
            parameters,
            ..QueryOptions::default()
        };
        let planned = self.understand(statement, options, Binding::Values).await?;
        change_of(planned, statement)
    }

    /// Makes a change. The number of rows that it brought is returned, when it is known.
    pub(crate) async fn make(&self, change: Change) -> Result<Option<u64>, EngineError> {
        let Change { session, kind } = change;
        let catalog = self.catalog();
        match kind {
            Kind::Drop { table, if_exists } => match catalog.drop_with_rows(&table).await {
                Err(CatalogError::NotFound { .. }) if if_exists => Ok(Some(0)),
                dropped => Ok(dropped.map(|()| Some(0))?),
            },
            Kind::Create {
                table,
                if_not_exists,
                source,
            } => {
                match catalog.entry(&table).await {
                    Ok(_) if if_not_exists => return Ok(Some(0)),
                    Ok(_) => {
                        return Err(EngineError::invalid(
                            format!("table `{table}` exists already"),
                            None,
                            "write `CREATE TABLE IF NOT EXISTS`, or choose another name".to_owned(),
                        ));
                    }
                    Err(CatalogError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let write = write_of(table, WriteMode::Append, source);
                Ok(catalog.write(&session, write).await?.added_rows)
            }
            Kind::Insert {
                table,
                mode,
                source,
            } => {
                let write = write_of(table, mode, source);
                Ok(catalog.write(&session, write).await?.added_rows)
            }
        }
    }
}

pub(crate) fn write_of(table: TableName, mode: WriteMode, source: LogicalPlan) -> Write {
    let added: Arc<dyn TableProvider> = Arc::new(ViewTable::new(source.clone(), None));
    Write {
        table,
        mode,
        source,
        options: WriteOptions::default(),
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
    let schema = &statement.options.schema;
    let kind = match planned.plan {
        LogicalPlan::Dml(dml) => {
            let mode = match &dml.op {
                WriteOp::Insert(InsertOp::Append) => WriteMode::Append,
                WriteOp::Insert(InsertOp::Overwrite) => WriteMode::Overwrite,
                other => return Err(not_supported(&other.to_string())),
            };
            Kind::Insert {
                table: named(&dml.table_name, schema)?,
                mode,
                source: LogicalPlan::clone(&dml.input),
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
            Kind::Create {
                table: named(&create.name, schema)?,
                if_not_exists: create.if_not_exists,
                source: LogicalPlan::clone(&create.input),
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
    })
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
        hint: Some(
            "tables change by INSERT, CREATE TABLE and DROP TABLE, and by pipelines".to_owned(),
        ),
    }
}
