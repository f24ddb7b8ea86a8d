//! What is kept of a run: rows of the system tables `runs`, `stages`, `check_results` and `samples`.

use chrono::{DateTime, Utc};
use lakegate_catalog::{SystemTable, SystemTables};
use lakegate_rules::{CheckResult, Report};
use serde_json::{Map, Value, json};

use crate::params::Values;
use crate::report::Outcome;
use crate::{EtlError, Lakegate, RunReport, StageReport};

/// Keeps what a run came to.
pub(crate) async fn record(
    lakegate: &Lakegate,
    values: &Values,
    report: &RunReport,
) -> Result<(), EtlError> {
    let project = lakegate
        .root()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Records::of_run(project.as_deref(), values, report)
        .keep(lakegate)
        .await
}

/// Keeps the verdicts over a table that was judged outside of a run.
pub(crate) async fn record_report(
    lakegate: &Lakegate,
    report: &Report,
    version: i64,
) -> Result<(), EtlError> {
    let mut records = Records::default();
    records.add_report(
        Judgment {
            run: None,
            stage: None,
            version: Some(version),
        },
        report,
    );
    records.keep(lakegate).await
}

/// Rows for the system tables.
#[derive(Debug, Default)]
struct Records {
    runs: Vec<Value>,
    stages: Vec<Value>,
    check_results: Vec<Value>,
    samples: Vec<Value>,
}

/// Where checks were judged.
#[derive(Debug, Clone, Copy)]
struct Judgment<'a> {
    run: Option<&'a str>,
    stage: Option<&'a str>,
    version: Option<i64>,
}

impl Records {
    async fn keep(self, lakegate: &Lakegate) -> Result<(), EtlError> {
        let keep = lakegate.options.sample_keep;
        let tables = SystemTables::new(lakegate.catalog.clone(), keep);
        tables.append(SystemTable::Runs, self.runs).await?;
        tables.append(SystemTable::Stages, self.stages).await?;
        tables
            .append(SystemTable::CheckResults, self.check_results)
            .await?;
        tables.append(SystemTable::Samples, self.samples).await?;
        tables.flush(&lakegate.engine.session()).await?;
        Ok(())
    }

    fn of_run(project: Option<&str>, values: &Values, report: &RunReport) -> Self {
        let mut records = Self::default();
        let has = |outcome: Outcome| report.stages.iter().find(|stage| stage.outcome == outcome);
        let (outcome, first) = match (has(Outcome::Failed), has(Outcome::Refused)) {
            (Some(stage), _) => ("failed", Some(stage)),
            (None, Some(stage)) => ("refused", Some(stage)),
            (None, None) => ("done", None),
        };
        records.runs.push(json!({
            "run": report.run,
            "pipeline": report.pipeline,
            "project": project,
            "started_at": time(report.started_at),
            "finished_at": time(report.started_at + report.elapsed),
            "outcome": outcome,
            "parameters": json!(values.texts).to_string(),
            "stages": report.stages.len(),
            "elapsed_ms": millis(report.elapsed),
            "error": first.and_then(|stage| stage.error.as_deref()),
        }));
        for stage in &report.stages {
            records.add_stage(report, stage);
        }
        records
    }

    fn add_stage(&mut self, run: &RunReport, stage: &StageReport) {
        self.stages.push(json!({
            "run": run.run,
            "pipeline": run.pipeline,
            "stage": stage.name,
            "kind": stage.kind,
            "outcome": stage.outcome,
            "rows": stage.rows,
            "bad_rows": stage.typing.as_ref().map(|counts| counts.bad_rows),
            "quarantined": stage.quarantined,
            "dropped": stage.dropped,
            "table_name": stage.table,
            "version": stage.version,
            "started_at": time(stage.started_at.unwrap_or(run.started_at)),
            "elapsed_ms": millis(stage.elapsed),
            "error": stage.error,
        }));
        if let Some(report) = &stage.report {
            let judgment = Judgment {
                run: Some(&run.run),
                stage: Some(&stage.name),
                version: stage.version,
            };
            self.add_report(judgment, report);
        }
    }

    fn add_report(&mut self, judgment: Judgment<'_>, report: &Report) {
        for check in &report.checks {
            self.add_check(judgment, report, check);
        }
    }

    fn add_check(&mut self, judgment: Judgment<'_>, report: &Report, check: &CheckResult) {
        let Judgment {
            run,
            stage,
            version,
        } = judgment;
        self.check_results.push(json!({
            "run": run,
            "stage": stage,
            "table_name": report.table,
            "version": version,
            "rules_file": report.rules_file,
            "rules_sha256": report.rules_sha256,
            "judged_at": time(report.judged_at),
            "check_id": check.id,
            "kind": check.kind,
            "column_name": check.column,
            "severity": check.severity,
            "scope": check.scope,
            "verdict": check.verdict,
            "metric": check.metric,
            "observed": check.observed,
            "expected": check.expected,
            "rows": check.rows,
            "bad_rows": check.bad_rows,
            "message": check.message,
            "waived_by": check.waiver.as_ref().map(|waiver| waiver.by.as_str()),
            "elapsed_ms": check.elapsed_ms,
        }));
        for (number, key) in check.samples.iter().enumerate() {
            let key: Map<String, Value> = key
                .iter()
                .map(|(column, value)| (column.clone(), Value::from(value.as_str())))
                .collect();
            self.samples.push(json!({
                "run": run,
                "stage": stage,
                "table_name": report.table,
                "version": version,
                "judged_at": time(report.judged_at),
                "check_id": check.id,
                "sample": number + 1,
                "key": Value::Object(key).to_string(),
            }));
        }
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
