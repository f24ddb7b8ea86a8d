//! The generated reference in `docs/reference/`, and the test that fails when it is stale.
//!
//! `UPDATE=1 cargo test --workspace --bin lakegate reference` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::arguments::Arguments;

/// Compares a file of the reference with what the code says, or writes it.
fn expect_fresh(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/reference")
        .join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == text,
        "docs/reference/{file} is stale: run `UPDATE=1 cargo test --workspace --bin lakegate reference`"
    );
}

#[test]
fn reference_of_checks_is_fresh() {
    expect_fresh("checks.md", &lakegate_rules::reference_markdown());
}

#[test]
fn reference_schema_of_rule_files_is_fresh() {
    let schema = serde_json::to_string_pretty(&lakegate_rules::json_schema()).unwrap();
    expect_fresh("rules.schema.json", &format!("{schema}\n"));
}

#[test]
fn reference_of_the_command_line_is_fresh() {
    let mut text = "# Command line\n\nGenerated from the sources of the commands.\n".to_owned();
    let mut root = Arguments::command();
    root.build();
    let about = root.get_about().map(ToString::to_string);
    write!(text, "\n{}.\n", about.unwrap_or_default()).unwrap();
    if let Some(more) = root.get_after_long_help() {
        write!(text, "\n```text\n{more}\n```\n").unwrap();
    }
    text.push_str("\n## For every command\n\n");
    arguments(&root, true, &mut text);
    for command in without_help(&root) {
        describe(command, "lakegate", &mut text);
    }
    expect_fresh("command-line.md", &text);
}

/// The commands below one, without `help`, which repeats them.
fn without_help(command: &Command) -> impl Iterator<Item = &Command> {
    let commands = command.get_subcommands();
    commands.filter(|command| command.get_name() != "help")
}

fn describe(command: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    write!(text, "\n## `{name}`\n\n{about}\n").unwrap();
    if command.has_subcommands() {
        for command in without_help(command) {
            describe(command, &name, text);
        }
        return;
    }
    text.push('\n');
    arguments(command, false, text);
}

/// A line each argument: those of every command, or those of this one.
fn arguments(command: &Command, global: bool, text: &mut String) {
    for argument in command.get_arguments() {
        let is_builtin = matches!(argument.get_id().as_str(), "help" | "version")
            && matches!(
                argument.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            );
        if argument.is_global_set() == global && !is_builtin {
            writeln!(text, "- {}", line(argument)).unwrap();
        }
    }
}

fn line(argument: &Arg) -> String {
    let value = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .map(|names| names.join(" "));
    let shown = match (argument.get_short(), argument.get_long(), value) {
        (None, None, Some(value)) => format!("`{value}`"),
        (short, long, value) => {
            let short = short.map(|letter| format!("-{letter}"));
            let long = long.map(|word| format!("--{word}"));
            let names: Vec<String> = short.into_iter().chain(long).collect();
            let value = value.map_or_else(String::new, |value| format!(" {value}"));
            format!("`{}{value}`", names.join(", "))
        }
    };
    let help = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut line = format!("{shown}: {help}");
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        write!(line, "; one of {}", values.join(", ")).unwrap();
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() {
        write!(line, "; default {}", defaults.join(", ")).unwrap();
    }
    line
}

/// A section of the reference of pipelines: its heading, and the source whose documentation it is.
struct Section {
    heading: &'static str,
    source: &'static str,
    /// The item that is documented; the whole file when empty.
    item: &'static str,
}

macro_rules! section {
    ($heading:literal, $file:literal) => {
        section!($heading, $file, "")
    };
    ($heading:literal, $file:literal, $item:literal) => {
        Section {
            heading: $heading,
            source: include_str!(concat!("../../etl/src/", $file)),
            item: $item,
        }
    };
}

const PIPELINES: &[Section] = &[
    section!("# Pipelines", "pipeline.rs"),
    section!("## Parameters", "params.rs"),
    section!("## What waits for what", "graph.rs"),
    section!("## `extract`: `csv`", "extract/csv.rs"),
    section!("## `extract`: `json_lines`", "extract/json_lines.rs"),
    section!("## `extract`: `parquet`", "extract/parquet.rs"),
    section!("## `extract`: `delta`", "extract/delta.rs"),
    section!("## `type`", "typing.rs"),
    section!("### Schema files", "schema_file.rs"),
    section!("## `sql`", "pipeline.rs", "struct SqlStage"),
    section!("## `check`", "pipeline.rs", "struct CheckStage"),
    section!(
        "## `publish`",
        "pipeline/publish_stage.rs",
        "struct PublishStage"
    ),
    section!(
        "### `mode: replace_where`",
        "pipeline/publish_stage.rs",
        "ReplaceWhere"
    ),
    section!(
        "### `mode: merge`",
        "pipeline/publish_stage.rs",
        "struct MergeMode"
    ),
    section!(
        "### `mode: scd2`",
        "pipeline/publish_stage.rs",
        "struct Scd2Mode"
    ),
    section!("## Quarantine", "quarantine.rs"),
];

#[test]
fn reference_of_pipelines_is_fresh() {
    let mut text = String::new();
    for section in PIPELINES {
        let documentation = if section.item.is_empty() {
            head_of(section.source)
        } else {
            documentation_of(section.source, section.item)
        };
        assert!(
            !documentation.is_empty(),
            "{} is not documented",
            section.heading
        );
        write!(text, "{}\n\n{documentation}\n\n", section.heading).unwrap();
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let generated = "# Pipelines\n\nGenerated from the sources of the stages.\n";
    expect_fresh(
        "pipelines.md",
        &text.replacen("# Pipelines\n", generated, 1),
    );
}

#[test]
fn every_format_of_extract_is_in_the_reference() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etl/src/extract");
    // What the formats share.
    let shared = ["mod", "open", "settings", "tests", "text_table"];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() || shared.contains(&name.as_str()) {
            continue;
        }
        let heading = format!("## `extract`: `{name}`");
        assert!(
            PIPELINES.iter().any(|section| section.heading == heading),
            "{name}"
        );
    }
}

/// The documentation at the head of a file.
fn head_of(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    joined(lines)
}

/// The documentation of an item: the lines above it, attributes passed over.
fn documentation_of(source: &str, item: &str) -> String {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| {
        let name = line.trim_start_matches("pub ");
        name.strip_prefix(item)
            .is_some_and(|rest| rest.starts_with([' ', '(']))
    });
    let at = at.unwrap_or_else(|| panic!("`{item}` is gone"));
    let mut above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .skip_while(|line| line.starts_with("#["))
        .map_while(|line| line.strip_prefix("///"))
        .collect();
    above.reverse();
    joined(above.into_iter())
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}
