//! What the program says about its own checks: `explain`, the reference, and the JSON Schema for
//! editors. All of it is made from the files of the kinds.

use serde_json::{Value, json};

use crate::assertion::Unit;
use crate::checks::{CheckKind, KINDS, Place, SCHEMA_KEYS, find};
use crate::settings::{BAD_ROWS, COMMON, Form, SCOPE, Setting, WHERE};
use crate::suite::FILE_KEYS;

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
        let need = if kind.needs_threshold() {
            " One is required."
        } else {
            ""
        };
        text.push_str(&format!(
            "| `at_least`, `at_most`, `between`, `equals` | {}; two of them for `between`; or \
             `{{warn: ..., error: ...}}` | What is wanted.{need} |\n",
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

fn all_settings(kind: &dyn CheckKind) -> Vec<Setting> {
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
        Form::Scalar => "number, date, timestamp or text".to_owned(),
        Form::Scalars => "list of values".to_owned(),
        Form::Columns => "list of columns".to_owned(),
        Form::Choice(names) => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(" or ")
        }
        Form::Percents => "percent, or `{warn: percent, error: percent}`".to_owned(),
    }
}

/// The JSON Schema (draft-07) of rule files, for editors.
pub fn json_schema() -> Value {
    let list_of = |is_column: bool| {
        let fits = |kind: &&&dyn CheckKind| match kind.place() {
            Place::Either => true,
            Place::Column => is_column,
            Place::Table => !is_column,
            Place::Section => false,
        };
        let kinds: Vec<&dyn CheckKind> = KINDS.iter().filter(fits).copied().collect();
        let bare: Vec<&str> = kinds
            .iter()
            .copied()
            .filter(|k| is_bare(*k))
            .map(|k| k.name())
            .collect();
        let properties: serde_json::Map<_, _> = kinds
            .iter()
            .map(|kind| (kind.name().to_owned(), kind_schema(*kind)))
            .collect();
        json!({
            "oneOf": [
                { "enum": bare },
                {
                    "type": "object",
                    "properties": properties,
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1
                }
            ]
        })
    };
    let severity = json!({ "enum": ["error", "warn"] });
    let one_or_more = json!({
        "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Lakegate rule file",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": { "const": 1 },
            "table": { "type": "string", "description": "The table that the rules are for." },
            "owner": { "type": "string", "description": "Who answers for the table." },
            "description": { "type": "string" },
            "key": one_or_more,
            "severity": severity,
            "gate": { "enum": ["strict", "no_worse"] },
            "parameters": {
                "type": "object",
                "description": "Values for `:name` in SQL, each with its default.",
                "additionalProperties": { "type": ["string", "number", "boolean"] }
            },
            "schema": {
                "type": "object",
                "additionalProperties": false,
                "required": ["columns"],
                "properties": {
                    "mode": { "enum": ["at_least", "exact"] },
                    "severity": severity,
                    "columns": { "type": "object", "additionalProperties": { "type": "string" } }
                }
            },
            "columns": {
                "type": "object",
                "additionalProperties": {
                    "oneOf": [
                        { "type": "array", "items": { "$ref": "#/definitions/column_check" } },
                        { "$ref": "#/definitions/column_check" }
                    ]
                }
            },
            "table_checks": {
                "type": "array",
                "items": { "$ref": "#/definitions/table_check" }
            }
        },
        "definitions": {}
    });
    schema["definitions"]["column_check"] = list_of(true);
    schema["definitions"]["table_check"] = list_of(false);
    debug_assert_eq!(
        schema["properties"].as_object().map(serde_json::Map::len),
        Some(FILE_KEYS.len())
    );
    debug_assert_eq!(SCHEMA_KEYS.len(), 3);
    schema
}

/// Whether the name alone is a check.
fn is_bare(kind: &dyn CheckKind) -> bool {
    !kind.needs_threshold()
        && kind.unit() == Unit::Share
        && kind.shorthand().is_none()
        && kind.settings().iter().all(|setting| !setting.is_required)
}

fn kind_schema(kind: &dyn CheckKind) -> Value {
    let mut properties = serde_json::Map::new();
    for setting in all_settings(kind) {
        let mut schema = form_schema(setting.form);
        schema["description"] = setting.meaning.into();
        properties.insert(setting.key.to_owned(), schema);
    }
    if kind.unit() != Unit::None {
        let value = json!({ "type": ["string", "number"] });
        let pair = json!({ "type": "array", "items": value, "minItems": 2, "maxItems": 2 });
        let levels = |one: &Value| {
            let both = json!({
                "type": "object",
                "additionalProperties": false,
                "properties": { "warn": one, "error": one }
            });
            json!({ "oneOf": [one, both], "description": kind.unit().form() })
        };
        let bounds = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": { "at_least": value, "at_most": value, "equals": value, "between": pair }
        });
        for key in ["at_least", "at_most", "equals"] {
            properties.insert(key.to_owned(), levels(&value));
        }
        properties.insert("between".to_owned(), levels(&pair));
        properties.insert("warn".to_owned(), bounds.clone());
        properties.insert("error".to_owned(), bounds);
    }
    let required: Vec<&str> = kind
        .settings()
        .iter()
        .filter(|setting| setting.is_required)
        .map(|setting| setting.key)
        .collect();
    let docs = documentation(kind);
    let claim = docs.lines().next().unwrap_or_default();
    let map = json!({
        "type": "object",
        "description": claim,
        "additionalProperties": false,
        "properties": properties,
        "required": required
    });
    let short = match kind.shorthand() {
        None => json!({ "type": "null" }),
        Some("limits") => json!({ "type": "array", "minItems": 2, "maxItems": 2 }),
        Some(key) => kind
            .settings()
            .iter()
            .find(|setting| setting.key == key)
            .map_or(Value::Null, |setting| form_schema(setting.form)),
    };
    json!({ "anyOf": [map, short] })
}

fn form_schema(form: Form) -> Value {
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Scalar => scalar,
        Form::Scalars => json!({ "type": "array", "items": scalar, "minItems": 1 }),
        Form::Columns => json!({
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        }),
        Form::Choice(["no_rows", "true"]) => json!({ "enum": ["no_rows", "true", true] }),
        Form::Choice(names) => json!({ "enum": names }),
        Form::Percents => json!({ "type": ["string", "object"] }),
    }
}
