//! Functions whose results may be far larger than their arguments, within bounds.
//!
//! `lpad('x', 2000000000)` and its like take memory that no pool is asked for, and memory that is not there ends the
//! process, with the queries of everybody. What a call would come to is reckoned before it is made.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, resources_datafusion_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

mod together;

pub(crate) use together::BoundedFunctions;

/// The result of one call may take this share of the memory limit.
const SHARE_OF_LIMIT: usize = 8;

/// It may always take so many bytes.
const LEAST_BOUND: usize = 64 << 20;

/// Bytes of a letter, at most. UTF-8.
const LETTER_BYTES: u64 = 4;

/// Bytes of an element of a list that is a number, a time or a reference.
const ELEMENT_BYTES: u64 = 16;

/// The functions, for an engine with this limit of memory, in bytes; and what puts them into plans that have others.
pub(crate) fn functions(memory_limit: usize) -> (Vec<Arc<ScalarUDF>>, BoundedFunctions) {
    let bound = (memory_limit / SHARE_OF_LIMIT).max(LEAST_BOUND) as u64;
    let functions = SessionStateDefaults::default_scalar_functions().into_iter();
    let growing = functions.filter_map(|inner| {
        let reckon: Reckon = match inner.name() {
            "repeat" => repeat,
            "lpad" | "rpad" => pad,
            "replace" | "regexp_replace" => replace,
            "array_repeat" => array_repeat,
            "array_resize" => array_resize,
            "array_to_string" => array_to_string,
            "range" | "generate_series" => range,
            "concat" | "concat_ws" | "array_concat" => together::together,
            _ => return None,
        };
        Some(Arc::new(ScalarUDF::new_from_impl(Bounded {
            inner: Arc::clone(inner.inner()),
            reckon,
            bound,
        })))
    });
    let functions: Vec<_> = growing.collect();
    let rule = BoundedFunctions::new(&functions, bound);
    (functions, rule)
}

/// Bytes of what a call comes to, at most.
type Reckon = fn(&Arguments<'_>) -> Result<u64>;

#[derive(Debug)]
struct Bounded {
    inner: Arc<dyn ScalarUDFImpl>,
    reckon: Reckon,
    bound: u64,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner.name() == other.inner.name() && self.bound == other.bound
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.name().hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What comes of it may be a call of a function without bounds.
        Ok(match self.inner.simplify(args, info)? {
            ExprSimplifyResult::Simplified(Expr::ScalarFunction(call))
                if call.func.name() == self.name() =>
            {
                ExprSimplifyResult::Original(call.args)
            }
            simplified => simplified,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = Arguments {
            values: &args.args,
            rows: args.number_rows,
        };
        let bytes = (self.reckon)(&arguments)?;
        if bytes > self.bound {
            return Err(resources_datafusion_err!(
                "`{}` would make up to {bytes} bytes at once, and may make {}",
                self.name(),
                self.bound
            ));
        }
        self.inner.invoke_with_args(args)
    }
}

/// The arguments of a call.
struct Arguments<'a> {
    values: &'a [ColumnarValue],
    rows: usize,
}

impl Arguments<'_> {
    /// One argument in all rows.
    fn array(&self, index: usize) -> Result<Option<ArrayRef>> {
        let value = self.values.get(index);
        value.map(|value| value.to_array(self.rows)).transpose()
    }

    /// An argument as whole numbers; 0 where it is null.
    fn numbers(&self, index: usize) -> Result<Vec<i64>> {
        let Some(array) = self.array(index)? else {
            return Ok(Vec::new());
        };
        let numbers = cast(&array, &DataType::Int64)?;
        let numbers: &Int64Array = numbers.as_primitive::<Int64Type>();
        Ok(numbers.iter().map(Option::unwrap_or_default).collect())
    }

    /// An argument as points in time.
    fn microseconds(&self, index: usize) -> Result<Vec<i64>> {
        let Some(array) = self.array(index)? else {
            return Ok(Vec::new());
        };
        let times = cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let times = cast(&times, &DataType::Int64)?;
        let times: &Int64Array = times.as_primitive::<Int64Type>();
        Ok(times.iter().map(Option::unwrap_or_default).collect())
    }

    /// An argument as durations; months have 28 days.
    fn nanoseconds(&self, index: usize) -> Result<Vec<i64>> {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
        let Some(array) = self.array(index)? else {
            return Ok(Vec::new());
        };
        let durations = cast(&array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let durations = durations.as_primitive::<IntervalMonthDayNanoType>();
        let nanoseconds = durations.iter().map(|duration| {
            let duration = duration.unwrap_or_default();
            let days = i64::from(duration.months) * 28 + i64::from(duration.days);
            days.saturating_mul(DAY)
                .saturating_add(duration.nanoseconds)
        });
        Ok(nanoseconds.collect())
    }

    /// The number of bytes of an argument's texts; 0 where it is null.
    fn lengths(&self, index: usize) -> Result<Vec<u64>> {
        let length = |text: Option<&str>| text.map_or(0, |text| text.len() as u64);
        let Some(array) = self.array(index)? else {
            return Ok(Vec::new());
        };
        Ok(match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().map(length).collect(),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().map(length).collect(),
            DataType::Utf8View => array.as_string_view().iter().map(length).collect(),
            _ => vec![0; array.len()],
        })
    }

    /// The text of an argument that is the same in all rows.
    fn constant(&self, index: usize) -> Option<&str> {
        match self.values.get(index)? {
            ColumnarValue::Scalar(value) => match value {
                ScalarValue::Utf8(text)
                | ScalarValue::LargeUtf8(text)
                | ScalarValue::Utf8View(text) => text.as_deref(),
                _ => None,
            },
            ColumnarValue::Array(_) => None,
        }
    }
}

/// Of two numbers in each row, all products together. What is too large to be told is as large as can be told.
fn products(one: &[u64], other: &[i64]) -> u64 {
    let both = one.iter().zip(other);
    both.fold(0, |sum: u64, (one, other)| {
        sum.saturating_add(one.saturating_mul(other.unsigned_abs()))
    })
}

/// Without those that are negative.
fn counts(numbers: Vec<i64>) -> Vec<i64> {
    numbers.into_iter().map(|number| number.max(0)).collect()
}

fn repeat(arguments: &Arguments<'_>) -> Result<u64> {
    let times = counts(arguments.numbers(1)?);
    Ok(products(&arguments.lengths(0)?, &times))
}

fn pad(arguments: &Arguments<'_>) -> Result<u64> {
    let letters = counts(arguments.numbers(1)?);
    Ok(products(&vec![LETTER_BYTES; letters.len()], &letters))
}

fn replace(arguments: &Arguments<'_>) -> Result<u64> {
    // The usual case, of which nothing needs to be reckoned: what comes is not longer than what goes.
    if let (Some(from), Some(to)) = (arguments.constant(1), arguments.constant(2))
        && to.len() <= from.len().min(1)
    {
        return Ok(0);
    }
    let (texts, longest) = (arguments.lengths(0)?, arguments.lengths(2)?);
    let places = texts
        .iter()
        .map(|bytes| *bytes as i64 + 1)
        .collect::<Vec<_>>();
    Ok(products(&longest, &places))
}

fn array_repeat(arguments: &Arguments<'_>) -> Result<u64> {
    let Some(element) = arguments.array(0)? else {
        return Ok(0);
    };
    let own = element.to_data().get_slice_memory_size()? as u64;
    let rows = (element.len() as u64).max(1);
    let bytes = (own / rows).max(ELEMENT_BYTES);
    let times = counts(arguments.numbers(1)?);
    Ok(products(&vec![bytes; times.len()], &times))
}

fn array_resize(arguments: &Arguments<'_>) -> Result<u64> {
    let elements = counts(arguments.numbers(1)?);
    Ok(products(&vec![ELEMENT_BYTES; elements.len()], &elements))
}

fn array_to_string(arguments: &Arguments<'_>) -> Result<u64> {
    let Some(lists) = arguments.array(0)? else {
        return Ok(0);
    };
    let elements: Vec<i64> = match lists.data_type() {
        DataType::List(_) => {
            let lengths = lists.as_list::<i32>().offsets().lengths();
            lengths.map(|length| length as i64).collect()
        }
        DataType::LargeList(_) => {
            let lengths = lists.as_list::<i64>().offsets().lengths();
            lengths.map(|length| length as i64).collect()
        }
        _ => Vec::new(),
    };
    Ok(products(&arguments.lengths(1)?, &elements))
}

fn range(arguments: &Arguments<'_>) -> Result<u64> {
    let is_whole = |value: &ColumnarValue| value.data_type().is_integer();
    let (starts, stops, steps, scale) = match arguments.values {
        [_] => {
            let starts = vec![0; arguments.rows];
            (starts, arguments.numbers(0)?, Vec::new(), 1)
        }
        [start, ..] if is_whole(start) => {
            let (starts, stops) = (arguments.numbers(0)?, arguments.numbers(1)?);
            (starts, stops, arguments.numbers(2)?, 1)
        }
        _ => {
            let (starts, stops) = (arguments.microseconds(0)?, arguments.microseconds(1)?);
            (starts, stops, arguments.nanoseconds(2)?, 1000)
        }
    };
    let each = starts.iter().zip(&stops).enumerate();
    Ok(each.fold(0, |sum: u64, (row, (start, stop))| {
        let step = steps.get(row).map_or(1, |step| step.unsigned_abs().max(1));
        let elements = u128::from(start.abs_diff(*stop)) * scale / u128::from(step);
        let bytes = elements.saturating_mul(u128::from(ELEMENT_BYTES / 2));
        sum.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
    }))
}

#[cfg(test)]
mod tests {
    use crate::ErrorKind;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn what_would_take_too_much_memory_is_refused_and_the_rest_is_as_ever() {
        let fixture = Fixture::new().await;
        for sql in [
            "SELECT repeat('x', 2000000000)",
            "SELECT length(repeat('x', 2000000000))",
            "SELECT repeat(x, 100000) FROM (SELECT repeat('y', value % 3 + 5000) AS x FROM range(1000))",
            "SELECT lpad('x', 2000000000)",
            "SELECT rpad(x, 2000000000, 'ab') FROM (VALUES ('a')) AS t(x)",
            "SELECT replace(x, 'y', x) FROM (SELECT repeat('y', 100000) AS x)",
            "SELECT regexp_replace(x, 'y', x, 'g') FROM (SELECT repeat('y', 100000) AS x)",
            "SELECT array_repeat(1, 2000000000)",
            "SELECT array_repeat(x, 100000) FROM (SELECT repeat('y', 100000) AS x)",
            "SELECT array_resize([1], 2000000000, 0)",
            "SELECT array_to_string(range(1000000), repeat('y', 1000))",
            "SELECT range(9000000000000000000)",
            "SELECT generate_series(1, 2000000000)",
            "SELECT range(TIMESTAMP '2024-01-01', TIMESTAMP '2025-01-01', INTERVAL '1 microsecond')",
            "SELECT length(concat(x, x)) FROM (SELECT repeat('y', 40000000) || random() AS x)",
            "SELECT length(concat(x, x, 'y', 'z')) FROM (SELECT repeat('y', 40000000) || random() AS x)",
            "SELECT length(concat_ws('-', x, x)) FROM (SELECT repeat('y', 40000000) || random() AS x)",
            "SELECT length(x || x) FROM (SELECT repeat('y', 40000000) || random() AS x)",
            "SELECT cardinality(array_concat(x, x)) FROM (SELECT range(5000000 + CAST(random() AS INT)) AS x)",
            "SELECT cardinality(x || x) FROM (SELECT range(5000000 + CAST(random() AS INT)) AS x)",
        ] {
            let error = fixture.answer(sql).await.expect_err(sql);
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{sql}: {error}");
            assert!(
                error.to_string().contains("would make up to"),
                "{sql}: {error}"
            );
        }
        for (sql, expected) in [
            ("SELECT repeat('ab', 3) AS x", "| ababab |"),
            ("SELECT repeat('ab', -3) AS x", "|   |"),
            ("SELECT lpad('a', 3, 'xy') AS x", "| xya |"),
            ("SELECT rpad('a', 3) || '.' AS x", "| a  . |"),
            ("SELECT replace('a.b', '.', '--') AS x", "| a--b |"),
            ("SELECT regexp_replace('a.b', '[.]', '--') AS x", "| a--b |"),
            ("SELECT array_repeat('a', 2) AS x", "| [a, a] |"),
            ("SELECT list_repeat(1, 2) AS x", "| [1, 1] |"),
            ("SELECT array_to_string([1, 2], '-') AS x", "| 1-2 |"),
            ("SELECT range(1, 7, 2) AS x", "| [1, 3, 5] |"),
            ("SELECT concat('a', NULL, 1) AS x", "| a1 |"),
            (
                "SELECT concat(x, '-', 'b', 'c') AS x FROM (VALUES ('a')) AS t(x)",
                "| a-bc |",
            ),
            (
                "SELECT concat_ws('-', x, NULL, 'b') AS x FROM (VALUES ('a')) AS t(x)",
                "| a-b |",
            ),
            ("SELECT 'a' || 1 AS x", "| a1 |"),
            (
                "SELECT x || 'b' || x AS x FROM (VALUES ('a')) AS t(x)",
                "| aba |",
            ),
            (
                "SELECT (x || 'b') IS NULL AS x FROM (VALUES (CAST(NULL AS VARCHAR))) AS t(x)",
                "| true |",
            ),
            ("SELECT [1] || [2, 3] AS x", "| [1, 2, 3] |"),
            (
                "SELECT array_concat([1], x) AS x FROM (VALUES ([2])) AS t(x)",
                "| [1, 2] |",
            ),
            (
                "SELECT x || 'b' FROM (VALUES ('a')) AS t(x)",
                "| t.x || Utf8(\"b\") |",
            ),
            ("SELECT range(5, 0, -2) AS x", "| [5, 3, 1] |"),
            (
                "SELECT cardinality(range(DATE '9000-01-01', DATE '9000-02-01', INTERVAL '1 month')) AS x",
                "| 1 |",
            ),
            (
                "SELECT cardinality(range(DATE '2024-01-01', DATE '2024-01-03', INTERVAL '1 day')) AS x",
                "| 2 |",
            ),
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(answer.contains(expected), "{sql}: {answer}");
        }
    }
}
