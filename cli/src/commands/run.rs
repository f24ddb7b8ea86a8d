//! `lakegate run`: runs a pipeline.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lakegate_etl::{Outcome, Pipeline, RunOptions, RunReport, StageReport};
use lakegate_rules::{Report, Unjudged, Verdict, thousands, to_junit};

use crate::arguments::{by_name, name_and_value};
use crate::commands::{CHECK_FAILED, DONE};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Output, Progress};

/// Run a pipeline: a stage that fails stops what depends on it, and a version that fails its rules is not published
///
/// Running it again with the same input changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A name in `pipelines/`, or a path
    #[arg(value_name = "PIPELINE")]
    pipeline: String,

    /// A value for a parameter of the pipeline
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,

    /// Only these stages, with the views that they read; `+stage` with all that it waits for
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    select: Vec<String>,

    /// Publish again what an earlier run has published with the same input and definition; `mode: append` then adds the
    /// rows a second time
    #[arg(long)]
    reprocess: bool,

    #[command(flatten)]
    reports: ReportArguments,
}

/// What is done with reports.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Write the reports as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// The lowest verdict that gives exit code 1; what a run has published stays published
    #[arg(long, value_name = "VERDICT", default_value = "fail")]
    fail_on: FailOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Warnings too
    Warn,
    /// Failed checks, and those that cannot be evaluated
    Fail,
}

impl ReportArguments {
    /// Makes sure that the file that is asked for can be written, before the work begins.
    pub(crate) fn prepare(&self, context: &Context) -> Result<(), CliError> {
        let Some(file) = &self.junit else {
            return Ok(());
        };
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(context.path(file));
        opened.map(drop).map_err(|error| {
            CliError::failed(format!("cannot write `{}`", file.display()), &error)
                .with_hint("name a file in a folder that exists and that you may write to")
        })
    }

    /// Writes the file that is asked for.
    pub(crate) fn write(
        &self,
        context: &Context,
        reports: &[Report],
        unjudged: &[Unjudged],
    ) -> Result<(), CliError> {
        let Some(file) = &self.junit else {
            return Ok(());
        };
        let failed = |error: std::io::Error| {
            CliError::failed(format!("cannot write `{}`", file.display()), &error)
        };
        let xml = to_junit(reports, unjudged).map_err(failed)?;
        std::fs::write(context.path(file), xml).map_err(failed)
    }

    /// The exit code of verdicts.
    pub(crate) fn exit_code(&self, verdicts: impl Iterator<Item = Verdict>) -> u8 {
        let worst = verdicts.max();
        let least = match self.fail_on {
            FailOn::Warn => Verdict::Warn,
            FailOn::Fail => Verdict::Fail,
        };
        match worst {
            Some(worst) if worst >= least => CHECK_FAILED,
            _ => DONE,
        }
    }
}

impl Run {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let parameters = by_name(self.parameters)?;
        self.reports.prepare(context)?;
        let lakegate = context.open_to_write().await?;
        let pipeline = Pipeline::load(lakegate.root(), &self.pipeline)?;
        let options = RunOptions {
            parameters,
            select: self.select,
            reprocess: self.reprocess,
        };
        let progress = Progress::new(&context.output);
        let run = Box::pin(lakegate_etl::run(&lakegate, &pipeline, options, progress)).await?;
        print_run(&context.output, &run)?;
        print_failures(&context.output, &run);
        let reports: Vec<Report> = run.stages.iter().filter_map(|s| s.report.clone()).collect();
        self.reports
            .write(context, &reports, &list_unjudged(&run))?;
        let code = run.exit_code();
        Ok(if code == DONE {
            let verdicts = run.stages.iter().filter_map(StageReport::checks_verdict);
            self.reports.exit_code(verdicts)
        } else {
            code
        })
    }
}

/// The stages that ended badly without a verdict that says so.
fn list_unjudged(run: &RunReport) -> Vec<Unjudged> {
    // Without a failure, nothing needed the stages that did not begin.
    let has_failed = run.exit_code() != DONE;
    let unjudged = run.stages.iter().filter_map(|stage| {
        let is_judged = stage.checks_verdict().is_some_and(|v| v >= Verdict::Fail);
        let is_failed = match stage.outcome {
            Outcome::Failed => true,
            Outcome::Refused if !is_judged => true,
            Outcome::Skipped if has_failed => false,
            _ => return None,
        };
        let error = stage.error.as_deref().unwrap_or("did not begin");
        Some(Unjudged {
            pipeline: run.pipeline.clone(),
            stage: stage.name.clone(),
            reason: match &stage.hint {
                Some(hint) => format!("{error}\nhint: {hint}"),
                None => error.to_owned(),
            },
            is_failed,
        })
    });
    unjudged.collect()
}

/// Prints what a run came to: reports in full unless every check passed, then one line a publish.
pub(crate) fn print_run(output: &Output, run: &RunReport) -> Result<(), CliError> {
    if output.is_json() {
        output.json(run)?;
    } else {
        for stage in &run.stages {
            if let Some(report) = &stage.report
                && report.verdict() > Verdict::Pass
            {
                output.report_text(report);
                output.text("\n");
            }
        }
        for stage in &run.stages {
            if let Some(line) = stage_line(stage) {
                output.text(&line);
            }
        }
    }
    for warning in &run.warnings {
        output.warning(warning, None);
    }
    Ok(())
}

/// Says why stages went wrong.
pub(crate) fn print_failures(output: &Output, run: &RunReport) {
    for stage in &run.stages {
        if let (Outcome::Failed | Outcome::Refused, Some(error)) = (stage.outcome, &stage.error) {
            let mut error = CliError::new(format!("stage `{}`: {error}", stage.name))
                .with_exit_code(stage.exit_code);
            if let Some(hint) = &stage.hint {
                error = error.with_hint(hint);
            }
            output.error(&error);
        }
    }
}

/// One line for a stage that people care about: publishes, checks, and what went wrong.
fn stage_line(stage: &StageReport) -> Option<String> {
    let is_result = matches!(stage.kind.as_str(), "publish" | "check");
    let went_wrong = !matches!(stage.outcome, Outcome::Done | Outcome::AlreadyDone);
    if !is_result && !went_wrong {
        return None;
    }
    let name = stage.table.as_deref().unwrap_or(&stage.name);
    let what = match (stage.outcome, stage.version) {
        (Outcome::Done, Some(version)) => format!("published version {version}"),
        (Outcome::AlreadyDone, Some(version)) => {
            format!("holds this input already (version {version})")
        }
        (Outcome::Done, None) => "passed".to_owned(),
        (Outcome::AlreadyDone, None) => "already done".to_owned(),
        (Outcome::Failed, _) => "failed".to_owned(),
        (Outcome::Refused, _) if stage.kind == "publish" => {
            "refused: the table is as it was".to_owned()
        }
        (Outcome::Refused, _) => "refused".to_owned(),
        (Outcome::Skipped, _) => "skipped".to_owned(),
    };
    let mut line = format!("{name:24} {what}");
    if let (Some(rows), "publish", Outcome::Done) = (stage.rows, stage.kind.as_str(), stage.outcome)
    {
        line.push_str(&format!(", {} read", counted(rows)));
    }
    if let Some(quarantined) = stage.quarantined.filter(|rows| *rows > 0) {
        line.push_str(&format!(", {} in quarantine", counted(quarantined)));
        if !stage.quarantine_tables.is_empty() {
            line.push_str(&format!(" ({})", stage.quarantine_tables.join(", ")));
        }
    }
    if let Some(dropped) = stage.dropped.filter(|rows| *rows > 0) {
        line.push_str(&format!(", {} dropped", counted(dropped)));
    }
    if let (Some(rows), Outcome::Done) = (stage.table_rows, stage.outcome) {
        line.push_str(&format!(", table has {}", counted(rows)));
    }
    if let Some(report) = &stage.report {
        let checks = match report.checks.len() {
            1 => "1 check".to_owned(),
            count => format!("{count} checks"),
        };
        line.push_str(&format!(", {checks}: {}", report.verdict()));
    }
    if let (Outcome::Skipped, Some(error)) = (stage.outcome, &stage.error) {
        line.push_str(&format!(": {error}"));
    }
    Some(line)
}

fn counted(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{} rows", thousands(rows)),
    }
}
