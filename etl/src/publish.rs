//! Publishing: a view becomes a version of a table, through the gate, once for each batch.

mod conditions;
mod live_table;
pub(crate) mod scd2;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use lakegate_catalog::{
    Batch, CatalogError, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, RulesText,
    Write, WriteContext, WriteMode, WriteOptions, WriteOutcome, Written,
};
use lakegate_engine::bind_expression;
use lakegate_rules::yaml::{Problem, Span};
use lakegate_rules::{BadRows, Gate, Report, Scope, Severity, Suite};

use crate::EtlError;
use crate::batch::{Identity, sha256};
use crate::pipeline::{MergeMode, PublishMode, PublishStage, StageKind};
use crate::report::Outcome;
use crate::run::{Draft, Output, Runner, Stop, View};
use crate::transform::scan_plan;
use crate::watched::{Watch, Watched};

use conditions::{all_of, any_of, refuse_null_keys, rows_with_nulls};

/// How a check shows that every row has to be good.
pub(crate) const EVERY_ROW: &str = "at least 100%";

/// Keys that an error about repeated keys names.
const NAMED_KEYS: usize = 5;

impl Runner {
    pub(crate) async fn publish(
        self: &Arc<Self>,
        index: usize,
        publish: &PublishStage,
        draft: &mut Draft,
    ) -> Result<(), Stop> {
        draft.report.table = Some(publish.table.to_string());
        let graph = &self.pipeline.graph;
        self.demand_all(graph.publishes(index)).await?;
        let batch = self.identity(index, publish).await?;
        let mode = self.write_mode(publish)?;
        if !self.reprocess {
            let catalog = &self.lakegate.catalog;
            let version = catalog.batch_version(&publish.table, &batch, &mode).await?;
            if let Some(version) = version {
                return Ok(self.already_done(publish, version, draft).await?);
            }
        }
        self.demand_all(graph.checks(index)).await?;
        let view = self.view_named(&publish.view).await?;
        draft.begin(self, "publish", None);

        let rules = self.rules_of(publish).await?;
        let view = self
            .readable(view, publish, rules.as_deref(), draft)
            .await?;
        draft.report.rows = view.rows;
        let source = match rules.as_deref().filter(|suite| takes_rows_out(suite)) {
            Some(suite) => {
                self.divert(publish, suite, view.provider, &batch, draft)
                    .await?
            }
            None => view.provider,
        };
        self.keep_untyped(publish, &self.untyped(index), &batch, draft)
            .await?;
        if let PublishMode::Merge(merge) = &publish.mode {
            self.expect_whole_keys(publish, &merge.key, &source, rules.as_deref())
                .await?;
        }
        let written = self.write(publish, source, batch, mode, draft).await?;
        draft.report.version = Some(written.version);
        if written.outcome == WriteOutcome::AlreadyDone {
            draft.report.outcome = Outcome::AlreadyDone;
        }
        draft.report.verdict = verdict_of(&written);
        draft.report.table_rows = written.rows;
        if let Some(report) = written.report.as_ref().and_then(read_report) {
            draft.judged(self, report);
        }
        Ok(())
    }

    async fn write(
        &self,
        publish: &PublishStage,
        source: Arc<dyn TableProvider>,
        batch: Batch,
        mode: WriteMode,
        draft: &mut Draft,
    ) -> Result<Written, EtlError> {
        let _turn = self.turn().await?;
        let session = self.lakegate.engine.session();
        let watch = Watch::new(&draft.report.name, Arc::clone(&self.events));
        let plan = match &publish.mode {
            PublishMode::Scd2(scd2) => {
                let now = self.lakegate.now();
                scd2::stage(
                    &self.lakegate,
                    &publish.table,
                    scd2,
                    &publish.view,
                    &source,
                    now,
                )
                .await?
            }
            _ => {
                let watched = Watched::new(Arc::clone(&source), Arc::clone(&watch));
                scan_plan(&session, Arc::new(watched))?
            }
        };
        crate::failpoint!("publish.before_write");
        let write = Write {
            table: publish.table.clone(),
            mode,
            source: plan,
            options: WriteOptions {
                partition_by: publish.partition_by.clone(),
                schema_evolution: publish.schema_evolution,
                target_file_bytes: publish.target_file_bytes,
            },
            context: WriteContext {
                run: Some(self.run.clone()),
                batch: Some(batch),
                attach: publish.rules.as_deref().map(rules_text),
                added: Some(Arc::clone(&source)),
                reprocess: self.reprocess,
                extra: std::collections::BTreeMap::from([(
                    "pipeline".to_owned(),
                    serde_json::Value::from(self.pipeline.name.as_str()),
                )]),
            },
        };
        let outcome = self.lakegate.catalog.write(&session, write).await;
        match outcome {
            Ok(written) => {
                crate::failpoint!("publish.after_register");
                let replaced = written
                    .verdict
                    .as_ref()
                    .and_then(|v| v.get("replaced_rules_sha256"));
                if replaced.is_some() {
                    draft.warn(
                        self,
                        format!(
                            "other rules were attached to `{}` and are replaced from this version on; both let it pass",
                            publish.table
                        ),
                    );
                }
                if draft.report.rows.is_none() && written.outcome == WriteOutcome::Committed {
                    draft.report.rows = Some(watch.rows());
                }
                Ok(written)
            }
            Err(CatalogError::Refused(refusal)) => {
                if let Some(report) = read_report(&refusal.report) {
                    draft.judged(self, report);
                }
                Err(CatalogError::Refused(refusal).into())
            }
            Err(error @ (CatalogError::Failed { .. } | CatalogError::Invalid { .. })) => {
                // Two rows of the source for one row of the table: say which.
                if let PublishMode::Merge(merge) = &publish.mode
                    && let Some(repeated) = repeated_keys(&session, &source, &merge.key).await?
                {
                    return Err(EtlError::request(
                        format!(
                            "cannot merge view `{}` into `{}`: several of its rows have the same key: {repeated}",
                            publish.view, publish.table
                        ),
                        "keep one row for each key in the view, or add columns to `key`".to_owned(),
                    ));
                }
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses rows with a null in their key, unless the gate is certain to: its report says more.
    async fn expect_whole_keys(
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
        refuse_null_keys(&session, source, key, &publish.view).await
    }

    async fn has_waivers(&self, publish: &PublishStage) -> Result<bool, EtlError> {
        match self.lakegate.catalog.waivers(&publish.table).await {
            Ok(waivers) => Ok(!waivers.is_empty()),
            Err(CatalogError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The batch was published before: only rules that have changed since are attached.
    async fn already_done(
        &self,
        publish: &PublishStage,
        version: i64,
        draft: &mut Draft,
    ) -> Result<(), EtlError> {
        draft.report.outcome = Outcome::AlreadyDone;
        draft.report.version = Some(version);
        let Some(suite) = &publish.rules else {
            return Ok(());
        };
        let catalog = &self.lakegate.catalog;
        let attached = catalog.attached_rules(&publish.table).await?;
        if attached.is_some_and(|rules| rules.sha256 == suite.sha256) {
            return Ok(());
        }
        draft.begin(self, "publish", None);
        match catalog.apply_rules(&publish.table, rules_text(suite)).await {
            Ok(written) => {
                draft.report.outcome = Outcome::Done;
                draft.report.version = Some(written.version);
                draft.report.verdict = verdict_of(&written);
                if let Some(report) = written.report.as_ref().and_then(read_report) {
                    draft.judged(self, report);
                }
                Ok(())
            }
            Err(CatalogError::Refused(refusal)) => {
                if let Some(report) = read_report(&refusal.report) {
                    draft.judged(self, report);
                }
                Err(CatalogError::Refused(refusal).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What makes the batch of a publish: the input's content, and the definitions of the stages that it goes through.
    async fn identity(
        self: &Arc<Self>,
        index: usize,
        publish: &PublishStage,
    ) -> Result<Batch, Stop> {
        let mut identity = Identity::default();
        for made_from in self.pipeline.graph.made_from(index) {
            let stage = self.stage(made_from)?;
            let name = stage.name.as_str();
            match &stage.kind {
                StageKind::Extract(spec) => match self.extract(made_from, spec).await {
                    Ok(extract) => identity.add(name, "content", extract.digest.as_str()),
                    Err(error) => return Err(self.stop_of(made_from, error).await),
                },
                StageKind::Type(stage) => {
                    identity.add(name, "view", stage.spec.view.as_str());
                    identity.add(name, "schema", stage.schema.sha256.as_str());
                    identity.add(name, "on_error", format!("{:?}", stage.spec.on_error));
                }
                StageKind::Sql(sql) => {
                    identity.add(name, "sql", sha256(&sql.text.text));
                    for parameter in sql.statement.parameters() {
                        let value = self.values.bound.get(&parameter.name);
                        identity.add(name, "parameter", format!("{}={value:?}", parameter.name));
                    }
                    let pins = match self.pins(made_from, sql).await {
                        Ok(pins) => pins,
                        Err(error) => return Err(self.stop_of(made_from, error).await),
                    };
                    for (table, snapshot) in pins {
                        // A table that is read to write it is another one after each write.
                        if *table != publish.table {
                            let (id, version) = (&snapshot.table_id, snapshot.version);
                            identity.add(name, "table", format!("{table} {id} {version}"));
                        }
                    }
                }
                StageKind::Publish(publish) => {
                    identity.add(name, "view", publish.view.as_str());
                    identity.add_publish(name, publish);
                }
                StageKind::Check(_) => {}
            }
        }
        let stage = &self.stage(index)?.name;
        Ok(identity.batch(&self.pipeline.name, stage))
    }

    /// A stage that could not be prepared reports that itself.
    async fn stop_of(self: &Arc<Self>, index: usize, error: Stop) -> Stop {
        match error {
            Stop::Error(error) => match self.demand(index).await {
                Err(stop) => stop,
                Ok(_) => Stop::Error(error),
            },
            dependency => dependency,
        }
    }

    /// The rules that the rows are judged by: the stage's own, or else those that are attached to the table.
    async fn rules_of(&self, publish: &PublishStage) -> Result<Option<Arc<Suite>>, EtlError> {
        if let Some(suite) = &publish.rules {
            return Ok(Some(Arc::clone(suite)));
        }
        let attached = match self.lakegate.catalog.attached_rules(&publish.table).await {
            Ok(attached) => attached,
            Err(CatalogError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match attached {
            Some(rules) => Ok(Some(Arc::new(Suite::parse(&rules.file, &rules.text)?))),
            None => Ok(None),
        }
    }

    /// The view, on disk when the publish reads it more than once.
    async fn readable(
        &self,
        view: View,
        publish: &PublishStage,
        rules: Option<&Suite>,
        draft: &mut Draft,
    ) -> Result<View, EtlError> {
        let reads_once = matches!(
            publish.mode,
            PublishMode::Append | PublishMode::Overwrite | PublishMode::ReplaceWhere { .. }
        ) && !rules.is_some_and(reads_source);
        if view.is_spooled || reads_once {
            return Ok(view);
        }
        let plan = scan_plan(&self.lakegate.engine.session(), view.provider)?;
        let spooled = self.spool_as(&draft.report.name, plan).await?;
        draft.report.rows = Some(spooled.rows);
        Ok(View::spooled(spooled))
    }

    /// How the catalog is to write.
    fn write_mode(&self, publish: &PublishStage) -> Result<WriteMode, EtlError> {
        Ok(match &publish.mode {
            PublishMode::Append => WriteMode::Append,
            PublishMode::Overwrite => WriteMode::Overwrite,
            PublishMode::ReplaceWhere { predicate, span } => {
                WriteMode::ReplaceWhere(self.bind(predicate, *span)?)
            }
            PublishMode::Merge(merge) => WriteMode::Merge(self.merge_spec(merge)?),
            PublishMode::Scd2(scd2) => WriteMode::Merge(scd2::merge_spec(scd2)),
        })
    }

    fn merge_spec(&self, merge: &MergeMode) -> Result<MergeSpec, EtlError> {
        let condition = |condition: &Option<(String, Span)>| match condition {
            Some((sql, span)) => self.bind(sql, *span).map(Some),
            None => Ok(None),
        };
        let mut matched = Vec::new();
        if let Some(when) = condition(&merge.delete_when)? {
            matched.push(MatchedClause {
                when: Some(when),
                action: MatchedAction::Delete,
            });
        }
        matched.push(MatchedClause {
            when: condition(&merge.update_when)?,
            action: MatchedAction::UpdateAll,
        });
        Ok(MergeSpec {
            on: equal_keys(&merge.key),
            matched,
            not_matched: vec![NotMatchedClause {
                when: condition(&merge.insert_when)?,
                insert: None,
            }],
            not_matched_by_source: Vec::new(),
        })
    }

    /// Binds the run's parameters in a SQL condition of the pipeline file.
    fn bind(&self, sql: &str, span: Span) -> Result<String, EtlError> {
        bind_expression(sql, &self.values.bound).map_err(|error| {
            let problem = Problem::new(self.pipeline.file.as_str(), span, error.to_string());
            EtlError::Invalid(problem.with_hint(error.hint().map(str::to_owned)).into())
        })
    }

    /// Rows that did not type on the way to a publish; of several publishes the first one of the file takes them.
    fn untyped(&self, index: usize) -> Vec<crate::scratch::Spooled> {
        let graph = &self.pipeline.graph;
        let is_first = |view: usize| {
            let publishes = self.selected.iter().filter(|stage| {
                let stage = self.pipeline.stages.get(**stage);
                stage.is_some_and(|stage| matches!(stage.kind, StageKind::Publish(_)))
            });
            publishes
                .copied()
                .find(|publish| graph.made_from(*publish).contains(&view))
                == Some(index)
        };
        let mut untyped = Vec::new();
        for view in graph.made_from(index) {
            if let Some(Output::View(output)) = self.output(view)
                && let Some(rows) = output.untyped
                && is_first(view)
            {
                untyped.push(rows);
            }
        }
        untyped
    }
}

/// The rules as the catalog attaches them.
pub(crate) fn rules_text(suite: &Suite) -> RulesText {
    RulesText {
        file: suite.file.clone(),
        text: Arc::clone(&suite.text),
        sha256: suite.sha256.clone(),
    }
}

/// Whether rules take rows out of the source.
fn takes_rows_out(suite: &Suite) -> bool {
    suite
        .checks
        .iter()
        .any(|check| check.bad_rows == BadRows::Quarantine)
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

/// Whether judging by the rules reads the source beside writing it.
fn reads_source(suite: &Suite) -> bool {
    takes_rows_out(suite) || suite.checks.iter().any(|check| check.scope == Scope::Added)
}

/// The gate's verdict, as the commit says it.
fn verdict_of(written: &Written) -> Option<String> {
    let verdict = written.verdict.as_ref()?.get("verdict")?;
    verdict.as_str().map(str::to_owned)
}

fn read_report(value: &serde_json::Value) -> Option<Report> {
    serde_json::from_value(value.clone()).ok()
}

/// The condition of a merge. A null equals nothing.
fn equal_keys(key: &[String]) -> String {
    let pairs = key.iter();
    all_of(pairs.map(|column| format!("target.{0} = source.{0}", quoted(column))))
}

/// A name in SQL that means exactly this column.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names some keys that several rows have.
pub(crate) async fn repeated_keys(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    key: &[String],
) -> Result<Option<String>, EtlError> {
    use datafusion::functions_aggregate::expr_fn::count;
    use datafusion::logical_expr::{Expr, ident, lit};

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
pub(crate) async fn named_rows(
    rows: datafusion::prelude::DataFrame,
    columns: &[String],
) -> Result<Option<String>, EtlError> {
    use datafusion::arrow::util::display::array_value_to_string;

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
