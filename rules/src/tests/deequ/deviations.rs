//! In which circumstances we answer otherwise than Deequ: the sections of `docs/deequ.md`.

use super::case::{Case, Expected};

/// The heading of a section, and whether a case is in its circumstances.
type Deviation = (&'static str, fn(&Case) -> bool);

pub(super) const DEVIATIONS: &[Deviation] = &[
    ("A null has no pattern to break", |case| {
        is_any(case, &["PatternMatch"]) && case.has_null_in(case.text("column"))
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
        case.kind == "kll"
            || is_any(case, &["KLLSketch"])
            || is_any(
                case,
                &["ApproxQuantile", "ApproxQuantiles", "ApproxCountDistinct"],
            ) && case.has_many_rows()
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
        is_any(case, &["HistogramBinned"])
            && (case.args["includeOverflowBins"].as_bool() == Some(true)
                || !case.args["aggregateFunction"].is_null())
    }),
    ("A filter leaves rows out of the whole", |case| {
        is_any(case, &["Histogram", "HistogramBinned", "DataType"])
            && !case.text("where").is_empty()
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
    ("A metric of one's own is SQL", |case| {
        is_any(case, &["CustomAggregator"])
    }),
];

fn is_any(case: &Case, analyzers: &[&str]) -> bool {
    analyzers.contains(&case.analyzer.as_str())
}
