//! `lakegate settings`: each setting and where it comes from.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::arguments::Format;
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::output::TextTable;
use crate::settings::{Setting, without_secrets};

/// Show each setting and where it comes from
///
/// Defaults go before `lakegate.yaml`, that before the environment, that before flags. Secrets are not shown.
#[derive(Debug, Args)]
pub(crate) struct ShowSettings {}

impl ShowSettings {
    pub(crate) fn run(self, context: &Context) -> Result<u8, CliError> {
        let settings = context.settings()?;
        let start = &context.start;
        let format = |format: &Format| match format {
            Format::Text => "text".to_owned(),
            Format::Json => "json".to_owned(),
        };
        let memory_limit = |limit: &Option<u64>| match limit {
            Some(bytes) => format!("{bytes} bytes"),
            None => "60% of the machine".to_owned(),
        };
        let rows = [
            row("directory", &start.directory, |_| {
                context.root.display().to_string()
            }),
            row("format", &start.format, format),
            row("log", &start.log, Clone::clone),
            row("project", &settings.project, Clone::clone),
            row("warehouse", &settings.warehouse, |url| {
                without_secrets(url.as_str())
            }),
            row("catalog", &settings.catalog, |path| {
                path.display().to_string()
            }),
            row("memory_limit", &settings.memory_limit, memory_limit),
            row("samples.rows", &settings.sample_rows, u64::to_string),
            row("samples.keep", &settings.sample_keep, |keep| {
                humantime::format_duration(*keep).to_string()
            }),
        ];
        if context.output.is_json() {
            let map: Map<String, Value> = rows
                .into_iter()
                .map(|[name, value, origin]| (name, json!({ "value": value, "origin": origin })))
                .collect();
            context.output.json(&map)?;
        } else {
            let mut table = TextTable::new(["setting", "value", "from"]);
            for row in rows {
                table.row(row);
            }
            context.output.text(&table.to_text());
        }
        Ok(DONE)
    }
}

fn row<T>(name: &str, setting: &Setting<T>, show: impl Fn(&T) -> String) -> [String; 3] {
    [
        name.to_owned(),
        show(&setting.value),
        setting.origin.to_string(),
    ]
}
