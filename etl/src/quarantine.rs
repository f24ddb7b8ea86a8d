//! Quarantine: rows that row-level checks reject leave the source before it is published.
//!
//! The thresholds of the checks with `bad_rows: quarantine` are judged over the source first. When they hold, the bad
//! rows are committed to `<table>__quarantine`, under the batch's identity and with the version that they were kept out
//! of, and then the good rows are published. The two commits are not one: a batch can be in quarantine and not in the
//! table, when the gate refuses it. Readers of the quarantine join on `_batch` of batches that were committed.
//!
//! A batch that is run again, after a refusal or with `--reprocess`, replaces the rows that it has in quarantine: rules
//! may have changed since, and then other rows are the bad ones.
//!
//! Rows that do not type (`on_error: quarantine`) have no values of the table's types. They go to
//! `<table>__quarantine_untyped`, as the text that they were, with `_errors`; of several publishes that are made from
//! the typed view, the first one of the file takes them.
//!
//! No publish names a table that ends in `__quarantine` or `__quarantine_untyped`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use lakegate_catalog::{
    At, Batch, CatalogError, SchemaEvolution, TableName, Write, WriteContext, WriteMode,
    WriteOptions,
};
use lakegate_rules::{BadRows, FAILED_CHECKS, Report, Suite, Verdict, mark};

use crate::EtlError;
use crate::batch::{quarantine_of, untyped_of};
use crate::judge::Judged;
use crate::pipeline::PublishStage;
use crate::publish::EVERY_ROW;
use crate::run::{Draft, Runner, check_failed};
use crate::scratch::Spooled;

/// The column that says which batch a row came with.
const BATCH: &str = "_batch";

impl Runner {
    /// Sends the bad rows to quarantine, and gives the good ones.
    pub(crate) async fn divert(
        &self,
        publish: &PublishStage,
        suite: &Suite,
        source: Arc<dyn TableProvider>,
        batch: &Batch,
        draft: &mut Draft,
    ) -> Result<Arc<dyn TableProvider>, EtlError> {
        let now = self.lakegate.now();
        let diverting = suite.only(|check| check.bad_rows == BadRows::Quarantine);
        let judged = Judged {
            name: publish.table.clone(),
            rows: Arc::clone(&source),
            added: Some(Arc::clone(&source)),
            previous: None,
            now,
        };
        let report = {
            let _turn = self.turn().await?;
            self.lakegate
                .judge()
                .report(&diverting, judged, Vec::new())
                .await
        };
        if report.blocks() {
            let what = format!("view `{}`", publish.view);
            let failure = check_failed(&what, &report, whole_thresholds(&report));
            draft.judged(self, report);
            return Err(failure);
        }
        let overlay = vec![(publish.table.clone(), Arc::clone(&source))];
        let session = self.lakegate.engine.session_with(overlay);
        let rows = session
            .read_table(source)
            .map_err(EtlError::from_datafusion)?;
        let marked = mark(&diverting, &session, rows, now)
            .await
            .map_err(|error| EtlError::failed("bad rows cannot be told from good ones", error))?;
        let name = format!("{}__marked", draft.report.name);
        let marked = self.spool_as(&name, marked.into_unoptimized_plan()).await?;

        let failed = || array_length(ident(FAILED_CHECKS)).gt(lit(0)).is_true();
        let bad = read(&session, &marked.provider)?
            .filter(failed())
            .map_err(EtlError::from_datafusion)?;
        let bad_rows = bad
            .clone()
            .count()
            .await
            .map_err(EtlError::from_datafusion)?;
        draft.report.quarantined = Some(bad_rows as u64);
        let table = quarantine_of(&publish.table)?;
        if bad_rows > 0 || self.lakegate.catalog.entry(&table).await.is_ok() {
            self.keep(publish, &table, "quarantine", &session, bad, batch)
                .await?;
        }
        if bad_rows > 0 {
            draft.report.quarantine_tables.push(table.to_string());
        }
        let good = read(&session, &marked.provider)?
            .filter(failed().is_false())
            .and_then(|rows| rows.drop_columns(&[FAILED_CHECKS]))
            .map_err(EtlError::from_datafusion)?;
        Ok(good.into_view())
    }

    /// Keeps rows that did not type, of all the views that they come from.
    pub(crate) async fn keep_untyped(
        &self,
        publish: &PublishStage,
        untyped: &[Spooled],
        batch: &Batch,
        draft: &mut Draft,
    ) -> Result<(), EtlError> {
        let session = self.lakegate.engine.session();
        let mut all: Option<DataFrame> = None;
        for view in untyped {
            let rows = read(&session, &view.provider)?;
            all = Some(match all {
                None => rows,
                Some(others) => others
                    .union_by_name(rows)
                    .map_err(EtlError::from_datafusion)?,
            });
        }
        let Some(rows) = all else {
            return Ok(());
        };
        let table = untyped_of(&publish.table)?;
        self.keep(publish, &table, "untyped", &session, rows, batch)
            .await?;
        let kept: u64 = untyped.iter().map(|view| view.rows).sum();
        if kept > 0 {
            draft.report.quarantine_tables.push(table.to_string());
        }
        *draft.report.quarantined.get_or_insert(0) += kept;
        Ok(())
    }

    /// Commits rows to a table beside the published one, in place of those that it holds of the batch.
    async fn keep(
        &self,
        publish: &PublishStage,
        table: &TableName,
        what: &str,
        session: &SessionContext,
        rows: DataFrame,
        batch: &Batch,
    ) -> Result<(), EtlError> {
        let target_version = match self
            .lakegate
            .catalog
            .snapshot(&publish.table, At::Latest)
            .await
        {
            Ok(snapshot) => snapshot.version + 1,
            Err(CatalogError::NotFound { .. }) => 0,
            Err(error) => return Err(error.into()),
        };
        let rows = with_columns(
            rows,
            [
                ("_run", lit(self.run.as_str())),
                (BATCH, lit(batch.id.as_str())),
                ("_target_version", lit(target_version)),
            ],
        )?;
        let _turn = self.turn().await?;
        crate::failpoint!("publish.before_quarantine");
        let write = Write {
            table: table.clone(),
            mode: WriteMode::ReplaceWhere(format!("{BATCH} = '{}'", batch.id)),
            source: rows.into_unoptimized_plan(),
            options: WriteOptions {
                schema_evolution: SchemaEvolution::AddColumns,
                ..WriteOptions::default()
            },
            context: WriteContext {
                run: Some(self.run.clone()),
                batch: Some(Batch {
                    writer: format!("{}#{what}", batch.writer),
                    id: batch.id.clone(),
                }),
                // The rows of the batch may be others than at an earlier attempt.
                reprocess: true,
                extra: BTreeMap::from([(
                    "quarantine_of".to_owned(),
                    serde_json::Value::from(publish.table.to_string()),
                )]),
                ..WriteContext::default()
            },
        };
        self.lakegate.catalog.write(session, write).await?;
        Ok(())
    }
}

/// The way out of a refusal by checks that let no row go to quarantine: nothing else is said of how many may.
fn whole_thresholds(report: &Report) -> Option<String> {
    let whole: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail && check.expected == EVERY_ROW)
        .map(|check| format!("`{}`", check.id))
        .collect();
    (!whole.is_empty()).then(|| {
        format!(
            "`at_least` of {} is 100%: lower it to let rows go to quarantine",
            whole.join(", ")
        )
    })
}

fn read(
    session: &SessionContext,
    provider: &Arc<dyn TableProvider>,
) -> Result<DataFrame, EtlError> {
    let rows = session.read_table(Arc::clone(provider));
    rows.map_err(EtlError::from_datafusion)
}

fn with_columns<const N: usize>(
    rows: DataFrame,
    columns: [(&str, Expr); N],
) -> Result<DataFrame, EtlError> {
    columns.into_iter().try_fold(rows, |rows, (name, value)| {
        rows.with_column(name, value)
            .map_err(EtlError::from_datafusion)
    })
}
