//! The catalog as one caller sees it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::string::expr_fn::starts_with;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use lakegate_catalog::{CatalogError, TableName};
use lakegate_rules::yaml::nearest_hint;

use super::grants::OwnRows;
use super::{Caller, OnBehalf, Right, TablePattern};
use crate::EngineError;

impl OnBehalf<'_> {
    /// The rows of a table that they may read.
    ///
    /// # Errors
    /// [`EngineError::Denied`] when there are none.
    pub(crate) fn rows_of(
        self,
        name: &TableName,
        table: Arc<dyn TableProvider>,
    ) -> Result<Arc<dyn TableProvider>, EngineError> {
        let Self::Of(caller) = self else {
            return Ok(table);
        };
        let Some(own_rows) = caller.grants.own_rows(name) else {
            self.expect(Right::Read, name)?;
            return Ok(table);
        };
        let filter = match own_rows {
            OwnRows::OfPrincipal(column) => is(column, &caller.principal),
            OwnRows::OfTables(column) => of_tables(caller, column),
        };
        let rows = LogicalPlanBuilder::scan(name.table.as_str(), provider_as_source(table), None)
            .and_then(|rows| rows.filter(filter))
            .and_then(LogicalPlanBuilder::build);
        let rows = rows.map_err(EngineError::from_planning)?;
        Ok(Arc::new(ViewTable::new(rows, None)))
    }
}

fn is(column: &str, value: &str) -> Expr {
    Expr::Column(Column::from_name(column)).eq(lit(value))
}

/// Whether the table that a column names may be read.
fn of_tables(caller: &Caller, column: &str) -> Expr {
    let Some(readable) = caller.grants.readable() else {
        return lit(true);
    };
    let conditions = readable.map(|tables| match tables {
        TablePattern::All => lit(true),
        TablePattern::Schema(schema) => starts_with(
            Expr::Column(Column::from_name(column)),
            lit(format!("{schema}.")),
        ),
        TablePattern::Table(name) => is(column, &name.to_string()),
    });
    conditions.reduce(Expr::or).unwrap_or_else(|| lit(false))
}

/// A catalog without the tables that a caller may not read.
#[derive(Debug)]
pub(crate) struct GrantedCatalog {
    inner: Arc<dyn CatalogProvider>,
    caller: Caller,
}

impl GrantedCatalog {
    /// What a caller sees of a catalog.
    pub(crate) fn new(inner: Arc<dyn CatalogProvider>, caller: Caller) -> Self {
        Self { inner, caller }
    }
}

impl CatalogProvider for GrantedCatalog {
    fn schema_names(&self) -> Vec<String> {
        let names = self.inner.schema_names().into_iter();
        let holds_some = |name: &String| {
            let schema = self.schema(name);
            schema.is_some_and(|schema| !schema.table_names().is_empty())
        };
        names.filter(holds_some).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        Some(Arc::new(GrantedSchema {
            catalog: Arc::clone(&self.inner),
            inner,
            schema: name.to_ascii_lowercase(),
            caller: self.caller.clone(),
        }))
    }
}

#[derive(Debug)]
struct GrantedSchema {
    catalog: Arc<dyn CatalogProvider>,
    inner: Arc<dyn SchemaProvider>,
    schema: String,
    caller: Caller,
}

impl GrantedSchema {
    fn name(&self, table: &str) -> Option<TableName> {
        TableName::new(&self.schema, table).ok()
    }

    fn sees(&self, table: &str) -> bool {
        let name = self.name(table);
        name.is_some_and(|name| self.caller.grants.sees(&name))
    }

    /// The same error, with the nearest of the names that the caller sees.
    fn as_seen(&self, error: DataFusionError, name: &TableName) -> DataFusionError {
        let DataFusionError::External(inner) = &error else {
            return error;
        };
        let Some(CatalogError::NotFound { what, .. }) = inner.downcast_ref() else {
            return error;
        };
        let seen: Vec<String> = self
            .catalog
            .schema_names()
            .into_iter()
            .filter_map(|schema| Some((self.catalog.schema(&schema)?, schema)))
            .flat_map(|(provider, schema)| {
                let names = provider.table_names().into_iter();
                names.filter_map(move |table| TableName::new(&schema, &table).ok())
            })
            .filter(|name| self.caller.grants.sees(name))
            .map(|name| name.to_string())
            .collect();
        let nearest = nearest_hint(&name.to_string(), seen.iter().map(String::as_str));
        DataFusionError::External(Box::new(CatalogError::NotFound {
            what: what.clone(),
            hint: nearest
                .or_else(|| Some("`SHOW TABLES` shows the tables there are for you".to_owned())),
        }))
    }
}

#[async_trait]
impl SchemaProvider for GrantedSchema {
    fn table_names(&self) -> Vec<String> {
        let names = self.inner.table_names().into_iter();
        names.filter(|name| self.sees(name)).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let behalf = OnBehalf::Of(&self.caller);
        let external = |error: EngineError| DataFusionError::External(Box::new(error));
        let Some(name) = self.name(name) else {
            return self.inner.table(name).await;
        };
        if !behalf.sees(&name) {
            return Err(external(super::denied(&self.caller, Right::Read, &name)));
        }
        let table = self.inner.table(&name.table).await;
        match table.map_err(|error| self.as_seen(error, &name))? {
            Some(table) => behalf.rows_of(&name, table).map(Some).map_err(external),
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.sees(name) {
            true => self.inner.table_type(name).await,
            false => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.sees(name) && self.inner.table_exist(name)
    }
}
