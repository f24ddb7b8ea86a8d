//! Reads a version through deltalake, for tables whose Parquet files do not tell the rows by themselves.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DataFusionResult, Statistics};
use datafusion::datasource::TableType;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use url::Url;

/// Deltalake's own scan of one version. It runs in this process only.
#[derive(Debug)]
pub(crate) struct DeltalakeScan {
    called: String,
    inner: DeltaScanNext,
    table: DeltaTable,
}

impl DeltalakeScan {
    /// A scan of the version that a state is at.
    pub(crate) fn new(
        called: String,
        location: &Url,
        state: &DeltaTableState,
    ) -> Result<Self, DeltaTableError> {
        let config = DeltaScanConfig::new().with_wrap_partition_values(false);
        let inner = DeltaScanNext::new(state.snapshot().clone(), config)?;
        let table = DeltaTableBuilder::from_url(location.clone())?.build()?;
        Ok(Self {
            called,
            inner,
            table,
        })
    }
}

#[async_trait]
impl TableProvider for DeltalakeScan {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
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
        // Deltalake looks its files up under a URL of its own, which every session has to be told.
        self.table.update_datafusion_session(state)?;
        self.inner.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Never exactly: what DataFusion simplifies once it is pushed down would be asked by nobody.
        let supported = self.inner.supports_filters_pushdown(filters)?.into_iter();
        let supported = supported.map(|support| match support {
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Inexact,
            support => support,
        });
        Ok(supported.collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        self.inner.statistics()
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        _input: Arc<dyn ExecutionPlan>,
        _insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        super::refuse_insert(&self.called)
    }
}
