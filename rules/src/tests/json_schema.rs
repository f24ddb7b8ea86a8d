//! The JSON Schema and the reader say the same of rule files.

use regex::Regex;
use serde_json::{Value, json};

use crate::yaml::{self, Node, Resolved};
use crate::{Suite, json_schema};

/// What is said of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    /// Both take it.
    Good,
    /// Both refuse it.
    Bad,
    /// Only the reader refuses it: the schema cannot tell.
    Looser,
}
use Says::{Bad, Good, Looser};

const CASES: &[(&str, Says)] = &[
    ("columns: {id: [{not_null: {at_least: 99}}]}", Bad),
    ("columns: {id: [{not_null: {at_least: 99%}}]}", Good),
    ("columns: {id: [{not_null: {at_least: 99.5 %}}]}", Good),
    ("columns: {id: [{not_null: {at_least: '150%'}}]}", Bad),
    ("columns: {id: [{not_null: {at_least: 1_0%}}]}", Bad),
    ("columns: {id: [{not_null: {at_least: 1e1%}}]}", Bad),
    ("columns: {id: [{not_null: {at_least: {}}}]}", Bad),
    ("columns: {id: [{not_null: {error: {}}}]}", Bad),
    ("columns: {id: [{not_null: {where: true}}]}", Good),
    ("columns: {id: [{not_null: {where: ''}}]}", Bad),
    ("columns: {id: [{not_null: {name: 5}}]}", Good),
    ("columns: {id: [not_null, {unique: null}]}", Good),
    ("columns: {id: {not_null: null}}", Good),
    ("columns: {id: unique}", Good),
    ("columns: {id: null}", Bad),
    ("columns: {id: [{unique_key: [id]}]}", Bad),
    ("columns: {id: [{row_count: {at_least: 1}}]}", Bad),
    ("owner: 5\ncolumns: {id: [not_null]}", Good),
    ("description: 3\ncolumns: {id: [not_null]}", Good),
    ("table: 5\ncolumns: {id: [not_null]}", Good),
    ("key: [1]\ncolumns: {id: [not_null]}", Good),
    ("key: id\ncolumns: {id: [not_null]}", Good),
    ("columns: {id: [mean]}", Bad),
    ("columns: {id: [{mean: null}]}", Bad),
    ("columns: {id: [{mean: {}}]}", Bad),
    ("columns: {id: [{mean: {at_least: abc}}]}", Bad),
    ("columns: {id: [{mean: {at_least: '5'}}]}", Good),
    ("columns: {id: [{mean: {at_least: 0x10}}]}", Good),
    ("columns: {id: [{mean: {at_least: 1_000}}]}", Bad),
    ("columns: {id: [{mean: {between: [1, 2.5e3]}}]}", Good),
    ("columns: {id: [{mean: {between: [1]}}]}", Bad),
    ("columns: {id: [{mean: {between: [2, 1]}}]}", Looser),
    (
        "columns: {id: [{mean: {error: {at_least: 1}, warn: {between: [1, 2]}}}]}",
        Good,
    ),
    ("columns: {id: [{mean: {error: {at_leat: 1}}}]}", Bad),
    ("columns: {id: [{distinct: {at_least: 5}}]}", Good),
    ("columns: {id: [{distinct: {at_least: 5%}}]}", Good),
    ("columns: {id: [{distinct: {at_least: 5x}}]}", Bad),
    ("columns: {id: [{min: {at_least: true}}]}", Good),
    ("columns: {id: [{min: {at_least: 2024-01-01}}]}", Good),
    ("columns: {id: [{min: {at_least: 5%}}]}", Bad),
    ("columns: {id: [{min: {between: [5]}}]}", Bad),
    ("columns: {id: [{min: {at_least: {warn: 5}}}]}", Good),
    (
        "columns: {id: [{min: {at_least: {warn: 5}, severity: warn}}]}",
        Looser,
    ),
    ("columns: {id: [{between: {}}]}", Bad),
    ("columns: {id: [{between: 5}]}", Bad),
    ("columns: {id: [{between: [1, x]}]}", Bad),
    ("columns: {id: [{between: {min: 1}}]}", Good),
    ("columns: {id: [{between: {at_least: 90%}}]}", Bad),
    ("columns: {id: [{between: [2024-01-01, 2024-01-02]}]}", Good),
    ("columns: {id: [{between: {max: ':commit_time'}}]}", Good),
    ("columns: {id: [{length: [1, 2]}]}", Good),
    ("columns: {id: [{length: [a, b]}]}", Bad),
    ("columns: {id: [{length: {min: '5'}}]}", Bad),
    ("columns: {id: [{length: {max: 0x10}}]}", Good),
    ("columns: {id: [{matches: 5}]}", Good),
    ("columns: {id: [{matches: {}}]}", Bad),
    (
        "columns: {id: [{matches: {format: email, pattern: a}}]}",
        Looser,
    ),
    (
        "columns: {id: [{matches: {format: us_ssn, anywhere: true}}]}",
        Good,
    ),
    (
        "columns: {id: [{matches: {format: us_ssn, anywhere: 'true'}}]}",
        Bad,
    ),
    (
        "columns: {id: [{matches: {format: integer, anywhere: true}}]}",
        Looser,
    ),
    (
        "columns: {id: [{matches: {pattern: a, anywhere: true}}]}",
        Looser,
    ),
    ("columns: {id: [{date_format: '%d.%m.%Y'}]}", Good),
    ("columns: {id: [{date_format: ['%d.%m.%Y', '%F']}]}", Good),
    ("columns: {id: [{date_format: ''}]}", Bad),
    ("columns: {id: [{date_format: []}]}", Bad),
    ("columns: {id: [date_format]}", Bad),
    ("columns: {id: [{date_format: '%Q'}]}", Looser),
    ("columns: {id: [{date_format: '%H:%M'}]}", Looser),
    ("columns: {id: [{date_format: '%Y-%m-%d %Z'}]}", Looser),
    ("columns: {id: [number_format]}", Good),
    ("columns: {id: [{number_format: {decimals: 2}}]}", Good),
    ("columns: {id: [{number_format: {decimals: -1}}]}", Bad),
    (
        "columns: {id: [{number_format: {thousands_separator: '.'}}]}",
        Looser,
    ),
    ("columns: {id: [primary_key]}", Good),
    ("columns: {id: [{primary_key: {columns: [id]}}]}", Bad),
    ("columns: {id: [{not_null: {bad_rows: drop}}]}", Good),
    ("columns: {id: [{sum: {at_least: 1, bad_rows: drop}}]}", Bad),
    ("table_checks: [{primary_key: [a, b]}]", Good),
    ("table_checks: [{primary_key: {at_least: 5%}}]", Bad),
    ("columns: {id: [{ordered: {by: t}}]}", Good),
    ("columns: {id: [ordered]}", Bad),
    ("columns: {id: [{ordered: {by: id}}]}", Looser),
    (
        "columns: {id: [{ordered: {by: [t, u], per: d, strictly: true, direction: descending}}]}",
        Good,
    ),
    ("columns: {id: [{ordered: {by: t, direction: up}}]}", Bad),
    ("table_checks: [{implies: {when: a, then: b}}]", Good),
    ("table_checks: [{implies: {when: a}}]", Bad),
    ("table_checks: [{row_count_match: {table: a}}]", Good),
    (
        "table_checks: [{row_count_match: {table: a, at_least: 150%}}]",
        Good,
    ),
    (
        "table_checks: [{row_count_match: {table: a, at_least: 1}}]",
        Bad,
    ),
    ("table_checks: [{row_count_match: {at_least: 1%}}]", Bad),
    (
        "table_checks: [{row_count_match: {table: a, at_least: '-1%'}}]",
        Looser,
    ),
    (
        "table_checks: [{schema_match: {table: a, mode: exact}}]",
        Good,
    ),
    ("table_checks: [{schema_match: {table: a, where: b}}]", Bad),
    (
        "table_checks: [{dataset_match: {table: a, keys: id}}]",
        Good,
    ),
    (
        "table_checks: [{dataset_match: {table: a, keys: {id: x}, columns: [b]}}]",
        Good,
    ),
    ("table_checks: [{dataset_match: {table: a, keys: {}}}]", Bad),
    ("table_checks: [{dataset_match: {table: a}}]", Bad),
    (
        "table_checks: [{aggregate_match: {table: a, expression: count(*), between: [99%, 101%]}}]",
        Good,
    ),
    ("table_checks: [{aggregate_match: {table: a}}]", Bad),
    ("columns: {id: [{one_of: [null]}]}", Bad),
    ("columns: {id: [{one_of: 5}]}", Bad),
    ("columns: {id: [{one_of: [2024-01-01, true, 1]}]}", Good),
    ("columns: {id: [{one_of: {values: []}}]}", Bad),
    (
        "columns: {id: [{compare: {operator: '=', column: 5}}]}",
        Good,
    ),
    (
        "columns: {id: [{compare: {operator: '==', column: a}}]}",
        Bad,
    ),
    ("columns: {id: [{exists_in: {table: a}}]}", Good),
    ("columns: {id: [{exists_in: {table: 5}}]}", Good),
    (
        "columns: {id: [{exists_in: {table: a, columns: [x]}}]}",
        Bad,
    ),
    (
        "columns: {id: [{exists_in: {table: a, table_columns: b}}]}",
        Bad,
    ),
    ("table_checks: [{exists_in: {table: a, columns: x}}]", Good),
    ("table_checks: [{exists_in: {table: a}}]", Bad),
    ("table_checks: [{exists_in: {table: a, column: x}}]", Bad),
    ("columns: {id: [{freshness: {at_most: 6}}]}", Bad),
    ("columns: {id: [{freshness: {at_most: 1d 6h}}]}", Good),
    ("columns: {id: [{freshness: {}}]}", Bad),
    (
        "columns: {id: [{freshness: {column: t, at_most: 6h}}]}",
        Bad,
    ),
    ("table_checks: [{freshness: {at_most: 6h}}]", Bad),
    (
        "table_checks: [{freshness: {column: t, at_most: 6h}}]",
        Good,
    ),
    ("table_checks: [row_count]", Bad),
    ("table_checks: [{row_count: null}]", Bad),
    ("table_checks: [{row_count: {equals: 5, where: a}}]", Good),
    ("table_checks: [{row_count: {versus: previous}}]", Bad),
    (
        "table_checks: [{row_count: {versus: previous, change: 3}}]",
        Bad,
    ),
    (
        "table_checks: [{row_count: {versus: previous, change: 300%}}]",
        Good,
    ),
    (
        "table_checks: [{row_count: {versus: previous, change: {}}}]",
        Bad,
    ),
    (
        "table_checks: [{row_count: {versus: previous, change: {warn: 3%, error: 4%}}}]",
        Good,
    ),
    (
        "table_checks: [{row_count: {versus: previous, change: {warn: 3%, eror: 4%}}}]",
        Bad,
    ),
    (
        "table_checks: [{row_count: {versus: previous, change: 3%, at_least: 1}}]",
        Looser,
    ),
    ("table_checks: [{unique_key: id}]", Good),
    ("table_checks: [{unique_key: [id, id]}]", Bad),
    (
        "table_checks: [{sql: {expect: true, query: SELECT 1=1}}]",
        Good,
    ),
    (
        "table_checks: [{sql: {expect: true, query: SELECT 1=1, where: x}}]",
        Bad,
    ),
    (
        "table_checks: [{sql: {expect: no_rows, query: DELETE FROM t}}]",
        Looser,
    ),
    (
        "schema: {columns: {id: bigint}, mode: exact, severity: warn}",
        Good,
    ),
    ("schema: {columns: {id: decimal}}", Looser),
    ("schema: {columns: {}}", Bad),
    ("parameters: {a: null}\ncolumns: {id: [not_null]}", Bad),
    ("parameters: {1a: 5}\ncolumns: {id: [not_null]}", Bad),
    (
        "parameters: {commit_time: 5}\ncolumns: {id: [not_null]}",
        Bad,
    ),
    ("parameters: {a: 5}\ncolumns: {id: [not_null]}", Good),
    ("columns: {}", Bad),
    ("{}", Bad),
    ("columns: {id: []}", Looser),
    (
        "columns: {id: []}\ntable_checks: [{row_count: {at_least: 1}}]",
        Good,
    ),
];

#[test]
fn schema_and_reader_agree() {
    let schema = json_schema();
    for (case, says) in CASES {
        let text = match *case {
            "{}" => "version: 1\n".to_owned(),
            case => format!("version: 1\n{case}\n"),
        };
        let is_read = Suite::parse("r.yaml", &text);
        let value = to_json(&yaml::parse("r.yaml", &text).unwrap());
        let fits = fits(&value, &schema, &schema);
        let found = match (is_read.is_ok(), fits) {
            (true, true) => Good,
            (false, false) => Bad,
            (false, true) => Looser,
            (true, false) => panic!("the schema refuses what is read: {case}"),
        };
        assert_eq!(found, *says, "{case}: {is_read:?}");
    }
}

/// A file as an editor reads it.
fn to_json(node: &Node) -> Value {
    match &node.value {
        yaml::Value::List(items) => items.iter().map(to_json).collect(),
        yaml::Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        yaml::Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Integer(value) => value.into(),
            Resolved::Float(value) => value.into(),
            Resolved::Text => scalar.text.as_str().into(),
        },
    }
}

/// Whether a value is as the schema wants it. Panics on a keyword that it does not know.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(keywords) = schema.as_object() else {
        return schema == &json!(true);
    };
    let is = |schema: &Value| fits(value, schema, root);
    let all = |list: &Value| list.as_array().unwrap().clone();
    let holds = |keyword: &str, wanted: &Value| match keyword {
        "$schema" | "title" | "description" | "definitions" => true,
        "$ref" => is(root.pointer(&wanted.as_str().unwrap()[1..]).unwrap()),
        "const" => value == wanted,
        "enum" => all(wanted).contains(value),
        "type" => match wanted {
            Value::Array(names) => names.iter().any(|name| has_type(value, name)),
            name => has_type(value, name),
        },
        "not" => !is(wanted),
        "anyOf" => all(wanted).iter().any(is),
        "oneOf" => all(wanted).iter().filter(|schema| is(schema)).count() == 1,
        "pattern" => value
            .as_str()
            .is_none_or(|text| Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)),
        "minimum" => value
            .as_f64()
            .is_none_or(|number| number >= wanted.as_f64().unwrap()),
        _ => match value {
            Value::Object(map) => match keyword {
                "required" => all(wanted)
                    .iter()
                    .all(|key| map.contains_key(key.as_str().unwrap())),
                "minProperties" => map.len() as u64 >= wanted.as_u64().unwrap(),
                "maxProperties" => map.len() as u64 <= wanted.as_u64().unwrap(),
                "propertyNames" => map.keys().all(|key| fits(&json!(key), wanted, root)),
                "properties" => map
                    .iter()
                    .all(|(key, value)| wanted.get(key).is_none_or(|s| fits(value, s, root))),
                "additionalProperties" => map
                    .iter()
                    .filter(|(key, _)| schema["properties"].get(key.as_str()).is_none())
                    .all(|(_, value)| fits(value, wanted, root)),
                "items" | "minItems" | "maxItems" | "uniqueItems" => true,
                _ => panic!("unknown keyword `{keyword}`"),
            },
            Value::Array(items) => match keyword {
                "items" => items.iter().all(|item| fits(item, wanted, root)),
                "minItems" => items.len() as u64 >= wanted.as_u64().unwrap(),
                "maxItems" => items.len() as u64 <= wanted.as_u64().unwrap(),
                "uniqueItems" => items
                    .iter()
                    .enumerate()
                    .all(|(i, item)| !items[..i].contains(item)),
                _ => true,
            },
            _ => true,
        },
    };
    keywords
        .iter()
        .all(|(keyword, wanted)| holds(keyword, wanted))
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type `{other}`"),
    }
}
