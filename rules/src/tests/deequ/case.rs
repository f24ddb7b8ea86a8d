//! The file of cases.

use serde_json::Value;

/// One fact that a test of Deequ asserts.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) analyzer: String,
    pub(super) args: Value,
    pub(super) table: Value,
    pub(super) expected: Expected,
    /// What is expected, as the file has it.
    pub(super) value: Value,
}

/// What is asserted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    Number(f64),
    /// Strictly between two numbers.
    Open(f64, f64),
    /// No metric.
    Failure,
    /// Whether the check passes.
    Verdict(bool),
    /// Whether each row is good; none when Deequ says neither.
    Rows(Vec<Option<bool>>),
    /// Something that no check of ours answers.
    Other,
}

/// The cases of the file that the environment names, or of ours.
pub(super) fn read() -> Vec<Case> {
    #[expect(clippy::disallowed_methods, reason = "the test has no settings")]
    let named = std::env::var("LAKEGATE_DEEQU_CASES");
    let text = match named {
        Ok(file) => std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}")),
        Err(_) => include_str!("cases.json").to_owned(),
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    cases.iter().map(Case::of).collect()
}

/// Whether two numbers are equal but for rounding.
pub(super) fn is_close(found: f64, wanted: f64) -> bool {
    found == wanted
        || found.is_nan() && wanted.is_nan()
        || (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0)
}

impl Case {
    fn of(case: &Value) -> Self {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("id"),
            kind: text("kind"),
            analyzer: text("analyzer"),
            args: case["args"].clone(),
            table: case["table"].clone(),
            expected: Expected::of(&case["expected"]),
            value: case["expected"].clone(),
        }
    }

    /// An argument that is text; empty when there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.args[key].as_str().unwrap_or_default()
    }

    pub(super) fn names(&self, key: &str) -> Vec<&str> {
        let names = self.args[key].as_array().map(Vec::as_slice);
        let names = names.unwrap_or_default().iter();
        names.filter_map(Value::as_str).map(unquoted).collect()
    }

    pub(super) fn has_null_in(&self, column: &str) -> bool {
        let column = unquoted(column);
        let columns = self.table["cols"].as_array();
        let place = columns.and_then(|columns| columns.iter().position(|c| c == column));
        let rows = self.table["rows"].as_array().map(Vec::as_slice);
        let mut rows = rows.unwrap_or_default().iter();
        place.is_some_and(|place| rows.any(|row| row[place].is_null()))
    }

    /// Deequ's name of a column's type.
    pub(super) fn type_of(&self, column: &str) -> Option<&str> {
        let columns = self.table["cols"].as_array()?;
        let place = columns.iter().position(|c| c == unquoted(column))?;
        self.table["types"][place].as_str()
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        let number = |key: &str| self.table[key].as_i64();
        match (number("from"), number("to_exclusive")) {
            (Some(from), Some(to)) => to.abs_diff(from),
            _ => self.table["rows"]
                .as_array()
                .map_or(0, |rows| rows.len() as u64),
        }
    }

    pub(super) fn expected_has_null(&self) -> bool {
        matches!(&self.expected, Expected::Rows(rows) if rows.contains(&None))
    }
}

/// Spark quotes names with backticks.
pub(super) fn unquoted(name: &str) -> &str {
    let inside = name.strip_prefix('`').and_then(|n| n.strip_suffix('`'));
    inside.unwrap_or(name)
}

impl Expected {
    fn of(value: &Value) -> Self {
        let number = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        if let Some(number) = number(value).or_else(|| number(&value["metric"])) {
            return Self::Number(number);
        }
        if !value["failure"].is_null() {
            return Self::Failure;
        }
        if let Some([low, high]) = value["open_interval"].as_array().map(Vec::as_slice) {
            return Self::Open(low.as_f64().unwrap(), high.as_f64().unwrap());
        }
        match value {
            Value::String(text) if text == "Success" => Self::Verdict(true),
            Value::String(text) if text == "Failure" => Self::Verdict(false),
            Value::Array(rows) if rows.iter().all(|r| r.is_null() || r.is_boolean()) => {
                Self::Rows(rows.iter().map(Value::as_bool).collect())
            }
            _ => Self::Other,
        }
    }
}
