//! What the program says about its own checks: `explain` and the reference, made from the files of the kinds.

use crate::assertion::Unit;
use crate::checks::{CheckKind, KINDS, Place, find};
use crate::settings::{BAD_ROWS, COMMON, Form, SCOPE, Setting, WHERE};

/// The documentation of a kind of check, as Markdown; `None` for an unknown kind.
pub fn explain(kind: &str) -> Option<String> {
    let kind = find(kind)?;
    Some(format!("# {}\n\n{}", kind.name(), body(kind)))
}

/// The reference of all kinds of check, as Markdown.
pub fn reference_markdown() -> String {
    let mut text = String::from(
        "# Checks\n\nGenerated from the sources of the checks. A kind of check stands below its \
         column in `columns`, in `table_checks`, or in a section of its own.\n\n\
         | Check | What it wants | Stands in |\n|---|---|---|\n",
    );
    for kind in KINDS {
        let docs = documentation(*kind);
        let claim = docs.lines().next().unwrap_or_default();
        let name = kind.name();
        let place = place(*kind);
        text.push_str(&format!("| [`{name}`](#{name}) | {claim} | {place} |\n"));
    }
    for kind in KINDS {
        text.push_str(&format!("\n## {}\n\n{}", kind.name(), body(*kind)));
    }
    text
}

fn place(kind: &dyn CheckKind) -> &'static str {
    match kind.place() {
        Place::Column => "`columns`",
        Place::Table => "`table_checks`",
        Place::Either => "`columns`, `table_checks`",
        Place::Section => "a section",
    }
}

/// The head of a kind's source file.
pub(crate) fn documentation(kind: &dyn CheckKind) -> String {
    let head = kind.source().lines().map_while(|l| l.strip_prefix("//!"));
    let lines: Vec<&str> = head.map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
    lines.join("\n")
}

fn body(kind: &dyn CheckKind) -> String {
    let mut text = documentation(kind);
    text.push('\n');
    let settings = all_settings(kind);
    if settings.is_empty() && kind.unit() == Unit::None {
        return text;
    }
    text.push_str("\n| Setting | Value | Meaning |\n|---|---|---|\n");
    for setting in settings {
        let need = if setting.is_required {
            " Required."
        } else {
            ""
        };
        let form = form_text(setting.form);
        text.push_str(&format!(
            "| `{}` | {form} | {}{need} |\n",
            setting.key, setting.meaning
        ));
    }
    if kind.unit() != Unit::None {
        let need = match (kind.needs_threshold(), kind.choices()) {
            (false, _) => "",
            (true, []) => " One is required.",
            (true, _) => " One is required where the settings above say nothing.",
        };
        text.push_str(&format!(
            "| `at_least`, `at_most`, `between`, `equals` | {}; two of them for `between`; or \
             `{{warn: ..., error: ...}}` | What is wanted.{need} |\n\
             | `warn`, `error` | map of `at_least`, `at_most`, `between` or `equals` | What is wanted at that level: \
             `warn` only reports, `error` blocks. |\n",
            kind.unit().form()
        ));
    }
    if let (Some(key), true) = (kind.shorthand(), kind.place() != Place::Section) {
        let what = match key {
            "limits" => "`[min, max]`".to_owned(),
            key => format!("the value of `{key}`"),
        };
        let name = kind.name();
        text.push_str(&format!("\nIn short: `{name}:` followed by {what}.\n"));
    }
    text
}

pub(crate) fn all_settings(kind: &dyn CheckKind) -> Vec<Setting> {
    let mut settings = kind.settings().to_vec();
    if kind.place() == Place::Section {
        return settings;
    }
    if kind.reads_rows() {
        settings.extend([WHERE, SCOPE]);
    }
    if kind.is_row_level() {
        settings.push(BAD_ROWS);
    }
    settings.extend_from_slice(COMMON);
    settings
}

fn form_text(form: Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Count => "whole number".to_owned(),
        Form::Limit => "number, date, timestamp or `:commit_time`".to_owned(),
        Form::Scalars => "list of values".to_owned(),
        Form::Columns => "list of columns".to_owned(),
        Form::Choice(names) => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(" or ")
        }
        Form::Percents => "percent, or `{warn: percent, error: percent}`".to_owned(),
        Form::Ratio => "number from 0 to 1, or percent".to_owned(),
        Form::Edges => "list of ascending numbers".to_owned(),
        Form::Shares => "map of values to percents, or list of percents".to_owned(),
    }
}
