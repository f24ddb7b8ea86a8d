//! Whole pipelines over projects in temporary folders.

mod batches;
mod bound_values;
mod files;
mod graph;
mod keys;
mod publish;
mod quarantine;
mod query;
mod states;
mod untyped;
mod validate;
mod verdicts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use lakegate_engine::QueryOptions;

use crate::{
    EtlError, Lakegate, LakegateOptions, Outcome, Pipeline, RunEvent, RunEvents, RunOptions,
    RunReport, Silent, run,
};

#[expect(clippy::disallowed_methods, reason = "tests use the real clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A project in a temporary folder.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    lakegate: Lakegate,
}

impl Project {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = LakegateOptions::new(folder.path(), now).unwrap();
        let lakegate = Lakegate::open(options).await.unwrap();
        Self { folder, lakegate }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The project as another process opens it.
    pub(crate) async fn reopen(&self) -> Lakegate {
        let options = LakegateOptions::new(self.root(), now).unwrap();
        Lakegate::open(options).await.unwrap()
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, file: &str, text: &str) -> &Self {
        let path = self.root().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn load(&self) -> Result<Pipeline, EtlError> {
        Pipeline::load(self.root(), "p")
    }

    pub(crate) async fn try_run(&self, options: RunOptions) -> Result<RunReport, EtlError> {
        let pipeline = self.load()?;
        let report = run(&self.lakegate, &pipeline, options, Arc::new(Silent)).await?;
        assert_eq!(report.warnings, Vec::<String>::new());
        Ok(report)
    }

    pub(crate) async fn run(&self) -> RunReport {
        self.try_run(RunOptions::default()).await.unwrap()
    }

    pub(crate) async fn run_with(&self, name: &str, value: &str) -> RunReport {
        let parameters = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let options = RunOptions {
            parameters,
            ..RunOptions::default()
        };
        self.try_run(options).await.unwrap()
    }

    /// Runs another pipeline of the project with one parameter; it must succeed.
    pub(crate) async fn run_pipeline(&self, name: &str, parameter: &str, value: &str) {
        let pipeline = Pipeline::load(self.root(), name).unwrap();
        let options = RunOptions {
            parameters: BTreeMap::from([(parameter.to_owned(), value.to_owned())]),
            ..RunOptions::default()
        };
        let report = run(&self.lakegate, &pipeline, options, Arc::new(Silent))
            .await
            .unwrap();
        assert_eq!(report.exit_code(), 0, "{report:#?}");
    }

    /// Runs the pipeline and gives its warnings too, each behind the name of its stage.
    pub(crate) async fn run_and_listen(&self, options: RunOptions) -> (RunReport, Vec<String>) {
        let listener = Arc::new(Listener::default());
        let pipeline = self.load().unwrap();
        let report = run(&self.lakegate, &pipeline, options, listener.clone())
            .await
            .unwrap();
        let warnings = listener.0.lock().unwrap().clone();
        (report, warnings)
    }

    /// What `validate` finds, as people see it.
    pub(crate) async fn validate(&self) -> String {
        let problems = crate::validate_file(&self.lakegate, "p").await.unwrap();
        problems.to_string()
    }

    /// Why a query is refused.
    pub(crate) async fn refused(&self, sql: &str) -> lakegate_engine::EngineError {
        let engine = &self.lakegate.engine;
        engine
            .query(sql, QueryOptions::default())
            .await
            .unwrap_err()
    }

    /// The rows of a query, one text a row.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let result = self
            .lakegate
            .engine
            .query(sql, QueryOptions::default())
            .await
            .unwrap();
        let batches: Vec<_> = result.stream.try_collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter();
                let values: Vec<_> = values
                    .map(|c| array_value_to_string(c, row).unwrap())
                    .collect();
                rows.push(values.join(","));
            }
        }
        rows
    }
}

/// Keeps warnings.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl RunEvents for Listener {
    fn event(&self, event: &RunEvent) {
        if let RunEvent::Warning { stage, message } = event {
            self.0.lock().unwrap().push(format!("{stage}: {message}"));
        }
    }
}

/// How each stage of a run ended.
pub(crate) fn outcomes(report: &RunReport) -> Vec<(String, Outcome)> {
    report
        .stages
        .iter()
        .map(|s| (s.name.clone(), s.outcome))
        .collect()
}

/// How a stage ended; shows its error when it did not end as it should.
#[track_caller]
pub(crate) fn expect(report: &RunReport, stage: &str, outcome: Outcome) {
    let stage = report.stage(stage).unwrap();
    assert_eq!(stage.outcome, outcome, "{stage:#?}");
}
