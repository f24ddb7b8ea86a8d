//! Cases that compare a table with another one.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::catalog::TableProvider;
use serde_json::{Map, Value, json};

use super::case::{Case, Expected, is_close};
use super::table;
use crate::tests::{provider, register, session, subject};
use crate::{CheckResult, Suite, Verdict, judge};

/// The name of the other table.
const REFERENCE: &str = "silver.reference";

/// None when no check compares like this.
pub(super) async fn answer(case: &Case) -> Option<Result<(), String>> {
    let (primary, reference) = (&case.table["primary"], &case.table["reference"]);
    let (primary, reference) = (rows(case, primary)?, rows(case, reference)?);
    let check = check(case)?;
    let rules = json!({"version": 1, "table": "silver.orders", "table_checks": [check]});
    let suite = match Suite::parse("rules.yaml", &rules.to_string()) {
        Ok(suite) => suite,
        Err(problems) => return Some(Err(problems.to_string())),
    };
    let session = session();
    register(&session, "reference", reference);
    let primary = register(&session, "orders", primary);
    if let Expected::Rows(wanted) = &case.expected {
        let found = super::marked(&suite, &session, primary).await;
        return Some(found.and_then(|found| match found == *wanted {
            true => Ok(()),
            false => Err(format!("wanted {wanted:?}, found {found:?}")),
        }));
    }
    let report = judge(&suite, &subject(&session, primary)).await;
    Some(holds(case, &report.checks[0]))
}

fn holds(case: &Case, check: &CheckResult) -> Result<(), String> {
    let is_schema = case.analyzer.starts_with("SchemaMatch");
    let metric = match is_schema {
        true => Some(f64::from(u8::from(check.verdict == Verdict::Pass))),
        false => check.metric,
    };
    let is_right = match &case.expected {
        Expected::Number(wanted) => metric.is_some_and(|found| is_close(found, *wanted)),
        Expected::Failure => check.verdict == Verdict::Error,
        Expected::Verdict(passes) => (check.verdict == Verdict::Pass) == *passes,
        _ => match case.value.as_bool() {
            Some(passes) => (check.verdict == Verdict::Pass) == passes,
            None => return Err("an answer of another form".to_owned()),
        },
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("wanted {}, found {check:?}", case.value)),
    }
}

/// The rows of one side; some cases give their number only.
fn rows(case: &Case, side: &Value) -> Option<Arc<dyn TableProvider>> {
    if let Some(count) = side["count"].as_i64() {
        let column = Arc::new(Int64Array::from_iter_values(0..count)) as _;
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        return Some(provider(&batch.schema(), vec![vec![batch]]));
    }
    let case = Case {
        table: side.clone(),
        kind: if matches!(case.expected, Expected::Rows(_)) {
            "rowlevel".to_owned()
        } else {
            case.kind.clone()
        },
        ..case.clone()
    };
    table::of(&case)
}

fn check(case: &Case) -> Option<Value> {
    let bad_rows = match case.expected {
        Expected::Rows(_) => json!("quarantine"),
        _ => json!("keep"),
    };
    let check = match case.analyzer.split('.').next()? {
        "ReferentialIntegrity" => json!({"exists_in": {
            "columns": first(case, &["primaryColumns", "columns"])?,
            "table": REFERENCE,
            "table_columns": first(case, &["referenceColumns"])?,
            "bad_rows": bad_rows,
        }}),
        "RowCountMatch" | "RowCount" => json!({"row_count_match": {"table": REFERENCE}}),
        "SchemaMatch" => json!({"schema_match": {"table": REFERENCE}}),
        "DatasetMatch" | "DataSynchronization" | "doesDatasetMatch" => {
            let keys = first(case, &["keyColumnMappings", "colKeyMap", "keyMap", "keys"])?;
            let mut settings = json!({"table": REFERENCE, "keys": keys, "bad_rows": bad_rows});
            let compared = ["matchColumnMappings", "compCols", "matchMap", "columns"];
            if let Some(columns) = first(case, &compared) {
                settings["columns"] = columns;
            }
            json!({"dataset_match": settings})
        }
        _ => return None,
    };
    Some(check)
}

/// The first of these arguments that is there; one name is a list of it.
fn first(case: &Case, names: &[&str]) -> Option<Value> {
    let found = names.iter().map(|name| &case.args[*name]);
    let found = found.into_iter().find(|value| !value.is_null())?;
    match found {
        Value::String(name) => Some(json!([name])),
        Value::Object(pairs) if pairs.is_empty() => None,
        Value::Object(pairs) => Some(Value::Object(Map::clone(pairs))),
        other => Some(other.clone()),
    }
}
