//! Smallest and largest values.

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;

use super::codec::{DecodeError, Reader, Writer};
use super::input::Input;
use super::scalar;
use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::plan::Trouble;

/// A minimum or maximum. NaN is not ordered: one NaN makes the metric NaN.
pub(super) struct Extreme {
    accumulator: Box<dyn Accumulator>,
    values: u64,
    has_nan: bool,
}

impl Extreme {
    pub(super) fn min(data_type: &DataType) -> Result<Self, Trouble> {
        let accumulator = MinAccumulator::try_new(whole_text(data_type))?;
        Ok(Self::new(Box::new(accumulator)))
    }

    pub(super) fn max(data_type: &DataType) -> Result<Self, Trouble> {
        let accumulator = MaxAccumulator::try_new(whole_text(data_type))?;
        Ok(Self::new(Box::new(accumulator)))
    }

    fn new(accumulator: Box<dyn Accumulator>) -> Self {
        Self {
            accumulator,
            values: 0,
            has_nan: false,
        }
    }

    pub(super) fn update(&mut self, input: &Input) -> Result<(), Trouble> {
        let Some(ends) = input.ends()? else {
            return self.update_array(input.array());
        };
        let input = input.array();
        self.values += (input.len() - input.null_count()) as u64;
        Ok(self.accumulator.update_batch(&[ends])?)
    }

    fn update_array(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let values = input.len() - input.null_count();
        if values == 0 {
            return Ok(());
        }
        self.values += values as u64;
        self.has_nan |= has_nan(input)?;
        let input = match whole_text(input.data_type()) {
            data_type if data_type == input.data_type() => std::sync::Arc::clone(input),
            data_type => cast(input, data_type)?,
        };
        Ok(self.accumulator.update_batch(&[input])?)
    }

    /// Takes in the distinct ones of so many values.
    pub(super) fn update_each(&mut self, values: u64, distinct: &ArrayRef) -> Result<(), Trouble> {
        let before = self.values;
        self.update_array(distinct)?;
        self.values = before + values;
        Ok(())
    }

    /// The other state stays as it is; reading an accumulator takes it mutably.
    pub(super) fn merge(&mut self, other: &mut Self) -> Result<(), Trouble> {
        self.has_nan |= other.has_nan;
        if other.values == 0 {
            return Ok(());
        }
        self.values += other.values;
        let states = other.accumulator.state()?;
        let arrays = states
            .iter()
            .map(|state| state.to_array())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.accumulator.merge_batch(&arrays)?)
    }

    /// The state of so many values of which the outermost is known.
    pub(super) fn take(&mut self, outermost: &ScalarValue, values: u64) -> Result<(), Trouble> {
        self.update_each(values, &outermost.to_array()?)
    }

    /// Whether the value has a form to be written in.
    pub(super) fn write(&mut self, to: &mut Writer) -> Result<bool, Trouble> {
        to.u64(self.values);
        to.bool(self.has_nan);
        if self.values == 0 {
            return Ok(true);
        }
        Ok(scalar::write(&self.accumulator.evaluate()?, to).is_some())
    }

    /// Reads what was written into an empty state of the same type.
    pub(super) fn read(
        &mut self,
        from: &mut Reader<'_>,
        rows: u64,
        data_type: &DataType,
    ) -> Result<(), DecodeError> {
        let values = from.count_within(rows)?;
        let has_nan = from.bool()?;
        if values > 0 {
            let outermost = scalar::read(from, whole_text(data_type))?;
            self.take(&outermost, values)
                .map_err(|_| DecodeError::Damaged("a value that its type does not have"))?;
        }
        self.has_nan = has_nan;
        Ok(())
    }

    pub(super) fn finish(mut self, rows: u64) -> Result<Measured, Trouble> {
        let value = if self.has_nan {
            Some(Quantity::Number(Number::Float(f64::NAN)))
        } else if self.values == 0 {
            None
        } else {
            Quantity::from_scalar(&self.accumulator.evaluate()?)?
        };
        Ok(Measured::Value {
            rows,
            values: self.values,
            value,
        })
    }
}

/// The type in which values of a type are compared: text comes in more than one layout, and states of all merge.
const fn whole_text(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Utf8View => &DataType::Utf8,
        other => other,
    }
}

fn has_nan(input: &ArrayRef) -> Result<bool, Trouble> {
    Ok(match input.data_type() {
        DataType::Float16 => has_nan(&cast(input, &DataType::Float32)?)?,
        DataType::Float32 => any_value(input.as_primitive::<Float32Type>(), |v: f32| v.is_nan()),
        DataType::Float64 => any_value(input.as_primitive::<Float64Type>(), |v: f64| v.is_nan()),
        _ => false,
    })
}

fn any_value<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    test: impl Fn(T::Native) -> bool,
) -> bool {
    if array.null_count() == 0 {
        // Without an early exit the loop is vectorized, and finding one is the rare case.
        array
            .values()
            .iter()
            .fold(false, |found, v| found | test(*v))
    } else {
        array.iter().flatten().any(test)
    }
}
