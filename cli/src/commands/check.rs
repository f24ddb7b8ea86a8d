//! `lakegate check`: judges a published table or a plain file.

use std::path::Path;

use clap::Args;
use lakegate_catalog::TableName;
use lakegate_rules::{Report, Suite};

use crate::commands::run::ReportArguments;
use crate::context::Context;
use crate::error::CliError;

/// Judge a table or a file, without changing anything
///
/// A table is judged by the rules that are attached to it, or by `--rules`. A file (Parquet; CSV or JSON lines, also packed
/// as gz, zst or zip) needs `--rules`, and no project. The types of a text file's columns are those that fit the values of
/// its first thousand rows.
///
/// What was measured of a table's files is stored with it, and only files without such states are read: see docs/states.md.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// A table of the catalog, or the path of a file
    #[arg(value_name = "TABLE|FILE")]
    subject: String,

    /// The rule file
    #[arg(long, value_name = "FILE")]
    rules: Option<String>,

    /// Say where each metric came from, and how many data files were read
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    reports: ReportArguments,
}

impl Check {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        self.reports.prepare(context)?;
        let suite = match &self.rules {
            Some(file) => Some(Suite::parse(file, &context.read_text(file)?)?),
            None => None,
        };
        let report = if super::is_file(&self.subject, context) {
            let Some(suite) = &suite else {
                return Err(
                    CliError::new(format!("the file `{}` has no rules", self.subject))
                        .with_hint("name a rule file with `--rules FILE`"),
                );
            };
            let (lakegate, _folder) = context.open_or_without_project().await?;
            let path = context.path(Path::new(&self.subject));
            Box::pin(lakegate_etl::check_file(&lakegate, &path, suite)).await?
        } else {
            let name: TableName = self.subject.parse()?;
            let lakegate = context.open().await?;
            Box::pin(lakegate_etl::check_table(&lakegate, &name, suite)).await?
        };
        let report = match self.explain {
            true => report,
            false => report.without_sources(),
        };
        context.output.report(&report)?;
        if self.explain {
            context.output.sources(&report);
        }
        let reports = [report];
        self.reports.write(context, &reports, &[])?;
        Ok(self.reports.exit_code(reports.iter().map(Report::verdict)))
    }
}
