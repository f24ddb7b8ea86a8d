//! Reads one column of text as a type.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanBuilder, PrimitiveBuilder,
    StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};

use super::{bytes, numbers, times};
use crate::schema_file::{Column, ColumnType};

/// Why a text is not a value of the type; it goes on after the value: "is not a whole number".
pub(super) type Reason = Cow<'static, str>;

/// A value that does not type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadCell {
    pub(super) row: usize,
    /// Index in the schema file.
    pub(super) column: usize,
    pub(super) reason: Reason,
}

/// The texts of one column with what the schema file says of nulls and blanks.
struct Texts<'a> {
    column: &'a Column,
    array: &'a StringArray,
}

impl<'a> Texts<'a> {
    /// The text of a row; none for null.
    fn get(&self, row: usize) -> Option<&'a str> {
        if self.array.is_null(row) {
            return None;
        }
        let text = self.array.value(row);
        let text = if self.column.trims { text.trim() } else { text };
        let is_null = self.column.null_values.iter().any(|null| null == text);
        (!is_null).then_some(text)
    }
}

/// Collects the values that do not type.
pub(super) struct Faults<'a> {
    pub(super) column: usize,
    pub(super) is_nullable: bool,
    pub(super) cells: &'a mut Vec<BadCell>,
}

impl Faults<'_> {
    fn push(&mut self, row: usize, reason: Reason) {
        self.cells.push(BadCell {
            row,
            column: self.column,
            reason,
        });
    }

    fn null(&mut self, row: usize) {
        if !self.is_nullable {
            self.push(row, "is null, and the column is not nullable".into());
        }
    }
}

/// A column that has its type already: only nulls can be wrong with it.
pub(super) fn pass(array: &ArrayRef, faults: &mut Faults<'_>) -> ArrayRef {
    if !faults.is_nullable && array.null_count() > 0 {
        for row in (0..array.len()).filter(|row| array.is_null(*row)) {
            faults.null(row);
        }
    }
    Arc::clone(array)
}

/// The column with its type; what does not type is null there and among the faults.
pub(super) fn type_column(
    column: &Column,
    array: &StringArray,
    faults: &mut Faults<'_>,
) -> ArrayRef {
    let texts = &Texts { column, array };
    match &column.column_type {
        ColumnType::Boolean {
            true_values,
            false_values,
        } => {
            let mut builder = BooleanBuilder::with_capacity(array.len());
            each(
                texts,
                faults,
                |text| {
                    let is_in =
                        |values: &[String]| values.iter().any(|v| v.eq_ignore_ascii_case(text));
                    match (is_in(true_values), is_in(false_values)) {
                        (true, _) => Ok(true),
                        (_, true) => Ok(false),
                        _ => Err("is neither true nor false".into()),
                    }
                },
                |value| builder.append_option(value),
            );
            Arc::new(builder.finish())
        }
        ColumnType::TinyInt(format) => {
            primitive::<Int8Type>(texts, faults, DataType::Int8, |text| {
                numbers::integer(text, *format, "tinyint")
            })
        }
        ColumnType::SmallInt(format) => {
            primitive::<Int16Type>(texts, faults, DataType::Int16, |text| {
                numbers::integer(text, *format, "smallint")
            })
        }
        ColumnType::Int(format) => primitive::<Int32Type>(texts, faults, DataType::Int32, |text| {
            numbers::integer(text, *format, "int")
        }),
        ColumnType::BigInt(format) => {
            primitive::<Int64Type>(texts, faults, DataType::Int64, |text| {
                numbers::integer(text, *format, "bigint")
            })
        }
        ColumnType::Float {
            format,
            allows_non_finite,
        } => primitive::<Float32Type>(texts, faults, DataType::Float32, |text| {
            numbers::float::<f32>(text, *format, *allows_non_finite, "float")
        }),
        ColumnType::Double {
            format,
            allows_non_finite,
        } => primitive::<Float64Type>(texts, faults, DataType::Float64, |text| {
            numbers::float::<f64>(text, *format, *allows_non_finite, "double")
        }),
        ColumnType::Decimal {
            format,
            precision,
            scale,
        } => primitive::<Decimal128Type>(texts, faults, column.column_type.data_type(), |text| {
            numbers::decimal(text, *format, *precision, *scale)
        }),
        ColumnType::Date { formats } => {
            primitive::<Date32Type>(texts, faults, DataType::Date32, |text| {
                Ok(date_days(times::date(text, formats)?))
            })
        }
        ColumnType::Timestamp { formats, zone } => {
            timestamps(texts, faults, |text| times::moment(text, formats, *zone))
        }
        ColumnType::TimestampNtz { formats } => {
            timestamps(texts, faults, |text| times::local(text, formats))
        }
        ColumnType::String { min, max } => strings(texts, faults, *min, *max),
        ColumnType::Binary { encoding } => {
            let mut builder = BinaryBuilder::with_capacity(array.len(), array.value_data().len());
            each(
                texts,
                faults,
                |text| bytes::decode(text, *encoding),
                |value| {
                    builder.append_option(value);
                },
            );
            Arc::new(builder.finish())
        }
    }
}

/// Reads each text; a fault is null for `append`.
fn each<'a, T>(
    texts: &Texts<'a>,
    faults: &mut Faults<'_>,
    read: impl Fn(&'a str) -> Result<T, Reason>,
    mut append: impl FnMut(Option<T>),
) {
    for row in 0..texts.array.len() {
        let Some(text) = texts.get(row) else {
            faults.null(row);
            append(None);
            continue;
        };
        match read(text) {
            Ok(value) => append(Some(value)),
            Err(reason) => {
                faults.push(row, reason);
                append(None);
            }
        }
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    texts: &Texts<'a>,
    faults: &mut Faults<'_>,
    data_type: DataType,
    read: impl Fn(&'a str) -> Result<T::Native, Reason>,
) -> ArrayRef {
    let mut builder =
        PrimitiveBuilder::<T>::with_capacity(texts.array.len()).with_data_type(data_type);
    each(texts, faults, read, |value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn timestamps<'a>(
    texts: &Texts<'a>,
    faults: &mut Faults<'_>,
    read: impl Fn(&'a str) -> Result<i64, Reason>,
) -> ArrayRef {
    let data_type = texts.column.column_type.data_type();
    primitive::<TimestampMicrosecondType>(texts, faults, data_type, read)
}

fn strings(texts: &Texts<'_>, faults: &mut Faults<'_>, min: usize, max: usize) -> ArrayRef {
    let is_bounded = min > 0 || max < usize::MAX;
    let changes_nothing = !texts.column.trims
        && !is_bounded
        && (texts.column.null_values.is_empty()
            || (0..texts.array.len())
                .all(|row| texts.array.is_null(row) || texts.get(row).is_some()));
    if changes_nothing {
        let array: ArrayRef = Arc::new(texts.array.clone());
        return pass(&array, faults);
    }
    let mut builder =
        StringBuilder::with_capacity(texts.array.len(), texts.array.value_data().len());
    let check = |text| {
        if is_bounded {
            let length = str::chars(text).count();
            if length < min {
                return Err(format!("has {length} characters, fewer than {min}").into());
            }
            if length > max {
                return Err(format!("has {length} characters, more than {max}").into());
            }
        }
        Ok(text)
    };
    each(texts, faults, check, |value| builder.append_option(value));
    Arc::new(builder.finish())
}

/// Days since 1970.
pub(super) fn date_days(date: NaiveDate) -> i32 {
    /// `NaiveDate::num_days_from_ce` of 1970-01-01.
    const EPOCH: i32 = 719_163;
    date.num_days_from_ce() - EPOCH
}

/// Text of any Arrow type that holds text, as plain UTF-8.
pub(super) fn as_strings(
    array: &ArrayRef,
) -> Result<Cow<'_, StringArray>, datafusion::error::DataFusionError> {
    if let Some(strings) = array.as_string_opt::<i32>() {
        return Ok(Cow::Borrowed(strings));
    }
    let cast = datafusion::arrow::compute::cast(array, &DataType::Utf8)?;
    Ok(Cow::Owned(cast.as_string::<i32>().clone()))
}

/// Microseconds since 1970 of a moment.
pub(super) fn micros(moment: DateTime<FixedOffset>) -> i64 {
    moment.timestamp_micros()
}

/// Microseconds since 1970, as if the time were in UTC.
pub(super) fn local_micros(local: NaiveDateTime) -> i64 {
    local.and_utc().timestamp_micros()
}
