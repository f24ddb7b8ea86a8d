//! How often each value occurs, while there are few distinct ones.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Int64Type, UInt64Type,
};
use datafusion::common::ScalarValue;
use hashbrown::HashMap;

use super::codec::{DecodeError, Reader, Writer};
use super::scalar;
use crate::plan::{Trouble, plain_type};
use crate::value_groups::ValueGroups;

/// With more distinct values than these, nothing is told of them.
pub(crate) const MOST_VALUES: usize = 256;

/// The same for the bytes of all distinct texts together.
pub(crate) const MOST_TEXT_BYTES: usize = 1 << 12;

/// The rows of each value.
///
/// Whether there are too many values depends on all of them together, so that it makes no difference in which parts and
/// order they come.
pub(super) struct ValueCounts {
    data_type: DataType,
    counted: Counted,
}

enum Counted {
    Few {
        nulls: u64,
        values: Values,
    },
    /// More than are counted. What else comes makes no difference.
    TooMany,
}

enum Values {
    /// By the numbers that stand for them.
    Whole(HashMap<i128, u64>),
    Text {
        rows: HashMap<String, u64>,
        bytes: usize,
    },
}

impl fmt::Debug for ValueCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueCounts")
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

/// Whether values of a type are counted: those of which equal ones have the same digits or bytes.
pub(crate) fn is_counted(data_type: &DataType) -> bool {
    match plain_type(data_type) {
        DataType::Boolean
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(_, _)
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => true,
        other => other.is_integer(),
    }
}

impl Values {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text {
                rows: HashMap::new(),
                bytes: 0,
            },
            _ => Self::Whole(HashMap::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Whole(rows) => rows.len(),
            Self::Text { rows, .. } => rows.len(),
        }
    }

    fn is_too_many(&self) -> bool {
        let has_long_texts = matches!(self, Self::Text { bytes, .. } if *bytes > MOST_TEXT_BYTES);
        has_long_texts || self.len() > MOST_VALUES
    }

    fn take_text(&mut self, text: &str, times: u64) -> Result<(), Trouble> {
        let Self::Text { rows, bytes } = self else {
            return Err(of_another_type());
        };
        if text.len() > MOST_TEXT_BYTES {
            // Too much by itself: it need not be copied.
            *bytes = text.len();
            return Ok(());
        }
        let rows = rows.entry_ref(text).or_insert_with(|| {
            *bytes += text.len();
            0
        });
        *rows += times;
        Ok(())
    }

    fn take_whole(&mut self, number: i128, times: u64) -> Result<(), Trouble> {
        let Self::Whole(rows) = self else {
            return Err(of_another_type());
        };
        *rows.entry(number).or_insert(0) += times;
        Ok(())
    }
}

fn of_another_type() -> Trouble {
    Trouble::new("bug: a value of another type was to be counted")
}

impl Counted {
    /// Takes in texts and nulls, each so many times.
    fn take_texts<'t>(
        &mut self,
        texts: impl Iterator<Item = (Option<&'t str>, u64)>,
    ) -> Result<(), Trouble> {
        self.take(texts, Values::take_text)
    }

    /// Takes in numbers that stand for values, and nulls, each so many times.
    fn take_numbers(
        &mut self,
        numbers: impl Iterator<Item = (Option<i128>, u64)>,
    ) -> Result<(), Trouble> {
        self.take(numbers, Values::take_whole)
    }

    fn take<T: Copy + PartialEq>(
        &mut self,
        rows: impl Iterator<Item = (Option<T>, u64)>,
        take: impl Fn(&mut Values, T, u64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let Self::Few { nulls, values } = self else {
            return Ok(());
        };
        // Equal values are often neighbours.
        let mut run: Option<(T, u64)> = None;
        for (value, times) in rows {
            match (value, &mut run) {
                (None, _) => *nulls += times,
                (Some(value), Some((same, all))) if *same == value => *all += times,
                (Some(value), _) => {
                    if let Some((value, times)) = run.replace((value, times)) {
                        take(values, value, times)?;
                        if values.is_too_many() {
                            break;
                        }
                    }
                }
            }
        }
        if let Some((value, times)) = run {
            take(values, value, times)?;
        }
        if values.is_too_many() {
            *self = Self::TooMany;
        }
        Ok(())
    }
}

impl ValueCounts {
    pub(super) fn new(data_type: &DataType) -> Result<Self, Trouble> {
        if !is_counted(data_type) {
            return Err(Trouble::new(format!(
                "values of type {} are not counted",
                crate::checks::sql_type(data_type)
            )));
        }
        Ok(Self {
            data_type: data_type.clone(),
            counted: Counted::Few {
                nulls: 0,
                values: Values::of(data_type),
            },
        })
    }

    /// Whether more rows make no difference.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.counted, Counted::TooMany)
    }

    /// Takes in values without dictionary, nulls among them.
    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        self.update_times(input, std::iter::repeat(1))
    }

    /// Takes in values, each so many times.
    pub(super) fn update_each(&mut self, times: &[u64], input: &ArrayRef) -> Result<(), Trouble> {
        self.update_times(input, times.iter().copied())
    }

    fn update_times(
        &mut self,
        input: &ArrayRef,
        times: impl Iterator<Item = u64>,
    ) -> Result<(), Trouble> {
        let counted = &mut self.counted;
        match input.data_type() {
            DataType::Utf8 => counted.take_texts(input.as_string::<i32>().iter().zip(times)),
            DataType::LargeUtf8 => counted.take_texts(input.as_string::<i64>().iter().zip(times)),
            DataType::Utf8View => counted.take_texts(input.as_string_view().iter().zip(times)),
            DataType::UInt64 => {
                let numbers = input.as_primitive::<UInt64Type>().iter();
                counted.take_numbers(numbers.map(|value| value.map(i128::from)).zip(times))
            }
            DataType::Decimal32(_, _) => {
                let digits = input.as_primitive::<Decimal32Type>().iter();
                counted.take_numbers(digits.map(|value| value.map(i128::from)).zip(times))
            }
            DataType::Decimal64(_, _) => {
                let digits = input.as_primitive::<Decimal64Type>().iter();
                counted.take_numbers(digits.map(|value| value.map(i128::from)).zip(times))
            }
            DataType::Decimal128(_, _) => {
                let digits = input.as_primitive::<Decimal128Type>().iter();
                counted.take_numbers(digits.zip(times))
            }
            _ => {
                let whole = cast(input, &DataType::Int64)?;
                let numbers = whole.as_primitive::<Int64Type>().iter();
                counted.take_numbers(numbers.map(|value| value.map(i128::from)).zip(times))
            }
        }
    }

    /// The only value of rows without null, so many times, or nothing but nulls.
    pub(super) fn take_only(
        &mut self,
        nulls: u64,
        only: Option<(&ScalarValue, u64)>,
    ) -> Result<(), Trouble> {
        let nulls = (nulls > 0).then_some((ScalarValue::try_from(&self.data_type)?, nulls));
        let only = only.map(|(value, times)| (value.clone(), times));
        for (value, times) in nulls.into_iter().chain(only) {
            let value = value.cast_to(&self.data_type)?.to_array()?;
            self.update_each(&[times], &value)?;
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Trouble> {
        let Counted::Few { nulls, values } = &mut self.counted else {
            return Ok(());
        };
        let Counted::Few {
            nulls: more,
            values: others,
        } = &other.counted
        else {
            self.counted = Counted::TooMany;
            return Ok(());
        };
        *nulls += more;
        match others {
            Values::Whole(rows) => rows
                .iter()
                .try_for_each(|(number, times)| values.take_whole(*number, *times))?,
            Values::Text { rows, .. } => rows
                .iter()
                .try_for_each(|(text, times)| values.take_text(text, *times))?,
        }
        if values.is_too_many() {
            self.counted = Counted::TooMany;
        }
        Ok(())
    }

    pub(super) fn write(&self, to: &mut Writer) -> Result<(), Trouble> {
        let Counted::Few { nulls, .. } = &self.counted else {
            to.bool(false);
            return Ok(());
        };
        to.bool(true);
        to.u64(*nulls);
        let values = self.sorted()?;
        to.u64(values.len() as u64);
        for (value, rows) in values {
            if scalar::write(&value, to).is_none() {
                return Err(of_another_type());
            }
            to.u64(rows);
        }
        Ok(())
    }

    /// Reads what was written into an empty state.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        if !from.bool()? {
            self.counted = Counted::TooMany;
            return Ok(());
        }
        let nulls = from.count_within(rows)?;
        let mut values = Values::of(&self.data_type);
        let mut left = rows - nulls;
        let count = from.u64()?;
        for distinct in 1..=count {
            let value = scalar::read(from, &self.data_type)?;
            let times = match from.count_within(left)? {
                0 => return Err(DecodeError::Damaged("a value that does not occur")),
                times => times,
            };
            left -= times;
            let taken = match (value.try_as_str(), scalar::ticks(&value)) {
                (Some(Some(text)), _) => values.take_text(text, times),
                (_, Some(number)) => values.take_whole(number, times),
                _ => Err(of_another_type()),
            };
            if taken.is_err() {
                return Err(DecodeError::Damaged("a value that is not counted"));
            }
            if values.is_too_many() || values.len() as u64 != distinct {
                return Err(DecodeError::Damaged("too many values, or one twice"));
            }
        }
        if left > 0 {
            return Err(DecodeError::Damaged("rows without a value"));
        }
        self.counted = Counted::Few { nulls, values };
        Ok(())
    }

    /// The values in their order, each with its rows.
    fn sorted(&self) -> Result<Vec<(ScalarValue, u64)>, Trouble> {
        let whole = |number: &i128| scalar::of_ticks(*number, &self.data_type);
        let text = |text: &String| scalar::of_text(text, &self.data_type);
        let sorted: Option<Vec<_>> = match &self.counted {
            Counted::TooMany => Some(Vec::new()),
            Counted::Few { values, .. } => match values {
                Values::Whole(rows) => in_order(rows, whole),
                Values::Text { rows, .. } => in_order(rows, text),
            },
        };
        sorted.ok_or_else(of_another_type)
    }

    /// The values in their order, null first, each with its rows; none when there are too many of them.
    pub(super) fn finish(&self) -> Result<Option<ValueGroups>, Trouble> {
        let Counted::Few { nulls, .. } = &self.counted else {
            return Ok(None);
        };
        let null = match *nulls {
            0 => None,
            nulls => Some((ScalarValue::try_from(&self.data_type)?, nulls)),
        };
        let groups = null.into_iter().chain(self.sorted()?);
        Ok(Some(ValueGroups::new(&self.data_type, groups)?))
    }
}

/// The rows of each value in the order of values; none when one has no form.
fn in_order<T: Ord>(
    rows: &HashMap<T, u64>,
    form: impl Fn(&T) -> Option<ScalarValue>,
) -> Option<Vec<(ScalarValue, u64)>> {
    let sorted: BTreeMap<_, _> = rows.iter().collect();
    let with_form = |(value, rows): (&T, &u64)| Some((form(value)?, *rows));
    sorted.into_iter().map(with_form).collect()
}
