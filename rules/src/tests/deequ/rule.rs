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
        "schema" => schema(case),
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
                "@EMAIL" => json!({"format": "email", "anywhere": true}),
                "@URL" => json!({"format": "url", "anywhere": true}),
                "@CREDITCARD" => json!({"format": "credit_card", "anywhere": true}),
                "@SOCIAL_SECURITY_NUMBER_US" | "@SSN" => {
                    json!({"format": "us_ssn", "anywhere": true})
                }
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
        "ApproxCountDistinct" => of_column("approx_distinct"),
        "CountDistinct" => {
            let settings = json!({"columns": case.names("columns"), "at_least": 0});
            Some(of_table(case, "distinct", settings))
        }
        "ApproxQuantile" | "ExactQuantile" => {
            let is_exact = case.analyzer == "ExactQuantile";
            let mut settings = json!({"at": case.args["quantile"], "between": any_number()});
            if is_exact {
                settings["method"] = "exact".into();
            } else if !case.args["relativeError"].is_null() {
                settings["rank_error"] = case.args["relativeError"].clone();
            }
            Some(below(case, column(), "quantile", settings))
        }
        "InterquartileRange" => {
            let settings = json!({"method": "exact", "between": any_number()});
            Some(below(case, column(), "interquartile_range", settings))
        }
        "MutualInformation" => {
            let names = case.names("columns");
            let settings = json!({"with": names.get(1)?, "between": any_number()});
            Some(below(case, names.first()?, "mutual_information", settings))
        }
        "CustomSql" => {
            let query = dialect(case.text("expression"));
            let settings = json!({"query": query, "between": any_number()});
            Some(of_table(case, "sql_metric", settings))
        }
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
        let format = json!({"format": format, "anywhere": true});
        let asked = below(case, column, "matches", format);
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
        "containsURL" => contains("url"),
        "containsCreditCardNumber" => contains("credit_card"),
        "containsSocialSecurityNumber" => contains("us_ssn"),
        "hasPattern" => {
            let pattern = json!({"pattern": case.text("pattern")});
            Some(good_rows(below(case, column, "matches", pattern)))
        }
        "hasDataType" => {
            let is = match case.text("dataType") {
                "Integral" => "integral",
                "Fractional" => "fractional",
                "Boolean" => "boolean",
                "String" => "text",
                "Numeric" => "numeric",
                "Null" => return Some(good_rows(satisfies(case, &format!("{column} IS NULL")))),
                _ => return None,
            };
            Some(good_rows(below(
                case,
                column,
                "data_type",
                json!({"is": is}),
            )))
        }
        "areAnyComplete" | "haveAnyCompleteness" => {
            let present = case.names("columns");
            let present: Vec<String> = present.iter().map(|c| format!("{c} IS NOT NULL")).collect();
            Some(good_rows(satisfies(case, &present.join(" OR "))))
        }
        _ => None,
    }
}

fn rows(case: &Case) -> Option<Asked> {
    let checks = match case.analyzer.strip_prefix("check[") {
        None => row_checks(&case.analyzer, case)?,
        // `check[isComplete(att1),isComplete(att2)]`: every check marks its rows.
        Some(calls) => {
            let mut checks = Vec::new();
            for call in calls.trim_end_matches(']').split("),") {
                let (name, arguments) = call.trim_end_matches(')').split_once('(')?;
                let names: Vec<&str> = arguments.split(',').map(str::trim).collect();
                let inner = Case {
                    args: json!({"column": names.first()?, "columns": names}),
                    ..case.clone()
                };
                checks.extend(row_checks(name, &inner)?);
            }
            checks
        }
    };
    Some(marking(&checks))
}

/// Conditions of good rows.
fn marking(checks: &[(Option<String>, Value)]) -> Asked {
    let mut rules = json!({"columns": {}, "table_checks": []});
    for (place, (column, check)) in checks.iter().enumerate() {
        let mut check = check.clone();
        let settings = check
            .as_object_mut()
            .and_then(|check| check.values_mut().next());
        if let Some(settings) = settings {
            settings["bad_rows"] = "quarantine".into();
            settings["name"] = format!("number_{place}").into();
        }
        let checks = match column {
            None => &mut rules["table_checks"],
            Some(column) => &mut rules["columns"][column],
        };
        if checks.is_null() {
            *checks = json!([]);
        }
        checks.as_array_mut().unwrap().push(check);
    }
    Asked {
        answer: Answer::Rows,
        ..asked(&rules)
    }
}

/// The checks that mark the rows which one of Deequ's does, each below its column or of the table.
fn row_checks(analyzer: &str, case: &Case) -> Option<Vec<(Option<String>, Value)>> {
    let name = unquoted(case.text("column"));
    let column = format!("\"{name}\"");
    let check = |kind: &str, settings: Value| json!({ kind: filtered(case, settings) });
    let of = |kind: &str, settings: Value| Some(vec![(None, check(kind, settings))]);
    let satisfies = |condition: String| of("satisfies", json!({"condition": condition}));
    // What is asserted of a value holds for a null, unless nulls fail.
    let asserted = |value: &str| {
        let null = match case.text("nullBehavior") {
            "Fail" => format!("{column} IS NOT NULL AND "),
            _ => format!("{column} IS NULL OR "),
        };
        let assertion = case.text("assertion").replace("==", "=");
        satisfies(format!("{null}{value} {assertion}"))
    };
    match analyzer {
        "Completeness" | "isComplete" | "hasCompleteness" => {
            satisfies(format!("{column} IS NOT NULL"))
        }
        "Compliance" | "satisfies" => satisfies(dialect(case.text("predicate"))),
        "PatternMatch" | "hasPattern" => {
            let pattern = json!({"pattern": case.text("pattern")});
            Some(vec![(Some(name.to_owned()), check("matches", pattern))])
        }
        "Uniqueness"
        | "areUnique"
        | "hasUniqueness"
        | "UniqueValueRatio"
        | "isPrimaryKey"
        | "hasUniqueValueRatio"
        | "DuplicateRowCount"
        | "isUnique" => {
            let mut columns = case.names("columns");
            if columns.is_empty() {
                columns.push(name);
            }
            of("unique_key", json!({"columns": columns}))
        }
        "hasMaxLength" | "hasMinLength" => match case.text("nullBehavior") {
            "EmptyString" => {
                let assertion = case.text("assertion").replace("==", "=");
                satisfies(format!("length(coalesce({column}, '')) {assertion}"))
            }
            _ => asserted(&format!("length({column})")),
        },
        "hasMax" | "hasMin" | "Maximum" | "Minimum" => asserted(&column),
        "MinLength.values" | "MaxLength.values" => of("satisfies", json!({"condition": "true"})),
        _ => None,
    }
}

/// The rules of a schema whose columns come as text.
fn schema(case: &Case) -> Option<Asked> {
    let number = |key: &str| case.args[key].as_i64();
    let (name, is_valid) = if let Some(name) = case.args["intColumn"].as_str() {
        let value = format!("try_cast(\"{name}\" AS INT)");
        let mut valid = vec![format!("{value} IS NOT NULL")];
        valid.extend(number("minValue").map(|min| format!("{value} >= {min}")));
        valid.extend(number("maxValue").map(|max| format!("{value} <= {max}")));
        (name, valid)
    } else if let Some(name) = case.args["stringColumn"].as_str() {
        let mut valid = vec![format!("\"{name}\" IS NOT NULL")];
        valid.extend(number("minLength").map(|min| format!("length(\"{name}\") >= {min}")));
        valid.extend(number("maxLength").map(|max| format!("length(\"{name}\") <= {max}")));
        let matches = case.args["matches"].as_str();
        valid.extend(matches.map(|m| format!("regexp_like(\"{name}\", '{m}')")));
        (name, valid)
    } else if let Some(name) = case.args["decimalColumn"].as_str() {
        let (precision, scale) = (number("precision")?, number("scale")?);
        let value = format!("try_cast(\"{name}\" AS DECIMAL({precision}, {scale}))");
        (name, vec![format!("{value} IS NOT NULL")])
    } else if let Some(name) = case.args["timestampColumn"].as_str() {
        let mask = case.text("mask");
        let directives = [
            ("yyyy", "%Y"),
            ("MM", "%m"),
            ("dd", "%d"),
            ("HH", "%H"),
            ("mm", "%M"),
            ("ss", "%S"),
        ];
        let format = directives
            .iter()
            .fold(mask.to_owned(), |mask, (java, ours)| {
                mask.replace(java, ours)
            });
        let check = json!({"date_format": {"formats": format, "bad_rows": "quarantine"}});
        let present = json!({"not_null": {"bad_rows": "quarantine"}});
        let is_nullable = case.args["isNullable"].as_bool() != Some(false);
        let checks = if is_nullable {
            vec![check]
        } else {
            vec![check, present]
        };
        return Some(Asked {
            answer: Answer::Rows,
            ..asked(&json!({"columns": { name: checks }}))
        });
    } else {
        return None;
    };
    let mut condition = is_valid.join(" AND ");
    if case.args["isNullable"].as_bool() != Some(false) {
        condition = format!("\"{name}\" IS NULL OR {condition}");
    }
    Some(marking(&[(
        None,
        json!({"satisfies": {"condition": condition}}),
    )]))
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
pub(super) fn dialect(condition: &str) -> String {
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
