//! The JSON Schema of rule files, for editors. It is made from the settings of the kinds.
//!
//! It is never stricter than the reader. Where it is looser, a test says so.

use serde_json::{Map, Value, json};

use crate::assertion::Unit;
use crate::checks::{CheckKind, KINDS, Place, SCHEMA_KEYS};
use crate::describe::{all_settings, documentation};
use crate::settings::{Form, LEVELS, THRESHOLD_KEYS};
use crate::suite::FILE_KEYS;

/// A number as text.
const NUMBER: &str = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|0x[0-9a-fA-F]+|0o[0-7]+|[-+]?\.(inf|Inf|INF)";

/// A number and its percent sign.
const PERCENT: &str = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*%";

/// The JSON Schema (draft-07) of rule files, for editors.
pub fn json_schema() -> Value {
    let severity = json!({ "enum": ["error", "warn"] });
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Lakegate rule file",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "anyOf": [
            { "required": ["schema"] },
            { "required": ["columns"], "properties": { "columns": { "minProperties": 1 } } },
            { "required": ["table_checks"], "properties": { "table_checks": { "minItems": 1 } } }
        ],
        "properties": {
            "version": { "const": 1 },
            "table": described(scalar(), "The table that the rules are for."),
            "owner": described(scalar(), "Who answers for the table."),
            "description": described(scalar(), "What the rules are for."),
            "key": described(
                json!({ "anyOf": [scalar(), { "type": "array", "items": scalar() }] }),
                "Columns that identify a row in samples and in quarantine. Without them there are no samples."
            ),
            "severity": severity,
            "gate": { "enum": ["strict", "no_worse"] },
            "parameters": {
                "type": "object",
                "description": "Values for `:name` in SQL, each with its default.",
                "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9_]*$", "not": { "const": "commit_time" } },
                "additionalProperties": scalar()
            },
            "schema": {
                "type": "object",
                "additionalProperties": false,
                "required": ["columns"],
                "properties": {
                    "mode": { "enum": ["at_least", "exact"] },
                    "severity": severity,
                    "columns": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": { "type": "string" }
                    }
                }
            },
            "columns": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
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
        "definitions": {
            "column_check": check_schema(Place::Column),
            "table_check": check_schema(Place::Table)
        }
    });
    for unit in [
        Unit::Share,
        Unit::Number,
        Unit::CountOrShare,
        Unit::Duration,
        Unit::Any,
    ] {
        for (name, definition) in threshold_definitions(unit) {
            schema["definitions"][name] = definition;
        }
    }
    debug_assert_eq!(
        schema["properties"].as_object().map(Map::len),
        Some(FILE_KEYS.len())
    );
    debug_assert_eq!(SCHEMA_KEYS.len(), 3);
    schema
}

/// One item of a list of checks, in this place.
fn check_schema(place: Place) -> Value {
    let kinds = KINDS
        .iter()
        .copied()
        .filter(|kind| kind.place() == Place::Either || kind.place() == place);
    let bare: Vec<&str> = kinds
        .clone()
        .filter(|kind| is_bare(*kind))
        .map(|kind| kind.name())
        .collect();
    let properties: Map<_, _> = kinds
        .map(|kind| (kind.name().to_owned(), kind_schema(kind, place)))
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
}

/// Whether the name alone is a check.
fn is_bare(kind: &dyn CheckKind) -> bool {
    !kind.needs_threshold()
        && kind.unit() == Unit::Share
        && kind.choices().is_empty()
        && kind.settings().iter().all(|setting| !setting.is_required)
}

/// What may stand behind a kind's name.
fn kind_schema(kind: &dyn CheckKind, place: Place) -> Value {
    let settings = all_settings(kind)
        .into_iter()
        .filter(|setting| setting.place == Place::Either || setting.place == place);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for setting in settings {
        properties.insert(
            setting.key.to_owned(),
            described(form_schema(setting.form), setting.meaning),
        );
        if setting.is_required {
            required.push(setting.key);
        }
    }
    if place == Place::Table {
        required.extend(kind.table_settings());
    }
    let mut groups: Vec<Vec<&str>> = kind.choices().iter().map(|group| group.to_vec()).collect();
    if kind.unit() != Unit::None {
        let keys = THRESHOLD_KEYS
            .iter()
            .chain(LEVELS.iter().map(|(name, _)| name));
        for key in keys {
            let what = match *key {
                "between" => "range",
                key if THRESHOLD_KEYS.contains(&key) => "value",
                _ => "level",
            };
            let reference =
                json!({ "$ref": format!("#/definitions/{}_{what}", name_of(kind.unit())) });
            properties.insert((*key).to_owned(), reference);
            if kind.needs_threshold() {
                groups.push(vec![*key]);
            }
        }
    }
    let mut map = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required
    });
    if !groups.is_empty() {
        let groups = groups.iter().map(|group| json!({ "required": group }));
        map["anyOf"] = groups.collect();
    }
    let docs = documentation(kind);
    let claim = docs.lines().next().unwrap_or_default();
    let mut forms = vec![described(map, claim)];
    if is_bare(kind) {
        forms.push(json!({ "type": "null" }));
    }
    if let Some(key) = kind.shorthand() {
        let of = |key: &str| {
            let mut settings = kind.settings().iter();
            settings
                .find(|setting| setting.key == key)
                .map(|setting| setting.form)
        };
        forms.extend(match key {
            "limits" => of("min").map(|form| {
                json!({ "type": "array", "items": form_schema(form), "minItems": 2, "maxItems": 2 })
            }),
            key => of(key).map(form_schema),
        });
    }
    json!({ "anyOf": forms })
}

/// What stands behind a threshold's key, by the unit of its values.
fn threshold_definitions(unit: Unit) -> Vec<(String, Value)> {
    let value = value_schema(unit);
    let range = json!({ "type": "array", "items": value, "minItems": 2, "maxItems": 2 });
    let name = name_of(unit);
    let level = json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": { "at_least": value, "at_most": value, "equals": value, "between": range }
    });
    vec![
        (
            format!("{name}_value"),
            described(levels(&value), unit.form()),
        ),
        (
            format!("{name}_range"),
            described(levels(&range), unit.form()),
        ),
        (format!("{name}_level"), described(level, unit.form())),
    ]
}

const fn name_of(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "nothing",
        Unit::Share => "share",
        Unit::Number => "number",
        Unit::CountOrShare => "count_or_share",
        Unit::Duration => "duration",
        Unit::Any => "any",
    }
}

/// One value, or one for each level.
fn levels(value: &Value) -> Value {
    json!({
        "anyOf": [
            value,
            {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": { "warn": value, "error": value }
            }
        ]
    })
}

fn value_schema(unit: Unit) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": format!("^({pattern})$") });
    let number = json!({ "type": "number" });
    match unit {
        Unit::None => json!(false),
        Unit::Share => pattern(r"[-+]?0*(100(\.0*)?|[0-9]?[0-9](\.[0-9]*)?|\.[0-9]+)\s*%"),
        Unit::Number => json!({ "anyOf": [number, pattern(NUMBER)] }),
        Unit::CountOrShare => {
            json!({ "anyOf": [number, pattern(&format!("{NUMBER}|{PERCENT}"))] })
        }
        Unit::Duration => pattern(r"\s*([0-9]+\s*[A-Za-zµ]+\s*)+"),
        Unit::Any => json!({
            "anyOf": [
                { "type": ["number", "boolean"] },
                { "type": "string", "not": { "pattern": format!("^({PERCENT})$") } }
            ]
        }),
    }
}

fn form_schema(form: Form) -> Value {
    match form {
        Form::Text => text(),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Limit => json!({
            "anyOf": [
                { "type": "number" },
                { "type": "string", "pattern": format!("^({NUMBER}|:commit_time|[-+]?[0-9]+-[0-9]+-[0-9]+.*)$") }
            ]
        }),
        Form::Scalars => json!({ "type": "array", "items": scalar(), "minItems": 1 }),
        Form::Columns => one_or_more(),
        Form::Choice(["no_rows", "true"]) => json!({ "enum": ["no_rows", "true", true] }),
        Form::Choice(names) => json!({ "enum": names }),
        Form::Percents => levels(&json!({ "type": "string", "pattern": format!("^({PERCENT})$") })),
        Form::Ratio => number_or_percent(),
        Form::Edges => json!({ "type": "array", "items": number(), "minItems": 2 }),
        Form::Shares => json!({
            "anyOf": [
                { "type": "object", "additionalProperties": number_or_percent(), "minProperties": 1 },
                { "type": "array", "items": number_or_percent(), "minItems": 1 }
            ]
        }),
    }
}

fn number() -> Value {
    json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": format!("^({NUMBER})$") }] })
}

fn number_or_percent() -> Value {
    json!({
        "anyOf": [
            { "type": "number" },
            { "type": "string", "pattern": format!("^({NUMBER}|{PERCENT})$") }
        ]
    })
}

/// Any scalar, as the reader takes them where text is wanted.
fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// Text that is not empty.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"], "pattern": "\\S" })
}

fn one_or_more() -> Value {
    json!({
        "anyOf": [
            scalar(),
            { "type": "array", "items": scalar(), "minItems": 1, "uniqueItems": true }
        ]
    })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}
