//! Metrics of random tables: over any split they equal those of the whole, and a naive reading.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;

use super::{parse, provider, session, subject};
use crate::{CheckResult, judge};

pub(super) type Row = (Option<i64>, Option<f64>, Option<String>);

pub(super) const YAML: &str = "
columns:
  n: [not_null, {between: {min: -5, max: 5.5, where: t <> 'b'}}, unique, {min: {at_least: 0}}, {max: {at_least: 0, where: n < 3}}, {sum: {at_least: 0}}, {mean: {at_least: 0}}, {distinct: {at_least: 0}}]
  f: [{between: {max: 1.5}}, {sum: {at_least: 0}}, {stddev: {at_least: 0}}]
  t: [{one_of: [a, a longer text of many bytes]}, {length: {max: 3}}, {matches: '^a'}]
";

pub(super) fn row() -> impl Strategy<Value = Row> {
    let text = prop_oneof![
        Just("a"),
        Just("b"),
        Just("a longer text of many bytes"),
        Just("äöüß")
    ];
    (
        proptest::option::weighted(0.8, -9i64..9),
        proptest::option::weighted(0.8, -4.0f64..4.0),
        proptest::option::weighted(0.8, text.prop_map(str::to_owned)),
    )
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("t", DataType::Utf8, true),
    ]));
    let n: Int64Array = rows.iter().map(|r| r.0).collect();
    let f: Float64Array = rows.iter().map(|r| r.1).collect();
    let t: StringArray = rows.iter().map(|r| r.2.clone()).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(n), Arc::new(f), Arc::new(t)];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The results over rows that are split at some places into batches of two partitions.
fn results(rows: &[Row], cuts: &[usize]) -> Vec<CheckResult> {
    let mut partitions = vec![Vec::new(), Vec::new()];
    let mut start = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|c| c % (rows.len() + 1)).collect();
    ends.push(rows.len());
    ends.sort_unstable();
    for (i, end) in ends.into_iter().enumerate() {
        partitions[i % 2].push(batch(&rows[start..end]));
        start = end;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let session = session();
        let candidate = provider(&batch(&[]).schema(), partitions);
        judge(&parse(YAML), &subject(&session, candidate))
            .await
            .checks
    })
}

/// The same metrics, one row after the other.
fn naive(rows: &[Row]) -> Vec<(Option<u64>, Option<f64>)> {
    let count = |bad: &dyn Fn(&Row) -> bool| rows.iter().filter(|r| bad(r)).count() as u64;
    let n: Vec<i64> = rows.iter().filter_map(|r| r.0).collect();
    let f: Vec<f64> = rows.iter().filter_map(|r| r.1).collect();
    let mut groups: HashMap<i64, u64> = HashMap::new();
    n.iter().for_each(|v| *groups.entry(*v).or_default() += 1);
    let is = |text: &Option<String>, test: &dyn Fn(&str) -> bool| text.as_deref().is_none_or(test);
    let has_rows = !rows.is_empty();
    let bad = |bad: u64, rows: u64| (rows > 0).then_some(bad);
    let total = rows.len() as u64;
    let not_b = |r: &&Row| r.2.as_deref().is_some_and(|t| t != "b");
    let mean = f.iter().sum::<f64>() / f.len() as f64;
    let squares: f64 = f.iter().map(|v| (v - mean) * (v - mean)).sum();
    let sum_n = n.iter().sum::<i64>() as f64;
    vec![
        (bad(count(&|r| r.0.is_none()), total), None),
        (
            bad(
                rows.iter()
                    .filter(not_b)
                    .filter(|r| r.0.is_some_and(|v| !(-5..=5).contains(&v)))
                    .count() as u64,
                rows.iter().filter(not_b).count() as u64,
            ),
            None,
        ),
        (bad(groups.values().filter(|c| **c > 1).sum(), total), None),
        (None, n.iter().min().map(|v| *v as f64)),
        (None, n.iter().filter(|v| **v < 3).max().map(|v| *v as f64)),
        (None, (!n.is_empty()).then_some(sum_n)),
        (None, (!n.is_empty()).then(|| sum_n / n.len() as f64)),
        (None, Some(groups.len() as f64)),
        (
            has_rows.then(|| count(&|r| r.1.is_some_and(|v| v > 1.5))),
            None,
        ),
        (None, (!f.is_empty()).then(|| f.iter().sum())),
        (
            None,
            (!f.is_empty()).then(|| (squares / f.len() as f64).sqrt()),
        ),
        (
            bad(count(&|r| !is(&r.2, &|t| t.starts_with('a'))), total),
            None,
        ),
        (
            bad(count(&|r| !is(&r.2, &|t| t.chars().count() <= 3)), total),
            None,
        ),
        (
            bad(count(&|r| !is(&r.2, &|t| t.starts_with('a'))), total),
            None,
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn metrics_of_a_split_equal_those_of_the_whole(
        rows in proptest::collection::vec(row(), 0..60),
        cuts in proptest::collection::vec(0usize..60, 0..5),
    ) {
        let split = results(&rows, &cuts);
        let whole = results(&rows, &[]);
        let expected = naive(&rows);
        prop_assert_eq!(split.len(), expected.len());
        for ((split, whole), (bad, metric)) in split.iter().zip(&whole).zip(expected) {
            prop_assert_eq!(split.verdict, whole.verdict);
            prop_assert_eq!(split.bad_rows, bad, "{:?}", split);
            if bad.is_some() || (bad.is_none() && metric.is_none()) {
                continue;
            }
            for found in [split.metric, whole.metric] {
                let close = found.zip(metric).is_some_and(|(l, r)| (l - r).abs() < 1e-9);
                prop_assert!(close, "{:?} {:?} {:?}", found, metric, split);
            }
        }
    }
}
