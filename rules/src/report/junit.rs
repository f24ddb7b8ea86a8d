//! Reports as JUnit XML, which build servers show.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::text::row_key;
use super::{CheckResult, Report, Verdict};

/// A stage that ended before its checks, if it has any, were judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The pipeline.
    pub pipeline: String,
    /// The stage.
    pub stage: String,
    /// Why nothing was judged.
    pub reason: String,
    /// Whether it failed itself, or did not begin because of others.
    pub is_failed: bool,
}

/// Reports as JUnit XML: a suite each report, a test case each check, and a suite of the stages that were not judged.
///
/// `fail` is a failure, `error` an error, `waived` and `no_worse` a skipped case with its reason; `warn` is a
/// success whose output says what was found. A stage that failed is an error, one that did not begin a skipped case.
///
/// # Errors
/// The XML could not be written.
pub fn to_junit(reports: &[Report], unjudged: &[Unjudged]) -> io::Result<String> {
    let mut junit = Junit::new("lakegate");
    for report in reports {
        let mut suite = TestSuite::new(&report.table);
        suite.set_timestamp(report.judged_at);
        suite.add_property(("rules_file", report.rules_file.as_str()));
        suite.add_property(("rules_sha256", report.rules_sha256.as_str()));
        for (name, value) in [
            ("owner", &report.owner),
            ("description", &report.description),
        ] {
            if let Some(value) = value {
                suite.add_property((name, value.as_str()));
            }
        }
        suite.add_test_cases(report.checks.iter().map(|check| case(report, check)));
        junit.add_test_suite(suite);
    }
    for stages in unjudged.chunk_by(|one, next| one.pipeline == next.pipeline) {
        let mut suite = TestSuite::new(&stages[0].pipeline);
        suite.add_test_cases(stages.iter().map(unjudged_case));
        junit.add_test_suite(suite);
    }
    let xml = junit.to_string().map_err(io::Error::other)?;
    // XML has no place for these two, not even as references; control characters are left out already.
    Ok(xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

fn unjudged_case(stage: &Unjudged) -> TestCase {
    let mut status = match stage.is_failed {
        true => TestCaseStatus::non_success(NonSuccessKind::Error),
        false => TestCaseStatus::skipped(),
    };
    status.set_message(stage.reason.lines().next().unwrap_or_default());
    if stage.is_failed {
        status.set_description(&stage.reason);
    }
    let mut case = TestCase::new(&stage.stage, status);
    case.set_classname(&stage.pipeline);
    case
}

fn case(report: &Report, check: &CheckResult) -> TestCase {
    let outcome = outcome(check);
    let status = match check.verdict {
        Verdict::Pass | Verdict::Warn => TestCaseStatus::success(),
        Verdict::Waived => {
            let mut status = TestCaseStatus::skipped();
            let reason = check.waiver.as_ref().map(|waiver| waiver.reason.as_str());
            status.set_message(format!("waived: {}", reason.unwrap_or_default()));
            status
        }
        Verdict::NoWorse => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("no worse than before: {outcome}"));
            status
        }
        Verdict::Fail | Verdict::Error => {
            let kind = if check.verdict == Verdict::Fail {
                NonSuccessKind::Failure
            } else {
                NonSuccessKind::Error
            };
            let mut status = TestCaseStatus::non_success(kind);
            let reason = match (check.verdict, &check.message) {
                (Verdict::Error, Some(message)) => message,
                _ => &outcome,
            };
            status.set_message(reason.lines().next().unwrap_or_default());
            status.set_type(&check.kind);
            status.set_description(&outcome);
            status
        }
    };
    let mut case = TestCase::new(&check.id, status);
    case.set_classname(&report.table);
    if let Some(description) = &check.description {
        case.add_property(("description", description.as_str()));
    }
    case.set_time(Duration::from_millis(check.elapsed_ms));
    if check.verdict == Verdict::Warn {
        case.set_system_out(format!("warning: {outcome}"));
    }
    case
}

/// What was found, in lines: observed and wanted, the reason, keys of bad rows.
fn outcome(check: &CheckResult) -> String {
    let wanted = match check.expected.as_str() {
        "" => String::new(),
        expected => format!(", wanted {expected}"),
    };
    let mut lines = vec![format!(
        "{}{wanted}{}",
        check.observed,
        match (check.bad_rows, check.rows) {
            (Some(bad), Some(rows)) => format!(" ({bad} of {rows} rows are bad)"),
            (Some(bad), None) => format!(" ({bad} rows are bad)"),
            (None, _) => String::new(),
        }
    )];
    lines.extend(check.message.clone());
    lines.extend(check.samples.iter().map(|sample| row_key(sample)));
    lines.extend(check.hint.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}
