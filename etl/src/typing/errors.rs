//! The column `_errors`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StringArray, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::DataFusionError;

use super::values::BadCell;

/// Name of the column with what does not type in a row.
pub const ERRORS_COLUMN: &str = "_errors";

/// `List<Struct{column, value, reason}>`, never null.
pub(super) fn field() -> Field {
    Field::new(ERRORS_COLUMN, DataType::List(item()), false)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(item_fields()), true))
}

fn item_fields() -> Fields {
    Fields::from(vec![
        Field::new("column", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, true),
    ])
}

/// The column for `rows` rows; `cells` are in the order of their rows, with their texts in `values`.
pub(super) fn array<'a>(
    rows: usize,
    cells: &[BadCell],
    name: impl Fn(&BadCell) -> &'a str,
    values: Vec<Option<String>>,
) -> Result<ArrayRef, DataFusionError> {
    let names = StringArray::from_iter_values(cells.iter().map(&name));
    let reasons = StringArray::from_iter_values(cells.iter().map(|cell| cell.reason.as_ref()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(names),
        Arc::new(StringArray::from(values)),
        Arc::new(reasons),
    ];
    let structs = StructArray::try_new(item_fields(), columns, None)?;
    let mut cells = cells.iter().peekable();
    let lengths = (0..rows).map(|row| {
        let mut length = 0;
        while cells.next_if(|cell| cell.row == row).is_some() {
            length += 1;
        }
        length
    });
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let list = ListArray::try_new(item(), offsets, Arc::new(structs), None)?;
    Ok(Arc::new(list))
}
