//! `LakeScan`: a version of a table as a plain Parquet scan.
//!
//! The plan is DataFusion's own `DataSourceExec` over the table's real URLs, with partition values and statistics from
//! the log, so that every executor can run, slice and ship it. Files that cannot hold a matching row are left out while
//! planning. Columns stand in the table's order. Text is `Utf8`, as the table's schema says, at every door:
//! `schema_force_view_types` has no effect here, because a provider's schema must not depend on who asks.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{
    DFSchema, Result as DataFusionResult, ScalarValue, Statistics, not_impl_err,
};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::{TableSchema, TableSchemaBuilder};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use object_store::path::Path;

use self::float_bounds::without_float_bounds;
use self::footers::ChangedFooters;
use crate::stats::{FileStatistics, project};
use crate::{CatalogError, DataFile, TableSnapshot};

/// Reads exactly the files of one version.
#[derive(Debug)]
pub(crate) struct LakeScan {
    snapshot: Arc<TableSnapshot>,
    statistics: Arc<FileStatistics>,
    /// The columns as DataFusion reads them: those of the files, then the partition columns.
    read_schema: TableSchema,
    /// For each column of `read_schema`, where it is in the table.
    table_index: Vec<usize>,
    store: ObjectStoreUrl,
    folder: Path,
}

impl LakeScan {
    /// A scan of one version.
    pub(crate) fn new(snapshot: Arc<TableSnapshot>) -> Result<Self, CatalogError> {
        let statistics = snapshot.statistics()?;
        let is_partition = |index: &usize| {
            let name = snapshot.schema.field(*index).name();
            snapshot.partition_columns.contains(name)
        };
        let columns = 0..snapshot.schema.fields().len();
        let mut table_index: Vec<usize> = columns.filter(|index| !is_partition(index)).collect();
        let file_columns = table_index.len();
        for name in &snapshot.partition_columns {
            let index = snapshot.schema.index_of(name).map_err(|error| {
                CatalogError::failed(
                    format!(
                        "partition column `{name}` of table `{}` is not in its schema",
                        snapshot.called()
                    ),
                    error,
                )
            })?;
            table_index.push(index);
        }
        let field = |index: &usize| Arc::new(snapshot.schema.field(*index).clone());
        let file_schema = Schema::new(
            table_index[..file_columns]
                .iter()
                .map(field)
                .collect::<Vec<_>>(),
        );
        let read_schema = TableSchemaBuilder::new(Arc::new(file_schema))
            .with_table_partition_cols(
                table_index[file_columns..]
                    .iter()
                    .map(field)
                    .collect::<Vec<_>>(),
            )
            .build();
        let wrong_location = |error: Box<dyn std::error::Error + Send + Sync>| {
            CatalogError::failed(
                format!(
                    "table `{}` is at a location that cannot be read: {}",
                    snapshot.called(),
                    snapshot.location
                ),
                error,
            )
        };
        let location = &snapshot.location;
        let store = ObjectStoreUrl::parse(&location[..url::Position::BeforePath])
            .map_err(|error| wrong_location(error.into()))?;
        let folder =
            Path::from_url_path(location.path()).map_err(|error| wrong_location(error.into()))?;
        Ok(Self {
            statistics,
            read_schema,
            table_index,
            store,
            folder,
            snapshot,
        })
    }

    /// The files in which these filters can be true. Filters over partition columns alone are decided here for good.
    fn select(&self, state: &dyn Session, filters: &[Expr]) -> DataFusionResult<Vec<usize>> {
        let mut selected = vec![true; self.snapshot.files.len()];
        let (exact, rest): (Vec<&Expr>, Vec<&Expr>) = filters
            .iter()
            .partition(|filter| self.is_decided_by_partition(filter));
        if let Some(filter) = conjunction(exact.into_iter().cloned()) {
            and(
                &mut selected,
                self.partitions_where(state, filter)?
                    .iter()
                    .map(|keep| keep == Some(true)),
            );
        }
        if let Some(keep) =
            conjunction(rest.into_iter().cloned()).and_then(|filter| self.prune(state, filter))
        {
            and(&mut selected, keep.into_iter());
        }
        Ok((0..selected.len()).filter(|file| selected[*file]).collect())
    }

    /// Whether a filter has one answer for all rows of a file.
    fn is_decided_by_partition(&self, filter: &Expr) -> bool {
        // One of no column too: it may be what became of one over partition columns once that was pushed down here.
        let columns = filter.column_refs();
        columns
            .iter()
            .all(|column| self.snapshot.partition_columns.contains(&column.name))
            && is_evaluable(filter)
            && !filter.is_volatile()
    }

    /// The answer of a filter over partition columns, for each file.
    fn partitions_where(
        &self,
        state: &dyn Session,
        filter: Expr,
    ) -> DataFusionResult<BooleanArray> {
        let columns = &self.table_index[self.read_schema.file_schema().fields().len()..];
        let schema = project(&self.snapshot.schema, columns)?;
        let values = columns
            .iter()
            .map(|column| Arc::clone(self.statistics.partition_values(*column)))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.snapshot.files.len()));
        // A null partition value is allowed in a column that is declared not null only when the table is broken;
        // reading it must then still not fail here.
        let nullable: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(nullable));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), values, &options)?;
        let filter = unqualified(filter)?;
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
        let answer = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(answer.as_boolean().clone())
    }

    /// Which files may hold rows for which the filter is true; none when nothing can be said.
    fn prune(&self, state: &dyn Session, filter: Expr) -> Option<Vec<bool>> {
        if !is_evaluable(&filter) {
            return None;
        }
        let schema = DFSchema::try_from(Arc::clone(&self.snapshot.schema)).ok()?;
        let filter = state
            .create_physical_expr(unqualified(filter).ok()?, &schema)
            .ok()?;
        let schema = Arc::clone(&self.snapshot.schema);
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(schema)
            .try_build(filter)
            .ok()?;
        predicate.prune(self.statistics.as_ref()).ok()
    }

    fn partitioned_file(&self, index: usize) -> DataFusionResult<PartitionedFile> {
        let file: &DataFile = &self.snapshot.files[index];
        let location = if self.folder.as_ref().is_empty() {
            Path::parse(&file.path)?
        } else {
            Path::parse(format!("{}/{}", self.folder, file.path))?
        };
        let mut partitioned = PartitionedFile::new_from_meta(ObjectMeta {
            location,
            last_modified: chrono::DateTime::from_timestamp_millis(file.modification_time)
                .unwrap_or_default(),
            size: file.size,
            e_tag: None,
            version: None,
        });
        let columns = &self.table_index[self.read_schema.file_schema().fields().len()..];
        partitioned.partition_values = columns
            .iter()
            .map(|column| {
                ScalarValue::try_from_array(self.statistics.partition_values(*column), index)
            })
            .collect::<DataFusionResult<_>>()?;
        // Not `with_statistics`: it says of partition values that they are never null.
        partitioned.statistics = Some(Arc::new(self.in_read_order(self.statistics.planner(index))));
        Ok(partitioned)
    }

    fn in_read_order(&self, statistics: &Statistics) -> Statistics {
        Statistics {
            num_rows: statistics.num_rows,
            total_byte_size: statistics.total_byte_size,
            column_statistics: self
                .table_index
                .iter()
                .map(|column| statistics.column_statistics[*column].clone())
                .collect(),
        }
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = self
            .select(state, filters)?
            .into_iter()
            .map(|file| self.partitioned_file(file))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let read_columns = self.read_schema.table_schema();
        let statistics = Statistics::try_merge_iter(
            files.iter().filter_map(|file| file.statistics.as_deref()),
            read_columns,
        )?;
        let mut groups = FileGroup::new(files).split_files(state.config().target_partitions());
        if groups.is_empty() {
            // No rows come in one partition: what stands above wants one.
            groups.push(FileGroup::default());
        }
        let config = self
            .source(state, projection, filters)?
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// What reads the table's files, and remembers their footers.
    fn readers(&self, state: &dyn Session) -> DataFusionResult<Arc<dyn ParquetFileReaderFactory>> {
        let metadata_cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let store = state.runtime_env().object_store(&self.store)?;
        let readers = Arc::new(CachedParquetFileReaderFactory::new(store, metadata_cache));
        Ok(match float_bounds::has_floats(&self.snapshot.schema) {
            true => Arc::new(ChangedFooters::new(readers, without_float_bounds)),
            false => readers,
        })
    }

    /// A source of some columns, without files, for which there are filters.
    fn source(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> DataFusionResult<FileScanConfigBuilder> {
        let readers = self.readers(state)?;
        let mut options = state.default_table_options().parquet;
        let filters = filters.iter();
        let filters: Vec<&Expr> = filters
            .filter(|filter| !self.is_decided_by_partition(filter))
            .collect();
        let is_worth_it = |columns: &[usize]| {
            let fields = columns
                .iter()
                .map(|column| self.snapshot.schema.field(*column));
            row_filter::is_while_reading(&filters, fields.map(|field| field.name().as_str()))
        };
        options.global.pushdown_filters |= match projection {
            Some(columns) => is_worth_it(columns),
            None => is_worth_it(&self.table_index),
        };
        self.source_of(options, projection, self.read_schema.clone(), readers)
    }

    /// A source of some columns in these types, without files.
    fn source_of(
        &self,
        options: TableParquetOptions,
        projection: Option<&Vec<usize>>,
        read_schema: TableSchema,
        readers: Arc<dyn ParquetFileReaderFactory>,
    ) -> DataFusionResult<FileScanConfigBuilder> {
        let source = ParquetSource::new(read_schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(readers);
        let read_index = |table_index: usize| {
            self.table_index
                .iter()
                .position(|index| *index == table_index)
        };
        let wanted: Vec<usize> = match projection {
            Some(columns) => columns.iter().copied().filter_map(read_index).collect(),
            None => (0..self.snapshot.schema.fields().len())
                .filter_map(read_index)
                .collect(),
        };
        FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_projection_indices(Some(wanted))
    }
}

#[async_trait]
impl TableProvider for LakeScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.snapshot.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.plan(state, projection, filters, limit)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if self.is_decided_by_partition(filter) {
                TableProviderFilterPushDown::Exact
            } else if is_evaluable(filter) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let files =
            (0..self.snapshot.files.len()).map(|file| self.statistics.planner(file).as_ref());
        Statistics::try_merge_iter(files, &self.snapshot.schema).ok()
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        _input: Arc<dyn ExecutionPlan>,
        _insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        refuse_insert(&self.snapshot.called())
    }
}

/// An INSERT past the gate must not be: deltalake's own commits without the rules.
fn refuse_insert<T>(table: &str) -> DataFusionResult<T> {
    not_impl_err!(
        "INSERT INTO `{table}`: a table is written by a publish stage of a pipeline, so that its rules are checked"
    )
}

/// Whether an expression can be computed from a row alone.
fn is_evaluable(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    !filter
        .exists(|expression| {
            Ok(matches!(
                expression,
                Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::Placeholder(_)
            ))
        })
        .unwrap_or(true)
}

/// A filter names columns as the query does, with the table's alias; here there is one table only.
fn unqualified(filter: Expr) -> DataFusionResult<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    filter
        .transform(|expression| {
            Ok(match expression {
                Expr::Column(column) if column.relation.is_some() => Transformed::yes(
                    Expr::Column(datafusion::common::Column::from_name(column.name)),
                ),
                other => Transformed::no(other),
            })
        })
        .map(|transformed| transformed.data)
}

fn and(selected: &mut [bool], keep: impl Iterator<Item = bool>) {
    for (selected, keep) in selected.iter_mut().zip(keep) {
        *selected &= keep;
    }
}

pub(crate) mod deltalake;
mod dictionaries;
mod float_bounds;
mod footers;
pub(crate) mod parts;
#[cfg(test)]
mod pruning_tests;
mod row_filter;
#[cfg(test)]
mod tests;
