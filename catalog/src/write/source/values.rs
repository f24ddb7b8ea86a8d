//! Values that Delta cannot hold, and would change without a word.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date64Type, SchemaRef, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{DataFusionError, Result};

use crate::{CatalogError, TableName};

/// The folder of the rows whose partition value is null, as Hive names it.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Nanoseconds in a microsecond, the finest time that Delta holds.
const NANOSECONDS: i64 = 1_000;

/// Milliseconds in a day, the finest date that Delta holds.
const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1_000;

/// The columns of a source whose values must be looked at.
#[derive(Debug)]
pub(super) struct Limits {
    table: TableName,
    columns: Vec<Limited>,
}

#[derive(Debug)]
struct Limited {
    name: String,
    /// Some texts in a partition column read back as null.
    is_partition: bool,
}

/// What is wrong with a value, and the way out, in which `{}` stands for the column.
pub(in crate::write) type Broken = (String, &'static str);

impl Limits {
    /// No column is looked at.
    pub(super) fn none(table: &TableName) -> Self {
        Self {
            table: table.clone(),
            columns: Vec::new(),
        }
    }

    pub(super) fn new(table: &TableName, schema: &SchemaRef, partition_by: &[String]) -> Self {
        let limited = |name: &str, data_type: &DataType| {
            // As columns are fitted to those of the table: by name, whatever its case.
            let lower = name.to_lowercase();
            let is_partition =
                is_text(data_type) && partition_by.iter().any(|p| p.to_lowercase() == lower);
            (is_partition || has_limits(data_type)).then(|| Limited {
                name: name.to_owned(),
                is_partition,
            })
        };
        let fields = schema.fields().iter();
        Self {
            table: table.clone(),
            columns: fields
                .filter_map(|field| limited(field.name(), field.data_type()))
                .collect(),
        }
    }

    /// Fails with the first value that Delta would change.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<()> {
        for Limited { name, is_partition } in &self.columns {
            let Some(column) = batch.column_by_name(name) else {
                continue;
            };
            let broken = match is_partition {
                true => text_like_null(column)?,
                false => changed_value(column)?,
            };
            if let Some((what, way_out)) = broken {
                let message = format!("column `{name}` of the rows for `{}` {what}", self.table);
                let way_out = match column.data_type().is_nested() {
                    true => "make its values anew in the SQL, with types that Delta has",
                    false => way_out,
                };
                let error = CatalogError::invalid(message, way_out.replace("{}", name));
                return Err(DataFusionError::External(Box::new(error)));
            }
        }
        Ok(())
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _)
    )
}

/// Whether Delta would change some values of a type.
pub(in crate::write) fn has_limits(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::UInt64 | DataType::Date64 => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_limits(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_limits(field.data_type())),
        DataType::Dictionary(_, value) => has_limits(value),
        _ => false,
    }
}

pub(in crate::write) fn text_like_null(column: &dyn Array) -> Result<Option<Broken>> {
    let text = cast(column, &DataType::Utf8)?;
    let mut texts = text.as_string::<i32>().iter().flatten();
    let found = texts.find(|text| text.is_empty() || *text == NULL_PARTITION);
    Ok(found.map(|text| {
        let what = match text {
            "" => "an empty text".to_owned(),
            text => format!("the text `{text}`"),
        };
        (
            format!("holds {what}, which Delta cannot tell from null in a partition column"),
            "make it null in the SQL (`nullif({}, '...')`), or do not partition by it",
        )
    }))
}

/// What is wrong with the first value that Delta would change, at any depth.
fn changed_value(column: &dyn Array) -> Result<Option<Broken>> {
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let times = column.as_primitive::<TimestampNanosecondType>();
            let time = times.iter().flatten().find(|t| t % NANOSECONDS != 0);
            time.map(|time| {
                (
                    format!("holds a time that is finer than a microsecond ({time} ns since 1970)"),
                    "cut it in the SQL: `date_trunc('microsecond', {})`",
                )
            })
        }
        DataType::Date64 => {
            let dates = column.as_primitive::<Date64Type>();
            let mut dates = dates.iter().flatten();
            let date = dates.find(|date| date % MILLISECONDS_PER_DAY != 0);
            date.map(|date| {
                (
                    format!("holds a date with a time of day ({date} ms since 1970)"),
                    "choose in the SQL: `CAST({} AS timestamp)`, or `CAST({} AS date)` without the time",
                )
            })
        }
        DataType::UInt64 => {
            let numbers = column.as_primitive::<UInt64Type>();
            let mut numbers = numbers.iter().flatten();
            let number = numbers.find(|number| i64::try_from(*number).is_err());
            number.map(|number| {
                (
                    format!("holds {number}, which is beyond bigint"),
                    "cast it in the SQL: `CAST({} AS decimal(20, 0))`",
                )
            })
        }
        DataType::List(_) => first_changed(column.as_list::<i32>().iter().flatten())?,
        DataType::LargeList(_) => first_changed(column.as_list::<i64>().iter().flatten())?,
        DataType::FixedSizeList(_, _) => {
            first_changed(column.as_fixed_size_list().iter().flatten())?
        }
        DataType::Map(_, _) => {
            let maps = column.as_map().iter().flatten();
            first_changed(maps.map(|map| Arc::new(map) as ArrayRef))?
        }
        DataType::Struct(_) => first_changed(column.as_struct().columns().iter().cloned())?,
        // A dictionary may hold values that no row has.
        DataType::Dictionary(_, value) => changed_value(&cast(column, value)?)?,
        _ => None,
    })
}

fn first_changed(mut columns: impl Iterator<Item = ArrayRef>) -> Result<Option<Broken>> {
    columns
        .find_map(|column| changed_value(&column).transpose())
        .transpose()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        DictionaryArray, FixedSizeListArray, Int32Array, LargeListArray, ListArray, MapArray,
        StringArray, StructArray, TimestampNanosecondArray, UInt64Array,
    };
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;

    /// What is wrong with a column `c`.
    fn broken(column: ArrayRef, partition_by: &[&str]) -> Option<String> {
        let table = "silver.things".parse().unwrap();
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let partition_by: Vec<String> = partition_by.iter().map(ToString::to_string).collect();
        let limits = Limits::new(&table, &batch.schema(), &partition_by);
        limits.check(&batch).err().map(|error| error.to_string())
    }

    /// Every column that holds these two values at some depth.
    fn holding(values: &ArrayRef) -> Vec<ArrayRef> {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["k", "l"]));
        let entries = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", values.data_type().clone(), true),
        ]);
        let entry = Arc::new(Field::new(
            "entries",
            DataType::Struct(entries.clone()),
            false,
        ));
        let entries = StructArray::new(entries, vec![keys, Arc::clone(values)], None);
        let both = OffsetBuffer::from_lengths([2]);
        let list = ListArray::new(Arc::clone(&item), both.clone(), Arc::clone(values), None);
        let fields = Fields::from(vec![Field::new("l", list.data_type().clone(), true)]);
        vec![
            Arc::clone(values),
            Arc::new(LargeListArray::new(
                Arc::clone(&item),
                OffsetBuffer::from_lengths([2]),
                Arc::clone(values),
                None,
            )),
            Arc::new(FixedSizeListArray::new(item, 2, Arc::clone(values), None)),
            Arc::new(MapArray::new(entry, both, entries, None, false)),
            Arc::new(StructArray::new(fields, vec![Arc::new(list)], None)),
            Arc::new(DictionaryArray::new(
                Int32Array::from(vec![1, 0]),
                Arc::clone(values),
            )),
        ]
    }

    #[test]
    fn values_that_delta_would_change_are_found_at_any_depth() {
        let time =
            |last: i64| -> ArrayRef { Arc::new(TimestampNanosecondArray::from(vec![1_000, last])) };
        let number = |last: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![1, last])) };
        let limit = i64::MAX.unsigned_abs();
        for (good, bad, message) in [
            (
                time(2_000),
                time(2_001),
                "finer than a microsecond (2001 ns",
            ),
            (number(limit), number(limit + 1), "beyond bigint"),
        ] {
            for column in holding(&good) {
                assert_eq!(broken(Arc::clone(&column), &[]), None, "{column:?}");
            }
            for column in holding(&bad) {
                let data_type = column.data_type().clone();
                let found = broken(column, &[]).unwrap_or_default();
                assert!(found.contains(message), "{data_type}: {found}");
            }
        }
    }

    #[test]
    fn value_of_a_dictionary_that_no_row_has_is_not_looked_at() {
        let values = Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_001]));
        let column = DictionaryArray::new(Int32Array::from(vec![Some(0), None]), values);
        assert_eq!(broken(Arc::new(column), &[]), None);
    }

    #[test]
    fn empty_text_is_refused_in_partition_columns_alone() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", ""]));
        let dictionary = DictionaryArray::new(Int32Array::from(vec![0, 1]), Arc::clone(&text));
        for column in [text, Arc::new(dictionary)] {
            assert_eq!(broken(Arc::clone(&column), &["d"]), None);
            for partition_column in ["c", "C"] {
                let found = broken(Arc::clone(&column), &[partition_column]).unwrap_or_default();
                assert!(found.contains("holds an empty text"), "{found}");
            }
        }
    }

    #[test]
    fn text_that_names_the_folder_of_null_is_refused_in_partition_columns_alone() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", NULL_PARTITION]));
        assert_eq!(broken(Arc::clone(&text), &["d"]), None);
        let found = broken(text, &["c"]).unwrap_or_default();
        assert!(found.contains("cannot tell from null"), "{found}");
    }
}
