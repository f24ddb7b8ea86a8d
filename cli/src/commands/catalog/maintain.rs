//! `lakegate catalog vacuum`, `optimize` and `restore`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use lakegate_catalog::{At, TableName};
use lakegate_etl::Lakegate;
use lakegate_rules::thousands;
use serde_json::json;

use crate::arguments::table_name;
use crate::arguments::{byte_size, duration};
use crate::commands::query::{at, point_in_time};
use crate::commands::{CHECK_FAILED, DONE};
use crate::context::Context;
use crate::error::CliError;

/// Below this, a write or a query that is going on can lose its files.
const SHORTEST_SAFE_RETENTION: Duration = Duration::from_secs(60 * 60);

/// Delete files that no version needs, those of refused and dead writes among them
#[derive(Debug, Args)]
pub(super) struct Vacuum {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// Keep what versions of this last while need; time travel goes no further back
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    retention: Duration,

    /// Only say which files would go
    #[arg(long)]
    dry_run: bool,
}

/// Put small files together; rows do not change
#[derive(Debug, Args)]
pub(super) struct Optimize {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// Order rows along a Z-order curve over these columns
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    z_order: Vec<String>,

    /// Size of files to aim at
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    target_file_size: Option<u64>,
}

/// Make an earlier version the newest again, if it passes the rules of today
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// The version
    #[arg(long, value_name = "NUMBER", required_unless_present = "timestamp")]
    version: Option<i64>,

    /// The newest version of that time
    #[arg(long, value_name = "TIME", value_parser = point_in_time, conflicts_with = "version")]
    timestamp: Option<DateTime<Utc>>,
}

impl Vacuum {
    pub(super) async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        if self.retention < SHORTEST_SAFE_RETENTION && !self.dry_run {
            context.output.warning(
                &format!(
                    "a retention of {} takes files away from a write or a query that is going on",
                    humantime::format_duration(self.retention)
                ),
                None,
            );
        }
        let vacuumed = lakegate
            .catalog
            .vacuum(&self.table, self.retention, self.dry_run)
            .await?;
        if context.output.is_json() {
            context.output.json(&vacuumed)?;
            return Ok(DONE);
        }
        for file in &vacuumed.files {
            context.output.text(&lakegate_rules::printable(file));
        }
        let count = thousands(vacuumed.files.len() as u64);
        context.output.note(&if vacuumed.dry_run {
            format!("{count} files of {} would be deleted", self.table)
        } else {
            format!("{count} files of {} were deleted", self.table)
        });
        Ok(DONE)
    }
}

impl Optimize {
    pub(super) async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        let session = lakegate.engine.session();
        let optimized = Box::pin(lakegate.catalog.optimize(
            &session,
            &self.table,
            &self.z_order,
            self.target_file_size,
        ))
        .await?;
        if context.output.is_json() {
            context.output.json(&optimized)?;
        } else {
            context.output.text(&match optimized.files_removed {
                0 => format!("{} is as good as it can be", self.table),
                removed => format!(
                    "{} is at version {}: {} files became {}",
                    self.table,
                    optimized.version,
                    thousands(removed),
                    thousands(optimized.files_added)
                ),
            });
        }
        Ok(DONE)
    }
}

impl Restore {
    pub(super) async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        let at: At = at(self.version, self.timestamp)?;
        let result = Box::pin(lakegate.catalog.restore(&self.table, at)).await;
        let written = match result {
            Ok(written) => written,
            Err(error) => {
                let error = CliError::from(error);
                return Err(if error.exit_code == CHECK_FAILED {
                    error.with_hint(
                        "repair the rules, or let a check fail for a while with `lakegate waive`",
                    )
                } else {
                    error
                });
            }
        };
        if context.output.is_json() {
            context.output.json(&json!({
                "table": written.table, "version": written.version, "rows": written.rows,
                "verdict": written.verdict,
            }))?;
        } else {
            let rows = written
                .rows
                .map(|rows| format!(", {} rows", thousands(rows)))
                .unwrap_or_default();
            context.output.text(&format!(
                "{} is at version {}{rows}",
                written.table, written.version
            ));
        }
        Ok(DONE)
    }
}
