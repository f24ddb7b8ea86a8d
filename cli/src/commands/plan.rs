//! `lakegate plan`: the stages of a pipeline and what they wait for.

use clap::Args;
use lakegate_etl::{Pipeline, Reason, StageKind};
use lakegate_rules::printable;
use serde_json::{Value, json};

use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;

/// Show the stages of a pipeline and what each waits for
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A name in `pipelines/`, or a path
    #[arg(value_name = "PIPELINE")]
    pipeline: String,

    /// Print a Mermaid diagram
    #[arg(long)]
    mermaid: bool,

    /// Only these stages, with what `run --select` would run
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    select: Vec<String>,
}

impl Plan {
    pub(crate) fn run(self, context: &Context) -> Result<u8, CliError> {
        context.settings()?;
        let pipeline = Pipeline::load(&context.root, &self.pipeline)?;
        let selected = pipeline.graph.select(&pipeline.stages, &self.select)?;
        let order: Vec<usize> = pipeline
            .graph
            .order()
            .iter()
            .copied()
            .filter(|stage| selected.contains(stage))
            .collect();
        let text = match (self.mermaid, context.output.is_json()) {
            (true, _) => mermaid(&pipeline, &order),
            (false, true) => {
                context.output.json(&as_json(&pipeline, &order))?;
                return Ok(DONE);
            }
            (false, false) => as_text(&pipeline, &order),
        };
        context.output.text(&text);
        Ok(DONE)
    }
}

/// Stages that go on at the same time stand in one step.
fn steps(pipeline: &Pipeline, order: &[usize]) -> Vec<Vec<usize>> {
    let mut step_of = vec![0; pipeline.stages.len()];
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for &stage in order {
        let waits = pipeline.graph.dependencies(stage);
        let step = waits
            .filter(|(other, _)| order.contains(other))
            .map(|(other, _)| step_of[other] + 1)
            .max()
            .unwrap_or(0);
        step_of[stage] = step;
        if steps.len() <= step {
            steps.resize(step + 1, Vec::new());
        }
        steps[step].push(stage);
    }
    steps
}

/// What a stage works on, for people.
fn subject(kind: &StageKind) -> String {
    match kind {
        StageKind::Extract(spec) => match spec.table() {
            Some((table, _)) => format!("{table}"),
            None => spec.paths().join(", "),
        },
        StageKind::Type(stage) => format!("{} by {}", stage.spec.view, stage.schema.file),
        StageKind::Sql(_) => String::new(),
        StageKind::Check(stage) => format!("{} by {}", stage.view, stage.suite.file),
        StageKind::Publish(stage) => {
            let rules = stage.rules.as_ref();
            let rules =
                rules.map_or_else(String::new, |suite| format!(", gated by {}", suite.file));
            format!(
                "{} to {} ({}){rules}",
                stage.view,
                stage.table,
                stage.mode.name()
            )
        }
    }
}

fn as_text(pipeline: &Pipeline, order: &[usize]) -> String {
    let mut text = format!("{} ({})", pipeline.name, pipeline.file);
    if let Some(description) = &pipeline.description {
        text.push_str(&format!(": {}", printable(description)));
    }
    text.push('\n');
    for parameter in &pipeline.parameters {
        let default = match &parameter.default {
            Some(default) => format!("default {}", printable(default)),
            None => "required".to_owned(),
        };
        let kind = parameter.kind.name();
        text.push_str(&format!(
            "  --param {}={kind} ({default})\n",
            parameter.name
        ));
    }
    let width = order.iter().map(|&stage| pipeline.stages[stage].name.len());
    let width = width.max().unwrap_or(0);
    for (number, step) in steps(pipeline, order).iter().enumerate() {
        text.push_str(&format!("step {}\n", number + 1));
        for &index in step {
            let stage = &pipeline.stages[index];
            let line = format!(
                "  {:width$}  {:7}  {}",
                stage.name,
                stage.kind.name(),
                printable(&subject(&stage.kind))
            );
            text.push_str(line.trim_end());
            text.push('\n');
            for (reason, names) in waits(pipeline, index, order) {
                let names = names.join(", ");
                text.push_str(&format!("  {:width$}           {reason} {names}\n", ""));
            }
        }
    }
    text
}

/// What a stage waits for, by reason.
fn waits<'p>(
    pipeline: &'p Pipeline,
    stage: usize,
    order: &[usize],
) -> Vec<(&'static str, Vec<&'p str>)> {
    [
        (Reason::View, "reads"),
        (Reason::Check, "must be let through by"),
        (Reason::Table, "waits for"),
    ]
    .into_iter()
    .filter_map(|(wanted, words)| {
        // The line of the stage names its one view already.
        if wanted == Reason::View && !matches!(pipeline.stages[stage].kind, StageKind::Sql(_)) {
            return None;
        }
        let names: Vec<&str> = pipeline
            .graph
            .dependencies(stage)
            .filter(|(other, reason)| *reason == wanted && order.contains(other))
            .map(|(other, _)| pipeline.stages[other].name.as_str())
            .collect();
        (!names.is_empty()).then_some((words, names))
    })
    .collect()
}

fn as_json(pipeline: &Pipeline, order: &[usize]) -> Value {
    let stages: Vec<Value> = order
        .iter()
        .map(|&index| {
            let stage = &pipeline.stages[index];
            let waits: Vec<Value> = pipeline
                .graph
                .dependencies(index)
                .map(|(other, reason)| {
                    let reason = match reason {
                        Reason::View => "view",
                        Reason::Check => "check",
                        Reason::Table => "table",
                    };
                    json!({ "stage": pipeline.stages[other].name, "reason": reason })
                })
                .collect();
            let table = match &stage.kind {
                StageKind::Publish(publish) => Some(publish.table.to_string()),
                _ => None,
            };
            json!({ "name": stage.name, "kind": stage.kind.name(), "table": table, "waits_for": waits })
        })
        .collect();
    let parameters: Vec<Value> = pipeline
        .parameters
        .iter()
        .map(|parameter| {
            json!({ "name": parameter.name, "type": parameter.kind.name(), "default": parameter.default })
        })
        .collect();
    json!({ "pipeline": pipeline.name, "file": pipeline.file, "parameters": parameters, "stages": stages })
}

/// The name of a node: words such as `end` have a meaning of their own in Mermaid.
fn mermaid_id(stage: &str) -> String {
    format!("stage_{stage}")
}

/// A diagram: publishes are cylinders, checks are diamonds, everything else is a box.
fn mermaid(pipeline: &Pipeline, order: &[usize]) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for &index in order {
        let stage = &pipeline.stages[index];
        let name = &stage.name;
        let id = mermaid_id(name);
        let node = match &stage.kind {
            StageKind::Publish(publish) => format!("{id}[(\"{}\")]", publish.table),
            StageKind::Check(_) => format!("{id}{{\"{name}\"}}"),
            _ => format!("{id}[\"{name}\"]"),
        };
        text.push_str(&format!("    {node}\n"));
    }
    for &index in order {
        let to = mermaid_id(&pipeline.stages[index].name);
        for (other, reason) in pipeline.graph.dependencies(index) {
            if !order.contains(&other) {
                continue;
            }
            let from = mermaid_id(&pipeline.stages[other].name);
            let arrow = match reason {
                Reason::View => "-->",
                Reason::Check => "-- passes -->",
                Reason::Table => "-.->",
            };
            text.push_str(&format!("    {from} {arrow} {to}\n"));
        }
    }
    text
}
