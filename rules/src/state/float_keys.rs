//! Floating-point numbers as integers that have the same order: these sort in about half the time.

/// The keys of numbers, sorted in the order of [`f64::total_cmp`].
pub(super) fn sorted_keys(numbers: &[f64]) -> Vec<i64> {
    let keys = numbers
        .iter()
        .map(|number| flipped(number.to_bits() as i64));
    let mut keys: Vec<i64> = keys.collect();
    keys.sort_unstable();
    keys
}

/// The number with a key.
pub(super) fn of_key(key: i64) -> f64 {
    f64::from_bits(flipped(key) as u64)
}

/// Turns the order of negative numbers around. It is its own inverse.
const fn flipped(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_have_the_order_of_their_numbers(mut numbers: Vec<f64>) {
            numbers.extend([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE]);
            let sorted: Vec<u64> = sorted_keys(&numbers).into_iter().map(|key| of_key(key).to_bits()).collect();
            numbers.sort_by(f64::total_cmp);
            let numbers: Vec<u64> = numbers.into_iter().map(f64::to_bits).collect();
            prop_assert_eq!(sorted, numbers);
        }
    }
}
