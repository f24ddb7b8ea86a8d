//! What fuzz targets call; see `fuzz/`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::Suite;
use crate::kept::{KeptStates, seal};
use crate::pattern::{FORMATS, FOUND_FORMATS, TextPattern};
use crate::plan::{Measure, column};
use crate::row_test::RowTest;
use crate::state::{Edge, State};
use crate::time_pattern::{DateText, TimePattern};

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
            Measure::ValueCounts(x()),
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

/// Reads text as a rule file.
pub fn rules(text: &str) {
    let _suite_or_problems = Suite::parse("rules.yaml", text);
}

/// Holds a text against every named format, and against another text as a pattern and as a format of dates.
pub fn formats(text: &str, pattern: &str) {
    let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let whole = FORMATS
        .iter()
        .map(|(_, format)| TextPattern::Format(*format));
    let found = FOUND_FORMATS
        .iter()
        .map(|(_, format)| TextPattern::Holds(*format));
    for test in whole.chain(found).chain(TextPattern::regex(pattern)) {
        let _tested_or_too_costly = test.test(&values);
    }
    if let Ok(format) = TimePattern::parse(pattern) {
        let _tested = DateText(vec![format]).test(&values);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const RULES: &str = "version: 1
table: silver.orders
key: [id]
parameters: { limit: 5 }
columns:
  amount: [not_null, { between: [0, 10] }, { quantile: { at: 50%, at_most: 5 } }]
  status: [{ one_of: [a, b] }, { distribution: { shares: { a: 50%, b: 50% }, at_most: 1 } }]
table_checks:
  - unique_key: [id]
  - satisfies: { condition: amount > :limit, at_least: 50%, severity: warn }
";

    proptest! {
        #[test]
        fn no_text_stops_the_reader_of_rules(text in "\\PC{0,200}") {
            super::rules(&text);
        }

        #[test]
        fn no_change_of_a_rule_file_stops_its_reader(
            from in 0..RULES.len(),
            length in 0..40_usize,
            with in "[-:{}\\[\\]%, \n\"'a-z0-9.&*|>]{0,12}",
        ) {
            let to = (from + length).min(RULES.len());
            super::rules(&format!("{}{with}{}", &RULES[..from], &RULES[to..]));
        }

        #[test]
        fn no_text_stops_a_format(text in "\\PC{0,40}", pattern in "[%a-zA-Z0-9.*+?()\\[\\]|^$ -]{0,16}") {
            super::formats(&text, &pattern);
        }

        #[test]
        fn no_number_stops_a_format(text in "[-+0-9 .@:/a-z]{0,40}") {
            super::formats(&text, "%Y-%m-%d");
        }
    }
}
