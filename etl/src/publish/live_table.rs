//! A table that is read at its newest version whenever it is scanned.
//!
//! A write that lost a race starts over with the same plan. What such a plan reads of the table that it writes must be
//! the table as it is then.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use lakegate_catalog::{At, Catalog, CatalogError, TableName};

/// A table of the catalog without a version of its own.
#[derive(Debug)]
pub(super) struct LiveTable {
    catalog: Arc<Catalog>,
    name: TableName,
    schema: SchemaRef,
}

impl LiveTable {
    pub(super) fn new(catalog: Arc<Catalog>, name: TableName, schema: SchemaRef) -> Self {
        Self {
            catalog,
            name,
            schema,
        }
    }
}

#[async_trait]
impl TableProvider for LiveTable {
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
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |error: CatalogError| DataFusionError::External(Box::new(error));
        let snapshot = self.catalog.snapshot(&self.name, At::Latest).await;
        let table = snapshot
            .and_then(|snapshot| snapshot.scan())
            .map_err(external)?;
        if table.schema() != self.schema {
            return Err(external(CatalogError::Conflict {
                message: format!(
                    "the columns of `{}` changed while it was being written",
                    self.name
                ),
                source: None,
            }));
        }
        table.scan(state, projection, filters, limit).await
    }
}
