//! Deviations are those of the numbers themselves, however large these are, in one part or several.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use datafusion::arrow::datatypes::DataType;

use crate::finding::Measured;
use crate::plan::{Measure, column};
use crate::state::{Input, State, Times};

/// Numbers by their digits, and nulls.
type Digits = Vec<Option<i128>>;

fn array(digits: &[Option<i128>], data_type: &DataType) -> ArrayRef {
    let present = digits.iter().copied();
    match data_type {
        DataType::Int64 => Arc::new(
            present
                .map(|digits| digits.map(|digits| i64::try_from(digits).unwrap()))
                .collect::<Int64Array>(),
        ),
        DataType::UInt64 => Arc::new(
            present
                .map(|digits| digits.map(|digits| u64::try_from(digits).unwrap()))
                .collect::<UInt64Array>(),
        ),
        DataType::Float64 => Arc::new(
            present
                .map(|digits| digits.map(|digits| digits as f64))
                .collect::<Float64Array>(),
        ),
        DataType::Decimal128(precision, scale) => {
            let decimals = present.collect::<Decimal128Array>();
            let decimals = decimals.with_precision_and_scale(*precision, *scale);
            Arc::new(decimals.unwrap())
        }
        other => panic!("no array of {other}"),
    }
}

/// The values next to these in a second column: those of the next rows, so that nulls are beside values.
fn beside(part: &[Option<i128>]) -> Digits {
    let mut beside = part.to_vec();
    beside.rotate_left(1.min(part.len()));
    beside
}

/// What is measured of parts, each of which has been bytes before it is merged.
fn measured(parts: &[Digits], measure: &Measure, data_type: &DataType) -> Measured {
    let data_types = vec![data_type.clone(); measure.inputs().len()];
    let mut merged = State::new(measure, &data_types).unwrap();
    for part in parts {
        let mut state = State::new(measure, &data_types).unwrap();
        // Two batches a part.
        for half in [&part[..part.len() / 2], &part[part.len() / 2..]] {
            let columns = [array(half, data_type), array(&beside(half), data_type)];
            let columns = columns.map(Input::new);
            let columns: Vec<&Input> = columns.iter().take(data_types.len()).collect();
            let times = Times::Once(half.len());
            state.update(times, &columns, None).unwrap();
        }
        let bytes = state.write().unwrap().unwrap();
        let mut read = State::read(&bytes, measure, &data_types).unwrap();
        merged.merge(&mut read).unwrap();
    }
    merged.finish().unwrap()
}

/// How far each value is from the mean of all, rounded once.
fn deviations(values: &[i128], scale: i8) -> Vec<f64> {
    let Some(first) = values.first() else {
        return Vec::new();
    };
    let count = values.len() as i128;
    let total: i128 = values.iter().map(|value| value - first).sum();
    let deviation = |value: &i128| ((value - first) * count - total) as f64 / count as f64;
    let unit = 10f64.powi(i32::from(scale));
    values.iter().map(|value| deviation(value) / unit).collect()
}

fn assert_close(found: f64, expected: f64, size: f64, what: &str) {
    let is_close = (found - expected).abs() <= 1e-11 * size;
    assert!(is_close, "{what}: {found} instead of {expected}");
}

/// Parts of a column have the deviations that exact arithmetic finds.
fn check(parts: &[Digits], data_type: &DataType) {
    let scale = match data_type {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    };
    let what = |name: &str| format!("{name} of {data_type}");
    let values: Vec<i128> = parts.iter().flatten().flatten().copied().collect();
    let exact = deviations(&values, scale);
    let power = |power: i32| exact.iter().map(|d| d.powi(power)).sum::<f64>();
    let x = || column("x");

    let Measured::Moments { squares, .. } = measured(parts, &Measure::Moments(x()), data_type)
    else {
        panic!("no moments");
    };
    assert_close(squares, power(2), power(2), &what("squares"));

    let Measured::Shape { powers, .. } = measured(parts, &Measure::Shape(x()), data_type) else {
        panic!("no shape");
    };
    assert_close(powers[0], power(2), power(2), &what("second powers"));
    let size = exact.iter().map(|d| d.abs().powi(3)).sum();
    assert_close(powers[1], power(3), size, &what("third powers"));
    assert_close(powers[2], power(4), power(4), &what("fourth powers"));

    let halves = || {
        parts
            .iter()
            .flat_map(|part| [&part[..part.len() / 2], &part[part.len() / 2..]])
    };
    let pairs: Vec<(i128, i128)> = halves()
        .flat_map(|half| std::iter::zip(half.to_vec(), beside(half)))
        .filter_map(|(left, right)| left.zip(right))
        .collect();
    let (left, right): (Vec<i128>, Vec<i128>) = pairs.into_iter().unzip();
    let (left, right) = (deviations(&left, scale), deviations(&right, scale));
    let product =
        |left: &[f64], right: &[f64]| -> f64 { left.iter().zip(right).map(|(l, r)| l * r).sum() };
    let measure = Measure::Comoments(x(), column("y"));
    let Measured::Comoments {
        squares, products, ..
    } = measured(parts, &measure, data_type)
    else {
        panic!("no comoments");
    };
    let [l, r] = [product(&left, &left), product(&right, &right)];
    assert_close(squares[0], l, l, &what("squares beside others"));
    assert_close(squares[1], r, r, &what("squares of others"));
    let size = l.sqrt() * r.sqrt();
    assert_close(products, product(&left, &right), size, &what("products"));
}

/// So many numbers from an origin on, spread without a pattern over a width, and a null among them.
fn spread(origin: i128, width: i128, count: usize) -> Digits {
    let mut seed = 12345_u64;
    let mut numbers: Digits = (0..count)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            Some(origin + i128::from(seed >> 33) % width)
        })
        .collect();
    numbers.insert(count / 3, None);
    numbers
}

#[test]
fn integers_beyond_those_of_floating_point_deviate_exactly() {
    for origin in [
        1_700_000_000_000_000_000,
        9_000_000_000_000_000_000,
        -9_000_000_000_000_000_000,
        i128::from(i64::MAX) - 1000,
        i128::from(i64::MIN),
    ] {
        check(&[spread(origin, 1000, 500)], &DataType::Int64);
        check(&[spread(origin, 2, 20)], &DataType::Int64);
    }
    for origin in [1 << 63, i128::from(u64::MAX) - 1000] {
        check(&[spread(origin, 1000, 500)], &DataType::UInt64);
    }
    // Without nulls.
    let present = spread(9_000_000_000_000_000_000, 1000, 500);
    check(
        &[present.into_iter().filter(Option::is_some).collect()],
        &DataType::Int64,
    );
}

#[test]
fn integers_of_the_whole_range_deviate_exactly() {
    let ends = [
        i64::MIN,
        i64::MAX,
        -1,
        i64::MAX,
        0,
        i64::MIN,
        7,
        i64::MIN + 1,
    ];
    let ends: Digits = ends.iter().map(|n| Some(i128::from(*n))).collect();
    check(&[ends], &DataType::Int64);
    let ends = [0, u64::MAX, 1, u64::MAX - 1, 1 << 63, u64::MAX, 0, 5];
    let ends: Digits = ends.iter().map(|n| Some(i128::from(*n))).collect();
    check(&[ends], &DataType::UInt64);
}

#[test]
fn decimals_of_many_digits_deviate_exactly() {
    let most = 10_i128.pow(38) - 1;
    for origin in [
        most - 1000,
        -most,
        12_345_678_901_234_567_890_123_456_789_012_345_678,
    ] {
        let decimal = DataType::Decimal128(38, 10);
        check(&[spread(origin, 1000, 500)], &decimal);
        check(&[spread(origin, 3, 21), spread(origin, 2, 30)], &decimal);
        check(
            &[spread(origin, 1000, 50), spread(origin + 7, 990, 800)],
            &decimal,
        );
    }
    let money = DataType::Decimal128(15, 2);
    check(
        &[spread(-100_000, 10_000_000, 500), spread(5, 300, 40)],
        &money,
    );
    // Deviations of more than 64 bits.
    let wide = 10_i128.pow(36);
    let wide = [0, wide, 3, -wide, 1 - wide, wide - 1, 5, 6]
        .map(Some)
        .to_vec();
    check(&[wide], &DataType::Decimal128(38, 10));
    // Deviations of more than 128 bits.
    let ends = vec![Some(most), Some(-most), Some(most), Some(-most)];
    let moments = Measure::Moments(column("x"));
    let Measured::Moments { squares, .. } =
        measured(&[ends], &moments, &DataType::Decimal128(38, 10))
    else {
        panic!("no moments");
    };
    assert_close(squares, 4e56, 4e56, "squares of the ends");
}

#[test]
fn parts_merge_exactly_however_far_their_means_are_apart() {
    for (left, right) in [
        (0, 1_000_000_000_000_000_000),
        (-9_000_000_000_000_000_000, 9_000_000_000_000_000_000),
        (9_000_000_000_000_000_000, 9_000_000_000_000_000_001),
        (-9_000_000_000_000_000_000, -8_999_999_999_999_999_000),
    ] {
        let parts = [spread(left, 1000, 400), spread(right, 900, 300)];
        check(&parts, &DataType::Int64);
        check(
            &[parts[1].clone(), Vec::new(), parts[0].clone()],
            &DataType::Int64,
        );
        check(&parts, &DataType::Decimal128(38, 10));
    }
    // Far apart, then near to one of them, and to the mean of both.
    let far = 1_000_000_000_000_000_000;
    let parts = [0, far, 0, far / 2, far, far / 2].map(|origin| spread(origin, 1000, 300));
    check(&parts, &DataType::Int64);
    // Many parts whose means hardly differ.
    let many: Vec<Digits> = (0..300).map(|n| spread(far * 9 + n, 5, 12)).collect();
    check(&many, &DataType::Int64);
}

#[test]
fn floating_point_numbers_merge_to_their_last_digits() {
    let far = 1 << 53;
    let many: Vec<Digits> = (0..300).map(|n| spread(far - 400 + n, 5, 12)).collect();
    check(&many, &DataType::Float64);
    check(&[spread(far - 1000, 1000, 500)], &DataType::Float64);
}
