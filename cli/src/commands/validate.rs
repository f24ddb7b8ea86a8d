//! `lakegate validate`: finds every mistake of a project without reading data.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use lakegate_etl::schema_file::SchemaFile;
use lakegate_etl::{Lakegate, Pipeline, StageKind, validate_file};
use lakegate_rules::Suite;
use lakegate_rules::yaml::{self, Problem, Problems};
use serde_json::{Value, json};

use crate::commands::{DONE, INVALID};
use crate::context::Context;
use crate::error::CliError;

/// Find every mistake in pipelines, rules, schemas and SQL, without reading data
///
/// Every SQL and every check is planned. Rule and schema files that no pipeline names are read too.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Pipelines, by name or path; all in `pipelines/` when none is named
    #[arg(value_name = "PIPELINE")]
    pipelines: Vec<String>,
}

impl Validate {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let mut problems = Problems::default();
        let lakegate = context.open_anyway(&mut problems).await?;
        let root = lakegate.root();
        let validates_all = self.pipelines.is_empty();
        let pipelines = if validates_all {
            yaml_files(root, "pipelines")?
        } else {
            self.pipelines
        };
        for pipeline in &pipelines {
            problems.extend(Box::pin(validate_file(&lakegate, pipeline)).await?);
        }
        if validates_all {
            let named = files_of_pipelines(&lakegate, &pipelines);
            validate_unnamed(root, &named, &mut problems)?;
        }
        deduplicate(&mut problems);
        report(context, &pipelines, &problems)
    }
}

/// Prints what was found. Returns the exit code.
fn report(context: &Context, pipelines: &[String], problems: &Problems) -> Result<u8, CliError> {
    let output = &context.output;
    let code = if problems.is_empty() { DONE } else { INVALID };
    if output.is_json() {
        let problems: Vec<Value> = problems
            .iter()
            .map(|problem| {
                json!({
                    "file": problem.file,
                    "line": problem.span.map(|span| span.line),
                    "column": problem.span.map(|span| span.column),
                    "message": problem.message,
                    "hint": problem.hint,
                })
            })
            .collect();
        output.json(&json!({ "pipelines": pipelines, "problems": problems }))?;
        return Ok(code);
    }
    if problems.is_empty() {
        output.text(&match pipelines {
            [] => "there is no pipeline in `pipelines/`; everything else is valid".to_owned(),
            [pipeline] => format!("{pipeline} and all that it names are valid"),
            all => format!("{} and all that they name are valid", all.join(", ")),
        });
        return Ok(code);
    }
    output.error(&CliError::from(problems.clone()));
    output.note(&match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    });
    Ok(code)
}

/// YAML files in a folder of the project, as paths relative to it, in order.
fn yaml_files(root: &Path, folder: &str) -> Result<Vec<String>, CliError> {
    let entries = match std::fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot look into the folder `{folder}`");
            return Err(CliError::failed(message, &error));
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| {
            CliError::failed(format!("cannot look into the folder `{folder}`"), &error)
        })?;
        let path = entry.path();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if let (true, Some(name)) = (is_yaml && path.is_file(), entry.file_name().to_str()) {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort();
    Ok(files)
}

/// Rule and schema files that the pipelines name, as far as those can be read.
fn files_of_pipelines(lakegate: &Lakegate, pipelines: &[String]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for pipeline in pipelines {
        let Ok(reading) = Pipeline::read(lakegate.root(), pipeline) else {
            continue;
        };
        // A file with problems has been reported by the pipeline that names it.
        named.extend(reading.problems.iter().map(|problem| problem.file.clone()));
        let stages = reading.pipeline.map(|pipeline| pipeline.stages);
        for stage in stages.unwrap_or_default() {
            match &stage.kind {
                StageKind::Type(stage) => {
                    named.insert(stage.schema.file.clone());
                }
                StageKind::Check(stage) => {
                    named.insert(stage.suite.file.clone());
                }
                StageKind::Publish(stage) => {
                    named.extend(stage.rules.as_ref().map(|suite| suite.file.clone()));
                }
                StageKind::Extract(_) | StageKind::Sql(_) => {}
            }
        }
    }
    named
}

/// Reads rule and schema files that no pipeline names.
fn validate_unnamed(
    root: &Path,
    named: &BTreeSet<String>,
    problems: &mut Problems,
) -> Result<(), CliError> {
    for folder in ["checks", "schemas"] {
        for file in yaml_files(root, folder)? {
            if named.contains(&file) {
                continue;
            }
            let found = match std::fs::read(root.join(&file)) {
                Ok(bytes) => yaml::decode(&file, &bytes).and_then(|text| match folder {
                    "checks" => Suite::parse(&file, &text).map(|_| ()),
                    _ => SchemaFile::parse(&file, &text).map(|_| ()),
                }),
                Err(error) => {
                    let message = format!("the file cannot be read: {error}");
                    Err(Problem::new(file.as_str(), None, message).into())
                }
            };
            if let Err(found) = found {
                problems.extend(found);
            }
        }
    }
    Ok(())
}

/// Two pipelines that name one file report its problems once.
fn deduplicate(problems: &mut Problems) {
    let mut seen: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in std::mem::take(&mut problems.0) {
        if !seen.contains(&problem) {
            seen.push(problem);
        }
    }
    problems.0 = seen;
    problems.sort();
}
