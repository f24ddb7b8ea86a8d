//! Quarantine: rows that row-level checks reject leave the source before it is published.
//!
//! The thresholds of the checks with `bad_rows: quarantine` or `bad_rows: drop` are judged over the source first. When
//! they hold, the rows that a check with `bad_rows: quarantine` finds bad are committed to `<table>__quarantine`, under the batch's identity and with the version that they were kept out
//! of, and then the good rows are published. The two commits are not one: a batch can be in quarantine and not in the
//! table, when the gate refuses it. Readers of the quarantine join on `_batch` of batches that were committed.
//!
//! Rows that only checks with `bad_rows: drop` find bad are left out and kept nowhere. The report of the run, its text and
//! `lakegate.stages` say how many they are, as they do of rows in quarantine.
//!
//! A batch that is run again, after a refusal or with `--reprocess`, replaces the rows that it has in quarantine: rules
//! may have changed since, and then other rows are the bad ones.
//!
//! Rows that do not type (`on_error: quarantine`) have no values of the table's types. They go to
//! `<table>__quarantine_untyped`, as the text that they were, with `_errors`, and with `_file` and `_line` when they come
//! from text files; of several publishes that are made from the typed view, the first one that gets that far takes them.
//!
//! Both tables say of each row its batch (`_batch`), its run (`_run`) and the version that it was kept out of
//! (`_target_version`). No publish names a table that ends in `__quarantine` or `__quarantine_untyped`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::functions_nested::expr_fn::{array_has, array_length};
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

/// The column that says which version a row was kept out of.
const TARGET_VERSION: &str = "_target_version";

/// The columns that a quarantine adds.
const ADDED: [&str; 4] = ["_run", BATCH, TARGET_VERSION, FAILED_CHECKS];

/// The rows of a view that stay, and the verdict over all of them.
pub(crate) struct Diverted {
    pub(crate) good: Arc<dyn TableProvider>,
    pub(crate) report: Option<Report>,
}

impl Runner {
    /// Sends the bad rows to quarantine, and gives the good ones.
    pub(crate) async fn divert(
        &self,
        publish: &PublishStage,
        suite: &Suite,
        source: Arc<dyn TableProvider>,
        batch: &Batch,
        draft: &mut Draft,
    ) -> Result<Diverted, EtlError> {
        if let Some(taken) = name_taken_by(&source.schema(), suite) {
            let (message, hint) = name_is_taken(&publish.view, &taken);
            return Err(EtlError::request(message, hint));
        }
        let now = self.lakegate.now();
        let diverting = suite.only(|check| check.bad_rows != BadRows::Keep);
        let judged = Judged {
            name: publish.table.clone(),
            rows: Arc::clone(&source),
            parts: None,
            collected: None,
            added: Some(Arc::clone(&source)),
            previous: None,
            baseline: None,
            baseline_parts: None,
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
        let all_bad_rows = count(&bad).await?;
        let bad = bad
            .filter(fails_one_of(&diverting, BadRows::Quarantine))
            .map_err(EtlError::from_datafusion)?;
        let bad_rows = count(&bad).await?;
        if has_checks(suite, BadRows::Quarantine) {
            *draft.report.quarantined.get_or_insert(0) += bad_rows;
        }
        if has_checks(suite, BadRows::Drop) {
            *draft.report.dropped.get_or_insert(0) += all_bad_rows - bad_rows;
        }
        let table = quarantine_of(&publish.table)?;
        if bad_rows > 0 || self.holds(&table, batch).await? {
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
        Ok(Diverted {
            good: good.into_view(),
            report: Some(report),
        })
    }

    /// Whether a quarantine has rows of a batch, from an earlier attempt.
    async fn holds(&self, table: &TableName, batch: &Batch) -> Result<bool, EtlError> {
        let snapshot = match self.lakegate.catalog.snapshot(table, At::Latest).await {
            Ok(snapshot) => snapshot,
            Err(CatalogError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let rows = read(&self.lakegate.engine.session(), &snapshot.scan()?)?
            .filter(ident(BATCH).eq(lit(batch.id.as_str())))
            .and_then(|rows| rows.limit(0, Some(1)))
            .map_err(EtlError::from_datafusion)?;
        let rows = rows.count().await.map_err(EtlError::from_datafusion)?;
        Ok(rows > 0)
    }

    /// Keeps rows that did not type, of all the views that the publish is made from and that no other one has kept.
    pub(crate) async fn keep_untyped(
        &self,
        index: usize,
        publish: &PublishStage,
        batch: &Batch,
        draft: &mut Draft,
    ) -> Result<(), EtlError> {
        let taken = self.take_untyped(index);
        let untyped: Vec<Spooled> = taken.iter().map(|(_, rows)| rows.clone()).collect();
        let kept = self.keep_spooled(publish, &untyped, batch, draft).await;
        if kept.is_err() {
            self.give_back_untyped(taken.iter().map(|(view, _)| *view));
        }
        kept
    }

    async fn keep_spooled(
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
                (TARGET_VERSION, lit(target_version)),
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
            "`at_least` of {} is 100%: lower it to let bad rows be taken out",
            whole.join(", ")
        )
    })
}

/// Whether a check does this with bad rows.
fn has_checks(suite: &Suite, bad_rows: BadRows) -> bool {
    suite.checks.iter().any(|check| check.bad_rows == bad_rows)
}

/// Whether a row fails a check that does this with bad rows.
fn fails_one_of(suite: &Suite, bad_rows: BadRows) -> Expr {
    let checks = suite.checks.iter();
    checks
        .filter(|check| check.bad_rows == bad_rows)
        .map(|check| array_has(ident(FAILED_CHECKS), lit(check.id.as_str())).is_true())
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false))
}

async fn count(rows: &DataFrame) -> Result<u64, EtlError> {
    let count = rows.clone().count().await;
    Ok(count.map_err(EtlError::from_datafusion)? as u64)
}

/// A column that has the name of one which a quarantine adds.
pub(crate) fn taken_name(columns: &SchemaRef) -> Option<String> {
    taken_of(columns, &ADDED)
}

/// A column that has the name of one which taking out bad rows adds: a quarantine, or only the mark of rows to drop.
pub(crate) fn name_taken_by(columns: &SchemaRef, suite: &Suite) -> Option<String> {
    match has_checks(suite, BadRows::Quarantine) {
        true => taken_name(columns),
        false => taken_of(columns, &[FAILED_CHECKS]),
    }
}

fn taken_of(columns: &SchemaRef, added: &[&str]) -> Option<String> {
    let mut names = columns.fields().iter().map(|field| field.name());
    names
        .find(|name| added.iter().any(|added| added.eq_ignore_ascii_case(name)))
        .cloned()
}

/// What is wrong with a column of that name, and the way out.
pub(crate) fn name_is_taken(view: &str, column: &str) -> (String, String) {
    (
        format!("view `{view}` has a column `{column}`, which its quarantine adds"),
        format!("give it another name in a `sql` stage before: `{column} AS another_name`"),
    )
}

/// The report over what was written, with what was found in the source before bad rows left it: over the rest a check
/// of single rows always passes. The rows that the table held before may still be worse than the source.
pub(crate) fn with_source(mut report: Report, source: Option<&Report>) -> Report {
    for over_source in source.iter().flat_map(|source| &source.checks) {
        let check = report
            .checks
            .iter_mut()
            .find(|check| check.id == over_source.id && check.verdict <= over_source.verdict);
        if let Some(check) = check {
            *check = over_source.clone();
        }
    }
    report
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
