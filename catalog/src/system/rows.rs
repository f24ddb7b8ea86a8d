//! Columns of the system tables, and JSON rows as Arrow batches of them.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value};

use super::SystemTable;
use crate::CatalogError;

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Number,
    Time,
}

use Kind::{Integer, Number, Text, Time};

fn columns(table: SystemTable) -> &'static [(&'static str, Kind)] {
    match table {
        SystemTable::Runs => &[
            ("run", Text),
            ("pipeline", Text),
            ("project", Text),
            ("started_at", Time),
            ("finished_at", Time),
            ("outcome", Text),
            ("parameters", Text),
            ("stages", Integer),
            ("elapsed_ms", Integer),
            ("error", Text),
        ],
        SystemTable::Stages => &[
            ("run", Text),
            ("pipeline", Text),
            ("stage", Text),
            ("kind", Text),
            ("outcome", Text),
            ("rows", Integer),
            ("bad_rows", Integer),
            ("table_name", Text),
            ("version", Integer),
            ("started_at", Time),
            ("elapsed_ms", Integer),
            ("error", Text),
            ("quarantined", Integer),
            ("dropped", Integer),
        ],
        SystemTable::CheckResults => &[
            ("run", Text),
            ("stage", Text),
            ("table_name", Text),
            ("version", Integer),
            ("rules_file", Text),
            ("rules_sha256", Text),
            ("judged_at", Time),
            ("check_id", Text),
            ("kind", Text),
            ("column_name", Text),
            ("severity", Text),
            ("scope", Text),
            ("verdict", Text),
            ("metric", Number),
            ("observed", Text),
            ("expected", Text),
            ("rows", Integer),
            ("bad_rows", Integer),
            ("message", Text),
            ("waived_by", Text),
            ("elapsed_ms", Integer),
        ],
        SystemTable::Samples => &[
            ("run", Text),
            ("stage", Text),
            ("table_name", Text),
            ("version", Integer),
            ("judged_at", Time),
            ("check_id", Text),
            ("sample", Integer),
            ("key", Text),
        ],
        SystemTable::Queries => &[
            ("query_id", Text),
            ("principal", Text),
            ("door", Text),
            ("route", Text),
            ("sql", Text),
            ("state", Text),
            ("submitted_at", Time),
            ("finished_at", Time),
            ("queued_ms", Integer),
            ("elapsed_ms", Integer),
            ("rows", Integer),
            ("bytes_scanned", Integer),
            ("error", Text),
        ],
        SystemTable::Audit => &[
            ("at", Time),
            ("principal", Text),
            ("door", Text),
            ("peer", Text),
            ("action", Text),
            ("object", Text),
        ],
    }
}

/// The columns of a table.
pub(super) fn schema(table: SystemTable) -> SchemaRef {
    let fields: Vec<Field> = columns(table)
        .iter()
        .map(|(name, kind)| {
            let data_type = match kind {
                Text => DataType::Utf8,
                Integer => DataType::Int64,
                Number => DataType::Float64,
                Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            };
            Field::new(*name, data_type, true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Rows of a table. An object or list in a text column is kept as JSON text.
pub(super) fn to_batch(table: SystemTable, rows: &[Value]) -> Result<RecordBatch, CatalogError> {
    let columns = columns(table);
    let mut objects: Vec<&Map<String, Value>> = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(object) = row.as_object() else {
            return Err(CatalogError::Bug(format!(
                "a row for `{}` is not an object: {row}",
                table.name()
            )));
        };
        if let Some(unknown) = object
            .keys()
            .find(|key| !columns.iter().any(|(name, _)| name == key))
        {
            return Err(CatalogError::Bug(format!(
                "`{}` has no column `{unknown}`",
                table.name()
            )));
        }
        objects.push(object);
    }
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (name, kind) in columns {
        let wrong = |value: &Value| {
            CatalogError::Bug(format!(
                "{value} does not fit column `{name}` of `{}`",
                table.name()
            ))
        };
        let values = objects
            .iter()
            .map(|object| object.get(*name).filter(|value| !value.is_null()));
        arrays.push(match kind {
            Text => Arc::new(values.map(|value| value.map(text)).collect::<StringArray>()),
            Integer => Arc::new(
                typed(values, Value::as_i64, wrong)?
                    .into_iter()
                    .collect::<Int64Array>(),
            ),
            Number => Arc::new(
                typed(values, Value::as_f64, wrong)?
                    .into_iter()
                    .collect::<Float64Array>(),
            ),
            Time => {
                let micros = typed(values, time, wrong)?;
                Arc::new(
                    micros
                        .into_iter()
                        .collect::<TimestampMicrosecondArray>()
                        .with_timezone("UTC"),
                )
            }
        });
    }
    RecordBatch::try_new(schema(table), arrays).map_err(|error| {
        CatalogError::failed(
            format!("cannot put the rows of `{}` together", table.name()),
            error,
        )
    })
}

fn typed<'a, T>(
    values: impl Iterator<Item = Option<&'a Value>>,
    read: impl Fn(&Value) -> Option<T>,
    wrong: impl Fn(&Value) -> CatalogError,
) -> Result<Vec<Option<T>>, CatalogError> {
    values
        .map(|value| match value {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| wrong(value)),
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn time(value: &Value) -> Option<i64> {
    DateTime::parse_from_rfc3339(value.as_str()?)
        .ok()
        .map(|time| time.timestamp_micros())
}
