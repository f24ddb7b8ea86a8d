//! What every command takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lakegate_catalog::{CatalogError, TableName};
use lakegate_rules::yaml::{parse_bytes, parse_duration};

use crate::commands::Command;
use crate::error::CliError;
use crate::settings;

/// Data-quality gate for lakehouse tables: no table version that fails its rules comes into being.
#[derive(Debug, Parser)]
#[command(name = "lakegate", version)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The project folder; paths are relative to it [env: LAKEGATE_DIRECTORY] [default: .]
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// How results are printed; with json, events and errors are JSON lines on stderr
    /// [env: LAKEGATE_FORMAT] [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    format: Option<Format>,

    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

/// Flags that go before what `lakegate.yaml` and the environment say.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingFlags {
    /// The folder that new tables are made in
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) warehouse: Option<String>,

    /// The SQLite file that says which tables there are
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,

    /// Memory for rows that operators hold, for example 2GiB
    #[arg(long, global = true, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) memory_limit: Option<u64>,

    /// How many bad rows a check names by their keys
    #[arg(long, global = true, value_name = "COUNT")]
    pub(crate) sample_rows: Option<u64>,

    /// How long keys of bad rows are kept, for example 30d
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) sample_keep: Option<Duration>,

    /// Which log events go to stderr, for example `debug` or `lakegate_etl=trace`
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The format that words ask for which are no arguments.
pub(crate) fn format_of_words(words: impl Iterator<Item = String>) -> Format {
    let words: Vec<String> = words.collect();
    let pairs = words.windows(2);
    let is_named = words.iter().any(|word| word == "--format=json")
        || pairs.into_iter().any(|pair| pair == ["--format", "json"]);
    match is_named {
        true => Format::Json,
        false => settings::format_of_environment().unwrap_or(Format::Text),
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; with warnings too, and with failures that `gate: no_worse` accepts
  1  a check failed or could not be evaluated, and its version was not published;
     or there are warnings, with `--fail-on warn`: what was published stays published
  2  the configuration or the input is invalid
  3  storage or engine failed";

impl Arguments {
    /// The format that errors are printed in, before the settings are known to be right.
    pub(crate) fn format(&self) -> Format {
        self.format
            .or_else(settings::format_of_environment)
            .unwrap_or(Format::Text)
    }

    /// The format that a flag asks for.
    pub(crate) fn format_flag(&self) -> Option<Format> {
        self.format
    }
}

/// A size with its unit.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "wanted a size such as `512MiB` or `2GB`".to_owned())
}

/// A duration with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "wanted a duration such as `6h` or `30d`".to_owned())
}

/// A table's name; when it is none, why, and the way out.
pub(crate) fn table_name(text: &str) -> Result<TableName, String> {
    text.parse()
        .map_err(|error: CatalogError| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
}

/// One parameter with its value.
pub(crate) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("wanted NAME=VALUE, for example `delivery=data/january.zip`".to_owned()),
    }
}

/// Parameters by name, each given once.
pub(crate) fn by_name(
    parameters: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, CliError> {
    let mut named = BTreeMap::new();
    for (name, value) in parameters {
        if named.insert(name.clone(), value).is_some() {
            return Err(CliError::new(format!("parameter `{name}` is given twice")));
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_project_folder_is_taken_before_and_after_the_command() {
        for words in [
            ["lakegate", "-C", "x", "validate"],
            ["lakegate", "validate", "-C", "x"],
        ] {
            let arguments = Arguments::try_parse_from(words).unwrap();
            assert_eq!(arguments.directory, Some(PathBuf::from("x")));
        }
    }
}
