//! Schema files: the columns that a `type:` stage makes, and how their text is read.
//!
//! ```yaml
//! version: 1
//! null_values: [""]                # texts that mean null; a column can have its own
//! trim: false                      # take blanks off both ends first; a column can have its own
//! other_columns: error             # keep: as text, behind the others; drop
//! columns:
//!   - { name: id, type: bigint, nullable: false }     # nullable: true is the default
//!   - { name: price, type: "decimal(12,2)", from: Price, decimal_point: ",", thousands_separator: "." }
//!   - { name: ratio, type: double, allow_non_finite: true }             # NaN and infinities
//!   - { name: day, type: date, formats: ["%d.%m.%Y", iso] }             # tried in their order
//!   - { name: at, type: timestamp, formats: [epoch_millis], time_zone: "+01:00" }
//!   - { name: open, type: boolean, true_values: [yes], false_values: [no] }
//!   - { name: code, type: string, length: { min: 3, max: 3 } }          # in characters
//!   - { name: hash, type: binary, encoding: hex }                       # base64
//! ```
//!
//! Types: `boolean`, `tinyint`, `smallint`, `int`, `bigint`, `float`, `double`, `decimal(p,s)`, `date`,
//! `timestamp` (a moment; text without an offset is in `time_zone`, UTC by default), `timestamp_ntz` (no zone),
//! `string`, `binary`. Formats are those of strftime; `iso` (the default), `epoch_seconds` and `epoch_millis` are
//! names. A text has to be as the format would write it: `%d` takes two digits, `%-d` one or two, `%Y` four, `%y` two that
//! mean 1970 to 2069; `%.f` takes a fraction of a second with its point. `from` is the name of the column that is read, when it is another one.

use lakegate_rules::yaml::{self, Entry, Fields, Node, Problems, Span, Value};

use crate::batch::sha256;
use crate::extract::word;

mod column_type;
mod formats;

pub(crate) use column_type::{BinaryEncoding, ColumnType, NumberFormat};
pub(crate) use formats::TimeFormat;

const KEYS: &[&str] = &[
    "version",
    "description",
    "null_values",
    "trim",
    "other_columns",
    "columns",
];

const COLUMN_KEYS: &[&str] = &[
    "name",
    "description",
    "type",
    "from",
    "nullable",
    "null_values",
    "trim",
    "formats",
    "time_zone",
    "decimal_point",
    "thousands_separator",
    "allow_non_finite",
    "true_values",
    "false_values",
    "length",
    "encoding",
];

/// A schema file.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// The file, as the user named it.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    pub(crate) other_columns: OtherColumns,
    pub(crate) columns: Vec<Column>,
}

/// What happens to columns of the input that the file does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OtherColumns {
    /// They are a problem.
    #[default]
    Error,
    /// They stay as they are, behind the listed ones.
    Keep,
    /// They are left out.
    Drop,
}

/// One column to make.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The input's column.
    pub(crate) from: String,
    pub(crate) from_span: Span,
    pub(crate) column_type: ColumnType,
    pub(crate) is_nullable: bool,
    pub(crate) null_values: Vec<String>,
    pub(crate) trims: bool,
}

/// What holds for columns that say nothing else.
struct Defaults {
    null_values: Vec<String>,
    trims: bool,
}

impl SchemaFile {
    /// Reads a schema file; all of its problems are reported at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let node = yaml::parse(file, text)?;
        let mut problems = Problems::default();
        let fields = Fields::new(&node, "the schema file", KEYS, &mut problems);
        fields.require(&["version", "columns"], &mut problems);
        if let Some(version) = fields.get("version")
            && version
                .integer("`version`", &mut problems)
                .is_some_and(|version| version != 1)
        {
            version.wanted("`version`", "`1`", None, &mut problems);
        }
        fields.string("description", &mut problems);
        let other_columns = [
            ("error", OtherColumns::Error),
            ("keep", OtherColumns::Keep),
            ("drop", OtherColumns::Drop),
        ];
        let other_columns = word(&fields, "other_columns", &other_columns, &mut problems);
        let defaults = Defaults {
            null_values: texts(&fields, "null_values", &mut problems)
                .unwrap_or_else(|| vec![String::new()]),
            trims: fields.bool("trim", &mut problems).unwrap_or(false),
        };
        let nodes = fields.list("columns", &mut problems).unwrap_or_default();
        if let Some(list) = fields.get("columns")
            && list.as_list().is_some_and(<[Node]>::is_empty)
        {
            problems.push(list.problem("`columns` is empty"));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let Some(column) = Column::parse(node, &defaults, &mut problems) else {
                continue;
            };
            if columns.iter().any(|other| other.name == column.name) {
                problems.push(node.problem(format!("column `{}` is listed twice", column.name)));
            }
            columns.push(column);
        }
        problems.into_result(Self {
            file: file.to_owned(),
            sha256: sha256(text),
            other_columns: other_columns.unwrap_or_default(),
            columns,
        })
    }
}

impl Column {
    fn parse(node: &Node, defaults: &Defaults, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let fields = Fields::new(node, "the column", COLUMN_KEYS, problems);
        fields.require(&["name", "type"], problems);
        fields.string("description", problems);
        let name = fields.string("name", problems);
        if name
            .as_deref()
            .is_some_and(|name| name.is_empty() || is_reserved(name))
        {
            let name_node = fields.get("name").unwrap_or(node);
            name_node.wanted(
                "`name`",
                "a name other than ``, `_errors`, `_file` and `_line`",
                None,
                problems,
            );
        }
        let from = fields.string("from", problems);
        let null_values = texts(&fields, "null_values", problems);
        let trims = fields.bool("trim", problems);
        let nullable = fields.bool("nullable", problems);
        let column_type = ColumnType::parse(&fields, problems);
        if problems.len() > before {
            return None;
        }
        let name = name?;
        let from_key = if from.is_some() { "from" } else { "name" };
        Some(Self {
            from: from.unwrap_or_else(|| name.clone()),
            from_span: fields.span(from_key),
            name,
            column_type: column_type?,
            is_nullable: nullable.unwrap_or(true),
            null_values: null_values.unwrap_or_else(|| defaults.null_values.clone()),
            trims: trims.unwrap_or(defaults.trims),
        })
    }
}

/// Names that Lakegate gives columns of its own.
fn is_reserved(name: &str) -> bool {
    matches!(name, "_errors" | "_file" | "_line")
}

/// A list of texts as they are spelled: `null`, `NA` and `1` too, which YAML may take for something else.
fn texts(fields: &Fields<'_>, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for node in fields.list(key, problems)? {
        match &node.value {
            Value::Scalar(scalar) => texts.push(scalar.text.clone()),
            Value::List(_) | Value::Map(_) => {
                node.wanted(&format!("an item of `{key}`"), "text", None, problems);
            }
        }
    }
    Some(texts)
}

/// The options of a column that its type does not know.
fn refuse_foreign(fields: &Fields<'_>, type_name: &str, known: &[&str], problems: &mut Problems) {
    let always = [
        "name",
        "description",
        "type",
        "from",
        "nullable",
        "null_values",
        "trim",
    ];
    let is_foreign = |entry: &&Entry| {
        let key = entry.key.as_str();
        COLUMN_KEYS.contains(&key) && !always.contains(&key) && !known.contains(&key)
    };
    for entry in fields.entries().iter().filter(is_foreign) {
        let message = format!("`{}` does not apply to type `{type_name}`", entry.key);
        problems.push(entry.problem(message));
    }
}

#[cfg(test)]
mod tests;
