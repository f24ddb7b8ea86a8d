//! Tests of single values that run as kernels over Arrow arrays.
//!
//! A test is a function of DataFusion, so that the scan, the search for failing rows and the
//! marks of a quarantine all use the same one. Null in, null out: nulls pass.

use std::any::Any;
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericStringArray, OffsetSizeTrait, StringArrayType,
    StringViewArray,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A test of single values.
pub(crate) trait RowTest: Debug + Send + Sync + Eq + Hash + 'static {
    /// True for good values; null for null.
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray>;

    /// What the test means: its name, which gets a number when its answers change, and all that they depend on. None for
    /// a test whose answers must not be kept.
    fn meaning(&self) -> Option<Vec<String>> {
        None
    }
}

/// The test of an expression's values.
pub(crate) fn call(test: impl RowTest, argument: Expr) -> Expr {
    let function = TestFunction {
        test: Arc::new(test),
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![argument])
}

/// The test that a function is, when it is one.
pub(crate) fn of_function(function: &ScalarUDF) -> Option<&dyn AnyRowTest> {
    let function: &dyn Any = function.inner().as_ref();
    let function = function.downcast_ref::<TestFunction>()?;
    Some(function.test.as_ref())
}

/// A [`RowTest`] of some type.
pub(crate) trait AnyRowTest: Debug + Send + Sync + Any {
    fn test_values(&self, values: &ArrayRef) -> Result<BooleanArray>;

    /// See [`RowTest::meaning`].
    fn meaning(&self) -> Option<Vec<String>>;

    fn is_equal_to(&self, other: &dyn AnyRowTest) -> bool;

    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<T: RowTest> AnyRowTest for T {
    fn test_values(&self, values: &ArrayRef) -> Result<BooleanArray> {
        test_values(self, values)
    }

    fn meaning(&self) -> Option<Vec<String>> {
        RowTest::meaning(self)
    }

    fn is_equal_to(&self, other: &dyn AnyRowTest) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

#[derive(Debug)]
struct TestFunction {
    test: Arc<dyn AnyRowTest>,
    signature: Signature,
}

impl PartialEq for TestFunction {
    fn eq(&self, other: &Self) -> bool {
        self.test.is_equal_to(other.test.as_ref())
    }
}

impl Eq for TestFunction {}

impl Hash for TestFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.test.hash_into(state);
    }
}

impl ScalarUDFImpl for TestFunction {
    fn name(&self) -> &'static str {
        "lakegate_row_test"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values] = arrays.as_slice() else {
            return exec_err!("a row test takes one argument");
        };
        let tested = self.test.test_values(values)?;
        Ok(ColumnarValue::Array(Arc::new(tested)))
    }
}

/// Tests dictionaries by their distinct values.
fn test_values<T: RowTest>(test: &T, values: &ArrayRef) -> Result<BooleanArray> {
    let Some(dictionary) = values.as_any_dictionary_opt() else {
        return test.test(values);
    };
    let distinct = dictionary.values();
    if distinct.len() > values.len().saturating_mul(2) {
        let DataType::Dictionary(_, value_type) = values.data_type() else {
            return exec_err!("a dictionary array has the type {}", values.data_type());
        };
        let plain = datafusion::arrow::compute::cast(values, value_type)?;
        return test.test(&plain);
    }
    let tested = test_values(test, distinct)?;
    let taken = take(&tested, dictionary.keys(), None)?;
    Ok(taken.as_boolean().clone())
}

/// Runs a test of text over any layout of text.
pub(crate) fn test_text(values: &ArrayRef, test: impl FnMut(&str) -> bool) -> Result<BooleanArray> {
    match values.data_type() {
        DataType::Utf8 => Ok(test_each(&values.as_string::<i32>(), test)),
        DataType::LargeUtf8 => Ok(test_each(&values.as_string::<i64>(), test)),
        DataType::Utf8View => Ok(test_each(&values.as_string_view(), test)),
        DataType::Null => Ok(BooleanArray::new_null(values.len())),
        other => exec_err!("expected text, found {other}"),
    }
}

fn test_each<'a, A: StringArrayType<'a>>(
    values: &A,
    mut test: impl FnMut(&str) -> bool,
) -> BooleanArray {
    let good = match values.nulls() {
        None => BooleanBuffer::collect_bool(values.len(), |i| test(values.value(i))),
        Some(nulls) => {
            BooleanBuffer::collect_bool(values.len(), |i| nulls.is_null(i) || test(values.value(i)))
        }
    };
    BooleanArray::new(good, values.nulls().cloned())
}

/// Text that is one of a set.
#[derive(Debug, Clone)]
pub(crate) struct TextSet {
    members: HashSet<Box<str>>,
    /// The members of up to twelve bytes as a string view holds them: compared as one number.
    short: Vec<u128>,
    are_all_short: bool,
}

impl TextSet {
    pub(crate) fn new<'t>(members: impl Iterator<Item = &'t str>) -> Self {
        let members: HashSet<Box<str>> = members.map(Box::from).collect();
        let inline: Vec<&str> = members
            .iter()
            .map(AsRef::as_ref)
            .filter(|member: &&str| member.len() <= INLINE_BYTES)
            .collect();
        let are_all_short = inline.len() == members.len();
        let mut short: Vec<u128> = StringViewArray::from(inline).views().to_vec();
        short.sort_unstable();
        Self {
            members,
            short,
            are_all_short,
        }
    }

    fn sorted(&self) -> Vec<&str> {
        let mut sorted: Vec<&str> = self.members.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        sorted
    }

    fn is_short_member(&self, view: u128) -> bool {
        if self.short.len() <= FEW_MEMBERS {
            self.short.contains(&view)
        } else {
            self.short.binary_search(&view).is_ok()
        }
    }

    /// Tests texts of up to twelve bytes as the views that they would have.
    fn test_offsets<O: OffsetSizeTrait>(&self, values: &GenericStringArray<O>) -> BooleanBuffer {
        let bytes = values.value_data();
        let offsets = values.value_offsets();
        BooleanBuffer::collect_bool(values.len(), |i| {
            let (start, end) = (offsets[i].as_usize(), offsets[i + 1].as_usize());
            let length = end - start;
            if length > INLINE_BYTES {
                return !self.are_all_short && self.members.contains(values.value(i));
            }
            // The bytes after the text belong to others, and are shifted out.
            let text = match bytes.get(start..start + INLINE_BYTES) {
                Some(bytes) => {
                    let mut text = [0; 16];
                    text[4..].copy_from_slice(bytes);
                    let others = 8 * (INLINE_BYTES - length);
                    u128::from_le_bytes(text) << others >> others
                }
                None => {
                    let mut text = [0; 16];
                    text[4..4 + length].copy_from_slice(&bytes[start..end]);
                    u128::from_le_bytes(text)
                }
            };
            self.is_short_member(text | length as u128)
        })
    }

    fn test_views(&self, values: &StringViewArray) -> BooleanBuffer {
        let views = values.views();
        if self.are_all_short {
            return BooleanBuffer::collect_bool(views.len(), |i| self.is_short_member(views[i]));
        }
        BooleanBuffer::collect_bool(views.len(), |i| {
            let view = views[i];
            // The lowest 32 bits of a view are the length.
            if view as u32 as usize <= INLINE_BYTES {
                self.is_short_member(view)
            } else {
                values.is_valid(i) && self.members.contains(values.value(i))
            }
        })
    }
}

/// Bytes that a string view holds in itself. Arrow columnar format, "Variable-size Binary View Layout".
pub(crate) const INLINE_BYTES: usize = 12;

/// Up to here comparing with each is faster than searching.
const FEW_MEMBERS: usize = 16;

impl PartialEq for TextSet {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for TextSet {}

impl Hash for TextSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

impl RowTest for TextSet {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let good = match values.data_type() {
            DataType::Utf8 => self.test_offsets(values.as_string::<i32>()),
            DataType::LargeUtf8 => self.test_offsets(values.as_string::<i64>()),
            DataType::Utf8View => self.test_views(values.as_string_view()),
            // Null, or no text at all.
            _ => return test_text(values, |_| false),
        };
        Ok(BooleanArray::new(good, values.nulls().cloned()))
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let name = std::iter::once("text set");
        Some(name.chain(self.sorted()).map(str::to_owned).collect())
    }
}

/// Floating-point numbers that are one of a set.
///
/// By the equality of numbers, as limits are: a negative zero is zero, and NaN is in no set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FloatSet {
    /// As bits, so that sets can be compared.
    members: Vec<u64>,
}

impl FloatSet {
    pub(crate) fn new(members: impl Iterator<Item = f64>) -> Self {
        Self {
            members: members.map(f64::to_bits).collect(),
        }
    }
}

impl RowTest for FloatSet {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let members: Vec<f64> = self
            .members
            .iter()
            .map(|bits| f64::from_bits(*bits))
            .collect();
        match values.data_type() {
            DataType::Float64 => {
                let array = values.as_primitive::<Float64Type>();
                let good = array.values().iter().map(|value| members.contains(value));
                Ok(BooleanArray::new(good.collect(), array.nulls().cloned()))
            }
            // A member of 0.1 means the number of fewer bits that is written 0.1.
            DataType::Float32 => {
                let members: Vec<f32> = members.iter().map(|member| *member as f32).collect();
                let array = values.as_primitive::<Float32Type>();
                let good = array.values().iter().map(|value| members.contains(value));
                Ok(BooleanArray::new(good.collect(), array.nulls().cloned()))
            }
            other => exec_err!("expected a floating-point number, found {other}"),
        }
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let name = std::iter::once("float set".to_owned());
        let members = self.members.iter().map(|bits| format!("{bits:016x}"));
        Some(name.chain(members).collect())
    }
}

/// Text of a length in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TextLength {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl RowTest for TextLength {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        test_text(values, |text| {
            let bytes = text.len();
            // A character has one to four bytes: most texts need no counting.
            if bytes < self.least || bytes / 4 > self.most {
                return false;
            }
            if bytes <= self.most && bytes >= self.least.saturating_mul(4) {
                return true;
            }
            let characters = if text.is_ascii() {
                bytes
            } else {
                text.chars().count()
            };
            (self.least..=self.most).contains(&characters)
        })
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let ends = [self.least, self.most].map(|end| end.to_string());
        let name = std::iter::once("text length".to_owned());
        Some(name.chain(ends).collect())
    }
}

/// The ids of the checks whose condition is true, row by row: one argument a check.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FailedChecks {
    pub(crate) ids: Vec<String>,
    pub(crate) signature: Signature,
}

impl ScalarUDFImpl for FailedChecks {
    fn name(&self) -> &'static str {
        "lakegate_failed_checks"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Utf8, true))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        use datafusion::arrow::array::{ListBuilder, StringBuilder};

        let rows = args.number_rows;
        let arrays = args
            .args
            .into_iter()
            .map(|arg| arg.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let mut marks = Vec::with_capacity(arrays.len());
        for array in &arrays {
            match array.as_boolean_opt() {
                Some(bad) => marks.push(bad),
                None => return exec_err!("a mark is {}, not boolean", array.data_type()),
            }
        }
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            for (bad, id) in marks.iter().zip(&self.ids) {
                if bad.is_valid(row) && bad.value(row) {
                    lists.values().append_value(id);
                }
            }
            lists.append(true);
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

#[cfg(test)]
mod tests;
