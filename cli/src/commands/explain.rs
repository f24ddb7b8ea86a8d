//! `lakegate explain`: what a check means.

use clap::Args;
use lakegate_rules::yaml::nearest_hint;
use lakegate_rules::{explain, json_schema, kinds, reference_markdown};
use serde_json::json;

use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;

/// Say what a check means, with an example
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The check, for example `not_null`; without it, the checks there are
    #[arg(value_name = "CHECK", conflicts_with_all = ["all", "schema"])]
    check: Option<String>,

    /// All checks, as a page of Markdown
    #[arg(long, conflicts_with = "schema")]
    all: bool,

    /// The JSON Schema of rule files, for editors
    #[arg(long)]
    schema: bool,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> Result<u8, CliError> {
        let output = &context.output;
        if self.schema {
            output.json(&json_schema())?;
            return Ok(DONE);
        }
        if self.all {
            output.text(&reference_markdown());
            return Ok(DONE);
        }
        let known: Vec<&str> = kinds().collect();
        let Some(check) = self.check else {
            if output.is_json() {
                output.json(&known)?;
            } else {
                output.text(&known.join("\n"));
            }
            return Ok(DONE);
        };
        let Some(text) = explain(&check) else {
            let error = CliError::new(format!("unknown check `{check}`"));
            return Err(match nearest_hint(&check, &known) {
                Some(hint) => error.with_hint(hint),
                None => error.with_hint("`lakegate explain` lists the checks"),
            });
        };
        if output.is_json() {
            output.json(&json!({ "check": check, "text": text }))?;
        } else {
            output.text(&text);
        }
        Ok(DONE)
    }
}
