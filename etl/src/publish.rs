//! Publishing: a view becomes a version of a table, through the gate, once for each batch.

mod conditions;
mod identity;
mod keys;
mod live_table;
mod mode;
pub(crate) mod scd2;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use lakegate_catalog::{
    Batch, CatalogError, RulesText, Write, WriteContext, WriteMode, WriteOptions, WriteOutcome,
    Written,
};
use lakegate_rules::{BadRows, Report, Scope, Suite, Verdict};
use serde_json::Value;

use crate::EtlError;
use crate::pipeline::{PublishMode, PublishStage};
use crate::quarantine::{Diverted, with_source};
use crate::report::Outcome;
use crate::run::{Draft, Runner, Stop, View};
use crate::transform::scan_plan;
use crate::watched::{Watch, Watched};

/// How a check shows that every row has to be good.
pub(crate) const EVERY_ROW: &str = "at least 100%";

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
        let mode = self.write_mode(publish)?;
        let batch = self.identity(index, publish, &mode).await?;
        let catalog = &self.lakegate.catalog;
        let known = catalog.batch_version(&publish.table, &batch, &mode).await?;
        match known {
            Some(version) if !self.reprocess => {
                return Ok(self.already_done(publish, version, draft).await?);
            }
            Some(version) if matches!(mode, WriteMode::Append) => {
                draft.warn(self, appended_again(publish, version));
            }
            _ => {}
        }
        self.demand_all(graph.checks(index)).await?;
        let view = self.view_named(&publish.view).await?;
        draft.begin(self, "publish", None);

        let rules = self.rules_of(publish).await?;
        let view = self
            .readable(view, publish, rules.as_deref(), draft)
            .await?;
        draft.report.rows = view.rows;
        self.keep_untyped(index, publish, &batch, draft).await?;
        let diverting = rules.as_deref().filter(|suite| takes_rows_out(suite));
        let Diverted { good, report } = match diverting {
            Some(suite) => {
                self.divert(publish, suite, view.provider, &batch, draft)
                    .await?
            }
            None => Diverted {
                good: view.provider,
                report: None,
            },
        };
        if let PublishMode::Merge(merge) = &publish.mode {
            self.expect_keys(publish, &merge.key, &good, rules.as_deref())
                .await?;
        }
        let written = self
            .write(publish, good, report.as_ref(), batch, mode, draft)
            .await?;
        draft.report.version = Some(written.version);
        if written.outcome == WriteOutcome::AlreadyDone {
            draft.report.outcome = Outcome::AlreadyDone;
        }
        draft.report.table_rows = written.rows;
        Ok(())
    }

    /// Writes rows; `over_source` is the verdict over all of them, before some went to quarantine.
    async fn write(
        &self,
        publish: &PublishStage,
        source: Arc<dyn TableProvider>,
        over_source: Option<&Report>,
        batch: Batch,
        mode: WriteMode,
        draft: &mut Draft,
    ) -> Result<Written, EtlError> {
        let _turn = self.turn().await?;
        let session = self.lakegate.engine.session();
        let watch = Watch::new(&draft.report.name, Arc::clone(&self.events));
        let plan = match &publish.mode {
            PublishMode::Scd2(scd2) => {
                scd2::stage(&self.lakegate, publish, scd2, &source, self.started_at).await?
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
                ..WriteOptions::default()
            },
            context: WriteContext {
                run: Some(self.run.clone()),
                batch: Some(batch),
                attach: publish.rules.as_deref().map(rules_text),
                added: Some(source),
                warned: over_source.map(warned).unwrap_or_default(),
                reprocess: self.reprocess,
                extra: BTreeMap::from([
                    (
                        identity::PIPELINE.to_owned(),
                        Value::from(self.pipeline.name.as_str()),
                    ),
                    (
                        identity::STAGE.to_owned(),
                        Value::from(draft.report.name.as_str()),
                    ),
                ]),
            },
        };
        let outcome = self.lakegate.catalog.write(&session, write).await;
        let written = self.gated(publish, outcome, over_source, draft)?;
        crate::failpoint!("publish.after_register");
        if draft.report.rows.is_none() && written.outcome == WriteOutcome::Committed {
            draft.report.rows = Some(watch.rows());
        }
        Ok(written)
    }

    /// Reports what the gate said of a commit.
    fn gated(
        &self,
        publish: &PublishStage,
        outcome: Result<Written, CatalogError>,
        over_source: Option<&Report>,
        draft: &mut Draft,
    ) -> Result<Written, EtlError> {
        let mut judged = |report: &Value| {
            if let Ok(report) = serde_json::from_value::<Report>(report.clone()) {
                draft.judged(self, with_source(report, over_source));
            }
        };
        let written = match outcome {
            Ok(written) => written,
            Err(CatalogError::Refused(refusal)) => {
                judged(&refusal.report);
                return Err(CatalogError::Refused(refusal).into());
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(report) = &written.report {
            judged(report);
        }
        let said = |key: &str| {
            written
                .verdict
                .as_ref()
                .and_then(|verdict| verdict.get(key))
        };
        draft.report.verdict = said("verdict").and_then(Value::as_str).map(str::to_owned);
        if said("replaced_rules_sha256").is_some() {
            let message = format!(
                "other rules were attached to `{}` and are replaced from this version on; both let it pass",
                publish.table
            );
            draft.warn(self, message);
        }
        Ok(written)
    }

    /// The batch was published before: only rules that have changed since are attached, when those that they replace let
    /// the version pass too.
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
        let outcome = catalog
            .attach_rules(&publish.table, rules_text(suite))
            .await;
        let written = self.gated(publish, outcome, None, draft)?;
        draft.report.outcome = Outcome::Done;
        draft.report.version = Some(written.version);
        Ok(())
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

    /// The view, on disk when the publish reads it more than once: `replace_where` looks for rows outside of its
    /// predicate before it writes.
    async fn readable(
        &self,
        view: View,
        publish: &PublishStage,
        rules: Option<&Suite>,
        draft: &mut Draft,
    ) -> Result<View, EtlError> {
        let reads_once = matches!(publish.mode, PublishMode::Append | PublishMode::Overwrite)
            && !rules.is_some_and(reads_source);
        if view.is_spooled || reads_once {
            return Ok(view);
        }
        let plan = scan_plan(&self.lakegate.engine.session(), view.provider)?;
        let spooled = self.spool_as(&draft.report.name, plan).await?;
        draft.report.rows = Some(spooled.rows);
        Ok(View::spooled(spooled))
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
pub(crate) fn takes_rows_out(suite: &Suite) -> bool {
    suite
        .checks
        .iter()
        .any(|check| check.bad_rows != BadRows::Keep)
}

/// Whether judging by the rules reads the source beside writing it.
fn reads_source(suite: &Suite) -> bool {
    takes_rows_out(suite) || suite.checks.iter().any(|check| check.scope == Scope::Added)
}

/// The checks that warned.
fn warned(report: &Report) -> Vec<String> {
    let checks = report.checks.iter();
    checks
        .filter(|check| check.verdict == Verdict::Warn)
        .map(|check| check.id.clone())
        .collect()
}

/// Says that `--reprocess` doubles rows.
fn appended_again(publish: &PublishStage, version: i64) -> String {
    format!(
        "`{}` holds this batch since version {version}, and `mode: append` adds its rows a second time",
        publish.table
    )
}
