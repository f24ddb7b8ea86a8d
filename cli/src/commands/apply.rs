//! `lakegate apply`: attaches rules to a table.

use clap::Args;
use lakegate_catalog::{RulesText, TableName, WriteOutcome};
use lakegate_rules::Suite;
use serde_json::json;

use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;

/// Attach a rule file to its table, after judging the current version by it
///
/// From then on every commit that Lakegate makes to the table is judged by these rules, whichever project and
/// command it comes from. A table whose current version fails them is left as it is.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Rule files
    #[arg(value_name = "RULES", required = true)]
    files: Vec<String>,

    /// The table, when the rule file names none
    #[arg(long, value_name = "TABLE")]
    table: Option<TableName>,
}

impl Apply {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let lakegate = context.open().await?;
        let mut applied = Vec::new();
        // Mistakes in any of the files are found before the first one is applied.
        let mut suites = Vec::new();
        for file in &self.files {
            let suite = Suite::parse(file, &context.read_text(file)?)?;
            let table = table_of(&suite, self.table.as_ref())?;
            suites.push((file, suite, table));
        }
        for (file, suite, table) in suites {
            let rules = RulesText {
                file: suite.file.clone(),
                text: suite.text.clone(),
                sha256: suite.sha256.clone(),
            };
            let written = Box::pin(lakegate.catalog.apply_rules(&table, rules)).await?;
            let is_new = written.outcome == WriteOutcome::Committed;
            if !context.output.is_json() {
                context.output.text(&match is_new {
                    true => format!(
                        "{table} is judged by {file} since version {}",
                        written.version
                    ),
                    false => format!("{table} is judged by {file} already"),
                });
            }
            applied.push(json!({
                "table": table, "file": file, "rules_sha256": suite.sha256,
                "version": written.version, "outcome": if is_new { "applied" } else { "already_done" },
            }));
        }
        if context.output.is_json() {
            context.output.json(&applied)?;
        }
        Ok(DONE)
    }
}

/// The table of a rule file, by the file or by the flag.
fn table_of(suite: &Suite, named: Option<&TableName>) -> Result<TableName, CliError> {
    let of_file = suite.table.as_deref().map(str::parse::<TableName>);
    match (of_file.transpose()?, named) {
        (Some(table), Some(named)) if table != *named => Err(CliError::new(format!(
            "{} is for `{table}`, not for `{named}`",
            suite.file
        ))),
        (Some(table), _) => Ok(table),
        (None, Some(named)) => Ok(named.clone()),
        (None, None) => Err(CliError::new(format!("{} names no table", suite.file))
            .with_hint("write `table: schema.name` into it, or use `--table`")),
    }
}
