//! Values that Delta cannot hold, and would change without a word.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, SchemaRef, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{DataFusionError, Result};

use crate::{CatalogError, TableName};

/// Nanoseconds in a microsecond, the finest time that Delta holds.
const NANOSECONDS: i64 = 1_000;

/// The columns of a source whose values must be looked at.
#[derive(Debug)]
pub(super) struct Limits {
    table: TableName,
    columns: Vec<(String, Limit)>,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    /// An empty text in a partition column reads back as null.
    PartitionText,
    /// Delta's timestamps are in microseconds.
    Microseconds,
    /// Delta's integers are signed.
    Signed,
}

impl Limits {
    pub(super) fn new(table: &TableName, schema: &SchemaRef, partition_by: &[String]) -> Self {
        let limit = |name: &str, data_type: &DataType| match data_type {
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Dictionary(_, _)
                if partition_by.iter().any(|p| p.eq_ignore_ascii_case(name)) =>
            {
                Some(Limit::PartitionText)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(Limit::Microseconds),
            DataType::UInt64 => Some(Limit::Signed),
            _ => None,
        };
        let columns = schema
            .fields()
            .iter()
            .filter_map(|f| Some((f.name().clone(), limit(f.name(), f.data_type())?)))
            .collect();
        Self {
            table: table.clone(),
            columns,
        }
    }

    /// Fails with the first value that Delta would change.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<()> {
        for (name, limit) in &self.columns {
            let Some(column) = batch.column_by_name(name) else {
                continue;
            };
            if let Some((what, way_out)) = limit.broken_by(column.as_ref())? {
                let message = format!("column `{name}` of the rows for `{}` {what}", self.table);
                let error = CatalogError::invalid(message, way_out.replace("{}", name));
                return Err(DataFusionError::External(Box::new(error)));
            }
        }
        Ok(())
    }
}

impl Limit {
    /// What is wrong with the first value beyond the limit, and the way out.
    fn broken_by(self, column: &dyn Array) -> Result<Option<(String, &'static str)>> {
        Ok(match self {
            Self::PartitionText => {
                let text = cast(column, &DataType::Utf8)?;
                let has_empty = text.as_string::<i32>().iter().flatten().any(str::is_empty);
                has_empty.then(|| {
                    (
                        "holds an empty text, which Delta cannot tell from null in a partition column".to_owned(),
                        "make it null in the SQL (`nullif({}, '')`), or do not partition by it",
                    )
                })
            }
            Self::Microseconds => {
                let times = column.as_primitive::<TimestampNanosecondType>();
                let finer = times.iter().flatten().find(|t| t % NANOSECONDS != 0);
                finer.map(|time| {
                    (
                        format!(
                            "holds a time that is finer than a microsecond ({time} ns since 1970)"
                        ),
                        "cut it in the SQL: `date_trunc('microsecond', {})`",
                    )
                })
            }
            Self::Signed => {
                let numbers = column.as_primitive::<UInt64Type>();
                let beyond = numbers
                    .iter()
                    .flatten()
                    .find(|n| i64::try_from(*n).is_err());
                beyond.map(|number| {
                    (
                        format!("holds {number}, which is beyond bigint"),
                        "cast it in the SQL: `CAST({} AS decimal(20, 0))`",
                    )
                })
            }
        })
    }
}
