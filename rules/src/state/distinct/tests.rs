//! A sketch that takes in only what may change it is that of all values.

use std::sync::Arc;

use datafusion::arrow::array::Int64Array;

use super::*;

/// Numbers that look random.
fn shuffled(count: u64) -> Vec<i64> {
    let number = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).cast_signed();
    (0..count).map(number).collect()
}

fn of_all(values: &[i64]) -> HllSketch {
    let mut sketch = Distinct::new().unwrap().sketch;
    for value in values {
        sketch.update(raw_bytes::from_slice(&value.to_le_bytes()));
    }
    sketch
}

fn take(distinct: &mut Distinct, values: &[i64]) {
    for batch in values.chunks(500) {
        let batch: ArrayRef = Arc::new(Int64Array::from(batch.to_vec()));
        distinct.update(&batch).unwrap();
    }
}

#[test]
fn sketches_of_few_and_many_values_are_those_of_all_values() {
    for count in [300, 380, 400, 4000, 5000, 40_000, 200_000] {
        let values = shuffled(count);
        let mut distinct = Distinct::new().unwrap();
        take(&mut distinct, &values);
        assert_eq!(
            distinct.sketch.serialize(),
            of_all(&values).serialize(),
            "{count}"
        );
    }
}

#[test]
fn many_values_are_left_out() {
    let values = shuffled(200_000);
    let mut distinct = Distinct::new().unwrap();
    take(&mut distinct, &values);
    assert!(distinct.registers.is_some());
}

#[test]
fn what_was_merged_stays_known() {
    let values = shuffled(60_000);
    let (first, rest) = values.split_at(20_000);
    let (second, third) = rest.split_at(20_000);
    let mut distinct = Distinct::new().unwrap();
    take(&mut distinct, first);
    let mut other = Distinct::new().unwrap();
    take(&mut other, second);
    distinct.merge(&other).unwrap();
    take(&mut distinct, third);
    let whole = of_all(&values).composite_estimate();
    let difference = distinct.sketch.composite_estimate() - whole;
    assert!(difference.abs() < 1e-6 * whole, "{difference} of {whole}");
}
