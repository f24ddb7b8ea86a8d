//! Values that Delta cannot hold, and would change without a word.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
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
type Broken = (String, &'static str);

impl Limits {
    pub(super) fn new(table: &TableName, schema: &SchemaRef, partition_by: &[String]) -> Self {
        let limited = |name: &str, data_type: &DataType| {
            let is_partition =
                is_text(data_type) && partition_by.iter().any(|p| p.eq_ignore_ascii_case(name));
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
                false => changed_value(column),
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
fn has_limits(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::UInt64 | DataType::Date64 => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_limits(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_limits(field.data_type())),
        _ => false,
    }
}

fn text_like_null(column: &dyn Array) -> Result<Option<Broken>> {
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
fn changed_value(column: &dyn Array) -> Option<Broken> {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let times = column.as_primitive::<TimestampNanosecondType>();
            let time = times.iter().flatten().find(|t| t % NANOSECONDS != 0)?;
            Some((
                format!("holds a time that is finer than a microsecond ({time} ns since 1970)"),
                "cut it in the SQL: `date_trunc('microsecond', {})`",
            ))
        }
        DataType::Date64 => {
            let dates = column.as_primitive::<Date64Type>();
            let mut dates = dates.iter().flatten();
            let date = dates.find(|date| date % MILLISECONDS_PER_DAY != 0)?;
            Some((
                format!("holds a date with a time of day ({date} ms since 1970)"),
                "choose in the SQL: `CAST({} AS timestamp)`, or `CAST({} AS date)` without the time",
            ))
        }
        DataType::UInt64 => {
            let numbers = column.as_primitive::<UInt64Type>();
            let mut numbers = numbers.iter().flatten();
            let number = numbers.find(|number| i64::try_from(*number).is_err())?;
            Some((
                format!("holds {number}, which is beyond bigint"),
                "cast it in the SQL: `CAST({} AS decimal(20, 0))`",
            ))
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            lists.iter().flatten().find_map(|list| changed_value(&list))
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            lists.iter().flatten().find_map(|list| changed_value(&list))
        }
        DataType::FixedSizeList(_, _) => {
            let lists = column.as_fixed_size_list();
            lists.iter().flatten().find_map(|list| changed_value(&list))
        }
        DataType::Map(_, _) => {
            let maps = column.as_map();
            maps.iter().flatten().find_map(|map| changed_value(&map))
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns();
            fields.iter().find_map(|field| changed_value(field))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, StringArray};
    use datafusion::arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn partition_text_that_reads_back_as_null_is_refused() {
        let schema = Schema::new(vec![Field::new("k", DataType::Utf8, true)]);
        let schema: SchemaRef = Arc::new(schema);
        let table = "silver.t".parse().unwrap();
        let check = |text: &str, partition_by: &[String]| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some(text)]));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![texts]).unwrap();
            Limits::new(&table, &schema, partition_by).check(&batch)
        };
        let by_k = ["k".to_owned()];
        for text in ["", "__HIVE_DEFAULT_PARTITION__"] {
            let error = check(text, &by_k).unwrap_err().to_string();
            assert!(error.contains("cannot tell from null"), "{error}");
            check(text, &[]).unwrap();
        }
        check("null", &by_k).unwrap();
    }
}
