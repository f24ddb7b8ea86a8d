//! `lakegate init`: makes a project.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::example::{self, Example};

/// Make a project in a new or empty folder
///
/// Without `--example` the project is a small one that runs, to be changed into your own.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder; it is made when it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// What the project holds
    #[arg(long, value_name = "NAME", default_value = "starter")]
    example: ExampleName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExampleName {
    /// A pipeline over a CSV of six orders
    Starter,
    /// Two months of real flights, a pipeline of 16 stages, and rules that find what is wrong with them
    Flights,
}

impl Init {
    pub(crate) fn run(self, context: &Context) -> Result<u8, CliError> {
        let (example, pipeline): (&Example, _) = match self.example {
            ExampleName::Starter => (&example::STARTER, "orders"),
            ExampleName::Flights => (&example::FLIGHTS, "flights"),
        };
        let folder = context.path(&self.folder);
        let files = example.write_to(&folder)?;
        if context.output.is_json() {
            context
                .output
                .json(&json!({ "project": folder, "files": files, "pipeline": pipeline }))?;
            return Ok(DONE);
        }
        let shown = context.shown(&self.folder);
        context.output.text(&format!(
            "made a project of {} files in {shown}\n\nGo on with:\n  cd {shown}\n  lakegate validate\n  \
             lakegate plan {pipeline}\n  lakegate run {pipeline}",
            files.len()
        ));
        Ok(DONE)
    }
}
