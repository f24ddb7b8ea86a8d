//! Text in dictionaries is measured by distinct value, and comes to what is found row by row in any other layout.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;

use super::{parse, provider, session, subject};
use crate::{CheckResult, ProfileOptions, judge, profile};

/// Checks over `t` alone and, in the second file, one that needs another column beside it.
const ALONE: &str = "
columns:
  t:
    - not_null
    - not_null: { where: t <> '7', name: filtered }
    - one_of: ['7', 'true', '1.5', long]
    - one_of: { values: ['7'], where: t is not null, name: filtered }
    - matches: '^[0-9]'
    - length: { max: 3 }
    - data_type: { is: integral, at_least: 10% }
    - data_type: { is: integral, at_least: 10%, where: \"t <> '7'\", name: filtered }
    - approx_distinct: { at_least: 3 }
    - approx_distinct: { at_least: 3, where: length(t) > 1, name: filtered }
    - min: { at_least: b }
    - max: { at_most: b, where: \"t <> 'true'\" }
    - min_length: { at_least: 2 }
    - mean_length: { at_least: 2 }
    - mean_length: { at_least: 2, where: t is not null and t <> 'long', name: filtered }
table_checks:
  - row_count: { at_least: 3 }
  - row_count: { at_least: 3, where: \"t = '7'\", name: filtered }
  - satisfies: { condition: \"t = '7' or t = 'long'\", name: seven }
";

const WITH_OTHERS: &str = "
table_checks:
  - satisfies: \"t = '7' or n > 3\"
  - row_count: { at_least: 3, where: \"t = '7' and n > 3\" }
columns:
  t: [not_null, { one_of: ['7', long] }]
";

fn batches(columns: &[Vec<(Option<&'static str>, i64)>], text: &DataType) -> Vec<RecordBatch> {
    let fields = [
        Field::new("t", text.clone(), true),
        Field::new("n", DataType::Int64, false),
    ];
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = |rows: &Vec<(Option<&str>, i64)>| {
        let t: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0)));
        let n = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
        let columns: Vec<ArrayRef> = vec![cast(&t, text).unwrap(), Arc::new(n)];
        let whole = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        // Slices share the dictionary, and the next batch has another.
        let middle = whole.num_rows() / 2;
        [
            whole.slice(0, middle),
            whole.slice(middle, whole.num_rows() - middle),
        ]
    };
    columns.iter().flat_map(batch).collect()
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

async fn checks(yaml: &str, batches: Vec<RecordBatch>) -> Vec<CheckResult> {
    let table = provider(&batches[0].schema(), vec![batches]);
    judge(&parse(yaml), &subject(&session(), table))
        .await
        .checks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dictionaries_come_to_what_the_rows_do(
        rows in proptest::collection::vec(
            proptest::collection::vec(
                (
                    prop::option::weighted(0.8, prop::sample::select(vec!["7", "true", "1.5", "long", "äöü", ""])),
                    0i64..9,
                ),
                0..12,
            ),
            1..4,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for yaml in [ALONE, WITH_OTHERS] {
            let of = |text: &DataType| runtime.block_on(checks(yaml, batches(&rows, text)));
            let wanted = of(&DataType::Utf8);
            let others = [of(&dictionary()), of(&DataType::Utf8View)];
            for (found, wanted) in others.iter().flat_map(|found| std::iter::zip(found, &wanted)) {
                prop_assert_eq!(
                    (found.verdict, found.rows, found.bad_rows, &found.observed, &found.message),
                    (wanted.verdict, wanted.rows, wanted.bad_rows, &wanted.observed, &wanted.message),
                    "{}", &found.id
                );
            }
        }
    }
}

#[tokio::test]
async fn profile_of_a_dictionary_is_that_of_its_rows() {
    let values = [Some("7"), None, Some("7"), Some("long"), Some("1.5")];
    let rows: Vec<_> = values.into_iter().map(|value| (value, 0)).collect();
    let mut profiles = Vec::new();
    for text in [dictionary(), DataType::Utf8] {
        let batches = batches(&[rows.clone(), rows.clone()], &text);
        let table = provider(&batches[0].schema(), vec![batches]);
        let options = ProfileOptions::default();
        let mut found = profile(&session(), table, &options).await.unwrap();
        let mut column = found.columns.remove(0);
        column.data_type = String::new();
        profiles.push(format!("{column:?}"));
    }
    assert!(profiles[0].contains("\"long\""), "{}", profiles[0]);
    assert_eq!(profiles[0], profiles[1]);
}
