//! Extracts Parquet files; their columns keep their types.
//!
//! ```yaml
//! extract:
//!   format: parquet
//!   path: data/orders-*.parquet    # a path or a glob, or a list of them
//! ```
//!
//! All files have the same columns with the same types; their order may differ, and the first file's order is the view's.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;

use crate::files::SourceFile;
use crate::input_error::InputError;

/// The columns of the first file, when all files have them.
pub(crate) fn schema(files: &[SourceFile]) -> Result<SchemaRef, InputError> {
    let Some((first, others)) = files.split_first() else {
        return Ok(Arc::new(Schema::empty()));
    };
    let first_schema = footer(first)?;
    let mut fields: Vec<Field> = first_schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), field.is_nullable()))
        .collect();
    refuse_duplicates(first, &fields)?;
    for file in others {
        let schema = footer(file)?;
        let differs = |message: String| {
            InputError::invalid(format!(
                "`{}` differs from `{}`: {message}",
                file.name(),
                first.name()
            ))
            .with_hint("extract files of different columns in stages of their own")
        };
        for field in schema.fields() {
            if first_schema.column_with_name(field.name()).is_none() {
                return Err(differs(format!("it has column `{}` too", field.name())));
            }
        }
        for field in &mut fields {
            let Some((_, other)) = schema.column_with_name(field.name()) else {
                return Err(differs(format!("it lacks column `{}`", field.name())));
            };
            if other.data_type() != field.data_type() {
                return Err(differs(format!(
                    "column `{}` is {}, not {}",
                    field.name(),
                    other.data_type(),
                    field.data_type()
                )));
            }
            let is_nullable = field.is_nullable() || other.is_nullable();
            field.set_nullable(is_nullable);
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn refuse_duplicates(file: &SourceFile, fields: &[Field]) -> Result<(), InputError> {
    for (i, field) in fields.iter().enumerate() {
        if fields[..i].iter().any(|other| other.name() == field.name()) {
            return Err(InputError::invalid(format!(
                "`{}` has two columns named `{}`",
                file.name(),
                field.name()
            )));
        }
    }
    Ok(())
}

fn footer(file: &SourceFile) -> Result<SchemaRef, InputError> {
    let opened = file.open()?;
    let metadata = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new());
    let metadata = metadata.map_err(|error| {
        InputError::invalid(format!("`{}` is not a whole Parquet file", file.name()))
            .with_hint("ask for the file again, or check `format`")
            .caused_by(error)
    })?;
    Ok(Arc::clone(metadata.schema()))
}

/// The view.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    schema: SchemaRef,
    files: Arc<[SourceFile]>,
}

impl ParquetTable {
    pub(crate) fn new(schema: SchemaRef, files: Arc<[SourceFile]>) -> Self {
        Self { schema, files }
    }
}

/// The file as the engine reads it, when it is still the one that was found.
fn partitioned(file: &SourceFile) -> Result<PartitionedFile, InputError> {
    let read_error = |error| crate::files::read_error(file.name(), error);
    let metadata = file.open()?.metadata().map_err(read_error)?;
    let path = fs::canonicalize(file.path()).map_err(read_error)?;
    let location = ObjectPath::from_absolute_path(&path).map_err(|error| {
        InputError::invalid(format!("`{}` cannot be addressed", file.name()))
            .with_hint("rename the file")
            .caused_by(error)
    })?;
    let modified = metadata.modified().map_err(read_error)?;
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        location,
        last_modified: modified.into(),
        size: metadata.len(),
        e_tag: None,
        version: None,
    }))
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let options = state.table_options().parquet.clone();
        let source =
            ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(options);
        let partitions = state
            .config()
            .target_partitions()
            .clamp(1, self.files.len().max(1));
        let files: Vec<PartitionedFile> = self
            .files
            .iter()
            .map(partitioned)
            .collect::<Result<_, _>>()?;
        let files_in_group = files.len().div_ceil(partitions).max(1);
        let groups = files.chunks(files_in_group);
        let groups = groups.map(|files| FileGroup::new(files.to_vec())).collect();
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[cfg(test)]
mod tests;
