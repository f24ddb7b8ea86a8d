//! Types of columns, with the options that belong to each.

use chrono::FixedOffset;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use lakegate_rules::yaml::{Fields, Node, Problems, nearest_hint};

use super::formats::{TimeFormat, date_formats, time_zone, timestamp_formats};
use super::{refuse_foreign, texts};
use crate::extract::word;

/// A type, and how its text is read.
#[derive(Debug, Clone)]
pub(crate) enum ColumnType {
    Boolean {
        true_values: Vec<String>,
        false_values: Vec<String>,
    },
    TinyInt(NumberFormat),
    SmallInt(NumberFormat),
    Int(NumberFormat),
    BigInt(NumberFormat),
    Float {
        format: NumberFormat,
        allows_non_finite: bool,
    },
    Double {
        format: NumberFormat,
        allows_non_finite: bool,
    },
    Decimal {
        format: NumberFormat,
        precision: u8,
        scale: i8,
    },
    Date {
        formats: Vec<TimeFormat>,
    },
    /// A moment.
    Timestamp {
        formats: Vec<TimeFormat>,
        zone: FixedOffset,
    },
    /// A date and a time of day, in no zone.
    TimestampNtz {
        formats: Vec<TimeFormat>,
    },
    String {
        min: usize,
        max: usize,
    },
    Binary {
        encoding: BinaryEncoding,
    },
}

/// How numbers are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberFormat {
    pub(crate) decimal_point: u8,
    /// Between groups of three digits.
    pub(crate) thousands_separator: Option<u8>,
}

impl NumberFormat {
    /// `1234.5`: needs no rewriting.
    pub(crate) const PLAIN: Self = Self {
        decimal_point: b'.',
        thousands_separator: None,
    };
}

/// How bytes are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryEncoding {
    Hex,
    Base64,
}

/// Words for types that take no arguments in brackets.
const WORDS: &[&str] = &[
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(p,s)",
    "date",
    "timestamp",
    "timestamp_ntz",
    "string",
    "binary",
];

impl ColumnType {
    /// Reads `type` and the options that belong to it.
    pub(super) fn parse(fields: &Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let node = fields.get("type")?;
        let text = node.string("`type`", problems)?.to_ascii_lowercase();
        let (type_name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest)),
            None => (text.trim(), None),
        };
        if arguments.is_some() && !matches!(type_name, "decimal" | "numeric") {
            node.wanted(
                "`type`",
                "a type",
                Some("only `decimal` takes brackets; for text there is `length`"),
                problems,
            );
            return None;
        }
        const INTEGER: &[&str] = &["thousands_separator"];
        const NUMBER: &[&str] = &["decimal_point", "thousands_separator"];
        const FLOAT: &[&str] = &["decimal_point", "thousands_separator", "allow_non_finite"];
        let (found, known): (Option<Self>, &[&str]) = match type_name {
            "boolean" | "bool" => (boolean(fields, problems), &["true_values", "false_values"]),
            "tinyint" => (Some(Self::TinyInt(number(fields, problems))), INTEGER),
            "smallint" => (Some(Self::SmallInt(number(fields, problems))), INTEGER),
            "int" | "integer" => (Some(Self::Int(number(fields, problems))), INTEGER),
            "bigint" => (Some(Self::BigInt(number(fields, problems))), INTEGER),
            "float" | "real" => (
                Some(Self::Float {
                    format: number(fields, problems),
                    allows_non_finite: allows_non_finite(fields, problems),
                }),
                FLOAT,
            ),
            "double" => (
                Some(Self::Double {
                    format: number(fields, problems),
                    allows_non_finite: allows_non_finite(fields, problems),
                }),
                FLOAT,
            ),
            "decimal" | "numeric" => (decimal(node, arguments, fields, problems), NUMBER),
            "date" => (
                Some(Self::Date {
                    formats: date_formats(fields, problems),
                }),
                &["formats"],
            ),
            "timestamp" => (
                Some(Self::Timestamp {
                    formats: timestamp_formats(fields, true, problems),
                    zone: time_zone(fields, problems)?,
                }),
                &["formats", "time_zone"],
            ),
            "timestamp_ntz" => (
                Some(Self::TimestampNtz {
                    formats: timestamp_formats(fields, false, problems),
                }),
                &["formats"],
            ),
            "string" | "varchar" | "text" => (string(fields, problems), &["length"]),
            "binary" => (binary(fields, problems), &["encoding"]),
            _ => {
                let problem = node.problem(format!("unknown type `{text}`"));
                problems.push(problem.with_hint(nearest_hint(type_name, WORDS)));
                return None;
            }
        };
        refuse_foreign(fields, type_name, known, problems);
        found
    }

    /// The type in Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Boolean { .. } => DataType::Boolean,
            Self::TinyInt(_) => DataType::Int8,
            Self::SmallInt(_) => DataType::Int16,
            Self::Int(_) => DataType::Int32,
            Self::BigInt(_) => DataType::Int64,
            Self::Float { .. } => DataType::Float32,
            Self::Double { .. } => DataType::Float64,
            Self::Decimal {
                precision, scale, ..
            } => DataType::Decimal128(*precision, *scale),
            Self::Date { .. } => DataType::Date32,
            Self::Timestamp { .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            Self::TimestampNtz { .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::String { .. } => DataType::Utf8,
            Self::Binary { .. } => DataType::Binary,
        }
    }
}

fn boolean(fields: &Fields<'_>, problems: &mut Problems) -> Option<ColumnType> {
    let true_values = texts(fields, "true_values", problems);
    let false_values = texts(fields, "false_values", problems);
    if true_values.is_some() != false_values.is_some() {
        problems.push(
            fields
                .node()
                .problem("`true_values` and `false_values` go together"),
        );
    }
    let true_values = true_values.unwrap_or_else(|| vec!["true".to_owned()]);
    let false_values = false_values.unwrap_or_else(|| vec!["false".to_owned()]);
    // Values are compared without regard to case.
    let is_false = |value: &&String| false_values.iter().any(|f| f.eq_ignore_ascii_case(value));
    if let Some(both) = true_values.iter().find(is_false) {
        problems.push(
            fields
                .node()
                .problem(format!("`{both}` is both true and false")),
        );
    }
    Some(ColumnType::Boolean {
        true_values,
        false_values,
    })
}

fn number(fields: &Fields<'_>, problems: &mut Problems) -> NumberFormat {
    let decimal_point = word(
        fields,
        "decimal_point",
        &[(".", b'.'), (",", b',')],
        problems,
    );
    let separators = [
        ("none", None),
        (",", Some(b',')),
        (".", Some(b'.')),
        (" ", Some(b' ')),
        ("'", Some(b'\'')),
        ("_", Some(b'_')),
    ];
    let separator = word(fields, "thousands_separator", &separators, problems).flatten();
    let format = NumberFormat {
        // Without the key, a separator that is a point leaves the comma.
        decimal_point: decimal_point.unwrap_or(if separator == Some(b'.') { b',' } else { b'.' }),
        thousands_separator: separator,
    };
    if format.thousands_separator == Some(format.decimal_point) {
        let node = fields.get("thousands_separator").unwrap_or(fields.node());
        problems.push(node.problem("`thousands_separator` and `decimal_point` are the same"));
    }
    format
}

fn allows_non_finite(fields: &Fields<'_>, problems: &mut Problems) -> bool {
    fields.bool("allow_non_finite", problems).unwrap_or(false)
}

fn decimal(
    node: &Node,
    arguments: Option<&str>,
    fields: &Fields<'_>,
    problems: &mut Problems,
) -> Option<ColumnType> {
    let format = number(fields, problems);
    let parsed = arguments.and_then(|arguments| {
        let inner = arguments.trim_end().strip_suffix(')')?;
        let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
        let precision: u8 = precision.trim().parse().ok()?;
        let scale: i8 = scale.trim().parse().ok()?;
        let fits =
            (1..=38).contains(&precision) && scale >= 0 && i16::from(scale) <= i16::from(precision);
        fits.then_some((precision, scale))
    });
    let Some((precision, scale)) = parsed else {
        let hint = Some("at most 38 digits, of which at most all stand behind the point");
        node.wanted(
            "`type`",
            "`decimal(digits, digits behind the point)`",
            hint,
            problems,
        );
        return None;
    };
    Some(ColumnType::Decimal {
        format,
        precision,
        scale,
    })
}

fn string(fields: &Fields<'_>, problems: &mut Problems) -> Option<ColumnType> {
    let (mut min, mut max) = (0, usize::MAX);
    if let Some(node) = fields.get("length") {
        let length = Fields::new(node, "`length`", &["min", "max"], problems);
        let mut bound = |key: &str| {
            let count = length.count(key, problems)?;
            usize::try_from(count).ok()
        };
        min = bound("min").unwrap_or(min);
        max = bound("max").unwrap_or(max);
        if min > max {
            problems.push(node.problem(format!("`min` {min} is above `max` {max}")));
        }
    }
    Some(ColumnType::String { min, max })
}

fn binary(fields: &Fields<'_>, problems: &mut Problems) -> Option<ColumnType> {
    if !fields.has("encoding") {
        let problem = fields.node().problem("type `binary` needs `encoding`");
        problems.push(problem.with_hint("one of `hex`, `base64`".to_owned()));
        return None;
    }
    let encodings = [
        ("hex", BinaryEncoding::Hex),
        ("base64", BinaryEncoding::Base64),
    ];
    let encoding = word(fields, "encoding", &encodings, problems)?;
    Some(ColumnType::Binary { encoding })
}
