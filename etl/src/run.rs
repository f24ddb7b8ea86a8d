//! Runs a pipeline: every stage once, when it is needed, at the same time as those that it does not depend on.
//!
//! The run starts from the stages that nothing else waits for: publishes, checks that guard no publish, views that
//! nobody reads. Each asks for what it needs, and so on. A publish whose batch is in the table already asks for nothing,
//! so that nothing is read a second time.

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use datafusion::common::runtime::SpawnedTask;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::sync::{OnceCell, Semaphore};
use uuid::Uuid;

use crate::events::{RunEvent, RunEvents};
use crate::params::{self, Values};
use crate::pipeline::{Stage, StageKind};
use crate::report::Outcome;
use crate::scratch::{Scratch, Spooled};
use crate::transform::{Extract, Pins};
use crate::{EtlError, Lakegate, Pipeline, RunReport, StageReport, records};

pub(crate) use stage::{Draft, Finished, Output, Stop, View, check_failed};

/// What is to be run, and how.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Values of parameters, as text.
    pub parameters: BTreeMap<String, String>,
    /// Stages to run; `+name` with all that it waits for. All when empty.
    pub select: Vec<String>,
    /// Publishes also what an earlier run has published with the same input and definition. `mode: append` then adds the
    /// rows a second time, with a warning.
    pub reprocess: bool,
}

/// Runs a pipeline. A stage that fails stops what depends on it, and the rest goes on: the report says what happened.
///
/// A run that died is resumed by running it again: what it published stays, the rest is done.
///
/// # Errors
/// When the run could not begin: unknown stages, missing parameters, no room for scratch files.
pub async fn run(
    lakegate: &Lakegate,
    pipeline: &Pipeline,
    options: RunOptions,
    events: Arc<dyn RunEvents>,
) -> Result<RunReport, EtlError> {
    let values = params::resolve(&pipeline.name, &pipeline.parameters, &options.parameters)?;
    let selected = pipeline.graph.select(&pipeline.stages, &options.select)?;
    let scratch = Scratch::new(&lakegate.scratch_folder())?;
    let started_at = lakegate.now();
    let clock = Instant::now();
    let count = pipeline.stages.len();
    let runner = Arc::new(Runner {
        lakegate: lakegate.clone(),
        pipeline: pipeline.clone(),
        selected,
        values,
        reprocess: options.reprocess,
        started_at,
        run: Uuid::now_v7().to_string(),
        events,
        scratch,
        finished: (0..count).map(|_| OnceCell::new()).collect(),
        extracts: (0..count).map(|_| OnceCell::new()).collect(),
        pins: (0..count).map(|_| OnceCell::new()).collect(),
        kept_untyped: Mutex::default(),
        work: Semaphore::new(parallel_stages()),
    });
    join_all(runner.roots().into_iter().map(|root| runner.demand(root))).await;
    let mut report = RunReport {
        run: runner.run.clone(),
        pipeline: pipeline.name.clone(),
        started_at,
        elapsed: clock.elapsed(),
        stages: runner.stage_reports(),
        warnings: Vec::new(),
    };
    runner.tell_untyped(&report);
    crate::failpoint!("run.before_record");
    if let Err(error) = records::record(lakegate, &runner.values, &report).await {
        report.warnings.push(format!(
            "the records of the run could not be written: {error}"
        ));
    }
    Ok(report)
}

/// Stages that work at the same time. Each uses all cores where it can; more of them only hold more memory.
fn parallel_stages() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4))
}

/// One run of a pipeline.
pub(crate) struct Runner {
    pub(crate) lakegate: Lakegate,
    pub(crate) pipeline: Pipeline,
    pub(crate) selected: BTreeSet<usize>,
    pub(crate) values: Values,
    pub(crate) reprocess: bool,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) run: String,
    pub(crate) events: Arc<dyn RunEvents>,
    pub(crate) scratch: Scratch,
    pub(crate) extracts: Vec<OnceCell<Extract>>,
    pub(crate) pins: Vec<OnceCell<Pins>>,
    /// Views whose untyped rows a publish has kept, or is about to.
    kept_untyped: Mutex<BTreeSet<usize>>,
    finished: Vec<OnceCell<Finished>>,
    work: Semaphore,
}

impl Runner {
    /// A stage of the pipeline.
    pub(crate) fn stage(&self, index: usize) -> Result<&Stage, EtlError> {
        let stage = self.pipeline.stages.get(index);
        stage.ok_or_else(|| EtlError::Bug(format!("the pipeline has no stage number {index}")))
    }

    /// Runs a stage unless it has run, and gives what it made.
    pub(crate) fn demand(
        self: &Arc<Self>,
        index: usize,
    ) -> BoxFuture<'static, Result<Output, Stop>> {
        let this = Arc::clone(self);
        async move {
            let Some(cell) = this.finished.get(index) else {
                return Err(EtlError::Bug(format!("there is no stage number {index}")).into());
            };
            let finished = cell
                .get_or_init(|| async {
                    let runner = Arc::clone(&this);
                    let task = SpawnedTask::spawn(async move { runner.execute(index).await });
                    match task.join().await {
                        Ok(finished) => finished,
                        Err(error) => this.died(index, &error.to_string()),
                    }
                })
                .await;
            match &finished.output {
                Some(output) => Ok(output.clone()),
                None => Err(Stop::Dependency(finished.report.name.clone())),
            }
        }
        .boxed()
    }

    /// Runs several stages at the same time.
    pub(crate) async fn demand_all(
        self: &Arc<Self>,
        stages: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<Output>, Stop> {
        let selected = stages
            .into_iter()
            .filter(|stage| self.selected.contains(stage));
        let outputs = join_all(selected.map(|stage| self.demand(stage))).await;
        outputs.into_iter().collect()
    }

    /// What a stage made, when it has run.
    pub(crate) fn output(&self, index: usize) -> Option<Output> {
        let finished = self.finished.get(index)?.get()?;
        finished.output.clone()
    }

    /// Rows that did not type on the way to a stage, by the view that they left, and that nobody has taken.
    pub(crate) fn take_untyped(&self, index: usize) -> Vec<(usize, Spooled)> {
        let mut kept = self.kept_untyped();
        let mut taken = Vec::new();
        for view in self.pipeline.graph.made_from(index) {
            if let Some(Output::View(output)) = self.output(view)
                && let Some(rows) = output.untyped
                && kept.insert(view)
            {
                taken.push((view, rows));
            }
        }
        taken
    }

    /// Leaves rows that could not be kept to another stage.
    pub(crate) fn give_back_untyped(&self, views: impl Iterator<Item = usize>) {
        let mut kept = self.kept_untyped();
        for view in views {
            kept.remove(&view);
        }
    }

    fn kept_untyped(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.kept_untyped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn to work. Nothing may be demanded while it is held.
    pub(crate) async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, EtlError> {
        let turn = self.work.acquire().await;
        turn.map_err(|_| EtlError::Bug("the queue of stages is closed".into()))
    }

    pub(crate) fn tell(&self, event: &RunEvent) {
        self.events.event(event);
    }

    /// Selected stages that no selected stage waits for.
    fn roots(&self) -> Vec<usize> {
        let needed: BTreeSet<usize> = self
            .selected
            .iter()
            .flat_map(|stage| self.pipeline.graph.dependencies(*stage).map(|(s, _)| s))
            .collect();
        // A publish is a root even when another stage waits for it: nothing else makes sure that it is asked for.
        self.selected
            .iter()
            .copied()
            .filter(|index| {
                let is_publish = self
                    .pipeline
                    .stages
                    .get(*index)
                    .is_some_and(|stage| matches!(stage.kind, StageKind::Publish(_)));
                is_publish || !needed.contains(index)
            })
            .collect()
    }

    async fn execute(self: Arc<Self>, index: usize) -> Finished {
        let stage = match self.stage(index) {
            Ok(stage) => stage,
            Err(error) => return self.died(index, &error.to_string()),
        };
        let mut draft = Draft::new(stage);
        let output = match &stage.kind {
            StageKind::Extract(_) | StageKind::Type(_) | StageKind::Sql(_) => {
                self.make_view(index, &mut draft).await.map(Output::View)
            }
            StageKind::Check(check) => self
                .check(index, check, &mut draft)
                .await
                .map(|()| Output::Passed),
            StageKind::Publish(publish) => self
                .publish(index, publish, &mut draft)
                .await
                .map(|()| Output::Published),
        };
        let output = output.map_err(|stop| self.blame_sql(index, stop));
        let finished = draft.finish(output, &self.pipeline.file);
        self.tell_end(&finished.report);
        finished
    }

    /// Warns of values that do not type. A stage that streams has counted them only when its reader has ended.
    fn tell_untyped(&self, report: &RunReport) {
        for stage in &report.stages {
            if let Some(counts) = stage.typing.as_ref().filter(|counts| counts.bad_rows > 0) {
                self.tell(&RunEvent::Warning {
                    stage: stage.name.clone(),
                    message: counts.to_string(),
                });
            }
        }
    }

    /// A value that SQL cannot compute is the input's or the SQL's fault, and shows only where the rows are read: the error
    /// names the SQL that they come through.
    fn blame_sql(&self, index: usize, stop: Stop) -> Stop {
        let Stop::Error(error) = stop else {
            return stop;
        };
        let Some(why) = error.bad_value() else {
            return Stop::Error(error);
        };
        let views = self.pipeline.graph.made_from(index);
        let files: Vec<String> = views
            .iter()
            .filter_map(|view| match &self.pipeline.stages.get(*view)?.kind {
                StageKind::Sql(sql) => Some(match sql.text.file == self.pipeline.file {
                    true => format!("{}:{}", sql.text.file, sql.text.span),
                    false => sql.text.file.clone(),
                }),
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return Stop::Error(error);
        }
        let message = format!("{}: a value cannot be computed: {why}", files.join(", "));
        let hint = "filter such values in the SQL, or make them null with `TRY_CAST`".to_owned();
        Stop::Error(EtlError::request(message, hint))
    }

    fn tell_end(&self, report: &StageReport) {
        self.tell(&RunEvent::StageFinished {
            stage: report.name.clone(),
            outcome: report.outcome,
            rows: report.rows,
            version: report.version,
            elapsed: report.elapsed,
        });
    }

    /// A stage whose task ended without a result.
    fn died(&self, index: usize, why: &str) -> Finished {
        let stage = self.pipeline.stages.get(index);
        let error = EtlError::Bug(format!("a stage ended before its time: {why}"));
        let mut report = Draft::unnamed(stage).report;
        report.outcome = Outcome::Failed;
        report.exit_code = error.exit_code();
        report.error = Some(error.to_string());
        self.tell_end(&report);
        Finished {
            output: None,
            report,
        }
    }

    /// What each selected stage came to, in the file's order.
    fn stage_reports(&self) -> Vec<StageReport> {
        let mut reports: BTreeMap<usize, StageReport> = BTreeMap::new();
        for index in self.pipeline.graph.order().iter().rev() {
            if !self.selected.contains(index) {
                continue;
            }
            let report = match self.finished.get(*index).and_then(OnceCell::get) {
                Some(finished) => finished.report_now(),
                None => self.not_asked_for(*index, &reports),
            };
            reports.insert(*index, report);
        }
        reports.into_values().collect()
    }

    /// A stage that nothing asked for: what depends on it was done before, or failed for another reason.
    fn not_asked_for(&self, index: usize, later: &BTreeMap<usize, StageReport>) -> StageReport {
        let graph = &self.pipeline.graph;
        let are_done = later
            .iter()
            .filter(|(stage, _)| graph.dependencies(**stage).any(|(s, _)| s == index))
            .all(|(_, report)| report.outcome == Outcome::AlreadyDone);
        let mut report = Draft::unnamed(self.pipeline.stages.get(index)).report;
        report.outcome = if are_done {
            Outcome::AlreadyDone
        } else {
            Outcome::Skipped
        };
        report.elapsed = Duration::ZERO;
        report
    }
}
