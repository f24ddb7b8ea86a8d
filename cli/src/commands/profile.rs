//! `lakegate profile`: says what is in a table or a file.

use std::path::{Path, PathBuf};

use clap::Args;
use lakegate_catalog::TableName;
use lakegate_etl::{EtlError, profile_file, profile_table};
use lakegate_rules::{ProfileOptions, RulesError};
use serde_json::json;

use super::{DONE, is_file};
use crate::context::Context;
use crate::error::CliError;

/// Say what is in each column of a table or a file
///
/// The rows are read once: types, completeness, distinct and most frequent values, lengths of text, statistics, quantiles
/// and histograms of numbers. Text that holds nothing but numbers is read a second time. A file (Parquet; CSV or JSON
/// lines, also packed as gz, zst or zip) needs no project.
#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// A table of the catalog, or the path of a file
    #[arg(value_name = "TABLE|FILE")]
    subject: String,

    /// These columns only
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    columns: Vec<String>,

    /// Only rows for which this SQL condition is true
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,

    /// How many of the most frequent values
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    top: usize,

    /// How many bins a histogram has
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    bins: usize,

    /// Write a page that a browser shows, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Profile {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let options = self.options()?;
        let (profile, version) = if is_file(&self.subject, context) {
            let (lakegate, _folder) = context.open_or_without_project().await?;
            let path = context.path(Path::new(&self.subject));
            (profile_file(&lakegate, &path, &options).await?, None)
        } else {
            let name: TableName = self.subject.parse()?;
            let lakegate = context.open().await?;
            let (profile, version) = profile_table(&lakegate, &name, &options).await?;
            (profile, Some(version))
        };
        let title = match version {
            Some(version) => format!("{}, version {version}", self.subject),
            None => self.subject.clone(),
        };
        if let Some(file) = &self.html {
            let path = context.path(file);
            std::fs::write(&path, profile.to_html(&title)).map_err(|error| {
                CliError::new(format!("`{}` cannot be written: {error}", file.display()))
            })?;
        }
        if context.output.is_json() {
            let mut value = json!({ "subject": self.subject, "version": version });
            value["profile"] = json!(profile);
            context.output.json(&value)?;
        } else {
            context.output.text(&profile.to_text(&title));
        }
        Ok(DONE)
    }

    fn options(&self) -> Result<ProfileOptions, CliError> {
        let invalid = |error: RulesError| CliError::from(EtlError::from(error));
        let mut options = ProfileOptions::default();
        options = options.with_top(self.top).map_err(invalid)?;
        options = options.with_bins(self.bins).map_err(invalid)?;
        if !self.columns.is_empty() {
            options = options.with_columns(self.columns.clone());
        }
        if let Some(condition) = &self.condition {
            options = options.with_condition(condition.clone());
        }
        Ok(options)
    }
}
