//! Rows in parts: judged with what is known and kept of the parts as if all of them were read.

mod memory;

use std::sync::{Arc, LazyLock};

use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use self::memory::{Memory, schema};
use super::properties::{Row, row};
use super::{now, parse, session};
use crate::state::MOST_VALUES;
use crate::{CheckResult, DecodeError, KeptStates, Origin, Report, Subject, Suite, Verdict, judge};

/// A kind of check for each kind of measure, with and without `where`. Thresholds of what is rounded are values that it
/// does not have: beside one, the last digit would decide.
const YAML: &str = "
table_checks:
  - row_count: {at_least: 0}
  - row_count: {at_least: 0, where: n > 0, name: filtered}
columns:
  n: [not_null, {not_null: {where: t = 'a', name: filtered}}, {between: {min: -5, max: 5.5}}, {min: {at_least: 0}}, {max: {at_least: 0}}, {max: {at_least: 0, where: n < 3, name: filtered}}, {sum: {at_least: 0}}, {mean: {at_least: 0}}, {range: {at_most: 3}}, {zeros: {at_most: 3}}, {correlation: {with: f, at_least: -0.9876}}, {approx_distinct: {at_least: 1}}, {ratio_of_sums: {with: f, at_least: 0}}, unique, {entropy: {at_least: 0}}, {quantile: {at: 50%, method: exact, at_least: 0}}]
  f: [{between: {max: 1.5}}, {quantile: {at: 50%, at_least: 0.0123}}, {interquartile_range: {at_least: 0.0123}}, {distribution: {edges: [-4, 0, 4], shares: [50%, 50%], distance: l_infinity, at_most: 0.5432}}, {min: {at_least: 0}}, {sum: {at_least: 0}}, {stddev: {at_least: 0}}, {variance: {at_least: 0.0123, where: n < 3, name: filtered}}, {skewness: {at_least: 0.0123}}, {kurtosis: {at_least: 0.0123}}]
  t: [{data_type: integral}, {approx_distinct: {at_least: 1}}, {one_of: [a, a longer text of many bytes]}, {length: {max: 3}}, {matches: '^a'}, {max: {at_most: z}}, {min_length: {at_least: 1}}, {mean_length: {at_least: 1}}, {max_length: {at_most: 9, where: n < 3}}]
";

/// Checks of one column alone, which comes as a dictionary.
const OF_TEXT: &str = "
columns:
  t: [not_null, {not_null: {where: t = 'a', name: filtered}}, {data_type: integral}, {approx_distinct: {at_least: 1}}, {one_of: [a, a longer text of many bytes]}, {length: {max: 3}}, {matches: '^a'}, {matches: {pattern: '^a', where: t is not null, name: filtered}}, {max: {at_most: z}}, {min: {at_most: z, where: t <> 'a'}}, {min_length: {at_least: 1}}, {mean_length: {at_least: 1}}, {max_length: {at_most: 9}}, unique, {distinct: {at_least: 3}}, {distinct: {at_least: 3, where: t <> 'a', name: filtered}}]
";

fn kept() -> Arc<KeptStates> {
    Arc::new(KeptStates::new(1 << 20))
}

fn named(name: &str, rows: &[Row]) -> (String, Vec<Row>) {
    (name.to_owned(), rows.to_vec())
}

fn few() -> Vec<(String, Vec<Row>)> {
    let rows = |n: i64| {
        vec![
            (Some(n), Some(0.5), Some("a".to_owned())),
            (None, None, None),
        ]
    };
    vec![
        named("one", &rows(1)),
        named("two", &rows(2)),
        named("three", &rows(3)),
    ]
}

fn alike(found: &CheckResult, expected: &CheckResult) -> bool {
    let close = match (found.metric, expected.metric) {
        (Some(left), Some(right)) => {
            left == right || (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1e-3)
        }
        (left, right) => left == right,
    };
    let counts = |check: &CheckResult| (check.verdict, check.rows, check.bad_rows);
    close && counts(found) == counts(expected)
}

/// What happens to a table between two judgements.
#[derive(Debug, Clone)]
enum Change {
    Append(Vec<Row>),
    Delete(prop::sample::Index),
    Rewrite(prop::sample::Index, Vec<Row>),
    Overwrite(Vec<Vec<Row>>),
}

/// Rows of values that are all different, a third of as many as are counted.
fn many(from: i64) -> Vec<Row> {
    let first = from * 1000;
    let values = first..first + MOST_VALUES as i64 * 2 / 3;
    let row = |value| (Some(value), None, Some(format!("{value}")));
    values.map(row).collect()
}

fn change() -> impl Strategy<Value = Change> {
    let rows = || proptest::collection::vec(row(), 0..8);
    prop_oneof![
        4 => rows().prop_map(Change::Append),
        1 => (0i64..3).prop_map(|from| Change::Append(many(from))),
        2 => any::<prop::sample::Index>().prop_map(Change::Delete),
        2 => (any::<prop::sample::Index>(), rows()).prop_map(|(at, rows)| Change::Rewrite(at, rows)),
        1 => proptest::collection::vec(rows(), 0..4).prop_map(Change::Overwrite),
    ]
}

fn apply(change: &Change, number: usize, parts: &mut Vec<(String, Vec<Row>)>) {
    match change {
        Change::Append(rows) => parts.push(named(&format!("{number}"), rows)),
        Change::Delete(at) if !parts.is_empty() => {
            parts.remove(at.index(parts.len()));
        }
        Change::Rewrite(at, rows) if !parts.is_empty() => {
            let at = at.index(parts.len());
            parts[at] = named(&format!("{number}"), rows);
        }
        Change::Delete(_) | Change::Rewrite(..) => {}
        Change::Overwrite(all) => {
            parts.clear();
            for (index, rows) in all.iter().enumerate() {
                parts.push(named(&format!("{number}/{index}"), rows));
            }
        }
    }
}

/// A session, the rules of all columns, and those of text alone. Making these takes longer than all else.
static SESSION_AND_RULES: LazyLock<(SessionContext, [Suite; 2])> =
    LazyLock::new(|| (session(), [YAML, OF_TEXT].map(parse)));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn stored_states_come_to_what_a_fresh_scan_finds(
        changes in proptest::collection::vec(change(), 1..7),
        has_statistics in any::<bool>(),
        is_of_text in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (session, [all, of_text]) = &*SESSION_AND_RULES;
        let mut kept = kept();
        let mut parts = Vec::new();
        for (number, change) in changes.iter().enumerate() {
            apply(change, number, &mut parts);
            let table = Memory { has_statistics, ..Memory::new(&parts, &kept) };
            let subject = table.subject(session);
            let suite = match is_of_text {
                true => of_text,
                false => all,
            };
            // Of a judgement that knows of no parts.
            let whole = Subject { parts: None, ..subject.clone() };
            let (stored, fresh) = runtime.block_on(async {
                (judge(suite, &subject).await, judge(suite, &whole).await)
            });
            prop_assert_eq!(stored.rows, fresh.rows);
            for (found, expected) in std::iter::zip(&stored.checks, &fresh.checks) {
                prop_assert!(alike(found, expected), "{:?}\n{:?}", found, expected);
            }
            // As from one process to the next.
            let again = self::kept();
            let live = table.keys.clone();
            again.read(&kept.merged(|part| live.contains(&part), 0)).unwrap();
            kept = again;
        }
    }

    #[test]
    fn any_bytes_are_a_segment_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(kept().read(&bytes).is_err());
        // As if their checksum were right.
        let _read_or_refused = kept().read(&crate::kept::seal(&bytes));
    }
}

#[tokio::test]
async fn text_of_which_nothing_else_is_asked_is_read_as_it_is_encoded() {
    let beside = format!("{OF_TEXT}table_checks: [{{satisfies: t = 'a' or n > 0}}]\n");
    for (yaml, expected) in [(OF_TEXT, vec![2]), (beside.as_str(), vec![])] {
        let table = Memory::new(&few(), &kept());
        table.report(yaml).await;
        assert_eq!(*table.encoded.lock().unwrap(), expected, "{yaml}");
    }
}

/// The pieces of a part come in different layouts: see [`with_layout`].
#[tokio::test]
async fn check_that_sees_a_layout_sees_that_of_the_table() {
    let yaml = "
table_checks:
  - row_count: {at_least: 6, where: arrow_typeof(t) = 'Utf8'}
";
    let report = Memory::new(&few(), &kept()).report(yaml).await;
    assert_eq!(report.checks[0].metric, Some(6.0), "{report:?}");
}

#[tokio::test]
async fn part_that_was_measured_is_not_read_again() {
    let kept = kept();
    let mut parts = few();
    let table = Memory::new(&parts, &kept);
    let first = table.report(YAML).await;
    assert_eq!(*table.reads.lock().unwrap(), [0, 1, 2]);

    parts.remove(0);
    parts.push(named("four", &[(Some(0), Some(0.0), None)]));
    let table = Memory::new(&parts, &kept);
    let second = table.report(YAML).await;
    assert_eq!(*table.reads.lock().unwrap(), [2]);
    let sum = |report: &Report| {
        report
            .checks
            .iter()
            .find(|c| c.id == "n/sum")
            .unwrap()
            .clone()
    };
    assert_eq!(sum(&first).metric, Some(6.0));
    assert_eq!(sum(&second).metric, Some(5.0));
    let from: Vec<_> = sum(&second)
        .source
        .iter()
        .map(|s| (s.from, s.files))
        .collect();
    assert_eq!(
        from,
        [(Origin::StoredStates, Some(2)), (Origin::Scan, Some(1))]
    );
}

#[tokio::test]
async fn parts_are_not_read_for_values_that_are_too_many() {
    let kept = kept();
    let names = ["one", "two", "three", "four"];
    let parts = std::iter::zip(names, 0..).map(|(name, from)| named(name, &many(from)));
    let mut parts: Vec<_> = parts.collect();
    let yaml = "columns: {n: [unique], t: [unique]}";
    let table = |parts: &[(String, Vec<Row>)]| Memory {
        // So that nothing is read to count rows.
        has_statistics: true,
        ..Memory::new(parts, &kept)
    };
    for is_first in [true, false] {
        let table = table(&parts);
        let report = table.report(yaml).await;
        assert!(!report.blocks(), "{report:?}");
        assert_eq!(report.checks[0].source[0].from, Origin::Grouping);
        let reads = table.reads.lock().unwrap().clone();
        match is_first {
            true => assert!(!reads.contains(&3), "{reads:?}"),
            // What is stored of the first ones says that they are too many.
            false => assert!(reads.is_empty(), "{reads:?}"),
        }
    }
    parts.truncate(1);
    let report = table(&parts).report(yaml).await;
    assert_eq!(report.checks[0].source[0].from, Origin::StoredStates);
}

#[tokio::test]
async fn part_that_cannot_be_read_spoils_what_it_is_read_for() {
    let table = Memory {
        has_statistics: true,
        broken: Some(1),
        ..Memory::new(&few(), &kept())
    };
    let yaml = "table_checks: [{row_count: {at_least: 6}}]\ncolumns: {n: [{sum: {at_least: 0}}]}";
    let report = table.report(yaml).await;
    let verdicts: Vec<_> = report.checks.iter().map(|check| check.verdict).collect();
    assert_eq!(verdicts, [Verdict::Error, Verdict::Pass], "{report:?}");
    assert!(
        report.checks[0]
            .message
            .as_deref()
            .unwrap()
            .contains("part 1 is gone"),
        "{report:?}"
    );
}

#[tokio::test]
async fn check_that_is_new_reads_the_parts_for_itself_alone() {
    let kept = kept();
    let parts = few();
    Memory::new(&parts, &kept)
        .report("columns: {n: [{sum: {at_least: 0}}]}")
        .await;
    let table = Memory::new(&parts, &kept);
    let yaml = "columns: {n: [{sum: {at_least: 0}}, {min: {at_least: 0}}]}";
    let report = table.report(yaml).await;
    let from = |index: usize| report.checks[index].source[0].from;
    assert_eq!((from(0), from(1)), (Origin::StoredStates, Origin::Scan));
}

#[tokio::test]
async fn statistics_answer_without_any_part_being_read() {
    let table = Memory {
        has_statistics: true,
        ..Memory::new(&few(), &kept())
    };
    let yaml = "table_checks: [{row_count: {at_least: 6}}]\ncolumns: {n: [{not_null: {at_least: 50%}}, {range: {at_most: 2}}, {distinct: {at_least: 3}}]}";
    let report = table.report(yaml).await;
    assert!(!report.blocks(), "{report:?}");
    assert!(table.reads.lock().unwrap().is_empty());
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((0, 3))
    );
    assert!(
        report
            .sources_text()
            .contains("n/range     log statistics\n"),
        "{}",
        report.sources_text()
    );
}

/// A state that depends on when it was computed would be wrong at the next judgement.
#[tokio::test]
async fn what_depends_on_the_time_of_the_commit_is_not_kept() {
    let yaml = "columns: {n: [{max: {at_most: 9}}, {sum: {at_least: 0, where: \":commit_time > '2000-01-01'\"}}]}\n\
                table_checks: [{satisfies: \"n > 0 AND CAST(:commit_time AS DATE) > DATE '2000-01-01'\"}]";
    let kept = kept();
    let table = Memory::new(&few(), &kept);
    let first = table.report(yaml).await;
    assert!(
        first.checks.iter().all(|c| !c.source.is_empty()),
        "{first:?}"
    );
    let again = Memory::new(&few(), &kept).report(yaml).await;
    let from = |kind: &str| {
        let check = again.checks.iter().find(|c| c.kind == kind).unwrap();
        check.source[0].from
    };
    assert_eq!(from("max"), Origin::StoredStates);
    assert_eq!(from("sum"), Origin::Scan);
    assert_eq!(from("satisfies"), Origin::Scan);
}

#[tokio::test]
async fn limits_at_the_time_of_the_commit_are_not_kept() {
    let schema_of =
        "SELECT arrow_cast('2024-01-01T00:00:00', 'Timestamp(Microsecond, None)') AS at";
    let session = session();
    let rows = session
        .sql(schema_of)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let planner = crate::plan::Planner::new(&session, &rows[0].schema(), Default::default(), now());
    let planner = planner.unwrap();
    for (yaml, lasts) in [
        ("columns: {at: [{between: {max: ':commit_time'}}]}", false),
        (
            "columns: {at: [{between: {max: '2024-06-01T12:00:00Z'}}]}",
            true,
        ),
        (
            "columns: {at: [{max: {at_most: 2025-01-01, where: 'at < :commit_time'}}]}",
            false,
        ),
        ("table_checks: [{satisfies: 'at < :commit_time'}]", false),
        ("columns: {at: [{max: {at_most: 2025-01-01}}]}", true),
    ] {
        let suite = parse(yaml);
        let (_, work) = crate::run::plan_check(&suite.checks[0], &planner).await;
        assert!(work.is_ok(), "{yaml}: {work:?}");
        assert_eq!(planner.lasts(), lasts, "{yaml}");
    }
}

#[tokio::test]
async fn damaged_truncated_and_other_segments_are_refused_whole() {
    let kept = kept();
    Memory::new(&few(), &kept).report(YAML).await;
    let segment = kept.take_new(|_| true).unwrap();
    assert!(kept.take_new(|_| true).is_none());
    for length in (0..segment.len()).step_by(7) {
        assert!(
            self::kept().read(&segment[..length]).is_err(),
            "{length} bytes"
        );
    }
    for place in (0..segment.len()).step_by(5) {
        let mut damaged = segment.clone();
        damaged[place] ^= 0x10;
        let read = self::kept();
        assert!(read.read(&damaged).is_err(), "byte {place}");
        assert_eq!(read.census(|_| true).live, 0);
    }
    for is_later in [true, false] {
        let mut other = segment.clone();
        other[8] = if is_later { other[8] + 1 } else { other[8] - 1 };
        let found = other[8].into();
        let error = DecodeError::Version { found, is_later };
        let read = self::kept();
        assert_eq!(read.read(&other), Err(error));
        assert_eq!(read.census(|_| true).live, 0);
    }
    assert_eq!(self::kept().read(&segment), Ok(()));
}

/// The checksum tells a segment that was damaged, not one that was made to be wrong.
#[tokio::test]
async fn state_that_cannot_be_read_is_computed_anew() {
    let yaml = "columns: {n: [{sum: {at_least: 0}}]}";
    let kept = kept();
    let table = Memory::new(&few(), &kept);
    let expected = table.report(yaml).await.checks[0].metric;
    let fingerprint = crate::state::fingerprint::Fingerprint::of(
        &crate::plan::Measure::Sum(crate::plan::column("n")),
        None,
        &schema(),
        &session(),
    );
    kept.put(table.keys[1], fingerprint.unwrap(), &[4, 1, 2]);
    let table = Memory::new(&few(), &kept);
    let report = table.report(yaml).await;
    assert_eq!(report.checks[0].metric, expected);
    assert_eq!(*table.reads.lock().unwrap(), [1]);
    // And kept in the place of the other.
    let table = Memory::new(&few(), &kept);
    table.report(yaml).await;
    assert!(table.reads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn more_states_than_fit_are_computed_each_time() {
    let small = Arc::new(KeptStates::new(300));
    let first = Memory::new(&few(), &small).report(YAML).await;
    let second = Memory::new(&few(), &small).report(YAML).await;
    assert_eq!(first.checks.len(), second.checks.len());
    for (first, second) in std::iter::zip(&first.checks, &second.checks) {
        assert!(alike(first, second), "{first:?} {second:?}");
    }
}

#[tokio::test]
async fn failing_expression_spoils_its_own_check_and_is_not_kept() {
    let kept = kept();
    // Whole numbers that become too large do not go on from the other end.
    let conditions = [
        "10 / (n - 2) > -100",
        "n * 9223372036854775807 < 10",
        "n + 9223372036854775807 < 10",
        "-n - 9223372036854775807 < 10",
    ];
    for condition in conditions
        .iter()
        .flat_map(|condition| [condition, condition])
    {
        let yaml = format!(
            "columns: {{n: [{{sum: {{at_least: 0}}}}]}}\ntable_checks: [{{satisfies: {condition}}}]"
        );
        let report = Memory::new(&few(), &kept).report(&yaml).await;
        let verdict = |kind: &str| {
            report
                .checks
                .iter()
                .find(|c| c.kind == kind)
                .unwrap()
                .verdict
        };
        assert_eq!(verdict("sum"), crate::Verdict::Pass);
        assert_eq!(verdict("satisfies"), crate::Verdict::Error, "{condition}");
    }
}
