//! What is known of the values of a batch is true of them.

use datafusion::arrow::array::Int32Array;
use proptest::prelude::*;

use super::*;
use crate::plan::{Measure, column};
use crate::state::{State, Times};

/// Decimals with two digits behind the point. What stands under a null is what filters leave there.
fn decimals(unscaled: &[Option<i128>], under_nulls: i128, digits: u8) -> ArrayRef {
    let nulls: NullBuffer = unscaled.iter().map(Option::is_some).collect();
    let values = unscaled.iter().map(|value| value.unwrap_or(under_nulls));
    let decimals = Decimal128Array::new(values.collect(), Some(nulls));
    Arc::new(decimals.with_precision_and_scale(digits, 2).unwrap())
}

/// What a measure comes to over one batch.
fn measured(measure: &Measure, array: &ArrayRef) -> String {
    let data_types = vec![array.data_type().clone(); measure.inputs().len()];
    let mut state = State::new(measure, &data_types).unwrap();
    let input = Input::new(Arc::clone(array));
    let inputs = vec![&input; data_types.len()];
    state
        .update(Times::Once(array.len()), &inputs, None)
        .unwrap();
    format!("{:?}", state.finish().unwrap())
}

fn measures() -> Vec<Measure> {
    let amount = || column("amount");
    vec![
        Measure::Min(amount()),
        Measure::Max(amount()),
        Measure::Sum(amount()),
        Measure::Moments(amount()),
        Measure::Shape(amount()),
        Measure::Comoments(amount(), amount()),
    ]
}

/// The same numbers in a type whose values are never narrowed measure the same.
fn check(unscaled: &[Option<i128>], under_nulls: i128) {
    for measure in measures() {
        let short = measured(&measure, &decimals(unscaled, under_nulls, 18));
        let long = measured(&measure, &decimals(unscaled, under_nulls, 38));
        assert_eq!(short, long, "{measure:?} of {unscaled:?}");
    }
}

#[test]
fn decimals_with_more_digits_than_their_type_has_are_measured_as_they_are() {
    let beyond = i128::from(i64::MAX) + 1;
    for value in [
        beyond,
        -beyond - 1,
        1 << 64,
        -(1 << 64),
        1 << 100,
        i128::MAX / 4,
    ] {
        check(&[Some(5), Some(value), None, Some(-7)], 0);
        let array = decimals(&[Some(5), Some(value)], 0, 18);
        assert!(Input::new(array).integers().is_none(), "{value}");
    }
    check(&[Some(beyond - 1), Some(-beyond)], 0);
}

#[test]
fn quantiles_of_decimals_with_more_digits_than_their_type_has_are_those_of_the_numbers() {
    let array = decimals(&[Some(1 << 70), Some(1 << 70)], 0, 18);
    let mut quantiles = super::super::Quantiles::new(0.01).unwrap();
    quantiles.update(&Input::new(array)).unwrap();
    let found = quantiles.finish().unwrap().at(0.5).unwrap();
    assert!((found / ((1_i128 << 70) as f64 / 100.0) - 1.0).abs() < 1e-12);
}

#[test]
fn sums_of_integers_do_not_overflow() {
    let many = vec![Some(i128::from(i64::MAX)); 3];
    check(&many, 0);
    let input = Input::new(decimals(&many, 0, 18));
    let sum = input.integers().map(|integers| integers.sum(None));
    assert_eq!(sum, Some(3 * i128::from(i64::MAX)));
}

#[test]
fn other_types_have_no_integers() {
    let input = Input::new(Arc::new(Int32Array::from(vec![1, 2])));
    assert!(input.integers().is_none());
    assert!(input.ends().unwrap().is_none());
}

#[test]
fn what_a_filter_leaves_is_looked_at_anew() {
    let input = Input::new(Arc::new(Int64Array::from(vec![1, 9, 5])));
    let ends = |input: &Input| {
        let integers = input.integers().unwrap();
        (integers.least, integers.greatest)
    };
    assert_eq!(ends(&input), (1, 9));
    let filter = BooleanBuffer::from(vec![true, false, true]);
    assert_eq!(ends(&input.counting(Some(&filter)).unwrap()), (1, 5));
    assert_eq!(ends(&input.counting(None).unwrap()), (1, 9));
}

proptest! {
    #[test]
    fn short_decimals_measure_as_long_ones_do(
        unscaled in proptest::collection::vec(
            proptest::option::weighted(0.8, prop_oneof![
                -1000..1000_i128,
                any::<i64>().prop_map(i128::from),
                -(1_i128 << 70)..1 << 70,
            ]),
            0..40,
        ),
        under_nulls in prop_oneof![Just(0), Just(i128::MAX), any::<i128>()],
    ) {
        check(&unscaled, under_nulls);
    }
}
