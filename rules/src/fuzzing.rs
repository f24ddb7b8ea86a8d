//! What fuzz targets call; see `fuzz/`.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::kept::{KeptStates, seal};
use crate::plan::{Measure, column};
use crate::state::{Edge, State};

/// Bytes that a reading may hold.
const MOST_BYTES: usize = 1 << 20;

/// Reads bytes as a segment of stored states, as the content of one that is not damaged, and as one state of each kind.
pub fn states(bytes: &[u8]) {
    // Whether they can be read is not the question.
    let _read_or_refused = KeptStates::new(MOST_BYTES).read(bytes);
    let _read_or_refused = KeptStates::new(MOST_BYTES).read(&seal(bytes));
    let x = || column("x");
    for data_type in [
        DataType::Boolean,
        DataType::Int8,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 2),
        DataType::Decimal256(60, 2),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Utf8View,
    ] {
        let data_types = [data_type.clone(), data_type];
        for measure in [
            Measure::Rows,
            Measure::Nulls(x()),
            Measure::False(x()),
            Measure::Min(x()),
            Measure::Max(x()),
            Measure::Sum(x()),
            Measure::Moments(x()),
            Measure::Shape(x()),
            Measure::Comoments(x(), x()),
            Measure::Quantiles(x(), Edge(0.01)),
            Measure::Distinct(x()),
            Measure::Types(x()),
            Measure::Bins(x(), vec![Edge(0.0), Edge(1.0), Edge(2.0)]),
        ] {
            let read = || State::read(bytes, &measure, &data_types);
            if let (Ok(mut left), Ok(mut right)) = (read(), read()) {
                let _merged_or_trouble = left.merge(&mut right);
                let _told_or_trouble = left.finish();
            }
        }
    }
}
