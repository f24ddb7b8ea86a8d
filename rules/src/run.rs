//! Judges a subject: one scan for all that a scan can tell, one grouping for each set of columns,
//! one look-up or query for each check that needs its own.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::{FutureExt, StreamExt};
use tracing::debug;

use crate::collect::Collected;
use crate::finding::{Facts, Finding, Measured, Samples, Sources};
use crate::frequencies::{FrequenciesOf, count_frequencies};
use crate::plan::{Measure, Planner, Trouble, Work, column, plain_type};
use crate::ranks::{RanksOf, find_ranks};
use crate::rows::{
    and_none_null, count_groups, count_marked, count_missing, expect_keys, filtered, sample,
};
use crate::scan::{Found, Rows, Scan, panicked};
use crate::suite::{Check, Suite};
use crate::{CheckResult, FilesRead, Origin, Report, Scope, Source, Subject, Verdict};

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
    /// Columns that were sorted: column, filter and scope, ranks, and what is there.
    ranks: Vec<(RanksKey, Vec<f64>, Result<Measured, Trouble>)>,
}

type GroupKey = (Vec<String>, Option<Expr>, Scope);

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
            let scan = match job.check.scope {
                Scope::Table => &mut table,
                Scope::Added => &mut added,
            };
            if let Ok(work) = &job.work {
                job.places = scan.add_work(work, job.filter.as_ref(), job.lasts);
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

    async fn result(&mut self, index: usize, scans: &Scans) -> CheckResult {
        let start = Instant::now();
        let job = &self.jobs[index];
        let check = job.check;
        if !job.is_applied {
            let finding = Finding::nothing_to_judge(check, None, "no added rows known");
            return result_of(check, finding, Duration::ZERO);
        }
        let scan = match check.scope {
            Scope::Table => &scans.table,
            Scope::Added => &scans.added,
        };
        let shared = match job.places.is_empty() {
            true => Duration::ZERO,
            false => scan.elapsed,
        };
        let measured = self.measure(index, scan).await;
        let source = self.source(index, scan);
        let assessed = measured.and_then(|m| check.rule.assess(check, m, &self.facts));
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

    /// Where a check's metric came from.
    fn source(&self, index: usize, scan: &ScanResult) -> Vec<Source> {
        let job = &self.jobs[index];
        let parts = self.subject.parts.as_ref();
        let all_files = match job.check.scope {
            Scope::Table => parts.map(|parts| parts.keys().len() as u64),
            Scope::Added => None,
        };
        match &job.work {
            Err(_) => Vec::new(),
            Ok(Work::Known(_)) => vec![Source::new(Origin::Schema, None)],
            Ok(Work::Scan(_) | Work::Several(_)) => {
                Source::of_measures(job.places.iter().map(|place| scan.sources(*place)))
            }
            Ok(Work::Versus(inner)) if !matches!(**inner, Work::Frequencies(_)) => {
                Source::of_measures(job.places.iter().map(|place| scan.sources(*place)))
            }
            Ok(
                Work::Groups(_)
                | Work::Key(_)
                | Work::CompleteGroups(_)
                | Work::Frequencies(_)
                | Work::Ranks(_)
                | Work::Order(_)
                | Work::Versus(_),
            ) => vec![Source::new(Origin::Grouping, all_files)],
            Ok(Work::Lookup(_) | Work::Match(_)) => vec![Source::new(Origin::LookUp, all_files)],
            Ok(Work::Beside(..)) => {
                let places = job.places.iter().map(|place| scan.sources(*place));
                let mut sources = Source::of_measures(places);
                sources.push(Source::new(Origin::Query, None));
                sources
            }
            Ok(Work::Aggregates(..)) => vec![Source::new(Origin::Query, all_files)],
            Ok(Work::Query(_)) => vec![Source::new(Origin::Query, None)],
        }
    }

    /// How many parts were read, of all; none when there are no parts.
    fn files_read(&self, scans: &Scans) -> Option<FilesRead> {
        let parts = self.subject.parts.as_ref()?;
        let of = parts.keys().len() as u64;
        let reads_all = |job: &Job<'_>| {
            let reads = match &job.work {
                Ok(Work::Versus(inner)) => matches!(**inner, Work::Frequencies(_)),
                Ok(work) => matches!(
                    work,
                    Work::Groups(_)
                        | Work::Key(_)
                        | Work::CompleteGroups(_)
                        | Work::Frequencies(_)
                        | Work::Ranks(_)
                        | Work::Order(_)
                        | Work::Lookup(_)
                        | Work::Match(_)
                        | Work::Aggregates(..)
                ),
                Err(_) => false,
            };
            reads && job.is_applied && job.check.scope == Scope::Table
        };
        let scanned = scans.table.found.as_ref().map(|found| found.read.len());
        let read = match self.jobs.iter().any(reads_all) {
            true => of,
            false => scanned.unwrap_or_default() as u64,
        };
        Some(FilesRead { read, of })
    }

    async fn measure(&mut self, index: usize, scan: &ScanResult) -> Result<Measured, Trouble> {
        let job = &self.jobs[index];
        match job.work.clone()? {
            Work::Known(measured) => Ok(measured),
            Work::Scan(_) => match job.places.as_slice() {
                [place] => scan.measured(*place),
                _ => Err(Trouble::new("bug: the check has no place in the scan")),
            },
            Work::Several(_) => {
                let several = job.places.iter().map(|place| scan.measured(*place));
                Ok(Measured::Several(several.collect::<Result<_, _>>()?))
            }
            Work::Groups(columns) => {
                let key = (columns, job.filter.clone(), job.check.scope);
                self.groups(key).await
            }
            Work::Key(columns) => {
                let with_nulls = match job.places.first().map(|place| scan.measured(*place)) {
                    Some(measured) => measured?,
                    None => return Err(Trouble::new("bug: the nulls of a key were not counted")),
                };
                let filter = and_none_null(job.filter.as_ref(), &columns);
                let key = (columns, Some(filter), job.check.scope);
                match (with_nulls, self.groups(key).await?) {
                    (Measured::Rows { rows, bad }, Measured::Groups { repeated, .. }) => {
                        let bad = bad + repeated;
                        Ok(Measured::Rows { rows, bad })
                    }
                    _ => Err(Trouble::new("bug: a key was measured as something else")),
                }
            }
            Work::Match(_) | Work::Order(_) => {
                let source = self.rows(job.check.scope)?;
                let session = &self.subject.session;
                let work = job.work.clone()?;
                let filter = job.filter.as_ref();
                guarded(async {
                    if let Work::Match(wanted) = &work {
                        expect_keys(session, source.clone(), wanted, filter).await?;
                    }
                    count_marked(session, source, &work, filter).await
                })
                .await
            }
            Work::Beside(_, plan) => {
                let own = match job.places.as_slice() {
                    [place] => scan.measured(*place)?,
                    _ => return Err(Trouble::new("bug: the check has no place in the scan")),
                };
                let other = guarded(answer(&self.subject.session, *plan, 1)).await?;
                Ok(Measured::Several(vec![own, other]))
            }
            Work::Aggregates(aggregate, plan) => {
                let rows = filtered(self.rows(job.check.scope)?, job.filter.as_ref())?;
                let own = aggregate.over(rows)?.into_unoptimized_plan();
                let session = &self.subject.session;
                let own = guarded(answer(session, own, 1)).await?;
                let other = guarded(answer(session, *plan, 1)).await?;
                Ok(Measured::Several(vec![own, other]))
            }
            Work::CompleteGroups(groupings) => {
                let scope = job.check.scope;
                let columns = groupings.iter().flatten();
                let present = columns.map(|name| column(name).is_not_null());
                let filter = job.filter.clone().into_iter().chain(present);
                let filter = filter.reduce(Expr::and);
                let mut counted = Vec::new();
                for columns in groupings {
                    counted.push(self.groups((columns, filter.clone(), scope)).await?);
                }
                Ok(Measured::Several(counted))
            }
            Work::Frequencies(of) => {
                let rows = self.rows(job.check.scope)?;
                self.frequencies(rows, &of, index).await
            }
            Work::Versus(inner) => {
                let ours = match (inner.as_ref(), job.places.as_slice()) {
                    (Work::Frequencies(of), _) => {
                        let rows = self.rows(job.check.scope)?;
                        self.frequencies(rows, of, index).await?
                    }
                    (_, [place]) => scan.measured(*place)?,
                    _ => return Err(Trouble::new("bug: the check has no place in the scan")),
                };
                let theirs = match &self.subject.baseline {
                    Some(baseline) => Some(self.baseline(baseline, &inner, index).await?),
                    None => None,
                };
                Ok(Measured::Versus(Box::new((ours, theirs))))
            }
            Work::Ranks(of) => self.ranks(&of, index).await,
            Work::Lookup(lookup) => {
                let rows = match job.places.first().map(|place| scan.measured(*place)) {
                    Some(Ok(Measured::Rows { rows, .. })) => rows,
                    Some(Err(trouble)) => return Err(trouble),
                    _ => return Err(Trouble::new("bug: the rows of a look-up were not counted")),
                };
                let source = self.rows(job.check.scope)?;
                let session = &self.subject.session;
                let missing = count_missing(session, source, &lookup, job.filter.as_ref());
                let bad = guarded(missing).await?;
                Ok(Measured::Rows { rows, bad })
            }
            Work::Query(plan) => {
                // One row more than a sample, so that `expect: true` sees a second one.
                let keep = self.facts.sample_rows.max(2);
                guarded(answer(&self.subject.session, *plan, keep)).await
            }
        }
    }

    /// The result of a grouping, which is made once.
    async fn groups(&mut self, key: GroupKey) -> Result<Measured, Trouble> {
        if let Some((_, known)) = self.groups.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let rows = self.rows(key.2)?;
        let counted = guarded(count_groups(rows, &key.0, key.1.as_ref())).await;
        self.groups.push((key, counted.clone()));
        counted
    }

    async fn frequencies(
        &self,
        rows: DataFrame,
        of: &FrequenciesOf,
        index: usize,
    ) -> Result<Measured, Trouble> {
        let filter = self.jobs[index].filter.as_ref();
        let counted = guarded(count_frequencies(rows, of, filter)).await?;
        Ok(Measured::Frequencies(counted))
    }

    /// What a check measures in the last published version.
    async fn baseline(
        &self,
        baseline: &Arc<dyn TableProvider>,
        work: &Work,
        index: usize,
    ) -> Result<Measured, Trouble> {
        let session = &self.subject.session;
        if let Work::Frequencies(of) = work {
            let rows = session.read_table(Arc::clone(baseline))?;
            return self.frequencies(rows, of, index).await;
        }
        let mut scan = Scan::default();
        let job = &self.jobs[index];
        scan.add_work(work, job.filter.as_ref(), job.lasts);
        let rows = Rows {
            table: baseline,
            parts: self.subject.baseline_parts.as_ref(),
        };
        let found = guarded(scan.run(session, rows, None)).await?;
        let missing = || Trouble::new("bug: the baseline was not measured");
        found.measured.into_iter().next().ok_or_else(missing)?
    }

    /// Exact quantiles: those of all checks of the column at once.
    async fn ranks(&mut self, of: &RanksOf, index: usize) -> Result<Measured, Trouble> {
        let (filter, scope) = (
            self.jobs[index].filter.clone(),
            self.jobs[index].check.scope,
        );
        let is_same = |job: &&Job<'_>| job.filter == filter && job.check.scope == scope;
        let key = (of.column.clone(), filter.clone(), scope);
        if !self.ranks.iter().any(|(known, _, _)| *known == key) {
            let mut all = RanksOf {
                column: of.column.clone(),
                ranks: Vec::new(),
            };
            for job in self.jobs.iter().filter(is_same) {
                if let Ok(Work::Ranks(other)) = &job.work
                    && other.column == of.column
                {
                    all.ranks.extend(&other.ranks);
                }
            }
            let rows = self.rows(scope)?;
            let found = guarded(find_ranks(rows, &all, filter.as_ref())).await;
            self.ranks.push((key.clone(), all.ranks, found));
        }
        let known = self.ranks.iter().find(|(known, _, _)| *known == key);
        let Some((_, ranks, found)) = known else {
            return Err(Trouble::new("bug: the column was not sorted"));
        };
        let Measured::Ranks {
            rows,
            values,
            found,
        } = found.clone()?
        else {
            return Err(Trouble::new("bug: the column was not sorted"));
        };
        let at = |rank: &f64| {
            let place = ranks.iter().position(|known| known == rank)?;
            found.get(place).cloned()
        };
        Ok(Measured::Ranks {
            rows,
            values,
            found: of.ranks.iter().filter_map(at).collect(),
        })
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

/// Counts the rows of a query and keeps the first ones.
async fn answer(
    session: &SessionContext,
    plan: LogicalPlan,
    keep: usize,
) -> Result<Measured, Trouble> {
    let mut stream = session
        .execute_logical_plan(plan)
        .await?
        .execute_stream()
        .await?;
    let schema = stream.schema();
    let mut rows = 0;
    let mut kept: Vec<RecordBatch> = Vec::new();
    let mut missing = keep;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if missing > 0 && batch.num_rows() > 0 {
            let head = batch.slice(0, batch.num_rows().min(missing));
            missing -= head.num_rows();
            kept.push(head);
        }
    }
    let head = match kept.is_empty() {
        true => None,
        false => Some(datafusion::arrow::compute::concat_batches(&schema, &kept)?),
    };
    Ok(Measured::Answer { rows, head })
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
