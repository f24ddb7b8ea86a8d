//! The rule file that asks what a case asks.

use serde_json::{Value, json};

use super::case::{Case, unquoted};

/// A rule file with one check, or with several for rows, and where the answer stands.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) yaml: String,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// In the metric.
    Metric,
    /// In the share of good rows.
    BadRows,
    /// In the rows that are marked.
    Rows,
}

/// What every number is between, so that a check has a threshold and none says anything.
fn any_number() -> Value {
    json!([-1e300, 1e300])
}

/// The rule file; none when no check answers the case.
pub(super) fn of(case: &Case) -> Option<Asked> {
    match case.kind.as_str() {
        "analyzer" | "merge" => metric(case),
        "check" => check(case),
        "rowlevel" => rows(case),
        _ => None,
    }
}

fn metric(case: &Case) -> Option<Asked> {
    let column = || unquoted(case.text("column"));
    let of_column = |kind: &str| {
        Some(below(
            case,
            column(),
            kind,
            json!({"between": any_number()}),
        ))
    };
    let share_of = |kind: &str| {
        let settings = json!({"columns": case.names("columns"), "at_least": "0%"});
        Some(of_table(case, kind, settings))
    };
    match case.analyzer.as_str() {
        "Size" => Some(of_table(case, "row_count", json!({"at_least": 0}))),
        "Completeness" => Some(below(
            case,
            column(),
            "completeness",
            json!({"at_least": "0%"}),
        )),
        "Compliance" => Some(good_rows(satisfies(case, case.text("predicate")))),
        "PatternMatch" => {
            let pattern = match case.text("pattern") {
                "@EMAIL" => json!({"format": "email"}),
                "@URL" => json!({"format": "url"}),
                "@CREDITCARD" | "@SOCIAL_SECURITY_NUMBER_US" => return None,
                regex => json!({"pattern": regex}),
            };
            Some(good_rows(below(case, column(), "matches", pattern)))
        }
        "ZerosCount" => of_column("zeros"),
        "Minimum" => of_column("min"),
        "Maximum" => of_column("max"),
        "Range" => of_column("range"),
        "Mean" => of_column("mean"),
        "Sum" => of_column("sum"),
        "StandardDeviation" => of_column("stddev"),
        "Variance" => of_column("variance"),
        "Skewness" => of_column("skewness"),
        "Kurtosis" => of_column("kurtosis"),
        "MinLength" => of_column("min_length"),
        "MaxLength" => of_column("max_length"),
        "Entropy" => of_column("entropy"),
        // An exact count is within every bound of an approximate one.
        "ApproxCountDistinct" => of_column("distinct"),
        "CountDistinct" => match case.names("columns").as_slice() {
            [column] => Some(below(
                case,
                column,
                "distinct",
                json!({"between": any_number()}),
            )),
            _ => None,
        },
        "ColumnCount" => Some(of_table(case, "column_count", json!({"at_least": 0}))),
        "Uniqueness" => share_of("uniqueness"),
        "Distinctness" => share_of("distinctness"),
        "UniqueValueRatio" => share_of("unique_value_ratio"),
        "DuplicateRowCount" => {
            let mut columns: Vec<Value> =
                case.names("columns").into_iter().map(Into::into).collect();
            if columns.is_empty() {
                columns = case.table["cols"].as_array()?.clone();
            }
            let settings = json!({"columns": columns, "at_least": 0});
            Some(of_table(case, "duplicate_rows", settings))
        }
        "Correlation" => {
            let names = case.names("columns");
            let settings = json!({"with": names.get(1)?, "between": any_number()});
            Some(below(case, names.first()?, "correlation", settings))
        }
        "RatioOfSums" => {
            let settings = json!({"with": case.text("denominator"), "between": any_number()});
            Some(below(
                case,
                case.text("numerator"),
                "ratio_of_sums",
                settings,
            ))
        }
        _ => None,
    }
}

fn check(case: &Case) -> Option<Asked> {
    let column = unquoted(case.text("column"));
    let once = |columns: Vec<&str>| {
        let settings = json!({"columns": columns, "equals": "100%"});
        Some(of_table(case, "uniqueness", settings))
    };
    let compare = |operator: &str| {
        let (left, right) = (case.text("columnA"), case.text("columnB"));
        let asked = satisfies(case, &format!("{left} {operator} {right}"));
        Some(good_rows(asked))
    };
    let contains = |format: &str| {
        let asked = below(case, column, "matches", json!({"format": format}));
        Some(good_rows(asked))
    };
    match case.analyzer.as_str() {
        "isUnique" => once(vec![column]),
        "areUnique" | "isPrimaryKey" => once(case.names("columns")),
        "isComplete" => Some(below(case, column, "not_null", json!({}))),
        "haveCompleteness" | "areComplete" => {
            let present = case.names("columns");
            let present: Vec<String> = present.iter().map(|c| format!("{c} IS NOT NULL")).collect();
            Some(good_rows(satisfies(case, &present.join(" AND "))))
        }
        "isContainedIn" if !case.args["allowedValues"].is_null() => {
            let settings = json!({"values": case.args["allowedValues"]});
            Some(good_rows(below(case, column, "one_of", settings)))
        }
        "isContainedIn" => {
            let side = |included: &str, operator: &str| match case.args[included].as_bool() {
                Some(false) => operator.to_owned(),
                _ => format!("{operator}="),
            };
            let condition = format!(
                "{column} IS NULL OR {column} {} {} AND {column} {} {}",
                side("includeLowerBound", ">"),
                case.args["lowerBound"],
                side("includeUpperBound", "<"),
                case.args["upperBound"],
            );
            Some(good_rows(satisfies(case, &condition)))
        }
        "isLessThan" => compare("<"),
        "isLessThanOrEqualTo" => compare("<="),
        "isGreaterThan" => compare(">"),
        "isGreaterThanOrEqualTo" => compare(">="),
        "isPositive" => {
            let condition = format!("coalesce(CAST({column} AS DOUBLE), 1.0) > 0");
            Some(good_rows(satisfies(case, &condition)))
        }
        "isNonNegative" => {
            let condition = format!("coalesce(CAST({column} AS DOUBLE), 0.0) >= 0");
            Some(good_rows(satisfies(case, &condition)))
        }
        "satisfies" => Some(good_rows(satisfies(case, case.text("predicate")))),
        "containsEmail" => contains("email"),
        _ => None,
    }
}

fn rows(case: &Case) -> Option<Asked> {
    let column = unquoted(case.text("column"));
    let marked = |mut settings: Value| {
        settings["bad_rows"] = "quarantine".into();
        settings
    };
    let mut asked = match case.analyzer.as_str() {
        "Completeness" => below(case, column, "not_null", marked(json!({}))),
        "Compliance" | "satisfies" => {
            let condition = json!({"condition": dialect(case.text("predicate"))});
            of_table(case, "satisfies", marked(condition))
        }
        "PatternMatch" => {
            let regex = json!({"pattern": case.text("pattern")});
            below(case, column, "matches", marked(regex))
        }
        "Uniqueness" | "areUnique" => {
            let columns = json!({"columns": case.names("columns")});
            of_table(case, "unique_key", marked(columns))
        }
        _ => return None,
    };
    asked.answer = Answer::Rows;
    Some(asked)
}

fn satisfies(case: &Case, condition: &str) -> Asked {
    of_table(case, "satisfies", json!({"condition": dialect(condition)}))
}

/// A check whose share of good rows is asked for.
fn good_rows(asked: Asked) -> Asked {
    Asked {
        answer: Answer::BadRows,
        ..asked
    }
}

fn below(case: &Case, column: &str, kind: &str, settings: Value) -> Asked {
    let check = json!({ kind: filtered(case, settings) });
    asked(&json!({"columns": { column: [check] }}))
}

fn of_table(case: &Case, kind: &str, settings: Value) -> Asked {
    let check = json!({ kind: filtered(case, settings) });
    asked(&json!({"table_checks": [check]}))
}

fn filtered(case: &Case, mut settings: Value) -> Value {
    let filter = case.text("where");
    if !filter.is_empty() {
        settings["where"] = dialect(filter).into();
    }
    settings
}

/// Spark takes text between double quotes, which hold a name in standard SQL.
fn dialect(condition: &str) -> String {
    condition.replace('"', "'").replace('`', "\"")
}

/// JSON is YAML.
fn asked(rules: &Value) -> Asked {
    let mut rules = rules.clone();
    rules["version"] = 1.into();
    Asked {
        yaml: rules.to_string(),
        answer: Answer::Metric,
    }
}
