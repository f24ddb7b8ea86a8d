//! The judge of commits: rule files over candidate versions.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use lakegate_catalog::{
    Candidate, CatalogError, DataFile, Judge, JudgeError, RowWatch, RulesText, Ruling, TableName,
    TableSnapshot, Watcher,
};
use lakegate_engine::Engine;
use lakegate_rules::{
    CheckResult, Collected, Collecting, Collector, Gate, PartKey, Parts, Previous, Report, Subject,
    Suite, Verdict, Waiver, thousands,
};
use serde_json::{Value, json};

use crate::EtlError;
use crate::states::{LakeParts, SaveStates, Shelf, Unwritable, file_key};

/// Checks that a message names; the others are counted.
const NAMED_CHECKS: usize = 5;

/// Suites that are kept parsed.
const KEPT_SUITES: usize = 256;

/// Judges candidates with the rules that are attached to their table.
///
/// It runs its queries as the system, in a session in which the table's name means the candidate. Other tables are
/// read at their newest version.
#[derive(Debug)]
pub struct RulesJudge {
    engine: Arc<Engine>,
    sample_rows: usize,
    suites: Mutex<HashMap<String, Arc<Suite>>>,
    unwritable: Unwritable,
}

/// Rows to judge, by the name that the rules know them by.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) name: TableName,
    pub(crate) rows: Arc<dyn TableProvider>,
    pub(crate) parts: Option<Arc<dyn Parts>>,
    pub(crate) collected: Option<Collected>,
    pub(crate) added: Option<Arc<dyn TableProvider>>,
    pub(crate) previous: Option<Previous>,
    pub(crate) baseline: Option<Arc<dyn TableProvider>>,
    pub(crate) baseline_parts: Option<Arc<dyn Parts>>,
    pub(crate) now: DateTime<Utc>,
}

impl RulesJudge {
    /// A judge over the tables of an engine that names up to `sample_rows` bad rows a check.
    pub fn new(engine: Arc<Engine>, sample_rows: usize) -> Self {
        Self {
            engine,
            sample_rows,
            suites: Mutex::default(),
            unwritable: Unwritable::default(),
        }
    }

    /// The stored states of the table that a version is of.
    pub(crate) fn shelf(&self, snapshot: &TableSnapshot) -> Result<Arc<Shelf>, CatalogError> {
        Shelf::of(snapshot, &self.unwritable)
    }

    /// Judges rows, which the rules see under their name.
    pub(crate) async fn report(&self, suite: &Suite, judged: Judged, others: Overlays) -> Report {
        self.explained(suite, judged, others)
            .await
            .without_sources()
    }

    /// Judges rows, and says where each metric came from.
    pub(crate) async fn explained(
        &self,
        suite: &Suite,
        judged: Judged,
        others: Overlays,
    ) -> Report {
        let mut overlays = others;
        overlays.push((judged.name.clone(), Arc::clone(&judged.rows)));
        let subject = Subject {
            session: self.engine.session_with(overlays),
            table: judged.name.to_string(),
            candidate: judged.rows,
            parts: judged.parts,
            collected: judged.collected,
            added: judged.added,
            previous: judged.previous,
            baseline: judged.baseline,
            baseline_parts: judged.baseline_parts,
            now: judged.now,
            sample_rows: self.sample_rows,
        };
        lakegate_rules::judge(suite, &subject).await
    }

    async fn rule(&self, candidate: Candidate) -> Result<Ruling, JudgeError> {
        let suite = self.suite(&candidate.rules)?;
        let name = match &candidate.name {
            Some(name) => name.clone(),
            None => name_in_rules(&suite, &candidate)?,
        };
        let uncounted = |error: EtlError| JudgeError(error.to_string());
        let previous = match &candidate.base {
            Some(base) => previous_of(&self.engine, &suite, base)
                .await
                .map_err(uncounted)?,
            None => None,
        };
        let failed = |error: CatalogError| JudgeError(error.to_string());
        let shelf = self.shelf(&candidate.candidate).map_err(failed)?;
        let parts = |snapshot| LakeParts::of(snapshot, &shelf).map_err(failed);
        let judged = Judged {
            name: name.clone(),
            rows: scan(&candidate.candidate)?,
            parts: parts(&candidate.candidate)?,
            collected: take_collected(&candidate, &shelf)?,
            added: candidate.added.clone(),
            previous,
            baseline: baseline_of(&suite, candidate.base.as_ref())?,
            baseline_parts: match &candidate.base {
                Some(base) if suite.needs_baseline() => parts(base)?,
                _ => None,
            },
            now: candidate.commit_time,
        };
        let others = under_name_in_rules(&suite, &judged)?;
        let mut report = self.report(&suite, judged, others).await;
        report.apply_waivers(&waivers(&candidate.waivers)?, candidate.commit_time);

        if report.blocks()
            && suite.gate == Gate::NoWorse
            && let Some(base) = &candidate.base
        {
            let judged = Judged {
                name,
                rows: scan(base)?,
                parts: parts(base)?,
                collected: None,
                added: None,
                previous: None,
                baseline: None,
                baseline_parts: None,
                now: candidate.commit_time,
            };
            let others = under_name_in_rules(&suite, &judged)?;
            let before = self.report(&suite, judged, others).await;
            report.accept_as_no_worse(&before);
            compare(&mut report, &before, base.version);
        }
        if let Some(base) = &candidate.base {
            // They are the table's whatever becomes of the commit.
            shelf.save(&file_keys(base)).await;
        }
        let after_commit = SaveStates {
            files: file_keys(&candidate.candidate),
            shelf,
        };
        Ok(Ruling {
            accept: !report.blocks(),
            summary: summary(&report, &candidate),
            message: failures(&report),
            report: serde_json::to_value(&report).map_err(|e| JudgeError(e.to_string()))?,
            after_commit: Some(Arc::new(after_commit)),
        })
    }

    /// The rules, parsed once for each text.
    fn suite(&self, rules: &RulesText) -> Result<Arc<Suite>, JudgeError> {
        let poisoned = |_| JudgeError("internal error: a thread died while it read rules".into());
        if let Some(known) = self.suites.lock().map_err(poisoned)?.get(&rules.sha256) {
            return Ok(Arc::clone(known));
        }
        let suite = Suite::parse(&rules.file, &rules.text).map_err(|problems| {
            JudgeError(format!("the attached rules cannot be read: {problems}"))
        })?;
        let suite = Arc::new(suite);
        let poisoned = |_| JudgeError("internal error: a thread died while it read rules".into());
        let mut suites = self.suites.lock().map_err(poisoned)?;
        if suites.len() >= KEPT_SUITES {
            suites.clear();
        }
        suites.insert(rules.sha256.clone(), Arc::clone(&suite));
        Ok(suite)
    }
}

#[async_trait]
impl Judge for RulesJudge {
    async fn judge(&self, candidate: Candidate) -> Result<Ruling, JudgeError> {
        self.rule(candidate).await
    }

    async fn watcher(
        &self,
        table: &TableName,
        rules: &RulesText,
        schema: &SchemaRef,
    ) -> Option<Arc<dyn Watcher>> {
        let suite = self.suite(rules).ok()?;
        let rows: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(schema)));
        let session = self.engine.session_with(vec![(table.clone(), rows)]);
        let collector = Collector::new(&suite, &session, schema).await.ok()??;
        Some(Arc::new(CollectorOfWrite(Arc::new(collector))))
    }
}

/// Measures the rows of a write for its judge.
#[derive(Debug)]
struct CollectorOfWrite(Arc<Collector>);

impl Watcher for CollectorOfWrite {
    fn begin(self: Arc<Self>) -> Box<dyn RowWatch> {
        Box::new(CollectingRows(Arc::clone(&self.0).begin()))
    }
}

struct CollectingRows(Collecting);

impl RowWatch for CollectingRows {
    fn observe(&mut self, rows: &RecordBatch) {
        self.0.observe(rows);
    }

    fn finish(self: Box<Self>) {
        self.0.finish();
    }
}

/// What was measured while rows were written.
fn take_collected(
    candidate: &Candidate,
    shelf: &Arc<Shelf>,
) -> Result<Option<Collected>, JudgeError> {
    let Some(watched) = &candidate.watched else {
        return Ok(None);
    };
    let watcher: Arc<dyn Any + Send + Sync> = Arc::clone(&watched.watcher) as _;
    let Ok(ours) = watcher.downcast::<CollectorOfWrite>() else {
        return Ok(None);
    };
    let rest = watched.rest.as_ref();
    let parts = |rest| LakeParts::of(rest, shelf).map_err(|error| JudgeError(error.to_string()));
    Ok(Some(Collected {
        collector: Arc::clone(&ours.0),
        rest: rest.map(scan).transpose()?,
        rest_parts: rest.map(parts).transpose()?.flatten(),
        part: only_added(&candidate.candidate, rest).map(file_key),
    }))
}

/// The file that a candidate adds to the others, when it is one.
fn only_added<'c>(
    candidate: &'c TableSnapshot,
    others: Option<&Arc<TableSnapshot>>,
) -> Option<&'c DataFile> {
    let others = others.iter().flat_map(|others| others.files.iter());
    let others: HashSet<&str> = others.map(|file| file.path.as_str()).collect();
    let mut added = candidate.files.iter();
    let mut added = added
        .by_ref()
        .filter(|file| !others.contains(file.path.as_str()));
    let first = added.next()?;
    added.next().is_none().then_some(first)
}

/// The keys of a version's files.
pub(crate) fn file_keys(snapshot: &TableSnapshot) -> Vec<PartKey> {
    snapshot.files.iter().map(file_key).collect()
}

/// What is known of a published version as the baseline of the next one. Its rows are counted when a check holds the
/// candidate against them and no statistics tell.
pub(crate) async fn previous_of(
    engine: &Engine,
    suite: &Suite,
    base: &Arc<TableSnapshot>,
) -> Result<Option<Previous>, EtlError> {
    let row_count = match base.row_count() {
        Some(rows) => rows,
        None if suite.checks.iter().any(|check| check.kind == "row_count") => {
            let uncounted = |error: EtlError| {
                let message = format!("the rows of version {} cannot be counted", base.version);
                EtlError::failed(message, error)
            };
            let rows = base.scan().map_err(|error| uncounted(error.into()))?;
            let count = async { engine.session().read_table(rows)?.count().await }.await;
            count.map_err(|error| uncounted(EtlError::from_datafusion(error)))? as u64
        }
        None => return Ok(None),
    };
    Ok(Some(Previous {
        version: base.version,
        row_count,
    }))
}

/// The rows of a published version, when a check compares with them.
pub(crate) fn baseline_of(
    suite: &Suite,
    base: Option<&Arc<TableSnapshot>>,
) -> Result<Option<Arc<dyn TableProvider>>, JudgeError> {
    let base = base.filter(|_| suite.needs_baseline());
    base.map(scan).transpose()
}

/// Tables by the names that mean them while rows are judged.
type Overlays = Vec<(TableName, Arc<dyn TableProvider>)>;

/// The judged rows under the name that the rules give the table. A writer may know the table by another name, and what a
/// check reads under the rules' own name must be the candidate all the same.
fn under_name_in_rules(suite: &Suite, judged: &Judged) -> Result<Overlays, JudgeError> {
    let Some(name) = &suite.table else {
        return Ok(Vec::new());
    };
    let name = name
        .parse()
        .map_err(|error| JudgeError(format!("the rules name a table that cannot be: {error}")))?;
    Ok(vec![(name, Arc::clone(&judged.rows))])
}

/// Says, for each check that fails, how it was in the version that `gate: no_worse` compares with.
fn compare(report: &mut Report, before: &Report, version: i64) {
    let failing = report
        .checks
        .iter_mut()
        .filter(|check| matches!(check.verdict, Verdict::Fail | Verdict::NoWorse));
    for check in failing {
        let base = before.checks.iter().find(|base| base.id == check.id);
        let comparison = comparison(check, base, version);
        check.message = Some(match check.message.take() {
            Some(message) => format!("{message}; {comparison}"),
            None => comparison,
        });
    }
}

/// A failing check beside its baseline, for people: `2 bad rows before (version 3), 4 now`.
fn comparison(check: &CheckResult, base: Option<&CheckResult>, version: i64) -> String {
    let Some(base) = base else {
        return format!("not judged before (version {version})");
    };
    if base.verdict == Verdict::Error {
        return format!("could not be evaluated before (version {version})");
    }
    match (base.bad_rows, check.bad_rows) {
        (Some(1), Some(now)) => format!(
            "1 bad row before (version {version}), {} now",
            thousands(now)
        ),
        (Some(before), Some(now)) => format!(
            "{} bad rows before (version {version}), {} now",
            thousands(before),
            thousands(now)
        ),
        _ => format!(
            "{} before (version {version}), {} now",
            base.observed, check.observed
        ),
    }
}

/// The checks that block, for people: `carrier/not_null: 97.1%, wanted at least 99%; ...`.
pub(crate) fn failures(report: &Report) -> String {
    let blocking: Vec<&CheckResult> = report
        .checks
        .iter()
        .filter(|check| check.verdict >= Verdict::Fail)
        .collect();
    let mut parts: Vec<String> = blocking
        .iter()
        .take(NAMED_CHECKS)
        .map(|c| failure(c))
        .collect();
    if blocking.len() > NAMED_CHECKS {
        parts.push(format!("and {} more", blocking.len() - NAMED_CHECKS));
    }
    parts.join("; ")
}

fn failure(check: &CheckResult) -> String {
    match (&check.verdict, &check.message) {
        (Verdict::Error, Some(message)) => {
            format!("`{}` could not be evaluated: {message}", check.id)
        }
        (Verdict::Error, None) => format!("`{}` could not be evaluated", check.id),
        (_, Some(message)) => format!(
            "`{}`: {}, wanted {} ({message})",
            check.id, check.observed, check.expected
        ),
        (_, None) => format!(
            "`{}`: {}, wanted {}",
            check.id, check.observed, check.expected
        ),
    }
}

fn scan(snapshot: &Arc<TableSnapshot>) -> Result<Arc<dyn TableProvider>, JudgeError> {
    snapshot
        .scan()
        .map_err(|error| JudgeError(error.to_string()))
}

/// A table that is not in the catalog is judged under the name that its rules give it.
fn name_in_rules(suite: &Suite, candidate: &Candidate) -> Result<TableName, JudgeError> {
    let name = suite.table.as_deref().unwrap_or("candidate");
    name.parse().map_err(|error| {
        JudgeError(format!(
            "the rules of {} name a table that cannot be: {error}",
            candidate.location
        ))
    })
}

fn waivers(values: &[Value]) -> Result<Vec<Waiver>, JudgeError> {
    let read = |value: &Value| {
        serde_json::from_value(value.clone())
            .map_err(|error| JudgeError(format!("a waiver of the table cannot be read: {error}")))
    };
    values.iter().map(read).collect()
}

/// What the commit says about its verdict.
fn summary(report: &Report, candidate: &Candidate) -> Value {
    let verdict = report.verdict();
    let ids = |wanted: Verdict| -> Vec<&str> {
        let with = report.checks.iter().filter(|check| check.verdict == wanted);
        with.map(|check| check.id.as_str()).collect()
    };
    let mut summary = json!({
        "verdict": verdict,
        "checks": report.checks.len(),
        "warned": ids(Verdict::Warn),
        "rules_sha256": candidate.rules.sha256,
    });
    let waived: Vec<Value> = report
        .checks
        .iter()
        .filter_map(|check| check.waiver.as_ref())
        .map(|waiver| {
            json!({
                "check": waiver.check,
                "until": waiver.until,
                "reason": waiver.reason,
                "by": waiver.by,
            })
        })
        .collect();
    if let Some(fields) = summary.as_object_mut() {
        if !waived.is_empty() {
            fields.insert("waived".to_owned(), Value::Array(waived));
        }
        if verdict == Verdict::NoWorse {
            fields.insert("failed".to_owned(), json!(ids(Verdict::NoWorse)));
        }
        if let Some(run) = &candidate.run {
            fields.insert("run".to_owned(), json!(run));
        }
    }
    summary
}
