//! States merge as the rows they are of do, also after they were bytes.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Decimal256Array, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{TimeUnit, i256};
use proptest::prelude::*;

use super::bins::Edge;
use super::*;
use crate::plan::column;

/// Values of a column, from which those of any type are made.
type Seeds = Vec<Option<i64>>;

fn seeds() -> impl Strategy<Value = Seeds> {
    let seed = prop_oneof![
        8 => -50i64..50,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        2 => any::<i64>(),
    ];
    proptest::collection::vec(proptest::option::weighted(0.85, seed), 0..30)
}

fn zone() -> Option<Arc<str>> {
    Some("UTC".into())
}

/// The types that measures are over, each with the measures that fit it.
fn types() -> Vec<DataType> {
    vec![
        DataType::Int8,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 2),
        DataType::Decimal256(60, 2),
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, zone()),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Utf8,
        DataType::Utf8View,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Boolean,
    ]
}

fn measures(data_type: &DataType) -> Vec<Measure> {
    let x = || column("x");
    let mut measures = vec![Measure::Rows, Measure::Nulls(x())];
    let plain = plain_type(data_type);
    measures.extend([Measure::Distinct(x()), Measure::Types(x())]);
    if is_counted(plain) {
        measures.push(Measure::ValueCounts(x()));
    }
    if *data_type == DataType::Boolean {
        measures.push(Measure::False(x()));
    } else {
        measures.extend([Measure::Min(x()), Measure::Max(x())]);
    }
    if plain.is_numeric() {
        measures.push(Measure::Quantiles(x(), Edge(0.01)));
        measures.push(Measure::Bins(x(), vec![Edge(-8.0), Edge(0.0), Edge(4.5)]));
        measures.push(Measure::Sum(x()));
        measures.push(Measure::Moments(x()));
        measures.push(Measure::Shape(x()));
        measures.push(Measure::Comoments(x(), x()));
    }
    measures
}

/// What is not a number to a computer, and what is beyond them.
fn float(seed: i64) -> f64 {
    match seed {
        13 => f64::NAN,
        14 => f64::INFINITY,
        15 => -0.0,
        seed => seed as f64 / 8.0,
    }
}

fn array(seeds: &[Option<i64>], data_type: &DataType) -> ArrayRef {
    let integers: Int64Array = seeds.iter().copied().collect();
    let narrow = |most: i64| -> ArrayRef {
        let narrow = seeds.iter().map(|seed| seed.map(|seed| seed % most));
        Arc::new(narrow.collect::<Int64Array>())
    };
    let made: ArrayRef = match plain_type(data_type) {
        DataType::Float32 | DataType::Float64 => {
            let floats = seeds.iter().map(|seed| seed.map(float));
            Arc::new(floats.collect::<Float64Array>())
        }
        DataType::Utf8 | DataType::Utf8View => {
            let texts = seeds
                .iter()
                .map(|seed| seed.map(|seed| format!("{seed} ä")));
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::Boolean => {
            let flags = seeds.iter().map(|seed| seed.map(|seed| seed % 2 == 0));
            Arc::new(flags.collect::<BooleanArray>())
        }
        DataType::Decimal256(precision, scale) => {
            let wide = seeds
                .iter()
                .map(|seed| seed.map(|seed| i256::from_i128(i128::from(seed))));
            let wide = wide.collect::<Decimal256Array>();
            Arc::new(wide.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Int8 => narrow(100),
        DataType::Int32 | DataType::Date32 => narrow(1 << 20),
        DataType::UInt64 => {
            let positive = seeds.iter().map(|seed| seed.map(|seed| seed & i64::MAX));
            Arc::new(positive.collect::<Int64Array>())
        }
        _ => Arc::new(integers),
    };
    let made = match data_type {
        DataType::Date32 => cast(&made, &DataType::Int32).unwrap(),
        _ => made,
    };
    cast(&made, data_type).unwrap()
}

fn empty(measure: &Measure, data_type: &DataType) -> State {
    let data_types = vec![data_type.clone(); measure.inputs().len()];
    State::new(measure, &data_types).unwrap()
}

fn state(measure: &Measure, data_type: &DataType, seeds: &[Option<i64>]) -> State {
    state_where(measure, data_type, seeds, None)
}

/// The state of the rows that pass a filter. What stands beside a value in a second column depends on the value alone.
fn state_where(
    measure: &Measure,
    data_type: &DataType,
    seeds: &[Option<i64>],
    filter: Option<&BooleanBuffer>,
) -> State {
    let mut state = empty(measure, data_type);
    let beside = |seed: &Option<i64>| match seed {
        Some(seed) if seed % 7 == 6 => None,
        Some(seed) => Some(seed.wrapping_mul(31) % 50),
        None => Some(5),
    };
    let beside: Seeds = seeds.iter().map(beside).collect();
    let columns = [array(seeds, data_type), array(&beside, data_type)];
    let columns = columns.map(Input::new);
    let inputs: Vec<_> = columns.iter().take(measure.inputs().len()).collect();
    let times = Times::Once(seeds.len());
    state.update(times, &inputs, filter).unwrap();
    state
}

fn read(bytes: &[u8], measure: &Measure, data_type: &DataType) -> Result<State, DecodeError> {
    State::read(
        bytes,
        measure,
        &vec![data_type.clone(); measure.inputs().len()],
    )
}

fn through_bytes(state: &mut State, measure: &Measure, data_type: &DataType) -> State {
    let bytes = state.write().unwrap().unwrap();
    let mut again = read(&bytes, measure, data_type).unwrap();
    if !matches!(measure, Measure::Distinct(_)) {
        // A sketch of a set has no order.
        assert_eq!(again.write().unwrap().unwrap(), bytes);
    }
    again
}

/// All that a state tells, to the last digit.
fn told(state: State) -> String {
    format!("{:?}", state.finish())
}

/// The numbers of a state in its order, as text where they are exact.
fn numbers(state: State) -> Result<(String, Vec<f64>), String> {
    use crate::assertion::{Number, Quantity};
    let measured = state.finish().map_err(|trouble| trouble.message)?;
    Ok(match measured {
        Measured::Value {
            rows,
            values,
            value: Some(Quantity::Number(Number::Float(float))),
        } => (format!("{rows} {values}"), vec![float]),
        Measured::Moments {
            rows,
            values,
            squares,
            has_infinite,
        } => (format!("{rows} {values} {has_infinite}"), vec![squares]),
        Measured::Shape {
            rows,
            values,
            powers,
        } => (format!("{rows} {values}"), powers.to_vec()),
        Measured::Comoments {
            rows,
            values,
            squares: [left, right],
            products,
        } => (format!("{rows} {values}"), vec![left, right, products]),
        Measured::Quantiles { rows, quantiles } => {
            let ranks = [0.0, 0.25, 0.5, 0.75, 1.0];
            let found = ranks.iter().filter_map(|rank| quantiles.at(*rank));
            let counts = (rows, quantiles.values(), quantiles.has_nan());
            (format!("{counts:?}"), found.collect())
        }
        other => (format!("{other:?}"), Vec::new()),
    })
}

fn is_close(left: f64, right: f64, scale: f64) -> bool {
    left == right
        || left.is_nan() && right.is_nan()
        || !left.is_finite() && !right.is_finite()
        || (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(scale)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn states_that_were_bytes_merge_as_those_that_were_not(left in seeds(), right in seeds()) {
        for data_type in types() {
            for measure in measures(&data_type) {
                let mut direct = state(&measure, &data_type, &left);
                let mut stored = through_bytes(&mut direct, &measure, &data_type);
                direct.merge(&mut state(&measure, &data_type, &right)).unwrap();
                stored.merge(&mut state(&measure, &data_type, &right)).unwrap();
                prop_assert_eq!(told(stored), told(direct), "{:?} of {}", measure, data_type);
            }
        }
    }

    #[test]
    fn states_of_any_split_in_any_order_come_to_that_of_the_whole(
        rows in seeds(),
        places in proptest::collection::vec(0usize..5, 30),
        order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(),
        passes in proptest::option::of(proptest::collection::vec(proptest::bool::weighted(0.7), 30)),
    ) {
        let filter_of = |wanted: &dyn Fn(usize) -> bool| -> Option<BooleanBuffer> {
            let passes = passes.as_ref()?;
            Some((0..rows.len()).filter(|row| wanted(*row)).map(|row| passes[row]).collect())
        };
        let scale = rows.iter().flatten().map(|seed| seed.unsigned_abs() as f64);
        let scale = scale.fold(1.0, f64::max);
        for data_type in types() {
            for measure in measures(&data_type) {
                let whole = state_where(&measure, &data_type, &rows, filter_of(&|_| true).as_ref());
                let mut merged = empty(&measure, &data_type);
                for wanted in order {
                    let part = rows.iter().zip(&places).filter(|(_, place)| **place == wanted);
                    let part: Seeds = part.map(|(seed, _)| *seed).collect();
                    let filter = filter_of(&|row| places[row] == wanted);
                    let mut part = state_where(&measure, &data_type, &part, filter.as_ref());
                    merged.merge(&mut through_bytes(&mut part, &measure, &data_type)).unwrap();
                }
                let (merged, whole) = (numbers(merged), numbers(whole));
                if let (Ok((merged, floats)), Ok((whole, expected))) = (&merged, &whole) {
                    prop_assert_eq!(merged, whole, "{:?} of {}", measure, data_type);
                    for (place, (left, right)) in std::iter::zip(floats, expected).enumerate() {
                        // Sums in which signs cancel are held against what they could have come to.
                        let scale = match (&measure, expected.as_slice()) {
                            (Measure::Shape(_), [second, ..]) if place == 1 => second.powf(1.5),
                            (Measure::Comoments(..), [x, y, _]) if place == 2 => (x * y).sqrt(),
                            (Measure::Shape(_) | Measure::Moments(_) | Measure::Comoments(..), _) => 0.0,
                            _ => scale,
                        };
                        prop_assert!(
                            is_close(*left, *right, scale),
                            "{} {} {:?} of {}", left, right, measure, data_type
                        );
                    }
                } else {
                    prop_assert_eq!(merged.is_err(), whole.is_err());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for data_type in types() {
            for measure in measures(&data_type) {
                let mut bytes = bytes.clone();
                if let Some(tag) = bytes.first_mut() {
                    *tag = empty(&measure, &data_type).kind.tag();
                }
                use_up(read(&bytes, &measure, &data_type), &measure, &data_type);
            }
        }
    }

    #[test]
    fn changed_bytes_are_a_state_or_an_error(
        rows in seeds(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for data_type in types() {
            for measure in measures(&data_type) {
                let mut bytes = state(&measure, &data_type, &rows).write().unwrap().unwrap();
                for (place, value) in &changes {
                    let place = place.index(bytes.len());
                    bytes[place] = *value;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                use_up(read(&bytes, &measure, &data_type), &measure, &data_type);
            }
        }
    }
}

/// Whatever was read can be merged and told.
fn use_up(read: Result<State, DecodeError>, measure: &Measure, data_type: &DataType) {
    if let Ok(mut read) = read {
        let seeds = [Some(3), None, Some(4)];
        let mut merged = state(measure, data_type, &seeds);
        // An overflow may be trouble, and nothing else.
        let _may_fail = merged.merge(&mut read);
        let _may_fail = merged.finish();
        let _may_fail = read.finish();
    }
}

#[test]
fn truncated_bytes_are_an_error() {
    for data_type in types() {
        for measure in measures(&data_type) {
            let seeds = [Some(3), None, Some(4)];
            let bytes = state(&measure, &data_type, &seeds)
                .write()
                .unwrap()
                .unwrap();
            for length in 0..bytes.len() {
                let read = read(&bytes[..length], &measure, &data_type);
                assert!(read.is_err(), "{measure:?} of {data_type}, {length} bytes");
            }
            let more = [bytes.as_slice(), &[0]].concat();
            assert!(read(&more, &measure, &data_type).is_err());
        }
    }
}

#[test]
fn bytes_of_another_measure_or_type_are_an_error() {
    let sum = Measure::Sum(column("x"));
    let bytes = state(&sum, &DataType::Int64, &[Some(1)]).write().unwrap();
    let bytes = bytes.unwrap();
    assert!(read(&bytes, &Measure::Moments(column("x")), &DataType::Int64).is_err());
    assert!(read(&bytes, &sum, &DataType::Float64).is_err());
    let max = Measure::Max(column("x"));
    let bytes = state(&max, &DataType::Int64, &[Some(i64::MAX)]).write();
    assert!(read(&bytes.unwrap().unwrap(), &max, &DataType::Int8).is_err());
}

/// States as version 2 writes them. Bytes that were stored must stay readable: whoever has to change a line of the
/// fixture raises the version instead.
#[test]
fn stored_bytes_stay_readable() {
    let seeds = [Some(3), None, Some(-7), Some(11)];
    let fixture = include_str!("golden/version_2.txt").lines();
    let fixture: HashMap<&str, &str> = fixture
        .map(|line| line.rsplit_once(": ").unwrap())
        .collect();
    let mut missing = String::new();
    for data_type in types() {
        for measure in measures(&data_type) {
            let name = format!("{} {data_type}", measure.name());
            let mut computed = state(&measure, &data_type, &seeds);
            let Some(hex) = fixture.get(name.as_str()) else {
                let bytes = computed.write().unwrap().unwrap();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                missing.push_str(&format!("{name}: {hex}\n"));
                continue;
            };
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let stored: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let mut read = read(&stored, &measure, &data_type).unwrap();
            if !matches!(measure, Measure::Distinct(_)) {
                assert_eq!(read.write().unwrap().unwrap(), stored, "{name}");
            }
            let (found, expected) = (numbers(read).unwrap(), numbers(computed).unwrap());
            assert_eq!(found.0, expected.0, "{name}");
            for (found, expected) in std::iter::zip(found.1, expected.1) {
                assert!(is_close(found, expected, 1.0), "{name}: {found} {expected}");
            }
        }
    }
    assert!(missing.is_empty(), "add to the fixture:\n{missing}");
}
