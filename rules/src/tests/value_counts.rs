//! Values that the scan counts, held against groupings of the same rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::lit;
use proptest::prelude::*;

use super::{judge_subject, provider, session, subject};
use crate::finding::Measured;
use crate::frequencies::{FrequenciesOf, count_frequencies};
use crate::plan::{Measure, column};
use crate::ranks::{RanksOf, find_ranks};
use crate::rows::count_groups;
use crate::scan::{Rows, Scan};
use crate::state::{MOST_TEXT_BYTES, MOST_VALUES};
use crate::{CheckResult, Origin, Verdict};

fn types() -> Vec<DataType> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    vec![
        DataType::Int8,
        DataType::Int64,
        DataType::UInt64,
        DataType::Boolean,
        DataType::Date32,
        DataType::Date64,
        DataType::Timestamp(TimeUnit::Millisecond, Some("+02:00".into())),
        DataType::Decimal32(9, 1),
        DataType::Decimal64(18, 3),
        DataType::Decimal128(38, 2),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary,
    ]
}

fn array(seeds: &[Option<i64>], data_type: &DataType) -> ArrayRef {
    let numbers = seeds.iter().copied();
    let seeds: ArrayRef = match data_type {
        // Negative ones stand for those beyond what has a sign.
        DataType::UInt64 => {
            let numbers = numbers.map(|number| number.map(i64::cast_unsigned));
            Arc::new(numbers.collect::<UInt64Array>())
        }
        _ => Arc::new(numbers.collect::<Int64Array>()),
    };
    let seeds = match data_type {
        DataType::Date32 => cast(&seeds, &DataType::Int32).unwrap(),
        DataType::Dictionary(_, text) => cast(&seeds, text).unwrap(),
        _ => seeds,
    };
    cast(&seeds, data_type).unwrap()
}

/// Everything that a measure tells, as text.
fn told(measured: Measured) -> String {
    let measured = match measured {
        // The order in which logarithms are added up is another.
        Measured::Groups {
            rows,
            values,
            groups,
            repeated,
            weighted_logarithms,
        } => Measured::Groups {
            rows,
            values,
            groups,
            repeated,
            weighted_logarithms: (weighted_logarithms * 1e9).round(),
        },
        other => other,
    };
    format!("{measured:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn counted_values_tell_what_groupings_do(
        seeds in proptest::collection::vec(proptest::option::weighted(0.8, -6i64..6), 0..40),
        bound in 0i64..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let session = session();
        for data_type in types() {
            let number: Int64Array = (0..seeds.len() as i64).collect();
            let columns: [(&str, ArrayRef); 2] =
                [("x", array(&seeds, &data_type)), ("n", Arc::new(number))];
            let batch = RecordBatch::try_from_iter_with_nullable(
                columns.map(|(name, column)| (name, column, true)),
            );
            let batch = batch.unwrap();
            let (left, right) = (batch.slice(0, seeds.len() / 2), batch.slice(seeds.len() / 2, seeds.len().div_ceil(2)));
            let table = provider(&batch.schema(), vec![vec![left], vec![right]]);
            let filter = column("n").lt(lit(bound));
            let frame = || session.read_table(Arc::clone(&table)).unwrap();
            runtime.block_on(async {
                let mut scan = Scan::default();
                scan.add(Measure::ValueCounts(column("x")), Some(filter.clone()), true);
                let rows = Rows { table: &table, parts: None };
                let found = scan.run(&session, rows, None).await.unwrap();
                let Some(Ok(Measured::ValueCounts(Some(groups)))) = found.measured.into_iter().next() else {
                    panic!("not counted: {data_type}");
                };
                let grouping = count_groups(frame(), &["x".to_owned()], Some(&filter)).await;
                prop_assert_eq!(told(groups.as_grouping()), told(grouping.unwrap()), "{}", data_type);
                let of = FrequenciesOf { column: "x".to_owned(), most: 5 };
                let frequencies = count_frequencies(frame(), &of, Some(&filter)).await;
                let frequencies = Measured::Frequencies(frequencies.unwrap());
                let counted = groups.as_frequencies(5).unwrap();
                prop_assert_eq!(told(counted), told(frequencies), "{}", data_type);
                if data_type.is_numeric() {
                    let of = RanksOf { column: "x".to_owned(), ranks: vec![0.0, 0.3, 0.5, 1.0] };
                    let ranks = find_ranks(frame(), &of, Some(&filter)).await.unwrap();
                    let counted = groups.as_ranks(&of).unwrap();
                    prop_assert_eq!(told(counted), told(ranks), "{}", data_type);
                }
                Ok(())
            })?;
        }
    }
}

/// Kinds of checks that the scan can answer over few values, of a column `x`.
const YAML: &str = "
columns:
  x: [unique, primary_key, {distinct: {at_least: 0}}, {entropy: {at_least: 0}}, {uniqueness: {at_least: 0%}}, {distinctness: {at_least: 0%}}, {unique_value_ratio: {at_least: 0%}}, {duplicate_rows: {at_least: 0}}, {distribution: {shares: {a: 50%, b: 50%}, distance: l_infinity, at_least: 0}}]
";

async fn judged(values: ArrayRef) -> Vec<CheckResult> {
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let session = session();
    let rows = provider(&batch.schema(), vec![vec![batch]]);
    judge_subject(&subject(&session, rows), YAML).await
}

fn texts(count: usize, length: usize) -> ArrayRef {
    let text = |value: usize| format!("{value:0length$}");
    Arc::new(StringArray::from_iter_values((0..count).map(text)))
}

#[tokio::test]
async fn scan_answers_over_few_values_and_groupings_over_many() {
    let count = MOST_TEXT_BYTES / 128;
    for (values, expected) in [
        (texts(MOST_VALUES, 8), Origin::Scan),
        (texts(MOST_VALUES + 1, 8), Origin::Grouping),
        (texts(count, 128), Origin::Scan),
        (texts(count, 129), Origin::Grouping),
        (texts(1, MOST_TEXT_BYTES), Origin::Scan),
        (texts(1, MOST_TEXT_BYTES + 1), Origin::Grouping),
    ] {
        let rows = values.len() as u64;
        for result in judged(values).await {
            let from: Vec<_> = result.source.iter().map(|source| source.from).collect();
            assert_eq!(from, [expected], "{result:?}");
            assert_eq!(result.rows, Some(rows), "{result:?}");
            assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
        }
    }
}

#[tokio::test]
async fn values_without_one_form_are_grouped() {
    let floats: ArrayRef = Arc::new(datafusion::arrow::array::Float64Array::from(vec![
        0.0, -0.0, 1.0,
    ]));
    let results = judged(floats).await;
    assert_eq!(results[0].source[0].from, Origin::Grouping);
}

#[test]
fn the_limits_are_those_of_the_documentation() {
    let docs = include_str!("../../../docs/states.md");
    let kibibytes = MOST_TEXT_BYTES / 1024;
    let limits = format!("at most {MOST_VALUES}, and of text at most {kibibytes} KiB together");
    assert!(docs.contains(&limits), "{limits}");
}
