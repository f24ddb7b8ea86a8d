//! `lakegate catalog show` and `history`: what is known of a table.

use clap::Args;
use lakegate_catalog::{TableFormat, TableName};
use lakegate_etl::Lakegate;
use lakegate_rules::{sql_type, thousands};
use serde_json::{Value, json};

use crate::arguments::table_name;
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::output::TextTable;

/// Show a table: version, size, columns, rules
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// As it was at this version
    #[arg(long, value_name = "NUMBER")]
    version: Option<i64>,
}

/// Show the versions of a table, newest first, with the verdict that let each pass
#[derive(Debug, Args)]
pub(super) struct History {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// Only the newest
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

impl Show {
    pub(super) async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        let catalog = &lakegate.catalog;
        let entry = catalog.entry(&self.table).await?;
        let at = crate::commands::query::at(self.version, None)?;
        let snapshot = catalog.snapshot(&self.table, at).await?;
        // Plain Parquet has no commits, so that nothing can be attached to it.
        let waivers = match entry.format {
            TableFormat::Delta => catalog.waivers(&self.table).await?,
            TableFormat::Parquet => Vec::new(),
        };
        let bytes: u64 = snapshot.files.iter().map(|file| file.size).sum();
        let columns: Vec<(String, String, bool)> = snapshot
            .schema
            .fields()
            .iter()
            .map(|field| {
                (
                    field.name().clone(),
                    sql_type(field.data_type()),
                    field.is_nullable(),
                )
            })
            .collect();
        if context.output.is_json() {
            let columns: Vec<Value> = columns
                .iter()
                .map(|(name, kind, nullable)| json!({ "name": name, "type": kind, "nullable": nullable }))
                .collect();
            context.output.json(&json!({
                "table": entry.name,
                "format": entry.format,
                "location": entry.location,
                "registered_at": entry.registered_at,
                "version": snapshot.version,
                "rows": snapshot.row_count(),
                "files": snapshot.files.len(),
                "bytes": bytes,
                "partition_columns": snapshot.partition_columns,
                "rules_sha256": snapshot.rules_sha256(),
                "waivers": waivers,
                "columns": columns,
            }))?;
            return Ok(DONE);
        }
        let rows = snapshot
            .row_count()
            .map_or_else(|| "not known without a scan".to_owned(), thousands);
        let mut text = format!(
            "table     {}\nformat    {}\nlocation  {}\nversion   {}\nrows      {rows}\nfiles     {} ({} bytes)\n",
            entry.name,
            entry.format.as_str(),
            entry.location,
            snapshot.version,
            snapshot.files.len(),
            thousands(bytes)
        );
        if !snapshot.partition_columns.is_empty() {
            text.push_str(&format!(
                "split by  {}\n",
                snapshot.partition_columns.join(", ")
            ));
        }
        match snapshot.rules_sha256() {
            Some(sha256) => text.push_str(&format!("rules     sha256 {sha256}\n")),
            None => text.push_str("rules     none: commits are not judged\n"),
        }
        for waiver in &waivers {
            let part = |name: &str| {
                waiver
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or("?")
                    .to_owned()
            };
            text.push_str(&format!(
                "waiver    {} until {} by {}: {}\n",
                part("check"),
                part("until"),
                part("by"),
                part("reason")
            ));
        }
        let mut table = TextTable::new(["column", "type", "nullable"]);
        for (name, kind, nullable) in columns {
            table.row([name, kind, if nullable { "yes" } else { "no" }.to_owned()]);
        }
        text.push_str(&table.to_text());
        context.output.text(&text);
        Ok(DONE)
    }
}

impl History {
    pub(super) async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        let commits = lakegate.catalog.history(&self.table, self.limit).await?;
        if context.output.is_json() {
            let commits: Vec<Value> = commits
                .iter()
                .map(|commit| {
                    json!({
                        "version": commit.version,
                        "timestamp": commit.timestamp,
                        "operation": commit.operation,
                        "parameters": commit.parameters,
                        "lakegate": commit.lakegate,
                    })
                })
                .collect();
            context.output.json(&commits)?;
            return Ok(DONE);
        }
        let mut table = TextTable::new(["version", "committed", "operation", "verdict", "run"]);
        table.align_right(0);
        for commit in commits {
            let of_gate = |name: &str| {
                let value = commit.lakegate.as_ref().and_then(|v| v.get(name));
                value.and_then(Value::as_str).unwrap_or("").to_owned()
            };
            table.row([
                commit.version.to_string(),
                commit.timestamp.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                commit.operation.clone(),
                of_gate("verdict"),
                of_gate("run"),
            ]);
        }
        context.output.text(&table.to_text());
        Ok(DONE)
    }
}
