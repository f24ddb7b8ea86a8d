//! The length of text, in characters (Unicode code points).

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, Int64Array, OffsetSizeTrait, StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::row_test::INLINE_BYTES;

/// The lengths of texts, as `bigint`.
///
/// DataFusion's `character_length` looks at one text after the other when they come as views; here they are looked at
/// together, which matters where each text is short.
pub(crate) fn text_length(text: Expr) -> Expr {
    let function = TextLength {
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![text])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextLength {
    signature: Signature,
}

impl ScalarUDFImpl for TextLength {
    fn name(&self) -> &'static str {
        "lakegate_text_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [texts] = arrays.as_slice() else {
            return exec_err!("the length of a text takes one argument");
        };
        Ok(ColumnarValue::Array(Arc::new(lengths(texts)?)))
    }
}

fn lengths(texts: &ArrayRef) -> Result<Int64Array> {
    Ok(match texts.data_type() {
        DataType::Utf8 => of_offsets(texts.as_string::<i32>()),
        DataType::LargeUtf8 => of_offsets(texts.as_string::<i64>()),
        DataType::Utf8View => of_views(texts.as_string_view()),
        DataType::Dictionary(_, value) => lengths(&cast(texts, value)?)?,
        DataType::Null => Int64Array::new_null(texts.len()),
        other => return exec_err!("expected text, found {other}"),
    })
}

fn of_offsets<O: OffsetSizeTrait>(texts: &GenericStringArray<O>) -> Int64Array {
    let offsets = texts.value_offsets();
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return Int64Array::from(Vec::<i64>::new());
    };
    if !texts.value_data()[first.as_usize()..last.as_usize()].is_ascii() {
        return counted(texts.iter());
    }
    let length = |ends: &[O]| (ends[1].as_usize() - ends[0].as_usize()) as i64;
    let lengths: Vec<i64> = offsets.windows(2).map(length).collect();
    Int64Array::new(lengths.into(), texts.nulls().cloned())
}

fn of_views(texts: &StringViewArray) -> Int64Array {
    if !are_ascii(texts) {
        return counted(texts.iter());
    }
    let length = |view: &u128| i64::from(*view as u32);
    let lengths: Vec<i64> = texts.views().iter().map(length).collect();
    Int64Array::new(lengths.into(), texts.nulls().cloned())
}

/// The highest bits of the bytes of a text that a view holds in itself; those behind its end are zero.
const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080_0000_0000;

/// What stands between texts is looked at with them when it is at most so many times as long: looking at many bytes at
/// once takes less time than going through short texts, also where these are picked out of a dictionary.
const MOST_LOOKED_AT: usize = 8;

/// Whether all texts are known to be ASCII: what stands between the first and the last one in a buffer is looked at with
/// them, when it is little.
fn are_ascii(texts: &StringViewArray) -> bool {
    let mut inline_bits = 0;
    let mut used = vec![Used::default(); texts.data_buffers().len()];
    // Neighboring texts mostly are in the same buffer.
    let (mut at, mut here) = (0, Used::default());
    for (row, view) in texts.views().iter().enumerate() {
        // Behind the length: the first 32 bits of the text, its buffer, and its place in it.
        let length = *view as u32 as usize;
        if length <= INLINE_BYTES {
            inline_bits |= *view;
        } else if texts.nulls().is_none_or(|nulls| nulls.is_valid(row)) {
            let (buffer, from) = ((*view >> 64) as u32, (*view >> 96) as u32);
            if buffer as usize != at {
                used[at].add(&std::mem::take(&mut here));
                at = buffer as usize;
            }
            here.add(&Used {
                first: from as usize,
                end: from as usize + length,
                bytes: length,
            });
        }
    }
    if let Some(used) = used.get_mut(at) {
        used.add(&here);
    }
    let is_ascii = |(used, buffer): (&Used, &[u8])| {
        used.bytes == 0
            || (used.end - used.first) / MOST_LOOKED_AT <= used.bytes
                && buffer[used.first..used.end].is_ascii()
    };
    let buffers = texts.data_buffers().iter().map(|buffer| buffer.as_slice());
    inline_bits & HIGH_BITS == 0 && used.iter().zip(buffers).all(is_ascii)
}

/// What texts use of a buffer.
#[derive(Debug, Clone)]
struct Used {
    first: usize,
    end: usize,
    bytes: usize,
}

impl Used {
    fn add(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.end = self.end.max(other.end);
        self.bytes += other.bytes;
    }
}

impl Default for Used {
    fn default() -> Self {
        Self {
            first: usize::MAX,
            end: 0,
            bytes: 0,
        }
    }
}

fn counted<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Int64Array {
    let length = |text: &str| text.chars().count() as i64;
    texts.map(|text| text.map(length)).collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{StringArray, UInt32Array};
    use datafusion::arrow::compute::{concat, take};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lengths_are_numbers_of_characters(
            texts in proptest::collection::vec(
                proptest::option::weighted(0.8, "[a-zä€😀]{0,4}|[a-z]{0,30}|[a-z]{140}"),
                0..20,
            ),
            is_ascii in any::<bool>(),
            from in 0usize..20,
        ) {
            let text = |text: &Option<String>| {
                let text = text.clone()?;
                Some(if is_ascii { text.replace(|c: char| !c.is_ascii(), "x") } else { text })
            };
            let texts: StringArray = texts.iter().map(text).collect();
            let from = from.min(texts.len());
            let texts: ArrayRef = Arc::new(texts);
            let wanted: Vec<Option<i64>> = texts
                .as_string::<i32>()
                .iter()
                .skip(from)
                .map(|text| text.map(|text| text.chars().count() as i64))
                .collect();
            let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
            for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
                let texts = cast(&texts, &data_type).unwrap();
                let part = texts.slice(from, texts.len() - from);
                let found: Vec<Option<i64>> = lengths(&part).unwrap().iter().collect();
                prop_assert_eq!(&found, &wanted, "{}", data_type);
            }
        }
    }

    #[test]
    fn texts_of_several_buffers_are_all_looked_at() {
        let of_buffer = |text: &str| StringViewArray::from(vec![text.repeat(7); 20]);
        let buffers = [
            of_buffer("a text"),
            of_buffer("ein Wört"),
            of_buffer("a word"),
        ];
        let buffers: Vec<&dyn Array> = buffers.iter().map(|buffer| buffer as _).collect();
        let texts = concat(&buffers).unwrap();
        assert_eq!(texts.as_string_view().data_buffers().len(), 3);
        for order in [[0, 20, 40], [0, 40, 20], [20, 0, 40]] {
            let rows = order.iter().flat_map(|first| [*first, 0, first + 1]);
            let rows: UInt32Array = rows.collect::<Vec<u32>>().into();
            let picked = take(&texts, &rows, None).unwrap();
            let characters = |text: Option<&str>| text.map(|text| text.chars().count() as i64);
            let wanted: Int64Array = picked.as_string_view().iter().map(characters).collect();
            assert_eq!(lengths(&picked).unwrap(), wanted);
        }
    }
}
