//! Delta's file statistics as typed bounds that may be trusted for pruning.
//!
//! What a log says about a file is often not exact: timestamps are cut to milliseconds, decimals travel as floats,
//! strings are cut, and bounds of floats leave NaN out. Here every bound is widened until it surely holds all values
//! of the file, or dropped. Bounds are never given to the planner as exact; row counts are.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DataFusionError, ScalarValue, Statistics};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::DataFile;

/// Which end of a range is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The smallest value.
    Lower,
    /// The largest value.
    Upper,
}

/// Statistics of a list of files, one entry a file, in the list's order.
#[derive(Debug)]
pub(crate) struct FileStatistics {
    schema: SchemaRef,
    rows: UInt64Array,
    is_tight: Vec<bool>,
    columns: Vec<ColumnBounds>,
    planner: Vec<Arc<Statistics>>,
}

/// Bounds of one column in every file. A null bound is an unknown one.
#[derive(Debug)]
struct ColumnBounds {
    is_partition: bool,
    lower: ArrayRef,
    upper: ArrayRef,
    nulls: UInt64Array,
}

/// What `add.stats` holds; fields that are not read are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatistics {
    num_records: Option<u64>,
    /// Whether bounds and null counts are exact; absent means that they are. Delta Lake protocol, "Per-file Statistics".
    tight_bounds: Option<bool>,
    min_values: Map<String, Value>,
    max_values: Map<String, Value>,
    null_count: Map<String, Value>,
}

impl FileStatistics {
    /// Parses the statistics of files whose table has this schema, in the table's order of columns.
    pub(crate) fn parse(
        schema: &SchemaRef,
        partition_columns: &[String],
        files: &[DataFile],
    ) -> Result<Self, DataFusionError> {
        let raw: Vec<RawStatistics> = files
            .iter()
            .map(|file| parse_raw(file.stats.as_deref()))
            .collect();
        let rows: UInt64Array = raw.iter().map(|raw| raw.num_records).collect();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let column = if partition_columns.contains(field.name()) {
                partition_bounds(field, files, &raw)?
            } else {
                data_bounds(field, &raw)?
            };
            columns.push(column);
        }
        let mut statistics = Self {
            schema: Arc::clone(schema),
            rows,
            is_tight: raw
                .iter()
                .map(|raw| raw.tight_bounds.unwrap_or(true))
                .collect(),
            columns,
            planner: Vec::new(),
        };
        statistics.planner = (0..files.len())
            .map(|index| statistics.for_planner(index).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(statistics)
    }

    /// Rows of one file, when its statistics say so.
    pub(crate) fn row_count(&self, file: usize) -> Option<u64> {
        self.rows.is_valid(file).then(|| self.rows.value(file))
    }

    /// In how many rows of a file a column is null, when that is known exactly.
    pub(crate) fn exact_nulls(&self, file: usize, column: usize) -> Option<u64> {
        let bounds = self.columns.get(column)?;
        let nulls = bounds
            .nulls
            .is_valid(file)
            .then(|| bounds.nulls.value(file))?;
        // Some writers count the nulls inside a list as those of its column.
        let is_exact = self.is_tight[file] && !bounds.lower.data_type().is_nested();
        (bounds.is_partition || is_exact).then_some(nulls)
    }

    /// The smallest or largest value of a column in a file, when that is known exactly and there is one.
    pub(crate) fn exact_bound(
        &self,
        file: usize,
        column: usize,
        side: Side,
    ) -> Option<ScalarValue> {
        let bounds = self.columns.get(column)?;
        if bounds.is_partition {
            // A file without rows has no values, whatever its partition says.
            self.row_count(file).filter(|rows| *rows > 0)?;
        } else if !self.is_tight[file] || !has_exact_bounds(bounds.lower.data_type()) {
            return None;
        }
        let bound = match side {
            Side::Lower => &bounds.lower,
            Side::Upper => &bounds.upper,
        };
        let known = bound.is_valid(file);
        known.then(|| ScalarValue::try_from_array(bound, file).ok())?
    }

    /// Values of a partition column, one a file.
    pub(crate) fn partition_values(&self, column: usize) -> &ArrayRef {
        &self.columns[column].lower
    }

    /// What the planner may know of one file, columns in the table's order.
    pub(crate) fn planner(&self, file: usize) -> &Arc<Statistics> {
        &self.planner[file]
    }

    fn for_planner(&self, index: usize) -> Result<Statistics, DataFusionError> {
        let rows = self
            .row_count(index)
            .and_then(|rows| usize::try_from(rows).ok());
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            // A file without rows has no values, whatever its partition says.
            let exact = column.is_partition && rows.is_some_and(|rows| rows > 0);
            let bound = |array: &ArrayRef| -> Result<Precision<ScalarValue>, DataFusionError> {
                if array.is_null(index) || is_float(array.data_type()) && !column.is_partition {
                    return Ok(Precision::Absent);
                }
                let value = ScalarValue::try_from_array(array, index)?;
                Ok(if exact {
                    Precision::Exact(value)
                } else {
                    Precision::Inexact(value)
                })
            };
            let null_count = match column
                .nulls
                .is_valid(index)
                .then(|| column.nulls.value(index))
            {
                Some(nulls) if exact => {
                    Precision::Exact(usize::try_from(nulls).unwrap_or(usize::MAX))
                }
                Some(nulls) => Precision::Inexact(usize::try_from(nulls).unwrap_or(usize::MAX)),
                None => Precision::Absent,
            };
            columns.push(ColumnStatistics {
                null_count,
                min_value: bound(&column.lower)?,
                max_value: bound(&column.upper)?,
                ..ColumnStatistics::new_unknown()
            });
        }
        Ok(Statistics {
            num_rows: rows.map_or(Precision::Absent, Precision::Exact),
            // The size of a file says little of the columns that a query reads; rows say more.
            total_byte_size: Precision::Absent,
            column_statistics: columns,
        })
    }

    fn column(&self, column: &Column) -> Option<&ColumnBounds> {
        self.columns.get(self.schema.index_of(&column.name).ok()?)
    }
}

impl PruningStatistics for FileStatistics {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column)
            .filter(|bounds| bounds.is_ordered())
            .map(|bounds| Arc::clone(&bounds.lower))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column)
            .filter(|bounds| bounds.is_ordered())
            .map(|bounds| Arc::clone(&bounds.upper))
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column)
            .map(|bounds| Arc::new(bounds.nulls.clone()) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    /// For floats, of which ranges say nothing about NaN: a file whose finite range holds none of some finite values
    /// does not contain them.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let bounds = self.column(column)?;
        if bounds.is_ordered() {
            return None;
        }
        let wanted: Vec<f64> = values.iter().map(finite).collect::<Option<_>>()?;
        let range = |file: usize| -> Option<(f64, f64)> {
            Some((
                finite(&ScalarValue::try_from_array(&bounds.lower, file).ok()?)?,
                finite(&ScalarValue::try_from_array(&bounds.upper, file).ok()?)?,
            ))
        };
        let answers = (0..self.rows.len()).map(|file| {
            let (lower, upper) = range(file)?;
            let possible = wanted
                .iter()
                .any(|value| lower <= *value && *value <= upper);
            (!possible).then_some(false)
        });
        Some(answers.collect())
    }
}

impl ColumnBounds {
    /// Whether every value of the column lies between the bounds, NaN included.
    fn is_ordered(&self) -> bool {
        !is_float(self.lower.data_type()) || self.is_partition
    }
}

/// Whether the log holds values of this type as they are, and in an order that has all of them.
fn has_exact_bounds(data_type: &DataType) -> bool {
    data_type.is_integer() || *data_type == DataType::Date32
}

fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float16 | DataType::Float32 | DataType::Float64
    )
}

fn finite(value: &ScalarValue) -> Option<f64> {
    let value = match value {
        ScalarValue::Float32(value) => f64::from((*value)?),
        ScalarValue::Float64(value) => (*value)?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// Statistics that cannot be read are no statistics: the file is then read whenever it might matter.
fn parse_raw(stats: Option<&str>) -> RawStatistics {
    stats
        .and_then(|stats| serde_json::from_str(stats).ok())
        .unwrap_or_default()
}

fn data_bounds(field: &Field, raw: &[RawStatistics]) -> Result<ColumnBounds, DataFusionError> {
    let side = |side: Side| {
        let bounds: Vec<Option<ScalarValue>> = raw
            .iter()
            .map(|raw| {
                let values = match side {
                    Side::Lower => &raw.min_values,
                    Side::Upper => &raw.max_values,
                };
                bound(values.get(field.name())?, field.data_type(), side)
            })
            .collect();
        array_of(&bounds, field.data_type())
    };
    Ok(ColumnBounds {
        is_partition: false,
        lower: side(Side::Lower)?,
        upper: side(Side::Upper)?,
        nulls: raw
            .iter()
            .map(|raw| raw.null_count.get(field.name())?.as_u64())
            .collect(),
    })
}

fn partition_bounds(
    field: &Field,
    files: &[DataFile],
    raw: &[RawStatistics],
) -> Result<ColumnBounds, DataFusionError> {
    let values = files
        .iter()
        .map(|file| {
            let text = file
                .partition_values
                .get(field.name())
                .and_then(Option::as_deref);
            partition_value(text, field)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let nulls = values
        .iter()
        .zip(raw)
        .map(|(value, raw)| {
            if value.is_none() {
                raw.num_records
            } else {
                Some(0)
            }
        })
        .collect();
    let values = array_of(&values, field.data_type())?;
    Ok(ColumnBounds {
        is_partition: true,
        lower: Arc::clone(&values),
        upper: values,
        nulls,
    })
}

/// Values as an array; null where there is none.
fn array_of(
    values: &[Option<ScalarValue>],
    data_type: &DataType,
) -> Result<ArrayRef, DataFusionError> {
    if values.iter().all(Option::is_none) {
        return Ok(new_null_array(data_type, values.len()));
    }
    let null = ScalarValue::try_from(data_type)?;
    ScalarValue::iter_to_array(
        values
            .iter()
            .map(|value| value.as_ref().unwrap_or(&null).clone()),
    )
}

/// A partition value as Delta writes it, typed. Delta Lake protocol, "Partition Value Serialization": an empty string
/// is null, whatever the type.
fn partition_value(
    text: Option<&str>,
    field: &Field,
) -> Result<Option<ScalarValue>, DataFusionError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let array = ScalarValue::Utf8(Some(text.to_owned())).to_array()?;
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let typed = cast_with_options(&array, field.data_type(), &strict).map_err(|error| {
        DataFusionError::Execution(format!(
            "partition value `{text}` of column `{}` is not a {}: {error}",
            field.name(),
            field.data_type()
        ))
    })?;
    ScalarValue::try_from_array(&typed, 0).map(Some)
}

/// One bound from JSON, widened so that no value of the file lies beyond it; none when that cannot be said.
pub(crate) fn bound(value: &Value, data_type: &DataType, side: Side) -> Option<ScalarValue> {
    match data_type {
        DataType::Boolean => Some(ScalarValue::Boolean(Some(value.as_bool()?))),
        DataType::Int8 => Some(ScalarValue::Int8(Some(value.as_i64()?.try_into().ok()?))),
        DataType::Int16 => Some(ScalarValue::Int16(Some(value.as_i64()?.try_into().ok()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(value.as_i64()?.try_into().ok()?))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Float32 => {
            let wide = widen_float(value.as_f64()?, side);
            // The nearest f32 may lie on the inner side.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "widened by a step right after"
            )]
            let near = wide as f32;
            let outer = match side {
                Side::Lower => near.next_down(),
                Side::Upper => near.next_up(),
            };
            Some(ScalarValue::Float32(Some(outer)))
        }
        DataType::Float64 => Some(ScalarValue::Float64(Some(widen_float(
            value.as_f64()?,
            side,
        )))),
        DataType::Decimal128(precision, scale) => {
            let unscaled = decimal_bound(value, *precision, *scale, side)?;
            Some(ScalarValue::Decimal128(Some(unscaled), *precision, *scale))
        }
        DataType::Date32 => {
            let date = NaiveDate::parse_from_str(value.as_str()?, "%Y-%m-%d").ok()?;
            let days = date
                .signed_duration_since(DateTime::UNIX_EPOCH.date_naive())
                .num_days();
            Some(ScalarValue::Date32(Some(days.try_into().ok()?)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = timestamp_micros(value.as_str()?)?;
            let widened = match side {
                Side::Lower => micros,
                Side::Upper => micros.checked_add(MICROSECONDS_CUT)?,
            };
            Some(ScalarValue::TimestampMicrosecond(
                Some(widened),
                zone.clone(),
            ))
        }
        // A cut minimum is a prefix of the true one, hence not above it. A maximum that is the longest a writer keeps
        // was cut and then raised; one that was cut without being raised cannot be told from it by its text alone.
        DataType::Utf8 => {
            let text = value.as_str()?;
            let text = match side {
                Side::Lower => text.to_owned(),
                Side::Upper => raise_cut(text)?,
            };
            Some(ScalarValue::Utf8(Some(text)))
        }
        _ => None,
    }
}

/// The log keeps milliseconds of a timestamp: up to this many microseconds are cut. Delta Lake protocol, "Per-file Statistics".
const MICROSECONDS_CUT: i64 = 999;

/// The shortest length at which a known writer cuts strings: Spark's `delta.dataSkippingStringPrefixLength` is 32
/// characters by default; delta-rs cuts at 64 bytes.
const SHORTEST_CUT: usize = 32;

/// Steps of a float by which a reader or writer of JSON text may be off.
const FLOAT_STEPS: u32 = 4;

/// Makes a maximum hold also strings of which it is a mere prefix.
fn raise_cut(text: &str) -> Option<String> {
    if text.chars().count() < SHORTEST_CUT {
        return Some(text.to_owned());
    }
    // Any string that starts with `text` is below `text` with its last character raised.
    let mut characters: Vec<char> = text.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = ((last as u32 + 1)..=(char::MAX as u32)).find_map(char::from_u32) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn widen_float(value: f64, side: Side) -> f64 {
    (0..FLOAT_STEPS).fold(value, |value, _| match side {
        Side::Lower => value.next_down(),
        Side::Upper => value.next_up(),
    })
}

fn decimal_bound(value: &Value, precision: u8, scale: i8, side: Side) -> Option<i128> {
    let widened = match value.as_f64() {
        // Writers put decimals through a 64 bit integer when the scale is 0; at its ends it has been cut.
        #[expect(
            clippy::cast_precision_loss,
            reason = "the limit itself need not be exact"
        )]
        Some(number) if number.abs() >= i64::MAX as f64 => return None,
        Some(number) => widen_float(number, side),
        None => widen_float(value.as_str()?.parse().ok()?, side),
    };
    let scaled = widen_float(widened * 10f64.powi(scale.into()), side);
    let whole = match side {
        Side::Lower => scaled.floor(),
        Side::Upper => scaled.ceil(),
    };
    if !whole.is_finite() || whole.abs() >= 1e38 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and within 38 digits"
    )]
    let unscaled = whole as i128;
    let limit = 10i128.checked_pow(precision.into())? - 1;
    Some(unscaled.clamp(-limit, limit))
}

fn timestamp_micros(text: &str) -> Option<i64> {
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(zoned.timestamp_micros());
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.fZ",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    .map(|plain| plain.and_utc().timestamp_micros())
}

/// The columns of a schema, some of them, as a schema.
pub(crate) fn project(schema: &Schema, columns: &[usize]) -> Result<SchemaRef, DataFusionError> {
    Ok(Arc::new(schema.project(columns)?))
}

#[cfg(test)]
mod tests;
