//! Values that a cast would take for something else than they are: a number for a time, a time for a number, a time in
//! one zone for one in another.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

/// Bytes of a date as text: `2024-01-31`.
const DATE_BYTES: usize = 10;

/// The first value that is of another kind than a type's, why it is, and the way out.
pub(super) fn misfit(
    values: &ArrayRef,
    to: &DataType,
) -> Result<Option<(usize, &'static str, &'static str)>> {
    let from = values.data_type();
    let first = || (0..values.len()).find(|row| values.is_valid(*row));
    let (why, way_out) = match (Kind::of(from), Kind::of(to)) {
        (Kind::Number | Kind::Truth, Kind::Timestamp) => (
            "it is no time",
            "write `TIMESTAMP '2024-01-31 10:00:00'`, or `to_timestamp(...)` of the seconds since 1970",
        ),
        (Kind::Number | Kind::Truth, Kind::Date) => (
            "it is no date",
            "write `DATE '2024-01-31'`, or `CAST(to_timestamp(...) AS DATE)` of the seconds since 1970",
        ),
        (Kind::Number | Kind::Truth, Kind::Bytes) => (
            "it is no bytes",
            "write bytes as `X'0A1B'`, or a text as `'1'`",
        ),
        (Kind::Timestamp | Kind::Date, Kind::Number | Kind::Truth) => (
            "it is no number",
            "write `date_part('epoch', ...)` for the seconds since 1970",
        ),
        (Kind::Span, Kind::Number | Kind::Truth) => (
            "it is no number",
            "write `date_part('epoch', ...)` for its seconds",
        ),
        (Kind::Text, Kind::Timestamp) if matches!(to, DataType::Timestamp(_, None)) => {
            let texts = cast(values, &DataType::Utf8)?;
            let mut texts = texts.as_string::<i32>().iter();
            let row = texts.position(|text| text.is_some_and(has_offset));
            return Ok(row.map(|row| {
                (
                    row,
                    "it has a zone, and the column has none",
                    "leave the zone out, or write `TIMESTAMP '...'` for the time in UTC; a column that keeps it is a TIMESTAMP WITH TIME ZONE",
                )
            }));
        }
        _ => return Ok(None),
    };
    Ok(first().map(|row| (row, why, way_out)))
}

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Truth,
    Timestamp,
    Date,
    /// A difference of times, or a time of day.
    Span,
    Bytes,
    Text,
    Other,
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Truth,
            DataType::Timestamp(_, _) => Self::Timestamp,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Duration(_)
            | DataType::Interval(_)
            | DataType::Time32(_)
            | DataType::Time64(_) => Self::Span,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, value) => Self::of(value),
            data_type if data_type.is_binary() => Self::Bytes,
            data_type if data_type.is_numeric() => Self::Number,
            _ => Self::Other,
        }
    }
}

/// Whether a time as text is in another zone than UTC.
fn has_offset(text: &str) -> bool {
    let Some(time) = text.trim().get(DATE_BYTES..) else {
        return false;
    };
    let time = time.trim_start_matches(['T', 't', ' ']);
    let is_time = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ' ');
    let zone = time.trim_start_matches(is_time);
    let is_zero = zone.chars().all(|c| matches!(c, '+' | '-' | '0' | ':'));
    !is_zero
        && !["Z", "UTC"]
            .iter()
            .any(|utc| zone.eq_ignore_ascii_case(utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_found_in_texts() {
        for (text, expected) in [
            ("2024-01-31T10:00:00+02:00", true),
            ("2024-01-31 10:00:00.123456-0530", true),
            ("2024-01-31 10:00:00 -01", true),
            ("2024-01-31 10:00:00 America/New_York", true),
            ("2024-01-31T10:00:00Z", false),
            ("2024-01-31T10:00:00+00:00", false),
            ("2024-01-31t10:00:00 utc", false),
            ("2024-01-31T10:00:00.5", false),
            ("2024-01-31", false),
            ("", false),
        ] {
            assert_eq!(has_offset(text), expected, "{text}");
        }
    }
}
