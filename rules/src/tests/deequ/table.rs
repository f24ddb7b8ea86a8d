//! The rows of a case.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::TableProvider;
use serde_json::Value;

use super::case::Case;
use crate::tests::provider;

/// A column with the number of the row, from 0, for cases about rows.
pub(super) const ROW: &str = "row number";

/// The table of a case, in as many partitions as the case has; none when its form is another one.
pub(super) fn of(case: &Case) -> Option<Arc<dyn TableProvider>> {
    let parts = match case.table["partitions"].as_array() {
        Some(parts) => parts.clone(),
        None => vec![case.table.clone()],
    };
    let mut batches = Vec::new();
    for part in &parts {
        let mut batch = batch(part)?;
        if matches!(case.kind.as_str(), "rowlevel" | "schema") {
            batch = numbered(&batch);
        }
        batches.push(vec![batch]);
    }
    let schema = batches[0][0].schema();
    Some(provider(&schema, batches))
}

fn batch(table: &Value) -> Option<RecordBatch> {
    let names = table["cols"].as_array()?;
    let types = table["types"].as_array()?;
    let columns: Vec<ArrayRef> = match table["generator"].as_str() {
        Some("range") => {
            let (from, to) = (table["from"].as_i64()?, table["to_exclusive"].as_i64()?);
            vec![Arc::new(Int64Array::from_iter_values(from..to))]
        }
        Some(_) => return None,
        None => {
            let rows = table["rows"].as_array()?;
            let column = |place: usize| rows.iter().map(move |row| text(&row[place]));
            (0..names.len())
                .map(|place| Arc::new(column(place).collect::<StringArray>()) as ArrayRef)
                .collect()
        }
    };
    let mut fields = Vec::new();
    let mut typed = Vec::new();
    for ((name, data_type), column) in names.iter().zip(types).zip(&columns) {
        let data_type = type_of(data_type.as_str()?)?;
        typed.push(cast(column, &data_type).unwrap());
        fields.push(Field::new(name.as_str()?, data_type, true));
    }
    Some(RecordBatch::try_new(Arc::new(Schema::new(fields)), typed).unwrap())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn numbered(batch: &RecordBatch) -> RecordBatch {
    let mut fields: Vec<Field> = Vec::new();
    fields.extend(batch.schema().fields().iter().map(|f| f.as_ref().clone()));
    fields.push(Field::new(ROW, DataType::Int64, false));
    let mut columns = batch.columns().to_vec();
    let rows = i64::try_from(batch.num_rows()).unwrap();
    columns.push(Arc::new(Int64Array::from_iter_values(0..rows)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn type_of(name: &str) -> Option<DataType> {
    let decimal = name
        .strip_prefix("decimal(")
        .and_then(|rest| rest.strip_suffix(')'));
    if let Some((precision, scale)) = decimal.and_then(|numbers| numbers.split_once(',')) {
        let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        return Some(DataType::Decimal128(precision, scale));
    }
    Some(match name {
        "string" => DataType::Utf8,
        "byte" => DataType::Int8,
        "short" => DataType::Int16,
        "int" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return None,
    })
}
