//! In which circumstances we answer otherwise than Deequ: the sections of `docs/deequ.md`.

use serde_json::Value;

use super::case::{Case, Expected};

/// The heading of a section, and whether a case is in its circumstances.
type Deviation = (&'static str, fn(&Case) -> bool);

pub(super) const DEVIATIONS: &[Deviation] = &[
    ("A null has no pattern to break", |case| {
        is_any(case, &["PatternMatch"]) && case.has_null_in(case.text("column"))
    }),
    ("A named format is what its standard says", |case| {
        let is_of = |format: &str, check: &str| {
            is_any(case, &[check])
                || is_any(case, &["PatternMatch"]) && case.text("pattern") == format
        };
        let any = |test: fn(&str) -> bool| texts_of(case).any(test);
        is_of("@EMAIL", "containsEmail") && any(|text| text.chars().any(char::is_uppercase))
            || is_of("@URL", "containsURL") && any(is_no_url)
            || is_of("@CREDITCARD", "containsCreditCardNumber") && any(has_wrong_check_digit)
    }),
    ("A null looks like nothing", |case| {
        is_any(case, &["hasDataType"]) && case.has_null_in(case.text("column"))
    }),
    ("A null has no length", |case| {
        let lengths = ["MinLength", "MaxLength", "hasMinLength", "hasMaxLength"];
        is_any(case, &lengths)
            && !matches!(case.text("nullBehavior"), "" | "Ignore")
            && case.has_null_in(case.text("column"))
    }),
    ("A row is good or bad", |case| {
        case.kind == "rowlevel" && case.expected_has_null()
    }),
    ("Lengths of rows are tested, not listed", |case| {
        case.kind == "rowlevel" && case.analyzer.ends_with(".values")
    }),
    ("Without rows there is nothing to judge", |case| {
        let shares = [
            "Completeness",
            "Compliance",
            "PatternMatch",
            "Uniqueness",
            "Distinctness",
            "UniqueValueRatio",
        ];
        let has_no_rows = case.table["rows"].as_array().is_some_and(Vec::is_empty);
        case.expected == Expected::Failure
            && is_any(case, &shares)
            && (has_no_rows || !case.text("where").is_empty())
    }),
    ("Text has an order", |case| {
        case.expected == Expected::Failure
            && is_any(case, &["Minimum", "Maximum"])
            && case.type_of(case.text("column")) == Some("string")
    }),
    ("Another sketch", |case| {
        let size = case.args["sketchSize"].as_u64().unwrap_or(2048);
        let is_sketch = case.kind == "kll" || is_any(case, &["KLLSketch"]);
        is_sketch && case.rows() > size
            || is_any(
                case,
                &["ApproxQuantile", "ApproxQuantiles", "ApproxCountDistinct"],
            ) && case.rows() > 100
    }),
    ("Information is of complete rows", |case| {
        let columns = case.names("columns");
        is_any(case, &["MutualInformation"]) && columns.iter().any(|c| case.has_null_in(c))
    }),
    ("Edges are written in ascending order", |case| {
        let edges = case.args["customEdges"].as_array().into_iter().flatten();
        is_any(case, &["HistogramBinned"])
            && !edges.is_sorted_by(|low, high| low.as_f64() < high.as_f64())
    }),
    ("A bin holds what lies between its edges", |case| {
        is_any(case, &["HistogramBinned", "Histogram"])
            && (case.args["includeOverflowBins"].as_bool() == Some(true)
                || !case.args["aggregateFunction"].is_null())
    }),
    ("A filter leaves rows out of the whole", |case| {
        is_any(case, &["Histogram", "HistogramBinned", "DataType"])
            && !case.text("where").is_empty()
    }),
    ("The greatest difference is as it is", |case| {
        let name = case.analyzer.to_lowercase();
        case.kind == "distance"
            && (name.contains("infinity") || name.contains("numerical"))
            && case.args["correctForLowNumberOfSamples"].as_bool() != Some(true)
    }),
    ("Numbers are compared bin by bin", |case| {
        case.kind == "distance" && case.analyzer.to_lowercase().contains("numerical")
    }),
    ("A test says its p-value", |case| {
        let lacks = |one: &str, other: &str| {
            let keys = case.table[one].as_object().into_iter().flatten();
            let mut keys = keys.map(|(key, _)| key);
            keys.any(|key| case.table[other].get(key).is_none())
        };
        let is_statistic = case.args["correctForLowNumberOfSamples"].as_bool() == Some(true);
        case.kind == "distance"
            && case.analyzer.to_lowercase().contains("chi")
            && (is_statistic || lacks("sample1", "sample2"))
    }),
    (
        "A missing category is far away, not infinitely far",
        |case| {
            let is_zero = |sample: &str| {
                let values = case.table[sample].as_object().into_iter().flatten();
                let mut values = values.map(|(_, value)| value);
                values.any(|value| value.as_f64() == Some(0.0))
            };
            case.kind == "distance"
                && case.analyzer.to_lowercase().contains("psi")
                && (is_zero("sample1") || is_zero("sample2"))
        },
    ),
    ("Every row that is not found counts", |case| {
        case.analyzer.starts_with("ReferentialIntegrity")
            && (has_repeated_rows(&case.table["primary"]) || has_nulls(&case.table["primary"]))
    }),
    ("Two tables may have different numbers of rows", |case| {
        let rows = |side: &str| case.table[side]["rows"].as_array().map(Vec::len);
        is_match(case) && rows("primary") != rows("reference")
    }),
    ("Two nulls are equal where tables are compared", |case| {
        is_match(case) && has_nulls(&case.table["primary"])
    }),
    ("A column is its name too", |case| {
        case.analyzer.starts_with("SchemaMatch")
            && case.table["primary"]["cols"] != case.table["reference"]["cols"]
    }),
    ("A metric of one's own is SQL", |case| {
        is_any(case, &["CustomAggregator"])
    }),
];

/// The texts of a case's first column.
fn texts_of(case: &Case) -> impl Iterator<Item = &str> {
    let rows = rows_of(&case.table).iter();
    rows.filter_map(|row| row[0].as_str())
}

/// A scheme of one letter, or a host without a letter or digit.
fn is_no_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    scheme.len() < 2 || host.starts_with('.') || !host.chars().any(char::is_alphanumeric)
}

/// Whether the digits of a text fail the check of Luhn.
fn has_wrong_check_digit(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    !sum.is_multiple_of(10)
}

fn is_match(case: &Case) -> bool {
    case.kind == "comparison"
        && (case.analyzer.starts_with("DatasetMatch")
            || case.analyzer.starts_with("DataSynchronization"))
}

fn rows_of(table: &Value) -> &[Value] {
    table["rows"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn has_repeated_rows(table: &Value) -> bool {
    let rows = rows_of(table);
    rows.iter()
        .enumerate()
        .any(|(place, row)| rows[..place].contains(row))
}

fn has_nulls(table: &Value) -> bool {
    let mut cells = rows_of(table).iter().filter_map(Value::as_array).flatten();
    cells.any(Value::is_null)
}

fn is_any(case: &Case, analyzers: &[&str]) -> bool {
    analyzers.contains(&case.analyzer.as_str())
}
