//! Judges a subject: one scan for all that a scan can tell, one grouping for each set of columns whose
//! values the scan could not count, one look-up or query for each check that needs its own.

mod measure;
mod source;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;
use datafusion::prelude::DataFrame;
use futures::FutureExt;
use tracing::debug;

use crate::collect::Collected;
use crate::finding::{Facts, Finding, Measured, Samples, Sources};
use crate::frequencies::FrequenciesOf;
use crate::plan::{Measure, Planner, Trouble, Work, plain_type};
use crate::rows::sample;
use crate::scan::{self, Found, Rows, Scan, panicked};
use crate::suite::{Check, Suite};
use crate::value_groups::ValueGroups;
use crate::{CheckResult, Report, Scope, Subject, Verdict};

/// Judges a subject by a suite.
///
/// Never fails: what cannot be evaluated has the verdict `error` in the report.
pub async fn judge(suite: &Suite, subject: &Subject) -> Report {
    let mut report = Report {
        table: subject.table.clone(),
        owner: suite.owner.clone(),
        description: suite.description.clone(),
        rules_file: suite.file.clone(),
        rules_sha256: suite.sha256.clone(),
        judged_at: subject.now,
        rows: None,
        files: None,
        checks: Vec::new(),
    };
    let planner = |rows: &Arc<dyn TableProvider>| {
        let parameters = suite.parameters.clone();
        Planner::new(&subject.session, &rows.schema(), parameters, subject.now)
    };
    let planners = Planners {
        table: planner(&subject.candidate),
        // The rows that a write brings may have other columns and types than the table.
        added: subject.added.as_ref().map(planner),
    };
    let mut judging = Judging {
        suite,
        subject,
        facts: Facts {
            previous: subject.previous,
            now: subject.now,
            sample_rows: subject.sample_rows,
            key: suite.key.clone(),
        },
        jobs: Vec::new(),
        groups: Vec::new(),
        frequencies: Vec::new(),
        baseline: None,
        ranks: Vec::new(),
    };
    judging.plan(&planners).await;
    let scans = judging.run_scans().await;
    report.rows = scans.rows;
    for index in 0..judging.jobs.len() {
        let result = judging.result(index, &scans).await;
        debug!(check = %result.id, verdict = ?result.verdict, elapsed_ms = result.elapsed_ms, "check judged");
        report.checks.push(result);
    }
    report.files = judging.files_read(&scans);
    report
}

/// A planner for the rows of each scope.
struct Planners {
    table: Result<Planner, Trouble>,
    added: Option<Result<Planner, Trouble>>,
}

/// One check on its way to a result.
struct Job<'a> {
    check: &'a Check,
    filter: Option<Expr>,
    work: Result<Work, Trouble>,
    /// Places of its measures in the scan of its scope.
    places: Vec<usize>,
    /// Whether its measures mean the same whenever the commit is made.
    lasts: bool,
    is_applied: bool,
}

struct Judging<'a> {
    suite: &'a Suite,
    subject: &'a Subject,
    facts: Facts,
    jobs: Vec<Job<'a>>,
    /// Groupings that are done: columns, filter, scope and result.
    groups: Vec<(GroupKey, Result<Measured, Trouble>)>,
    /// Frequencies that are counted: of what, filter, whose rows, and result.
    frequencies: Vec<(FrequenciesKey, Result<Measured, Trouble>)>,
    /// What was measured in the last published version, in one pass for all checks.
    baseline: Option<(Scan, Result<Found, Trouble>)>,
    /// Columns that were sorted: column, filter and scope, ranks, and what is there.
    ranks: Vec<(RanksKey, Vec<f64>, Result<Measured, Trouble>)>,
}

type GroupKey = (Vec<String>, Option<Expr>, Scope);

type FrequenciesKey = (FrequenciesOf, Option<Expr>, Side);

/// Whose rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Those that are judged.
    Judged(Scope),
    /// Those of the last published version.
    Baseline,
}

type RanksKey = (String, Option<Expr>, Scope);

/// The results of the scans.
struct Scans {
    rows: Option<u64>,
    table: ScanResult,
    added: ScanResult,
}

struct ScanResult {
    found: Result<Found, Trouble>,
    elapsed: Duration,
}

impl ScanResult {
    fn measured(&self, place: usize) -> Result<Measured, Trouble> {
        match &self.found {
            Err(trouble) => Err(trouble.clone()),
            Ok(found) => match found.measured.get(place) {
                Some(measured) => measured.clone(),
                None => Err(Trouble::new("bug: the scan has no such measure")),
            },
        }
    }

    fn sources(&self, place: usize) -> Sources {
        let found = self.found.as_ref().ok();
        let sources = found.and_then(|found| found.sources.get(place));
        sources.copied().unwrap_or_default()
    }
}

impl Judging<'_> {
    async fn plan(&mut self, planners: &Planners) {
        for check in &self.suite.checks {
            let planner = match check.scope {
                Scope::Table => Some(&planners.table),
                Scope::Added => planners.added.as_ref(),
            };
            let (filter, work) = match planner {
                Some(Ok(planner)) => plan_check(check, planner).await,
                Some(Err(trouble)) => (None, Err(trouble.clone())),
                None => (None, Err(Trouble::new("no added rows known"))),
            };
            let lasts = matches!(planner, Some(Ok(planner)) if planner.lasts());
            self.jobs.push(Job {
                check,
                filter,
                work,
                places: Vec::new(),
                lasts,
                is_applied: planner.is_some(),
            });
        }
    }

    async fn run_scans(&mut self) -> Scans {
        let mut table = Scan::default();
        let mut added = Scan::default();
        for job in self.jobs.iter_mut().filter(|job| job.is_applied) {
            let (scan, rows) = match (job.check.scope, &self.subject.added) {
                (Scope::Added, Some(rows)) => (&mut added, rows),
                _ => (&mut table, &self.subject.candidate),
            };
            if let Ok(work) = &job.work {
                let filter = job.filter.as_ref();
                job.places = scan.add_work(work, &rows.schema(), filter, job.lasts);
            }
        }
        let rows_place = (!table.is_empty()).then(|| table.add(Measure::Rows, None, true));
        let subject = self.subject;
        let collected = subject.collected.as_ref();
        let table = self
            .run_scan(
                &table,
                Some(Rows {
                    table: &subject.candidate,
                    parts: subject.parts.as_ref(),
                }),
                collected,
            )
            .await;
        let rows_added = subject.added.as_ref().map(|added| Rows {
            table: added,
            parts: None,
        });
        let added = self.run_scan(&added, rows_added, None).await;
        let rows = match rows_place.map(|place| table.measured(place)) {
            Some(Ok(Measured::Rows { rows, .. })) => Some(rows),
            _ => None,
        };
        Scans { rows, table, added }
    }

    async fn run_scan(
        &self,
        scan: &Scan,
        rows: Option<Rows<'_>>,
        collected: Option<&Collected>,
    ) -> ScanResult {
        let start = Instant::now();
        let found = match rows {
            Some(rows) if !scan.is_empty() => {
                guarded(scan.run(&self.subject.session, rows, collected)).await
            }
            _ => Ok(Found::default()),
        };
        ScanResult {
            found,
            elapsed: start.elapsed(),
        }
    }

    /// The groups of a check's column, when the scan could count them.
    fn value_groups(&self, index: usize, scan: &ScanResult) -> Option<ValueGroups> {
        let measured = |place: &usize| scan.measured(*place).ok();
        let mut all = self.jobs[index].places.iter().filter_map(measured);
        all.find_map(|measured| match measured {
            Measured::ValueCounts(groups) => groups,
            _ => None,
        })
    }

    async fn result(&mut self, index: usize, scans: &Scans) -> CheckResult {
        let start = Instant::now();
        let job = &self.jobs[index];
        let check = job.check;
        if !job.is_applied {
            let finding = Finding::nothing_to_judge(check, None, "no added rows known");
            return result_of(check, finding, Duration::ZERO);
        }
        let shared_scan = match check.scope {
            Scope::Table => &scans.table,
            Scope::Added => &scans.added,
        };
        let shared = match job.places.is_empty() {
            true => Duration::ZERO,
            false => shared_scan.elapsed,
        };
        let measured = self.measure(index, shared_scan).await;
        let source = self.source(index, shared_scan);
        let assess = |measured| scan::guarded(|| check.rule.assess(check, measured, &self.facts));
        let assessed = measured.and_then(assess);
        let mut finding = match assessed {
            Ok(finding) => finding,
            Err(trouble) => {
                let result = error_result(check, trouble, shared + start.elapsed());
                return CheckResult { source, ..result };
            }
        };
        if finding.bad_rows.is_some_and(|bad| bad > 0) && finding.verdict != Verdict::Pass {
            match self.samples(index).await {
                Ok(Some(samples)) => finding.samples = samples,
                Ok(None) => {}
                // The verdict stands without samples.
                Err(trouble) => {
                    let note = format!("no sample rows: {}", trouble.message);
                    finding.message = Some(match finding.message {
                        Some(message) => format!("{message}; {note}"),
                        None => note,
                    });
                }
            }
        }
        let result = result_of(check, finding, shared + start.elapsed());
        CheckResult { source, ..result }
    }

    fn rows(&self, scope: Scope) -> Result<DataFrame, Trouble> {
        let provider = match (scope, &self.subject.added) {
            (Scope::Table, _) => &self.subject.candidate,
            (Scope::Added, Some(added)) => added,
            (Scope::Added, None) => return Err(Trouble::new("no added rows known")),
        };
        Ok(self.subject.session.read_table(Arc::clone(provider))?)
    }

    /// Keys of bad rows; `None` for checks that do not judge single rows.
    async fn samples(&self, index: usize) -> Result<Option<Samples>, Trouble> {
        let job = &self.jobs[index];
        let Ok(work) = &job.work else {
            return Ok(None);
        };
        let limit = self.facts.sample_rows;
        let tells_rows = match work {
            Work::Known(_)
            | Work::Query(_)
            | Work::Several(_)
            | Work::CompleteGroups(_)
            | Work::Frequencies(_)
            | Work::Ranks(_)
            | Work::Versus(_)
            | Work::Beside(..)
            | Work::Aggregates(..) => false,
            Work::Scan(_)
            | Work::Groups(_)
            | Work::Key(_)
            | Work::Lookup(_)
            | Work::Match(_)
            | Work::Order(_) => true,
        };
        if !tells_rows || limit == 0 {
            return Ok(None);
        }
        let rows = self.rows(job.check.scope)?;
        let schema = rows.schema().as_arrow();
        let has = |name: &String| {
            schema
                .column_with_name(name)
                .is_some_and(|(_, field)| !plain_type(field.data_type()).is_nested())
        };
        let keys: Vec<String> = self.suite.key.iter().filter(|k| has(k)).cloned().collect();
        if keys.is_empty() {
            // Other columns may hold what nobody but the table's readers should see.
            return Ok(None);
        }
        let session = &self.subject.session;
        let found = sample(session, rows, work, job.filter.as_ref(), &keys, limit);
        guarded(found).await.map(Some)
    }
}

/// What a check filters by, and what has to be measured for it.
pub(crate) async fn plan_check(
    check: &Check,
    planner: &Planner,
) -> (Option<Expr>, Result<Work, Trouble>) {
    let filter = match &check.where_ {
        Some(sql) => planner.condition(sql).map(Some),
        None => Ok(None),
    };
    match filter {
        Ok(filter) => (filter, guarded(check.rule.plan(check, planner)).await),
        Err(trouble) => (None, Err(trouble)),
    }
}

/// Runs a future that must not take the process down: a panic becomes trouble.
async fn guarded<T>(run: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(result) => result,
        Err(cause) => Err(panicked(cause.as_ref())),
    }
}

fn result_of(check: &Check, finding: Finding, elapsed: Duration) -> CheckResult {
    CheckResult {
        id: check.id.clone(),
        kind: check.kind.to_owned(),
        column: check.column.clone(),
        description: check.description.clone(),
        severity: check.severity,
        scope: check.scope,
        verdict: finding.verdict,
        metric: finding.metric.filter(|metric| metric.is_finite()),
        distance: finding.distance,
        observed: finding.observed,
        expected: finding.expected,
        rows: finding.rows,
        bad_rows: finding.bad_rows,
        message: finding.message,
        hint: None,
        samples: finding.samples,
        waiver: None,
        elapsed_ms: milliseconds(elapsed),
        source: Vec::new(),
    }
}

fn error_result(check: &Check, trouble: Trouble, elapsed: Duration) -> CheckResult {
    CheckResult {
        id: check.id.clone(),
        kind: check.kind.to_owned(),
        column: check.column.clone(),
        description: check.description.clone(),
        severity: check.severity,
        scope: check.scope,
        verdict: Verdict::Error,
        metric: None,
        distance: None,
        observed: "not evaluated".to_owned(),
        expected: check.thresholds().to_string(),
        rows: None,
        bad_rows: None,
        message: Some(trouble.message),
        hint: trouble.hint,
        samples: Vec::new(),
        waiver: None,
        elapsed_ms: milliseconds(elapsed),
        source: Vec::new(),
    }
}

fn milliseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
