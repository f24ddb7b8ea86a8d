//! Queries: SQL that reads, with bound parameters, over the catalog at a chosen version.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use lakegate_catalog::{At, CatalogError, PinnedCatalog, TableName, TableSnapshot};

use crate::access::OnBehalf;
use crate::change::alias;
use crate::change::assign::{self, Assigned};
use crate::parameters::{self, Parameters};
use crate::repeated;
use crate::session::PinnedSession;
use crate::show;
use crate::statement::written_here;
use crate::{Engine, EngineError, Statement, TableUse};

/// How a query is to be understood.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// The version of every table for which the SQL itself names none.
    pub at: At,
    /// Values of the parameters (`:name`).
    pub parameters: Parameters,
    /// What [`Engine::versions`] gave for the statement; found out when absent.
    pub versions: Option<Vec<Arc<TableSnapshot>>>,
    /// The versions that the statement saw when it was planned before.
    pub pins: Option<Pins>,
    /// Names that mean other tables than the catalog's.
    pub overlays: Vec<(TableName, Arc<dyn TableProvider>)>,
}

/// The versions of tables that a statement saw, so that it can be planned again over the same rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// Of each table that the SQL names without a version, with Delta's id of the table.
    pub tables: Vec<(TableName, i64, String)>,
    /// Of each `VERSION AS OF` and `TIMESTAMP AS OF`, in the order of the text.
    pub clauses: Vec<i64>,
}

/// A query that has been planned.
#[derive(Clone)]
pub struct Planned {
    /// The session that the plan belongs to.
    pub session: SessionContext,
    /// The plan.
    pub plan: LogicalPlan,
    /// The versions that it reads.
    pub pins: Pins,
    /// The columns that it sets, when it changes a table.
    pub(crate) assigned: Option<Assigned>,
}

impl Planned {
    /// The same with both sides of each operator in one type, so that columns have the types in which they come.
    ///
    /// # Errors
    /// When types do not fit.
    pub(crate) fn coerced(self) -> Result<Self, EngineError> {
        let state = self.session.state();
        let options = state.config_options();
        let analyzer = state.analyzer();
        let plan = analyzer.execute_and_check(self.plan, options, |_, _| {});
        Ok(Self {
            plan: plan.map_err(EngineError::from_planning)?,
            ..self
        })
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// The rows of a query, as they come.
pub struct QueryResult {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub stream: SendableRecordBatchStream,
}

impl fmt::Debug for QueryResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryResult")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Runs a query. Nothing but reading is possible.
    ///
    /// # Errors
    /// When the SQL does not parse or plan, does more than read, or names what does not exist.
    pub async fn query(
        &self,
        sql: &str,
        options: QueryOptions,
    ) -> Result<QueryResult, EngineError> {
        let statement = Statement::parse(sql)?;
        let planned = self
            .read(&statement, options, Binding::Values, OnBehalf::System)
            .await?;
        let frame = DataFrame::new(planned.session.state(), planned.plan);
        let schema = Arc::clone(frame.schema().inner());
        let stream = frame
            .execute_stream()
            .await
            .map_err(EngineError::from_execution)?;
        Ok(QueryResult { schema, stream })
    }

    /// The versions of tables that a statement asks for by itself (`VERSION AS OF`), one for each time that it does.
    ///
    /// # Errors
    /// When a parameter has no value or none that fits, or when there is no such version.
    pub async fn versions(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Vec<Arc<TableSnapshot>>, EngineError> {
        let mut snapshots = Vec::with_capacity(statement.versions.len());
        for version in &statement.versions {
            let at = version.at(parameters)?;
            snapshots.push(self.catalog().snapshot(&version.table, at).await?);
        }
        Ok(snapshots)
    }

    /// Plans a query without reading rows.
    ///
    /// # Errors
    /// As [`Engine::query`], as far as planning shows it.
    pub async fn plan(
        &self,
        statement: &Statement,
        options: QueryOptions,
    ) -> Result<Planned, EngineError> {
        let planned = self
            .read(statement, options, Binding::Values, OnBehalf::System)
            .await?;
        // Whether the types fit, the optimizer finds out.
        planned
            .session
            .state()
            .optimize(&planned.plan)
            .map_err(EngineError::from_planning)?;
        Ok(planned)
    }

    /// Plans a query as far as its names go.
    pub(crate) async fn read(
        &self,
        statement: &Statement,
        options: QueryOptions,
        binding: Binding,
        behalf: OnBehalf<'_>,
    ) -> Result<Planned, EngineError> {
        if !statement.is_reading() {
            return Err(not_reading());
        }
        let planned = self.understand(statement, options, binding, behalf).await?;
        let verified = read_only().verify_plan(&planned.plan);
        verified.map_err(|_| not_reading())?;
        Ok(planned)
    }

    /// Plans a statement of any kind as far as its names go.
    pub(crate) async fn understand(
        &self,
        statement: &Statement,
        options: QueryOptions,
        binding: Binding,
        behalf: OnBehalf<'_>,
    ) -> Result<Planned, EngineError> {
        behalf.expect_statement(statement)?;
        let QueryOptions {
            at,
            parameters,
            versions,
            pins,
            overlays,
        } = options;
        for version in &statement.versions {
            if overlays.iter().any(|(name, _)| *name == version.table) {
                return Err(EngineError::invalid(
                    format!("view `{}` has no versions", version.table.table),
                    version.place,
                    "only tables of the catalog have versions".to_owned(),
                ));
            }
        }
        let snapshots = match (versions, &pins) {
            (Some(versions), _) => Ok(versions),
            (None, Some(pins)) => self.pinned_versions(statement, pins).await,
            (None, None) if binding == Binding::Types => {
                self.versions_for_types(statement, &parameters).await
            }
            (None, None) => self.versions(statement, &parameters).await,
        };
        let snapshots = snapshots.map_err(|error| behalf.as_seen(error))?;
        if snapshots.len() != statement.versions.len() {
            return Err(EngineError::Bug(
                "a statement is planned with the versions of another one".to_owned(),
            ));
        }
        let mut seen = Pins {
            tables: Vec::new(),
            clauses: snapshots.iter().map(|snapshot| snapshot.version).collect(),
        };
        let mut names: Vec<(String, String, Arc<dyn TableProvider>)> = Vec::new();
        for (version, snapshot) in statement.versions.iter().zip(snapshots) {
            names.push((
                version.schema.clone(),
                version.stand_in.clone(),
                behalf.rows_of(&version.table, snapshot.scan()?)?,
            ));
        }
        if at != At::Latest {
            for table in statement.tables().iter().filter(|t| !t.only_at_version) {
                if overlays.iter().any(|(name, _)| *name == table.name) {
                    continue;
                }
                let snapshot = self.catalog().snapshot(&table.name, at).await?;
                let name = &table.name;
                let rows = behalf.rows_of(name, snapshot.scan()?)?;
                names.push((name.schema.clone(), name.table.clone(), rows));
                seen.tables
                    .push((name.clone(), snapshot.version, snapshot.table_id.clone()));
            }
        }
        for (name, version, table_id) in pins.iter().flat_map(|pins| &pins.tables) {
            let snapshot = self.catalog().snapshot_seen(name, *version).await?;
            if snapshot.table_id != *table_id {
                return Err(EngineError::invalid(
                    format!("table `{name}` was made anew since the statement was planned"),
                    None,
                    "run the statement again".to_owned(),
                ));
            }
            let rows = behalf.rows_of(name, snapshot.scan()?)?;
            names.push((name.schema.clone(), name.table.clone(), rows));
            seen.tables.push((name.clone(), *version, table_id.clone()));
        }
        names.extend(
            overlays
                .into_iter()
                .map(|(name, provider)| (name.schema, name.table, provider)),
        );
        let made = statement.makes_or_drops();
        let PinnedSession {
            context: session,
            pinned,
        } = self.session_over(names, &statement.options, made.as_ref(), behalf);
        if statement.lists_tables() {
            self.catalog().list().await?;
        }
        for table in statement.tables().iter().filter(|t| !t.only_at_version) {
            if made.as_ref() != Some(&table.name) {
                expect_table(&session, table).await?;
            }
        }

        if let Some(plan) = self.made_up(statement, &session, &pinned).await? {
            return Ok(Planned {
                session,
                plan,
                pins: Pins::default(),
                assigned: None,
            });
        }
        let mut bound = statement.inner.clone();
        if binding == Binding::Values || !parameters.is_empty() {
            parameters::bind(&mut bound, statement.options.parameters, &parameters)?;
        }
        assign::fold_names(&mut bound);
        alias::resolve(&mut bound);
        let mut assigned = None;
        if binding == Binding::Values
            && let Some(table) = statement.assigns_to()
        {
            let snapshot = pinned.snapshot(&table).await?;
            assigned = Assigned::register(&session, &snapshot);
        }
        if let Some(assigned) = &assigned {
            assigned.apply(&mut bound)?;
        }
        if statement.assigns_to().is_some() {
            plan_source(&session, &mut bound).await?;
        }
        let plan = repeated::plan(&session, bound, false).await?;
        seen.tables.extend(pinned.versions());
        Ok(Planned {
            session,
            plan,
            pins: seen,
            assigned,
        })
    }

    /// The plan of a statement that DataFusion does not plan: its rows are made here.
    async fn made_up(
        &self,
        statement: &Statement,
        session: &SessionContext,
        pinned: &PinnedCatalog,
    ) -> Result<Option<LogicalPlan>, EngineError> {
        let rows = match (&statement.maintenance, &statement.definition) {
            (Some(what), _) if what.is_reading() => self.vacuum_rows(what).await?,
            (Some(_), _) => {
                let nothing = LogicalPlanBuilder::empty(false).build();
                return Ok(Some(nothing.map_err(EngineError::from_planning)?));
            }
            (None, Some(table)) => show::definition(&*pinned.snapshot(table).await?)?,
            (None, None) => return Ok(None),
        };
        let rows = session
            .read_batch(rows)
            .map_err(EngineError::from_planning)?;
        Ok(Some(rows.into_unoptimized_plan()))
    }

    /// As [`Engine::versions`]; where a parameter without a value names one, the newest stands for it.
    async fn versions_for_types(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Vec<Arc<TableSnapshot>>, EngineError> {
        let mut snapshots = Vec::with_capacity(statement.versions.len());
        for used in &statement.versions {
            let at = match used.parameter() {
                Some(parameter) if !parameters.contains_key(&parameter.name) => At::Latest,
                _ => used.at(parameters)?,
            };
            snapshots.push(self.catalog().snapshot(&used.table, at).await?);
        }
        Ok(snapshots)
    }

    /// The versions that a statement asked for when it was planned before.
    async fn pinned_versions(
        &self,
        statement: &Statement,
        pins: &Pins,
    ) -> Result<Vec<Arc<TableSnapshot>>, EngineError> {
        let mut snapshots = Vec::with_capacity(pins.clauses.len());
        for (used, version) in statement.versions.iter().zip(&pins.clauses) {
            snapshots.push(self.catalog().snapshot_seen(&used.table, *version).await?);
        }
        Ok(snapshots)
    }
}

/// The name of the query of an INSERT in its session.
const SOURCE: &str = "__source";

/// The names of its columns.
const SOURCE_COLUMN: &str = "__column_";

/// Plans the query of an INSERT by itself, and lets the INSERT read what it gives: the planner gives `VALUES` anywhere in
/// it the types of the table's columns, with a cast that cuts and rounds.
async fn plan_source(session: &SessionContext, bound: &mut DfStatement) -> Result<(), EngineError> {
    let rows = written_here(&format!("SELECT * FROM \"{SOURCE}\""))?;
    let Some(source) = assign::replace_query(bound, rows) else {
        return Ok(());
    };
    let planned = repeated::plan(session, source, true).await?;
    let columns = planned.schema().columns().into_iter().enumerate();
    // Names may repeat: it is their place that counts.
    let columns =
        columns.map(|(at, column)| Expr::Column(column).alias(format!("{SOURCE_COLUMN}{at}")));
    let rows = LogicalPlanBuilder::from(planned)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(EngineError::from_planning)?;
    let rows = Arc::new(ViewTable::new(rows, None));
    session
        .register_table(TableReference::bare(SOURCE), rows)
        .map_err(EngineError::from_planning)?;
    Ok(())
}

/// Whether values take the place of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Each has one.
    Values,
    /// They stay, so that their types can be found, unless there are values.
    Types,
}

/// Says which table is missing and where, with the nearest name.
async fn expect_table(session: &SessionContext, table: &TableUse) -> Result<(), EngineError> {
    let name = &table.name;
    let reference = TableReference::partial(name.schema.as_str(), name.table.as_str());
    let Err(error) = session.table_provider(reference).await else {
        return Ok(());
    };
    match EngineError::from_planning(error) {
        EngineError::Catalog(error @ CatalogError::NotFound { .. }) => Err(EngineError::NotFound {
            message: error.to_string(),
            place: table.place,
            hint: error.hint().map(str::to_owned),
        }),
        EngineError::Invalid { hint, .. } => Err(EngineError::NotFound {
            message: format!("table `{name}` does not exist"),
            place: table.place,
            hint,
        }),
        other => Err(other),
    }
}

fn not_reading() -> EngineError {
    EngineError::invalid(
        "only queries are possible here: the statement changes or sets something",
        None,
        "write a SELECT; tables change by pipelines, and by clients of `lakegate serve`".to_owned(),
    )
}

/// No definitions, no changes, no settings.
fn read_only() -> SQLOptions {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
}
