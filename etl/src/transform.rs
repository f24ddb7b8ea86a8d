//! Views: what extract, type and sql stages give.
//!
//! A view that is read once streams from its source to its reader. One that is read more often is kept on disk while
//! the run lasts, so that a check, a quarantine and a publish see the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{LogicalPlan, ident};
use datafusion::prelude::{DataFrame, SessionContext};
use lakegate_catalog::{At, TableName, TableSnapshot};
use lakegate_engine::{EngineError, QueryOptions};

use crate::EtlError;
use crate::extract::{self, ExtractSpec, OpenExtract};
use crate::pipeline::{SqlStage, StageKind, TypeStage};
use crate::quarantine;
use crate::run::{Draft, Output, Runner, Stop, View};
use crate::scratch::Spooled;
use crate::typing::{OnError, Typing, TypingCounter};
use crate::watched::Watch;

/// An extract whose files, or the version of whose table, are known.
#[derive(Debug, Clone)]
pub(crate) struct Extract {
    pub(crate) source: OpenExtract,
    /// Identity of the content.
    pub(crate) digest: String,
}

/// The versions at which a stage reads tables.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    /// Tables that it reads as they are.
    pub(crate) newest: BTreeMap<TableName, Arc<TableSnapshot>>,
    /// Versions that its SQL asks for.
    pub(crate) versions: Vec<Arc<TableSnapshot>>,
}

impl Runner {
    /// An extract's files and their content's identity, once a run.
    pub(crate) async fn extract(
        self: &Arc<Self>,
        index: usize,
        spec: &ExtractSpec,
    ) -> Result<&Extract, Stop> {
        let cell = self.extracts.get(index);
        let cell = cell.ok_or_else(|| EtlError::Bug("an extract is not in the pipeline".into()))?;
        self.demand_all(self.pipeline.graph.publishes(index))
            .await?;
        let extract = cell.get_or_try_init(|| async {
            let spec = spec.clone();
            let root = self.pipeline.root.clone();
            let texts = self.values.texts.clone();
            let resolve = move || spec.resolve(&root, &|name| texts.get(name).cloned());
            let resolved = tokio::task::spawn_blocking(resolve)
                .await
                .map_err(|error| {
                    EtlError::failed("looking for input files was stopped", error)
                })??;
            let source = resolved.open(&self.lakegate.catalog).await?;
            let digest = source.digest().await?;
            Ok::<_, EtlError>(Extract { source, digest })
        });
        Ok(extract.await?)
    }

    /// The versions at which a sql stage reads tables, after the publishes that it waits for.
    pub(crate) async fn pins(
        self: &Arc<Self>,
        index: usize,
        sql: &SqlStage,
    ) -> Result<&Pins, Stop> {
        let cell = self.pins.get(index);
        let cell =
            cell.ok_or_else(|| EtlError::Bug("a sql stage is not in the pipeline".into()))?;
        self.demand_all(self.pipeline.graph.publishes(index))
            .await?;
        let pins = cell.get_or_try_init(|| async {
            let views = self.view_names(index);
            let mut pins = Pins::default();
            for table in sql.statement.tables() {
                if table.only_at_version || views.contains(&table.name) {
                    continue;
                }
                let snapshot = self
                    .lakegate
                    .catalog
                    .snapshot(&table.name, At::Latest)
                    .await;
                let snapshot = snapshot.map_err(|error| {
                    let hint = error.hint().map(str::to_owned);
                    let file = &self.pipeline.file;
                    let problem = sql.text.problem(table.place, error.to_string(), hint, file);
                    match error {
                        lakegate_catalog::CatalogError::NotFound { .. } => {
                            EtlError::Invalid(problem.into())
                        }
                        other => other.into(),
                    }
                })?;
                pins.newest.insert(table.name.clone(), snapshot);
            }
            let engine = &self.lakegate.engine;
            let versions = engine.versions(&sql.statement, &self.values.bound).await;
            pins.versions = versions.map_err(|error| self.sql_error(sql, error))?;
            Ok::<_, EtlError>(pins)
        });
        Ok(pins.await?)
    }

    fn view_names(&self, index: usize) -> BTreeSet<TableName> {
        let views = self.pipeline.graph.views(index);
        let stages = views
            .iter()
            .filter_map(|view| self.pipeline.stages.get(*view));
        stages.map(|stage| view_name(&stage.name)).collect()
    }

    /// The view of a stage, once it is there.
    pub(crate) async fn view(self: &Arc<Self>, index: usize) -> Result<View, Stop> {
        match self.demand(index).await? {
            Output::View(view) => Ok(view),
            Output::Passed | Output::Published => {
                Err(EtlError::Bug("a stage that is read has no rows".into()).into())
            }
        }
    }

    /// The view that a stage names by `view:`.
    pub(crate) async fn view_named(self: &Arc<Self>, name: &str) -> Result<View, Stop> {
        let index = self
            .pipeline
            .stages
            .iter()
            .position(|stage| stage.name == name);
        let index = index.ok_or_else(|| EtlError::Bug(format!("there is no view `{name}`")))?;
        self.view(index).await
    }

    pub(crate) async fn make_view(
        self: &Arc<Self>,
        index: usize,
        draft: &mut Draft,
    ) -> Result<View, Stop> {
        match &self.stage(index)?.kind {
            StageKind::Extract(spec) => self.extract_view(index, spec, draft).await,
            StageKind::Type(stage) => self.typed_view(index, stage, draft).await,
            StageKind::Sql(sql) => self.sql_view(index, sql, draft).await,
            StageKind::Check(_) | StageKind::Publish(_) => {
                Err(EtlError::Bug("a stage that is read has no rows".into()).into())
            }
        }
    }

    async fn extract_view(
        self: &Arc<Self>,
        index: usize,
        spec: &ExtractSpec,
        draft: &mut Draft,
    ) -> Result<View, Stop> {
        let extract = self.extract(index, spec).await?;
        draft.begin(self, "extract", extract.source.bytes());
        let provider = extract.source.provider().await?;
        let located = match self.is_typed(index) {
            true => extract::with_places(&provider),
            false => None,
        };
        if self.readers(index) == Readers::One {
            return Ok(View {
                located,
                ..View::streaming(provider)
            });
        }
        let session = self.lakegate.engine.session();
        let Some(located) = located else {
            return self.spool(scan_plan(&session, provider)?, draft).await;
        };
        let view = self.spool(scan_plan(&session, located)?, draft).await?;
        let schema = provider.schema();
        let columns = schema.fields().iter().map(|field| ident(field.name()));
        let rows = session
            .read_table(Arc::clone(&view.provider))
            .and_then(|rows| rows.select(columns))
            .map_err(EtlError::from_datafusion)?;
        Ok(View {
            provider: rows.into_view(),
            located: Some(Arc::clone(&view.provider)),
            ..view
        })
    }

    /// Whether a type stage reads the view, and has to say where its rows stand.
    fn is_typed(&self, index: usize) -> bool {
        self.selected.iter().any(|reader| {
            let stage = self.pipeline.stages.get(*reader);
            stage.is_some_and(|stage| matches!(stage.kind, StageKind::Type(_)))
                && self.pipeline.graph.views(*reader).contains(&index)
        })
    }

    async fn typed_view(
        self: &Arc<Self>,
        index: usize,
        stage: &TypeStage,
        draft: &mut Draft,
    ) -> Result<View, Stop> {
        let input = self.view_named(&stage.spec.view).await?;
        draft.begin(self, "type", None);
        let schema = input.provider.schema();
        let name = draft.report.name.clone();
        if stage.spec.on_error == OnError::Quarantine
            && let Some(taken) = quarantine::taken_name(&schema)
        {
            let (message, hint) = quarantine::name_is_taken(&stage.spec.view, &taken);
            return Err(EtlError::request(message, hint).into());
        }
        let typing = Typing::new(&name, &stage.spec, Arc::clone(&stage.schema), &schema)
            .map_err(EtlError::Invalid)?;
        let (typing, input) = match input.located {
            Some(located) => (typing.with_places(), located),
            None => (typing, input.provider),
        };
        if stage.spec.on_error != OnError::Quarantine && self.readers(index) == Readers::One {
            let counter = Arc::new(TypingCounter::default());
            let provider = typing.table(input, Arc::clone(&counter));
            return Ok(View {
                counter: Some(counter),
                ..View::streaming(provider)
            });
        }
        let _turn = self.turn().await?;
        let mut good = self.scratch.writer(&name, typing.output_schema())?;
        let takes_bad = stage.spec.on_error == OnError::Quarantine;
        let mut bad = match takes_bad {
            true => Some(
                self.scratch
                    .writer(&format!("{name}__untyped"), typing.bad_schema())?,
            ),
            false => None,
        };
        let session = self.lakegate.engine.session();
        let state = session.state();
        let counts = typing.spool(&state, input, &mut good, bad.as_mut()).await?;
        let good = good.finish().await?;
        let bad = match bad {
            Some(bad) => Some(bad.finish().await?),
            None => None,
        };
        draft.report.typing = Some(counts);
        draft.report.rows = Some(good.rows);
        draft.report.quarantined = bad.as_ref().map(|bad| bad.rows);
        Ok(View {
            untyped: bad.filter(|bad| bad.rows > 0),
            ..View::spooled(good)
        })
    }

    async fn sql_view(
        self: &Arc<Self>,
        index: usize,
        sql: &SqlStage,
        draft: &mut Draft,
    ) -> Result<View, Stop> {
        let mut overlays: Vec<(TableName, Arc<dyn TableProvider>)> = Vec::new();
        let pins = self.pins(index, sql).await?;
        for (table, snapshot) in &pins.newest {
            overlays.push((table.clone(), snapshot.scan()?));
        }
        let views = self.pipeline.graph.views(index);
        self.demand_all(views.iter().copied()).await?;
        for view in views {
            let name = view_name(&self.stage(view)?.name);
            overlays.push((name, self.view(view).await?.provider));
        }
        draft.begin(self, "sql", None);
        let plan = self.plan_sql(sql, pins, overlays).await?;
        if self.readers(index) == Readers::One {
            return Ok(View::streaming(Arc::new(ViewTable::new(plan, None))));
        }
        self.spool(plan, draft).await
    }

    async fn plan_sql(
        &self,
        sql: &SqlStage,
        pins: &Pins,
        overlays: Vec<(TableName, Arc<dyn TableProvider>)>,
    ) -> Result<LogicalPlan, EtlError> {
        let options = QueryOptions {
            parameters: self.values.bound.clone(),
            versions: Some(pins.versions.clone()),
            overlays,
            ..QueryOptions::default()
        };
        let planned = self.lakegate.engine.plan(&sql.statement, options).await;
        let plan = planned.map_err(|error| self.sql_error(sql, error))?;
        if let Some(message) = repeated_column(&plan.plan) {
            let hint = Some("give one of them another name with AS".to_owned());
            let problem = sql.text.problem(None, message, hint, &self.pipeline.file);
            return Err(EtlError::Invalid(problem.into()));
        }
        Ok(plan.plan)
    }

    /// An error of the engine, with its place in the file that holds the SQL.
    fn sql_error(&self, sql: &SqlStage, error: EngineError) -> EtlError {
        match error {
            EngineError::Invalid {
                message,
                place,
                hint,
            }
            | EngineError::NotFound {
                message,
                place,
                hint,
            } => {
                let problem = sql.text.problem(place, message, hint, &self.pipeline.file);
                EtlError::Invalid(problem.into())
            }
            other => other.into(),
        }
    }

    /// Keeps the rows of a plan on disk.
    async fn spool(&self, plan: LogicalPlan, draft: &mut Draft) -> Result<View, Stop> {
        let spooled = self.spool_as(&draft.report.name, plan).await?;
        draft.report.rows = Some(spooled.rows);
        Ok(View::spooled(spooled))
    }

    /// Keeps the rows of a plan on disk; `name` is the stage that is told about.
    pub(crate) async fn spool_as(
        &self,
        name: &str,
        plan: LogicalPlan,
    ) -> Result<Spooled, EtlError> {
        let _turn = self.turn().await?;
        let session = self.lakegate.engine.session();
        let watch = Watch::new(name, Arc::clone(&self.events));
        let rows = watch.over(stream(&session, plan).await?);
        Ok(self.scratch.spool(name, rows).await?)
    }

    /// How often a view is read. A check reads more than once, and so may the SQL of one stage.
    fn readers(&self, index: usize) -> Readers {
        let graph = &self.pipeline.graph;
        let mut reads = 0;
        for reader in &self.selected {
            if !graph.views(*reader).contains(&index) {
                continue;
            }
            let is_once = match self.pipeline.stages.get(*reader).map(|stage| &stage.kind) {
                Some(StageKind::Check(_)) => false,
                Some(StageKind::Sql(sql)) => self.is_read_once(sql, index),
                _ => true,
            };
            reads += if is_once { 1 } else { 2 };
        }
        if reads == 1 {
            Readers::One
        } else {
            Readers::NoneOrMany
        }
    }

    fn is_read_once(&self, sql: &SqlStage, view: usize) -> bool {
        let name = self
            .pipeline
            .stages
            .get(view)
            .map(|stage| view_name(&stage.name));
        let mut tables = sql.statement.tables().iter();
        tables.any(|table| Some(&table.name) == name.as_ref() && table.is_read_once)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Readers {
    One,
    NoneOrMany,
}

impl View {
    fn streaming(provider: Arc<dyn TableProvider>) -> Self {
        Self {
            provider,
            is_spooled: false,
            rows: None,
            untyped: None,
            located: None,
            counter: None,
        }
    }

    pub(crate) fn spooled(spooled: Spooled) -> Self {
        Self {
            rows: Some(spooled.rows),
            provider: spooled.provider,
            is_spooled: true,
            untyped: None,
            located: None,
            counter: None,
        }
    }
}

/// The name of a stage's view in SQL.
pub(crate) fn view_name(stage: &str) -> TableName {
    TableName {
        schema: lakegate_catalog::DEFAULT_SCHEMA.to_owned(),
        table: stage.to_owned(),
    }
}

/// A plan that reads all of a table.
pub(crate) fn scan_plan(
    session: &SessionContext,
    provider: Arc<dyn TableProvider>,
) -> Result<LogicalPlan, EtlError> {
    let frame = session.read_table(provider);
    let frame = frame.map_err(EtlError::from_datafusion)?;
    Ok(frame.into_unoptimized_plan())
}

async fn stream(
    session: &SessionContext,
    plan: LogicalPlan,
) -> Result<SendableRecordBatchStream, EtlError> {
    let frame = DataFrame::new(session.state(), plan);
    frame
        .execute_stream()
        .await
        .map_err(EtlError::from_datafusion)
}

/// Names a column that a query gives twice: a view cannot have it.
pub(crate) fn repeated_column(plan: &LogicalPlan) -> Option<String> {
    let mut seen = BTreeSet::new();
    for field in plan.schema().fields() {
        if !seen.insert(field.name()) {
            return Some(format!(
                "the query gives two columns named `{}`",
                field.name()
            ));
        }
    }
    None
}
