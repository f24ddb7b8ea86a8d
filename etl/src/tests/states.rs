//! States of metrics that are stored with a table: what they save, and that they never change a verdict.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lakegate_catalog::{
    CatalogError, RulesText, TableName, Write, WriteContext, WriteMode, WriteOptions,
};
use lakegate_rules::{CheckResult, Origin, Report, Suite};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::Project;
use crate::check::judge_version;
use crate::check_table;
use crate::judge::Judged;

const RULES: &str = "version: 1
table: silver.t
columns:
  n: [{sum: {at_least: 0}}, {mean: {at_least: -100}}, {stddev: {at_least: 0}}, {between: {min: -1000, max: 1000}}]
";

/// Every kind of measure, over columns of the types that the log knows something of, and of others. Thresholds of what
/// is rounded are values that it does not have: beside one, the last digit would decide.
const MANY_RULES: &str = "version: 1
table: silver.t
table_checks:
  - row_count: {at_least: 0}
  - row_count: {at_least: 0, where: n > 0, name: filtered}
columns:
  n: [not_null, {not_null: {where: p = 'a', name: filtered}}, {min: {at_least: 0}}, {max: {at_least: 0}}, {max: {at_least: 0, where: n < 3, name: filtered}}, {sum: {at_least: 0}}, {mean: {at_least: 0}}, {range: {at_most: 3}}, {zeros: {at_most: 3}}, {between: {min: -5, max: 5}}, {correlation: {with: f, at_least: -0.9876}}, {ratio_of_sums: {with: f, at_least: 0}}, unique, {entropy: {at_least: 0}}]
  f: [not_null, {min: {at_least: 0}}, {max: {at_most: 2}}, {quantile: {at: 50%, at_least: 0.0123}}, {interquartile_range: {at_least: 0.0123}}, {distribution: {edges: [-4, 0, 4], shares: [50%, 50%], distance: l_infinity, at_most: 0.5432}}, {sum: {at_least: 0}}, {stddev: {at_least: 0.0123}}, {skewness: {at_least: 0.0123}}, {kurtosis: {at_least: 0.0123}}]
  t: [not_null, {data_type: integral}, {approx_distinct: {at_least: 1}}, {max: {at_most: z}}, {one_of: [x, y]}, {length: {max: 1}}, {matches: x}, {mean_length: {at_least: 1}}, {distinct: {at_least: 3}}]
  d: [not_null, {distinct: {at_least: 3}}, {min: {at_least: 2020-01-01}}, {max: {at_most: 2030-01-01}}, {freshness: {at_most: 10000 days}}]
  at: [not_null, unique, {min: {at_least: 2020-01-01}}, {max: {at_most: 2030-01-01}}]
  m: [unique, {sum: {at_least: 0}}, {min: {at_least: 0}}, {max: {at_least: 0}}]
  p: [not_null, {distinct: {at_least: 3}}, {min: {at_least: a}}, {max: {at_most: b}}, {one_of: [a]}]
  q: [not_null, {entropy: {at_least: 0}}, {min: {at_least: 1}}, {max: {at_most: 2}}, {sum: {at_least: 0}}]
";

/// Rules that rows of the same table mostly keep.
const GATE_RULES: &str = "version: 1
table: silver.t
columns:
  n: [{not_null: {at_least: 0%}}, {min: {at_least: -1000}}, {max: {at_most: 1000}}, {sum: {at_least: -100000}}, {stddev: {at_least: 0}}, {between: {min: -5, max: 5, at_least: 0%}}, {zeros: {at_most: 1000}}]
  f: [{not_null: {at_least: 0%}}, {between: {max: 2, at_least: 0%}}]
  t: [{max: {at_most: zz}}, {one_of: {values: [x, y], at_least: 0%}}, {mean_length: {at_least: 0}}]
  m: [{sum: {at_least: -999999999999}}]
  p: [{one_of: {values: [a], at_least: 0%}}]
";

fn table() -> TableName {
    "silver.t".parse().unwrap()
}

fn suite(rules: &str) -> Suite {
    Suite::parse("rules.yaml", rules).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A row as SQL has it.
fn values(rows: &[(Option<i64>, &str)]) -> String {
    let rows = rows.iter().map(|(n, p)| {
        let n = n.map_or("NULL".to_owned(), |n| n.to_string());
        format!("({n}, '{p}')")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!("SELECT CAST(column1 AS BIGINT) AS n, column2 AS p FROM (VALUES {rows})")
}

struct Lake(Project);

impl Lake {
    async fn new() -> Self {
        Self(Project::new().await)
    }

    /// Three files.
    async fn with_three_files() -> Self {
        let lake = Self::new().await;
        for n in 1..=3 {
            lake.append(&values(&[(Some(n), "a"), (Some(10 * n), "b")]))
                .await;
        }
        lake
    }

    async fn try_write(
        &self,
        mode: WriteMode,
        sql: &str,
        context: WriteContext,
        partition_by: &[&str],
    ) -> Result<(), CatalogError> {
        let session = self.0.lakegate.engine.session();
        let source = session.sql(sql).await.unwrap().into_unoptimized_plan();
        let options = WriteOptions {
            partition_by: partition_by.iter().map(ToString::to_string).collect(),
            ..WriteOptions::default()
        };
        let write = Write {
            table: table(),
            mode,
            source,
            options,
            context,
        };
        let written = self.0.lakegate.catalog.write(&session, write).await;
        written.map(|_| ())
    }

    async fn write(&self, mode: WriteMode, sql: &str) {
        let context = WriteContext::default();
        self.try_write(mode, sql, context, &[]).await.unwrap();
    }

    async fn append(&self, sql: &str) {
        self.write(WriteMode::Append, sql).await;
    }

    async fn attach(&self, rules: &str) {
        assert!(self.try_attach(rules).await);
    }

    /// Whether the rules were attached.
    async fn try_attach(&self, rules: &str) -> bool {
        let rules = RulesText {
            sha256: suite(rules).sha256,
            file: "rules.yaml".to_owned(),
            text: rules.into(),
        };
        let catalog = &self.0.lakegate.catalog;
        let attached = catalog.apply_rules(&table(), rules).await;
        is_accepted(attached.map(|_| ()))
    }

    async fn check(&self, rules: &str) -> Report {
        check_table(&self.0.lakegate, &table(), Some(suite(rules)))
            .await
            .unwrap()
    }

    /// Files read, of all.
    async fn files_read(&self, rules: &str) -> (u64, u64) {
        let files = self.check(rules).await.files.unwrap();
        (files.read, files.of)
    }

    fn folder(&self) -> PathBuf {
        self.0.root().join("warehouse/silver/t")
    }

    fn states(&self) -> PathBuf {
        self.folder().join("_lakegate/states")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let Ok(listed) = fs::read_dir(self.states()) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

fn check<'r>(report: &'r Report, id: &str) -> &'r CheckResult {
    let found = report.checks.iter().find(|check| check.id == id);
    found.unwrap_or_else(|| panic!("no check {id}"))
}

fn sources(report: &Report, id: &str) -> Vec<(Origin, Option<u64>)> {
    let sources = check(report, id).source.iter();
    sources.map(|source| (source.from, source.files)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reads_the_files_that_are_new_only() {
    let lake = Lake::with_three_files().await;
    assert_eq!(lake.files_read(RULES).await, (3, 3));
    assert_eq!(lake.files_read(RULES).await, (0, 3));
    lake.append(&values(&[(Some(100), "a")])).await;
    let report = lake.check(RULES).await;
    let expected = [(Origin::StoredStates, Some(3)), (Origin::Scan, Some(1))];
    assert_eq!(sources(&report, "n/sum"), expected);
    assert_eq!(check(&report, "n/sum").metric, Some(166.0));
    let text = report.sources_text();
    assert!(
        text.contains("n/sum      stored states (3 files), scan (1 file)\n"),
        "{text}"
    );
    assert!(text.ends_with("files read: 1 of 4\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_was_removed_drops_out() {
    let lake = Lake::with_three_files().await;
    lake.check(RULES).await;
    lake.write(
        WriteMode::ReplaceWhere("n = 3".to_owned()),
        &values(&[(Some(3), "z")]),
    )
    .await;
    let report = lake.check(RULES).await;
    assert_eq!(check(&report, "n/sum").metric, Some(66.0));
    lake.write(WriteMode::Overwrite, &values(&[(Some(5), "a")]))
        .await;
    let report = lake.check(RULES).await;
    assert_eq!(check(&report, "n/sum").metric, Some(5.0));
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((1, 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn log_answers_what_it_knows_exactly() {
    let lake = Lake::with_three_files().await;
    let rules = "version: 1\ntable: silver.t\ntable_checks: [{row_count: {at_least: 6}}]\n\
                 columns: {n: [not_null, {range: {at_most: 29}}], p: [not_null, {max: {at_most: b}}]}\n";
    let report = lake.check(rules).await;
    assert!(!report.blocks(), "{report:?}");
    let log = [(Origin::LogStatistics, Some(3))];
    for id in ["row_count", "n/not_null", "n/range", "p/not_null"] {
        assert_eq!(sources(&report, id), log, "{id}");
    }
    // A text may be cut.
    assert_eq!(sources(&report, "p/max"), [(Origin::Scan, Some(3))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_truncated_and_foreign_segments_are_computed_anew_and_cleared_away() {
    for damage in [
        (|bytes: &mut Vec<u8>| bytes[40] ^= 1) as fn(&mut Vec<u8>),
        |bytes| bytes.truncate(60),
        |bytes| bytes.clear(),
        |bytes| *bytes = b"something else".to_vec(),
        // Of the version before.
        |bytes| bytes[8] -= 1,
    ] {
        let lake = Lake::with_three_files().await;
        let first = lake.check(RULES).await;
        let [segment] = lake.segments().try_into().unwrap();
        let mut bytes = fs::read(&segment).unwrap();
        damage(&mut bytes);
        fs::write(&segment, bytes).unwrap();
        let report = lake.check(RULES).await;
        assert_eq!(report.files.map(|files| files.read), Some(3));
        assert_eq!(
            check(&report, "n/sum").metric,
            check(&first, "n/sum").metric
        );
        assert!(!segment.exists());
        assert_eq!(lake.segments().len(), 1);
        assert_eq!(lake.files_read(RULES).await, (0, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_of_a_later_version_is_left_to_those_who_read_it() {
    let lake = Lake::with_three_files().await;
    lake.check(RULES).await;
    let [segment] = lake.segments().try_into().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 200;
    fs::write(&segment, &bytes).unwrap();
    assert_eq!(lake.files_read(RULES).await, (3, 3));
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    assert_eq!(lake.files_read(RULES).await, (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_segments_become_one() {
    let lake = Lake::with_three_files().await;
    for n in 0..17 {
        lake.append(&values(&[(Some(n), "a")])).await;
        lake.check(RULES).await;
        assert!(lake.segments().len() <= 16, "{n}: {:?}", lake.segments());
    }
    assert!(lake.segments().len() < 16);
    assert_eq!(lake.files_read(RULES).await, (0, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_are_mostly_of_files_that_are_gone_are_cleared_away() {
    let lake = Lake::new().await;
    for round in 0..20 {
        let rows = |n: i64| values(&[(Some(n), "a"), (Some(n + 1), "b")]);
        lake.write(WriteMode::Overwrite, &rows(round)).await;
        for column in 0..5 {
            lake.append(&rows(column)).await;
        }
        lake.check(RULES).await;
    }
    let bytes: u64 = lake
        .segments()
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    // Six files have four states each, which need less than 100 bytes, and 256 dead ones may be left.
    assert!(bytes < 20_000, "{bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_that_cannot_be_written_to_is_judged_all_the_same() {
    let lake = Lake::with_three_files().await;
    fs::create_dir_all(lake.folder().join("_lakegate")).unwrap();
    fs::write(lake.states(), "a file where the folder would be").unwrap();
    for _ in 0..2 {
        let report = lake.check(RULES).await;
        assert_eq!(check(&report, "n/sum").metric, Some(66.0));
        assert_eq!(report.files.map(|files| files.read), Some(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_at_the_same_time_do_not_harm_each_other() {
    let lake = Arc::new(Lake::with_three_files().await);
    for n in 0..14 {
        lake.append(&values(&[(Some(n), "a")])).await;
        lake.check(RULES).await;
    }
    // About to be put together, by all of them.
    lake.append(&values(&[(Some(7), "a")])).await;
    let mut checks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let lake = Arc::clone(&lake);
        checks.spawn(async move {
            let mut sums = Vec::new();
            for _ in 0..4 {
                sums.push(check(&lake.check(RULES).await, "n/sum").metric);
            }
            sums
        });
    }
    let expected = Some(66.0 + 91.0 + 7.0);
    for sums in checks.join_all().await {
        assert_eq!(sums, [expected; 4]);
    }
    assert_eq!(lake.files_read(RULES).await, (0, 18));
}

#[tokio::test(flavor = "multi_thread")]
async fn path_that_is_used_again_is_another_file() {
    let lake = Lake::with_three_files().await;
    lake.check(RULES).await;
    let log = lake.folder().join("_delta_log/00000000000000000002.json");
    let text = fs::read_to_string(&log).unwrap();
    let changed = text.replacen("\"modificationTime\":1", "\"modificationTime\":2", 1);
    assert_ne!(text, changed);
    fs::write(&log, changed).unwrap();
    let again = Project::reopen(&lake.0).await;
    let report = check_table(&again, &table(), Some(suite(RULES)))
        .await
        .unwrap();
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((1, 3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn states_survive_vacuum_and_optimize() {
    let lake = Lake::with_three_files().await;
    lake.check(RULES).await;
    let catalog = &lake.0.lakegate.catalog;
    let vacuumed = catalog
        .vacuum(&table(), Duration::ZERO, false)
        .await
        .unwrap();
    assert_eq!(vacuumed.files, Vec::<String>::new());
    assert_eq!(lake.files_read(RULES).await, (0, 3));
    let session = lake.0.lakegate.engine.session();
    catalog
        .optimize(&session, &table(), &[], None)
        .await
        .unwrap();
    let report = lake.check(RULES).await;
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((1, 1))
    );
    assert_eq!(check(&report, "n/sum").metric, Some(66.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn table_with_deletion_vectors_is_scanned_as_a_whole() {
    let lake = Lake::with_three_files().await;
    let catalog = &lake.0.lakegate.catalog;
    let snapshot = catalog
        .snapshot(&table(), Default::default())
        .await
        .unwrap();
    assert!(snapshot.parts().unwrap().is_some());
    // Column mapping is read by the same reader as deletion vectors.
    let log = lake.folder().join("_delta_log/00000000000000000003.json");
    let first = fs::read_to_string(lake.folder().join("_delta_log/00000000000000000000.json"));
    let mut metadata: serde_json::Value = first
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|action: &serde_json::Value| action.get("metaData").is_some())
        .unwrap();
    metadata["metaData"]["configuration"]["delta.enableRowTracking"] = "true".into();
    fs::write(&log, metadata.to_string()).unwrap();
    let again = Project::reopen(&lake.0).await;
    for _ in 0..2 {
        let report = check_table(&again, &table(), Some(suite(RULES)))
            .await
            .unwrap();
        assert_eq!(report.files, None);
        assert_eq!(sources(&report, "n/sum"), [(Origin::Scan, None)]);
        assert_eq!(check(&report, "n/sum").metric, Some(66.0));
    }
    assert_eq!(lake.segments().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn gate_stores_what_it_measured_of_a_commit_of_one_file() {
    let lake = Lake::with_three_files().await;
    lake.attach(RULES).await;
    assert_eq!(lake.files_read(RULES).await, (0, 3));
    lake.append(&values(&[(Some(100), "a")])).await;
    let report = lake.check(RULES).await;
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((0, 4))
    );
    assert_eq!(sources(&report, "n/sum"), [(Origin::StoredStates, Some(4))]);
    assert_eq!(check(&report, "n/sum").metric, Some(166.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn gate_stores_nothing_of_files_that_were_refused() {
    let lake = Lake::with_three_files().await;
    lake.attach(RULES).await;
    let before = lake.segments();
    let context = WriteContext::default();
    let bad = values(&[(Some(5000), "a")]);
    let refused = lake.try_write(WriteMode::Append, &bad, context, &[]).await;
    assert!(
        matches!(refused, Err(CatalogError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(lake.segments(), before);
    let update = [("n".to_owned(), "n + 5000".to_owned())];
    let session = lake.0.lakegate.engine.session();
    let catalog = &lake.0.lakegate.catalog;
    let name = table();
    let updated = catalog.update_rows(&session, &name, None, &update, WriteContext::default());
    assert!(matches!(updated.await, Err(CatalogError::Refused(_))));
    assert_eq!(lake.segments(), before);
    assert_eq!(lake.files_read(RULES).await, (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn gate_stores_what_it_read_of_files_that_a_commit_rewrote() {
    let lake = Lake::with_three_files().await;
    lake.attach(RULES).await;
    let update = [("n".to_owned(), "n + 1".to_owned())];
    let session = lake.0.lakegate.engine.session();
    let catalog = &lake.0.lakegate.catalog;
    let context = WriteContext::default();
    let predicate = Some("n = 2");
    let name = table();
    let updated = catalog.update_rows(&session, &name, predicate, &update, context);
    updated.await.unwrap();
    let report = lake.check(RULES).await;
    assert_eq!(check(&report, "n/sum").metric, Some(67.0));
    assert_eq!(
        report.files.map(|files| (files.read, files.of)),
        Some((0, 3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn baseline_of_no_worse_comes_from_stored_states() {
    let lake = Lake::with_three_files().await;
    let rules = RULES
        .replace("columns:", "gate: no_worse\ncolumns:")
        .replace("max: 1000", "max: 25");
    lake.check(&rules).await;
    lake.attach(&rules).await;
    lake.append(&values(&[(Some(4), "a")])).await;
    let context = WriteContext::default();
    let worse = values(&[(Some(40), "a")]);
    let refused = lake
        .try_write(WriteMode::Append, &worse, context, &[])
        .await;
    let Err(CatalogError::Refused(refusal)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        refusal
            .message
            .contains("1 bad row before (version 4), 2 now"),
        "{}",
        refusal.message
    );
}

/// The reports of the newest version, with the states that are stored and without any parts.
async fn stored_and_fresh(lake: &Lake, suite: &Suite) -> (Report, Report) {
    let lakegate = &lake.0.lakegate;
    let (name, now) = (table(), lakegate.now());
    let snapshot = lakegate.catalog.snapshot(&name, Default::default());
    let snapshot = snapshot.await.unwrap();
    let stored = judge_version(lakegate, &name, &snapshot, suite, now).await;
    let judged = Judged {
        name,
        rows: snapshot.scan().unwrap(),
        parts: None,
        collected: None,
        added: None,
        previous: None,
        baseline: None,
        baseline_parts: None,
        now,
    };
    let fresh = lakegate.judge().report(suite, judged, Vec::new()).await;
    (stored.unwrap(), fresh)
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

/// Rows of all columns of [`MANY_RULES`], from numbers.
fn many_values(rows: &[(Option<i8>, u8)]) -> String {
    let rows = rows.iter().map(|(n, place)| {
        let p = ["'a'", "'b'", "NULL"][usize::from(place % 3)];
        let q = ["1", "2", "NULL"][usize::from(place / 3 % 3)];
        let text = |value: &dyn Fn(i8) -> String| n.map_or("NULL".to_owned(), value);
        format!(
            "({}, {}, {}, {}, {}, {}, {p}, {q})",
            text(&|n| n.to_string()),
            text(&|n| match n {
                17 => "'NaN'".to_owned(),
                18 => "'Infinity'".to_owned(),
                n => format!("'{}'", f64::from(n) / 8.0),
            }),
            text(&|n| format!(
                "'{}'",
                "xyz"
                    .chars()
                    .nth(usize::from(n.unsigned_abs() % 3))
                    .unwrap()
            )),
            text(&|n| format!("DATE '2024-01-01' + INTERVAL '{n}' DAY")),
            text(&|n| format!("'2024-01-01T00:00:00.00012{}Z'", n.unsigned_abs() % 10)),
            text(&|n| format!("'{}.25'", i64::from(n) * 1_000_000_007)),
        )
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT CAST(column1 AS INT) AS n, CAST(column2 AS DOUBLE) AS f, CAST(column3 AS VARCHAR) AS t, \
         CAST(column4 AS DATE) AS d, arrow_cast(column5, 'Timestamp(Microsecond, Some(\"UTC\"))') AS at, \
         arrow_cast(column6, 'Decimal128(30, 2)') AS m, CAST(column7 AS VARCHAR) AS p, CAST(column8 AS INT) AS q \
         FROM (VALUES {rows})"
    )
}

type SomeRows = Vec<(Option<i8>, u8)>;

#[derive(Debug, Clone)]
enum Change {
    Append(SomeRows),
    Overwrite(SomeRows),
    Replace(&'static str, SomeRows),
    Update(&'static str),
    Optimize,
}

fn change() -> impl Strategy<Value = Change> {
    let row = || (proptest::option::weighted(0.8, -20i8..20), 0u8..9);
    let rows = || proptest::collection::vec(row(), 1..6);
    prop_oneof![
        5 => rows().prop_map(Change::Append),
        1 => rows().prop_map(Change::Overwrite),
        1 => rows().prop_map(|rows| Change::Replace("p = 'a'", rows)),
        1 => prop_oneof![Just("n > 3"), Just("n IS NULL"), Just("p = 'b'")].prop_map(Change::Update),
        1 => Just(Change::Optimize),
    ]
}

/// Whether a commit was accepted; nothing but a refusal may stop it.
fn is_accepted(written: Result<(), CatalogError>) -> bool {
    match written {
        Ok(()) => true,
        Err(CatalogError::Refused(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

impl Lake {
    /// Makes a change, unless the gate refuses it.
    async fn change(&self, change: &Change, partition_by: &[&str]) {
        let context = WriteContext::default();
        let session = self.0.lakegate.engine.session();
        let catalog = &self.0.lakegate.catalog;
        let (mode, rows) = match change {
            Change::Append(rows) => (WriteMode::Append, rows.clone()),
            Change::Overwrite(rows) => (WriteMode::Overwrite, rows.clone()),
            Change::Replace(predicate, rows) => {
                let rows = rows.iter().map(|(n, place)| (*n, place / 3 * 3)).collect();
                (WriteMode::ReplaceWhere((*predicate).to_owned()), rows)
            }
            Change::Update(predicate) => {
                let update = [("n".to_owned(), "n + 1".to_owned())];
                let predicate = Some(*predicate);
                let name = table();
                let updated = catalog.update_rows(&session, &name, predicate, &update, context);
                is_accepted(updated.await.map(|_| ()));
                return;
            }
            Change::Optimize => {
                catalog
                    .optimize(&session, &table(), &[], None)
                    .await
                    .unwrap();
                return;
            }
        };
        is_accepted(
            self.try_write(mode, &many_values(&rows), context, partition_by)
                .await,
        );
    }
}

/// What all cases share: the rules, and a runtime.
static RULES_AND_RUNTIME: LazyLock<(Suite, Runtime)> =
    LazyLock::new(|| (suite(MANY_RULES), Runtime::new().unwrap()));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn report_with_stored_states_is_that_of_a_fresh_scan(
        first in proptest::collection::vec((proptest::option::weighted(0.8, -20i8..20), 0u8..9), 1..6),
        changes in proptest::collection::vec(change(), 1..6),
        partition_by in prop_oneof![Just(vec![]), Just(vec!["p"]), Just(vec!["q", "p"])],
        is_gated in any::<bool>(),
    ) {
        let (rules, runtime) = &*RULES_AND_RUNTIME;
        runtime.block_on(async {
            let lake = Lake::new().await;
            lake.change(&Change::Append(first.clone()), &partition_by).await;
            if is_gated {
                lake.try_attach(GATE_RULES).await;
            }
            for change in &changes {
                lake.change(change, &partition_by).await;
                let (stored, fresh) = stored_and_fresh(&lake, rules).await;
                prop_assert_eq!(stored.rows, fresh.rows);
                for (found, expected) in std::iter::zip(&stored.checks, &fresh.checks) {
                    prop_assert!(alike(found, expected), "{:?}\n{:?}", found, expected);
                }
            }
            Ok(())
        })?;
    }
}
