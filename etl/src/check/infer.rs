//! Types of the columns of a text file that nobody has declared.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use serde_json::{Value, json};

use crate::schema_file::SchemaFile;
use crate::typing::{OnError, Typing, TypingCounter, TypingSpec};
use crate::{EtlError, Lakegate};

/// Rows whose values say what a column holds.
const SAMPLED_ROWS: usize = 1000;

/// Types that are tried, in this order.
const TYPES: &[&str] = &[
    "boolean",
    "bigint",
    "double",
    "date",
    "timestamp_ntz",
    "timestamp",
];

/// The rows of a text file, typed. `located` are the same with `_file` and `_line`.
pub(super) async fn typed(
    lakegate: &Lakegate,
    file: &str,
    rows: Arc<dyn TableProvider>,
    located: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>, EtlError> {
    let schema = rows.schema();
    let session = lakegate.engine.session();
    let sample = session
        .read_table(rows)
        .and_then(|rows| rows.limit(0, Some(SAMPLED_ROWS)))
        .map_err(EtlError::from_datafusion)?;
    let sample = sample.collect().await.map_err(EtlError::from_datafusion)?;
    let mut columns: Vec<Value> = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let column_type = column_type(&schema, index, &sample)?;
        columns.push(json!({ "name": field.name(), "type": column_type }));
    }
    let typing = typing(file, &schema, &columns)?;
    Ok(typing
        .with_places()
        .table(located, Arc::new(TypingCounter::default())))
}

/// The first type that every value of the sample has.
fn column_type(
    schema: &SchemaRef,
    index: usize,
    sample: &[RecordBatch],
) -> Result<&'static str, EtlError> {
    let column = Arc::new(schema.project(&[index]).map_err(failed)?);
    let name = column.field(0).name();
    let is_null = sample
        .iter()
        .all(|batch| batch.column(index).null_count() == batch.num_rows());
    if is_null {
        return Ok("string");
    }
    for column_type in TYPES {
        let typing = typing(
            "sample",
            &column,
            &[json!({ "name": name, "type": column_type })],
        )?;
        let mut fits = true;
        for batch in sample {
            fits = fits && typing.fits(&batch.project(&[index]).map_err(failed)?)?;
        }
        if fits {
            return Ok(column_type);
        }
    }
    Ok("string")
}

fn typing(file: &str, input: &SchemaRef, columns: &[Value]) -> Result<Typing, EtlError> {
    // JSON is YAML, and takes every name.
    let schema = json!({ "version": 1, "columns": columns }).to_string();
    let schema = SchemaFile::parse("inferred types", &schema)?;
    let spec = TypingSpec {
        view: file.to_owned(),
        view_span: lakegate_rules::yaml::Span::default(),
        schema: schema.file.clone(),
        schema_span: lakegate_rules::yaml::Span::default(),
        on_error: OnError::Fail,
    };
    Ok(Typing::new("check", &spec, Arc::new(schema), input)?)
}

fn failed(error: datafusion::arrow::error::ArrowError) -> EtlError {
    EtlError::failed("the columns of the file cannot be told apart", error)
}
