use chrono::{DateTime, Duration, Utc};

use super::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_360_000_000, 0).unwrap()
}

fn check(id: &str, verdict: Verdict) -> CheckResult {
    CheckResult {
        id: id.to_owned(),
        kind: "not_null".to_owned(),
        column: Some("carrier".to_owned()),
        description: None,
        severity: Severity::Error,
        scope: Scope::Table,
        verdict,
        metric: None,
        distance: None,
        observed: "97.1%".to_owned(),
        expected: "at least 99%".to_owned(),
        rows: Some(10_400),
        bad_rows: None,
        message: None,
        hint: None,
        samples: Vec::new(),
        waiver: None,
        elapsed_ms: 12,
        source: Vec::new(),
    }
}

fn bad(id: &str, verdict: Verdict, bad_rows: u64) -> CheckResult {
    CheckResult {
        bad_rows: Some(bad_rows),
        ..check(id, verdict)
    }
}

fn far(id: &str, distance: f64) -> CheckResult {
    CheckResult {
        distance: Some(distance),
        ..check(id, Verdict::Fail)
    }
}

fn report(checks: Vec<CheckResult>) -> Report {
    Report {
        table: "silver.flights".to_owned(),
        owner: None,
        description: None,
        rules_file: "checks/flights.yaml".to_owned(),
        rules_sha256: "abc".to_owned(),
        judged_at: noon(),
        rows: Some(10_400),
        files: None,
        checks,
    }
}

fn waiver(check: &str, until: DateTime<Utc>) -> Waiver {
    Waiver {
        check: check.to_owned(),
        until,
        reason: "the source repairs it this week".to_owned(),
        by: "ada".to_owned(),
        made: noon() - Duration::days(1),
    }
}

#[test]
fn worst_verdict_decides() {
    assert_eq!(report(vec![]).verdict(), Verdict::Pass);
    let order = [
        Verdict::Pass,
        Verdict::Warn,
        Verdict::Waived,
        Verdict::NoWorse,
        Verdict::Fail,
        Verdict::Error,
    ];
    for (i, worst) in order.iter().enumerate() {
        let checks = order[..=i].iter().map(|v| check("c", *v)).collect();
        let report = report(checks);
        assert_eq!(report.verdict(), *worst);
        assert_eq!(report.blocks(), i >= 4);
    }
}

#[test]
fn waiver_lets_its_own_check_fail_until_it_expires() {
    let apply = |waivers: &[Waiver], verdict| {
        let mut report = report(vec![check("a", verdict), check("b", Verdict::Fail)]);
        report.apply_waivers(waivers, noon());
        (report.checks[0].verdict, report.checks[1].verdict)
    };
    let later = noon() + Duration::seconds(1);
    assert_eq!(
        apply(&[waiver("a", later)], Verdict::Fail),
        (Verdict::Waived, Verdict::Fail)
    );
    assert_eq!(
        apply(&[waiver("a", noon())], Verdict::Fail).0,
        Verdict::Fail
    );
    assert_eq!(
        apply(&[waiver("a", later)], Verdict::Error).0,
        Verdict::Error
    );
    assert_eq!(apply(&[waiver("a", later)], Verdict::Warn).0, Verdict::Warn);
    assert_eq!(apply(&[], Verdict::Fail).0, Verdict::Fail);
}

fn measured(id: &str, metric: f64, distance: f64) -> CheckResult {
    let mut result = far(id, distance);
    result.metric = Some(metric);
    result
}

#[test]
fn no_worse_means_no_blocking_check_got_worse() {
    let fail = Verdict::Fail;
    let without_numbers = || check("c", fail);
    let mut both_numbers = bad("c", fail, 3);
    both_numbers.distance = Some(0.2);
    let mut both_numbers_further = both_numbers.clone();
    both_numbers_further.distance = Some(0.3);
    let cases = [
        ("fewer bad rows", bad("c", fail, 4), bad("c", fail, 5), true),
        (
            "as many bad rows",
            bad("c", fail, 5),
            bad("c", fail, 5),
            true,
        ),
        ("more bad rows", bad("c", fail, 6), bad("c", fail, 5), false),
        ("nearer metric", far("c", 0.1), far("c", 0.2), true),
        ("further metric", far("c", 0.3), far("c", 0.2), false),
        (
            "metric further by rounding",
            measured("c", 512.25, 0.200_000_000_000_03),
            measured("c", 512.25, 0.2),
            true,
        ),
        (
            "metric further by one",
            measured("c", 1e9 + 1.0, 3.0),
            measured("c", 1e9, 2.0),
            false,
        ),
        (
            "metric that is no number",
            far("c", f64::NAN),
            far("c", 0.2),
            false,
        ),
        (
            "as many rows, metric further",
            both_numbers_further,
            both_numbers,
            false,
        ),
        (
            "nothing to compare",
            without_numbers(),
            without_numbers(),
            false,
        ),
        (
            "passed before",
            bad("c", fail, 1),
            bad("c", Verdict::Pass, 0),
            false,
        ),
        (
            "warned before",
            bad("c", fail, 1),
            bad("c", Verdict::Warn, 1),
            false,
        ),
        (
            "waived before",
            bad("c", fail, 1),
            bad("c", Verdict::Waived, 1),
            true,
        ),
        (
            "accepted before",
            bad("c", fail, 1),
            bad("c", Verdict::NoWorse, 1),
            true,
        ),
        (
            "absent before",
            bad("c", fail, 1),
            bad("other", fail, 9),
            false,
        ),
        (
            "error now",
            check("c", Verdict::Error),
            bad("c", fail, 5),
            false,
        ),
        (
            "error before too",
            check("c", Verdict::Error),
            check("c", Verdict::Error),
            false,
        ),
        (
            "could be evaluated in part before",
            bad("c", fail, 5),
            bad("c", Verdict::Error, 6),
            false,
        ),
        (
            "can be evaluated in part",
            bad("c", Verdict::Error, 4),
            bad("c", fail, 5),
            false,
        ),
        (
            "could not be evaluated before",
            bad("c", fail, 5),
            check("c", Verdict::Error),
            false,
        ),
        (
            "does not block",
            bad("c", Verdict::Warn, 9),
            bad("c", Verdict::Pass, 0),
            true,
        ),
    ];
    for (name, here, before, expected) in cases {
        let had = here.verdict;
        let mut found = report(vec![here]);
        let answer = found.accept_as_no_worse(&report(vec![before]));
        assert_eq!(answer, expected, "{name}");
        assert_eq!(answer, !found.blocks(), "{name}");
        let has = if answer && had == fail {
            Verdict::NoWorse
        } else {
            had
        };
        assert_eq!(found.checks[0].verdict, has, "{name}");
    }
}

#[test]
fn text_has_a_line_a_check_and_a_summary() {
    let mut failed = bad("carrier/not_null", Verdict::Fail, 302);
    failed.samples = vec![vec![
        ("day".to_owned(), "1".to_owned()),
        ("flight".to_owned(), "1117".to_owned()),
    ]];
    failed.hint = Some("look at the source".to_owned());
    let mut waived = bad("distance/min", Verdict::Waived, 1);
    waived.waiver = Some(waiver("distance/min", noon()));
    let mut broken = check("sql/totals", Verdict::Error);
    broken.observed = String::new();
    broken.expected = "no rows".to_owned();
    broken.message = Some("table `silver.ledger` does not exist".to_owned());
    failed.description = Some("each flight has a carrier".to_owned());
    let mut judged = report(vec![
        bad("carrier/exists_in", Verdict::Pass, 0),
        failed,
        waived,
        broken,
    ]);
    judged.owner = Some("team-flights".to_owned());
    let text = judged.to_text(false);
    assert_eq!(
        text,
        "\
silver.flights judged by checks/flights.yaml, 10,400 rows, owned by team-flights
  pass    carrier/exists_in  97.1%  wanted at least 99%  no bad row of 10,400
  fail    carrier/not_null   97.1%  wanted at least 99%  302 of 10,400 rows are bad (2.9%)
            each flight has a carrier
            day=1 flight=1117
            hint: look at the source
  waived  distance/min       97.1%  wanted at least 99%  1 of 10,400 rows are bad (<0.01%)
            waived by ada until 2013-02-04 17:46 UTC: the source repairs it this week
  error   sql/totals                wanted no rows
            table `silver.ledger` does not exist
verdict: error (4 checks: 1 passed, 1 waived, 1 failed, 1 could not be evaluated)
"
    );
}

#[test]
fn colour_marks_the_verdict_only_when_asked() {
    let report = report(vec![check("c", Verdict::Fail)]);
    assert!(!report.to_text(false).contains('\u{1b}'));
    assert!(report.to_text(true).contains("\u{1b}[1;31mfail\u{1b}[0m"));
}

#[test]
fn data_cannot_steer_the_terminal() {
    let mut check = bad("c", Verdict::Fail, 1);
    check.observed = "a\u{1b}[2Jb".to_owned();
    check.samples = vec![vec![("k".to_owned(), "x\ny\u{9b}".to_owned())]];
    let text = report(vec![check]).to_text(false);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'));
    assert!(text.contains("k=x\\ny\\u{9b}"), "{text}");
}

#[test]
fn shares_never_round_to_none_or_all() {
    let cases = [
        (0, 10, "0%"),
        (1, 1_000_000, "<0.01%"),
        (302, 10_400, "2.9%"),
        (5, 1000, "0.50%"),
        (999_999, 1_000_000, ">99.99%"),
        (10, 10, "100%"),
        (0, 0, "0%"),
    ];
    for (bad, rows, expected) in cases {
        assert_eq!(share_of_rows(bad, rows), expected, "{bad} of {rows}");
    }
    assert_eq!(thousands(0), "0");
    assert_eq!(thousands(999), "999");
    assert_eq!(thousands(51_955), "51,955");
    assert_eq!(thousands(1_234_567), "1,234,567");
}

#[test]
fn junit_has_a_case_a_check() {
    let mut failed = bad("carrier/not_null", Verdict::Fail, 302);
    failed.samples = vec![vec![("flight".to_owned(), "<1>&\u{1}".to_owned())]];
    let mut waived = check("w", Verdict::Waived);
    waived.waiver = Some(waiver("w", noon()));
    let mut broken = check("e", Verdict::Error);
    broken.message = Some("the column is gone".to_owned());
    failed.description = Some("each flight has a carrier".to_owned());
    let mut query = bad("sql", Verdict::Fail, 3);
    (query.observed, query.expected, query.rows) = ("3 rows".to_owned(), String::new(), None);
    let mut judged = report(vec![
        check("p", Verdict::Pass),
        bad("warned", Verdict::Warn, 2),
        waived,
        failed,
        bad("accepted", Verdict::NoWorse, 2),
        query,
        broken,
    ]);
    judged.owner = Some("team-flights".to_owned());
    let xml = to_junit(&[judged], &[]).unwrap();
    for part in [
        r#"<testsuite name="silver.flights" tests="7" skipped="2" errors="1" failures="2""#,
        r#"<testcase name="p" classname="silver.flights" time="0.012"/>"#,
        "warning: 97.1%, wanted at least 99% (2 of 10400 rows are bad)",
        r#"<skipped message="waived: the source repairs it this week"/>"#,
        r#"<failure message="97.1%, wanted at least 99% (302 of 10400 rows are bad)" type="not_null">"#,
        "flight=&lt;1&gt;&amp;",
        r#"<error message="the column is gone""#,
        r#"<skipped message="no worse than before: 97.1%, wanted at least 99% (2 of 10400 rows are bad)"/>"#,
        r#"<property name="owner" value="team-flights"/>"#,
        r#"<property name="description" value="each flight has a carrier"/>"#,
        r#"<failure message="3 rows (3 rows are bad)""#,
    ] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
    assert!(!xml.contains('\u{1}'));
}

#[test]
fn junit_has_only_characters_of_xml() {
    let every =
        "a\0\u{1}\u{8}\t\u{b}\u{c}\u{1b}[31m\u{7f}\u{85}]]>\u{fffd}\u{fffe}\u{ffff}\u{10ffff}z";
    let text = || every.to_owned();
    let mut failed = bad(every, Verdict::Fail, 2);
    failed.samples = vec![vec![(text(), text())]];
    (failed.observed, failed.message, failed.description) = (text(), Some(text()), Some(text()));
    let mut warned = bad("warned", Verdict::Warn, 2);
    warned.message = Some(text());
    let mut judged = report(vec![failed, warned]);
    (judged.table, judged.owner) = (text(), Some(text()));
    let stage = Unjudged {
        pipeline: text(),
        stage: text(),
        reason: text(),
        is_failed: true,
    };
    let xml = to_junit(&[judged], &[stage]).unwrap();
    // XML 1.0, production 2.
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let wrong: Vec<char> = xml.chars().filter(|c| !is_char(*c)).collect();
    assert!(wrong.is_empty(), "{wrong:?} in {xml}");
    assert!(!xml.contains("]]>"), "{xml}");
    assert!(xml.contains("\u{fffd}\u{fffd}\u{fffd}\u{10ffff}z"), "{xml}");
}

#[test]
fn report_survives_json() {
    let mut one = bad("a", Verdict::Waived, 3);
    one.waiver = Some(waiver("a", noon()));
    one.distance = Some(0.25);
    let report = report(vec![one]);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert!(json.contains(r#""verdict":"waived""#));
}
