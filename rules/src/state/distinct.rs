//! Approximate numbers of distinct values: the HyperLogLog sketch of the `datasketches` crate.

use std::fmt;

use datafusion::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArrayType, StringArrayType,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::hll::{HllSketch, HllType, HllUnion};

use super::codec::{DecodeError, Reader, Writer, whole_sketch};
use super::registers::Registers;
use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::plan::Trouble;

/// The logarithm of the number of registers: 4,096 of a byte each.
pub(super) const LG_REGISTERS: u8 = 12;

/// A sketch that knows of more values than it has registers has become these; before, it is a list of all values.
const MOST_LISTED: f64 = 4096.0;

/// Where a sketch's bytes have that logarithm. Apache DataSketches, preamble of HLL sketches.
const LG_REGISTERS_AT: usize = 3;

/// Where they have that of the number of entries of a small sketch.
const LG_ENTRIES_AT: usize = 4;

/// A sketch of the set of values.
pub(super) struct Distinct {
    sketch: HllSketch,
    values: u64,
    /// What the sketch has seen at least, once it is no list of values.
    registers: Option<Registers>,
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distinct")
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

impl Distinct {
    pub(super) fn new() -> Result<Self, Trouble> {
        let sketch = HllSketch::new(LG_REGISTERS, HllType::Hll8);
        Ok(Self {
            sketch: sketch.map_err(|error| Trouble::new(error.to_string()))?,
            values: 0,
            registers: None,
        })
    }

    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        match input.data_type() {
            DataType::Boolean => return self.update(&cast(input, &DataType::Int8)?),
            DataType::Dictionary(_, value) => return self.update(&cast(input, value)?),
            _ => {}
        }
        self.values += (input.len() - input.logical_null_count()) as u64;
        match input.data_type() {
            DataType::Utf8 => self.take_text(&input.as_string::<i32>()),
            DataType::LargeUtf8 => self.take_text(&input.as_string::<i64>()),
            DataType::Utf8View => self.take_text(&input.as_string_view()),
            DataType::Binary => self.take_bytes(&input.as_binary::<i32>()),
            DataType::LargeBinary => self.take_bytes(&input.as_binary::<i64>()),
            DataType::BinaryView => self.take_bytes(&input.as_binary_view()),
            DataType::FixedSizeBinary(_) => self.take_bytes(&input.as_fixed_size_binary()),
            data_type if data_type.is_floating() => {
                let floats = cast(input, &DataType::Float64)?;
                // Zero of either sign is one value, and so is NaN of any bits.
                for value in floats.as_primitive::<Float64Type>().iter().flatten() {
                    self.sketch.update(canonical_float::from_f64(value));
                }
            }
            DataType::Null => {}
            data_type => match data_type.primitive_width() {
                Some(width) => self.take_primitives(input, width),
                None => {
                    return Err(Trouble::new(format!(
                        "distinct values of type {} are not supported",
                        crate::checks::sql_type(data_type)
                    )));
                }
            },
        }
        Ok(())
    }

    /// Takes in the distinct ones of so many values.
    pub(super) fn update_each(&mut self, values: u64, distinct: &ArrayRef) -> Result<(), Trouble> {
        let before = self.values;
        self.update(distinct)?;
        self.values = before + values;
        Ok(())
    }

    fn take_text<'a>(&mut self, texts: &impl StringArrayType<'a>) {
        for text in texts.iter().flatten() {
            self.sketch.update(raw_bytes::from_str(text));
        }
    }

    fn take_bytes<'a>(&mut self, values: &impl BinaryArrayType<'a>) {
        for value in values.iter().flatten() {
            self.sketch.update(raw_bytes::from_slice(value));
        }
    }

    fn take_primitives(&mut self, input: &ArrayRef, width: usize) {
        let data = input.to_data();
        let Some(buffer) = data.buffers().first() else {
            return;
        };
        let from = data.offset() * width;
        let bytes = &buffer.as_slice()[from..from + data.len() * width];
        // Bytes of a known number are hashed without a loop.
        match width {
            1 => self.take_values::<1>(&data, bytes),
            2 => self.take_values::<2>(&data, bytes),
            4 => self.take_values::<4>(&data, bytes),
            8 => self.take_values::<8>(&data, bytes),
            16 => self.take_values::<16>(&data, bytes),
            32 => self.take_values::<32>(&data, bytes),
            _ => {
                for (row, value) in bytes.chunks_exact(width).enumerate() {
                    if data.is_valid(row) {
                        self.sketch.update(raw_bytes::from_slice(value));
                    }
                }
            }
        }
    }

    fn take_values<const WIDTH: usize>(&mut self, data: &ArrayData, bytes: &[u8]) {
        let (values, _) = bytes.as_chunks::<WIDTH>();
        let nulls = data.nulls();
        let mut last = None;
        // A value that repeats adds nothing.
        let others = values.iter().enumerate().filter(|(row, value)| {
            let is_other = last != Some(*value) && nulls.is_none_or(|nulls| nulls.is_valid(*row));
            if is_other {
                last = Some(*value);
            }
            is_other
        });
        if WIDTH > 8 || self.sketch.estimate() <= MOST_LISTED {
            for (_, value) in others {
                self.sketch.update(raw_bytes::from_slice(value));
            }
            return;
        }
        let registers = self.registers.get_or_insert_with(Registers::new);
        for (_, value) in others {
            let mut number = [0; 8];
            number[..WIDTH].copy_from_slice(value);
            if registers.take(u64::from_le_bytes(number), WIDTH as u64) {
                self.sketch.update(raw_bytes::from_slice(value));
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Trouble> {
        let union = HllUnion::new(LG_REGISTERS);
        let mut union = union.map_err(|error| Trouble::new(error.to_string()))?;
        union.update(&self.sketch);
        union.update(&other.sketch);
        self.sketch = union.to_sketch(HllType::Hll8);
        self.values += other.values;
        Ok(())
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        to.bytes(&self.sketch.serialize());
    }

    /// Reads what was written into an empty state.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.values = from.count_within(rows)?;
        let bytes = from.bytes()?;
        // Its size, before anything is made of it.
        let has_size = bytes.get(LG_REGISTERS_AT) == Some(&LG_REGISTERS)
            && bytes
                .get(LG_ENTRIES_AT)
                .is_some_and(|lg| *lg <= LG_REGISTERS);
        if !has_size {
            return Err(DecodeError::Damaged("a sketch of another size"));
        }
        self.sketch = whole_sketch(|| HllSketch::deserialize(bytes))?;
        Ok(())
    }

    pub(super) fn finish(&self, rows: u64) -> Measured {
        // The estimate that does not depend on the order of the values.
        let estimate = self.sketch.composite_estimate().round();
        Measured::Value {
            rows,
            values: self.values,
            value: Some(Quantity::Number(Number::integer(estimate as i128))),
        }
    }
}

#[cfg(test)]
mod tests;
