//! What Deequ's own tests assert, held against our checks.
//!
//! `LAKEGATE_DEEQU_CASES=FILE` names another file of the same form. A case that comes out otherwise is a failure, unless
//! `docs/deequ.md` says that we deviate in its circumstances; each section there is one of [`DEVIATIONS`].

mod case;
mod comparison;
mod deviations;
mod measured;
mod rule;
mod table;

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use self::case::{Case, Expected, is_close};
use self::deviations::DEVIATIONS;
use self::rule::{Answer, Asked};
use super::{now, session, subject};
use crate::{FAILED_CHECKS, Suite, Verdict, judge, mark};

/// Kinds of case whose issues are still to come.
const LATER: &[&str] = &["anomaly", "interval", "suggestion", "dqdl"];

enum Outcome {
    Passed,
    Failed(String),
    Deviation,
    /// Its kind has an issue of its own.
    Pending,
}

#[tokio::test]
async fn deequ_cases() {
    let cases = case::read();
    let documented = include_str!("../../../../docs/deequ.md").lines();
    let documented: Vec<&str> = documented.filter_map(|l| l.strip_prefix("## ")).collect();
    let known: Vec<&str> = DEVIATIONS.iter().map(|(heading, _)| *heading).collect();
    assert_eq!(documented, known);
    let (mut passed, mut failed, mut deviations, mut pending) = (0, Vec::new(), 0, 0);
    for case in &cases {
        let outcome = match outcome(case).await {
            Outcome::Failed(_) if DEVIATIONS.iter().any(|(_, applies)| applies(case)) => {
                Outcome::Deviation
            }
            outcome => outcome,
        };
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Deviation => deviations += 1,
            Outcome::Pending => pending += 1,
            Outcome::Failed(why) => failed.push(format!("{} {}: {why}", case.id, case.analyzer)),
        }
    }
    for line in &failed {
        eprintln!("{line}");
    }
    eprintln!(
        "{passed} passed, {} failed, {deviations} deviations, {pending} pending",
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

async fn outcome(case: &Case) -> Outcome {
    if LATER.contains(&case.kind.as_str()) {
        return Outcome::Pending;
    }
    let result = match (case.kind.as_str(), case.analyzer.as_str()) {
        ("distance", _) => Some(measured::distance(case)),
        ("comparison", _) => comparison::answer(case).await,
        _ => answer(case).await,
    };
    let result = result.unwrap_or_else(|| Err("no check answers it".to_owned()));
    match result {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(why),
    }
}

/// None when there is no check for it.
async fn answer(case: &Case) -> Option<Result<(), String>> {
    let candidate = table::of(case)?;
    Some(match (case.kind.as_str(), case.analyzer.as_str()) {
        ("analyzer" | "merge", "Histogram") => measured::histogram(case, candidate).await,
        ("analyzer" | "merge", "HistogramBinned") => measured::binned(case, candidate).await,
        ("analyzer" | "merge", "DataType") => measured::types(case, candidate).await,
        ("kll", _) | ("analyzer" | "merge", "KLLSketch") => measured::sketch(case, candidate).await,
        ("profile", _) => measured::column_profile(case, candidate).await,
        ("scansharing", _) => measured::passes(case, candidate).await,
        _ => {
            let asked = rule::of(case)?;
            match asked.answer {
                Answer::Rows => rows(case, &asked, candidate).await,
                Answer::Metric | Answer::BadRows => metric(case, &asked, candidate).await,
            }
        }
    })
}

fn parse_any(yaml: &str) -> Result<Suite, String> {
    Suite::parse("rules.yaml", yaml).map_err(|problems| problems.to_string())
}

/// Holds the metric, or the verdict, against what is expected.
async fn metric(
    case: &Case,
    asked: &Asked,
    candidate: Arc<dyn TableProvider>,
) -> Result<(), String> {
    let suite = match parse_any(&asked.yaml) {
        Ok(suite) => suite,
        Err(_) if case.expected == Expected::Failure => return Ok(()),
        Err(problems) => return Err(problems),
    };
    let report = judge(&suite, &subject(&session(), candidate)).await;
    let check = &report.checks[0];
    let found = match asked.answer {
        Answer::BadRows => check.rows.zip(check.bad_rows).map(|(rows, bad)| {
            let good = rows.saturating_sub(bad);
            good as f64 / rows as f64
        }),
        _ => check.metric.or_else(|| check.observed.parse().ok()),
    };
    let is_right = match &case.expected {
        Expected::Failure => check.verdict == Verdict::Error,
        Expected::Verdict(passes) => (check.verdict == Verdict::Pass) == *passes,
        Expected::Number(wanted) => found.is_some_and(|found| is_close(found, *wanted)),
        Expected::Open(low, high) => found.is_some_and(|found| *low < found && found < *high),
        Expected::Rows(_) | Expected::Other => return Err("an answer of another form".to_owned()),
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("wanted {:?}, found {check:?}", case.expected)),
    }
}

/// Holds the rows that are marked as bad against what is expected.
async fn rows(case: &Case, asked: &Asked, candidate: Arc<dyn TableProvider>) -> Result<(), String> {
    let found = good_rows(asked, candidate).await?;
    if case.kind == "schema" {
        return schema(case, &found);
    }
    let Expected::Rows(wanted) = &case.expected else {
        return Err("an answer of another form".to_owned());
    };
    match found == *wanted {
        true => Ok(()),
        false => Err(format!("wanted {wanted:?}, found {found:?}")),
    }
}

/// Holds the valid rows of a schema against what is expected.
fn schema(case: &Case, good: &[Option<bool>]) -> Result<(), String> {
    let count = |wanted: bool| good.iter().filter(|g| **g == Some(wanted)).count() as u64;
    let counts = [("numValid", count(true)), ("numInvalid", count(false))];
    for (key, found) in counts {
        if case.value[key]
            .as_u64()
            .is_some_and(|wanted| wanted != found)
        {
            return Err(format!("{key}: wanted {}, found {found}", case.value[key]));
        }
    }
    let Some(wanted) = case.value["validValues"].as_array() else {
        return Ok(());
    };
    let rows = case.table["rows"].as_array().into_iter().flatten();
    let valid = rows.zip(good).filter(|(_, good)| **good == Some(true));
    // The values are text here, and numbers there.
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let number = |text: String| {
        text.parse::<f64>()
            .map_or(text, |number| number.to_string())
    };
    let found: Vec<String> = valid.map(|(row, _)| number(text(&row[0]))).collect();
    let wanted: Vec<String> = wanted.iter().map(|value| number(text(value))).collect();
    match found == wanted {
        true => Ok(()),
        false => Err(format!("wanted {wanted:?}, found {found:?}")),
    }
}

/// Which rows are not marked as bad.
async fn good_rows(
    asked: &Asked,
    candidate: Arc<dyn TableProvider>,
) -> Result<Vec<Option<bool>>, String> {
    marked(&parse_any(&asked.yaml)?, &session(), candidate).await
}

/// Which rows no check of a suite marks as bad, by their numbers.
async fn marked(
    suite: &Suite,
    session: &SessionContext,
    candidate: Arc<dyn TableProvider>,
) -> Result<Vec<Option<bool>>, String> {
    let rows = session.read_table(candidate).map_err(|e| e.to_string())?;
    let marked = mark(suite, session, rows, now());
    let marked = marked.await.map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    for batch in marked.collect().await.map_err(|e| e.to_string())? {
        let numbers = batch.column_by_name(table::ROW).unwrap();
        let numbers = numbers.as_primitive::<Int64Type>();
        let failed = batch.column_by_name(FAILED_CHECKS).unwrap();
        let failed = failed.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let number = usize::try_from(numbers.value(row)).unwrap();
            if found.len() <= number {
                found.resize(number + 1, None);
            }
            found[number] = Some(failed.value(row).is_empty());
        }
    }
    Ok(found)
}
