//! The generated reference in `docs/reference/`, and the test that fails when it is stale.
//!
//! `UPDATE=1 cargo test -p lakegate reference` writes it anew.

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
        "docs/reference/{file} is stale: run `UPDATE=1 cargo test -p lakegate reference`"
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
    for command in root.get_subcommands() {
        describe(command, "lakegate", &mut text);
    }
    expect_fresh("command-line.md", &text);
}

fn describe(command: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    write!(text, "\n## `{name}`\n\n{about}\n").unwrap();
    if command.has_subcommands() {
        for command in command.get_subcommands() {
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
