//! What Deequ's own tests assert, held against our checks.
//!
//! `LAKEGATE_DEEQU_CASES=FILE` names another file of the same form. A case that comes out otherwise is a failure, unless
//! `docs/deequ.md` says that we deviate in its circumstances; each section there belongs to one of [`DEVIATIONS`].

mod case;
mod rule;
mod table;

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;

use self::case::{Case, Expected, is_close};
use self::rule::{Answer, Asked};
use super::{now, session, subject};
use crate::{FAILED_CHECKS, Suite, Verdict, judge, mark};

/// Kinds of case whose issues are still to come.
const LATER: &[&str] = &["anomaly", "interval", "suggestion", "dqdl"];

/// Circumstances in which we answer otherwise: the heading in `docs/deequ.md`, and when it applies.
type Deviation = (&'static str, fn(&Case) -> bool);

const DEVIATIONS: &[Deviation] = &[
    ("A null has no pattern to break", |case| {
        case.analyzer == "PatternMatch" && case.has_null_in(case.text("column"))
    }),
    ("A row is good or bad", |case| {
        case.kind == "rowlevel" && case.expected_has_null()
    }),
];

enum Outcome {
    Passed,
    Failed(String),
    Deviation,
    /// There is no check for it yet.
    Pending,
}

#[tokio::test]
async fn deequ_cases() {
    let cases = case::read();
    let documented = include_str!("../../../../docs/deequ.md");
    for (heading, _) in DEVIATIONS {
        assert!(
            documented.contains(&format!("\n## {heading}\n")),
            "{heading}"
        );
    }
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
    let Some(asked) = rule::of(case) else {
        return Outcome::Pending;
    };
    let Some(candidate) = table::of(case) else {
        return Outcome::Pending;
    };
    let result = match asked.answer {
        Answer::Rows => rows(case, &asked, candidate).await,
        Answer::Metric | Answer::BadRows => metric(case, &asked, candidate).await,
    };
    match result {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(why),
    }
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
    let Expected::Rows(wanted) = &case.expected else {
        return Err("an answer of another form".to_owned());
    };
    let suite = parse_any(&asked.yaml)?;
    let session = session();
    let rows = session.read_table(candidate).map_err(|e| e.to_string())?;
    let marked = mark(&suite, &session, rows, now());
    let marked = marked.await.map_err(|e| e.to_string())?;
    let mut found = vec![None; wanted.len()];
    for batch in marked.collect().await.map_err(|e| e.to_string())? {
        let numbers = batch.column_by_name(table::ROW).unwrap();
        let numbers = numbers.as_primitive::<Int64Type>();
        let failed = batch.column_by_name(FAILED_CHECKS).unwrap();
        let failed = failed.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let number = usize::try_from(numbers.value(row)).unwrap();
            found[number] = Some(failed.value(row).is_empty());
        }
    }
    match found == *wanted {
        true => Ok(()),
        false => Err(format!("wanted {wanted:?}, found {found:?}")),
    }
}
