//! A decimal is between two limits when it is neither below the one nor above the other.

use datafusion::arrow::array::Decimal128Array;
use proptest::prelude::*;

use super::*;

/// Limits that are beyond every value, near to others, or far from them.
fn number() -> impl Strategy<Value = i128> {
    prop_oneof![
        Just(i128::MIN),
        Just(i128::MAX),
        Just(i128::from(i64::MAX)),
        -5..5_i128,
        any::<i128>(),
    ]
}

proptest! {
    #[test]
    fn decimals_are_between_limits_that_they_keep(
        values in proptest::collection::vec(proptest::option::weighted(0.8, number()), 0..20),
        low in number(),
        high in number(),
    ) {
        let array: Decimal128Array = values.iter().copied().collect();
        let is_between = |value: i128| value >= low && value <= high;
        let wanted: BooleanArray = values.iter().map(|value| value.map(is_between)).collect();
        let found = test_integers(&(std::sync::Arc::new(array) as ArrayRef), low, high).unwrap();
        prop_assert_eq!(found, wanted);
    }
}
