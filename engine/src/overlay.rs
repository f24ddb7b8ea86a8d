//! A catalog as one session sees it: some names mean other tables than the catalog's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use lakegate_catalog::{CatalogError, TableName};

use crate::EngineError;
use crate::session::DEFAULT_SCHEMA;

type Tables = BTreeMap<String, Arc<dyn TableProvider>>;

/// The tables of a catalog, and before them those of one session.
///
/// Names are looked up without regard to case, as the catalog does: a quoted `"Flights"` must not reach the table behind
/// the one that shadows it.
#[derive(Debug)]
pub(crate) struct OverlayCatalog {
    inner: Arc<dyn CatalogProvider>,
    schemas: BTreeMap<String, Arc<OverlaySchema>>,
}

impl OverlayCatalog {
    /// Puts tables, by schema and name, before those of a catalog.
    ///
    /// `functions` are the names of functions that make tables: DataFusion looks each of them up as a table too. A table
    /// that a statement makes may be absent.
    pub(crate) fn new(
        inner: Arc<dyn CatalogProvider>,
        overlays: impl IntoIterator<Item = (String, String, Arc<dyn TableProvider>)>,
        functions: impl IntoIterator<Item = String>,
        absent: Option<&TableName>,
        session_schema: &str,
    ) -> Self {
        let functions: Arc<BTreeSet<String>> = Arc::new(functions.into_iter().collect());
        let mut tables: BTreeMap<String, Tables> = BTreeMap::new();
        tables.entry(DEFAULT_SCHEMA.to_owned()).or_default();
        tables.entry(session_schema.to_owned()).or_default();
        if let Some(name) = absent {
            tables.entry(name.schema.clone()).or_default();
        }
        for (schema, table, provider) in overlays {
            let schema = schema.to_ascii_lowercase();
            let table = table.to_ascii_lowercase();
            tables.entry(schema).or_default().insert(table, provider);
        }
        let schemas = tables
            .into_iter()
            .map(|(schema, tables)| {
                let absent = absent.filter(|name| name.schema == schema);
                let overlay = OverlaySchema {
                    inner: inner.schema(&schema),
                    tables: RwLock::new(tables),
                    functions: Arc::clone(&functions),
                    absent: absent.map(|name| name.table.clone()),
                };
                (schema, Arc::new(overlay))
            })
            .collect();
        Self { inner, schemas }
    }
}

impl CatalogProvider for OverlayCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.inner.schema_names().into_iter().collect();
        names.extend(self.schemas.keys().cloned());
        names.into_iter().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match self.schemas.get(&name.to_ascii_lowercase()) {
            Some(overlay) => Some(Arc::clone(overlay) as Arc<dyn SchemaProvider>),
            None => self.inner.schema(name),
        }
    }
}

/// The tables of a schema, and before them those of one session. A table can be registered for the session.
#[derive(Debug)]
struct OverlaySchema {
    inner: Option<Arc<dyn SchemaProvider>>,
    tables: RwLock<Tables>,
    functions: Arc<BTreeSet<String>>,
    absent: Option<String>,
}

impl OverlaySchema {
    fn may_be_absent(&self, name: &str) -> bool {
        let is_absent = |absent: &String| absent.eq_ignore_ascii_case(name);
        self.functions.contains(name) || self.absent.as_ref().is_some_and(is_absent)
    }

    fn overlay(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let tables = self.tables.read().map_err(poisoned)?;
        Ok(tables.get(&name.to_ascii_lowercase()).map(Arc::clone))
    }
}

fn is_not_found(error: &DataFusionError) -> bool {
    let DataFusionError::External(inner) = error else {
        return false;
    };
    let is_absent = matches!(inner.downcast_ref(), Some(CatalogError::NotFound { .. }));
    // A table that is hidden is one that is not there.
    let is_hidden = matches!(
        inner.downcast_ref(),
        Some(EngineError::Denied {
            is_hidden: true,
            ..
        })
    );
    is_absent || is_hidden
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> DataFusionError {
    DataFusionError::Internal("a thread died while it changed the session's tables".into())
}

#[async_trait]
impl SchemaProvider for OverlaySchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self
            .inner
            .iter()
            .flat_map(|inner| inner.table_names())
            .collect();
        if let Ok(tables) = self.tables.read() {
            names.extend(tables.keys().cloned());
        }
        names.into_iter().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.overlay(name)? {
            return Ok(Some(table));
        }
        match &self.inner {
            Some(inner) => match inner.table(name).await {
                Err(error) if self.may_be_absent(name) && is_not_found(&error) => Ok(None),
                found => found,
            },
            None => Ok(None),
        }
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let mut tables = self.tables.write().map_err(poisoned)?;
        Ok(tables.insert(name.to_ascii_lowercase(), table))
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let mut tables = self.tables.write().map_err(poisoned)?;
        Ok(tables.remove(&name.to_ascii_lowercase()))
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(self.overlay(name), Ok(Some(_)))
            || self
                .inner
                .as_ref()
                .is_some_and(|inner| inner.table_exist(name))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Schema;
    use datafusion::catalog::MemoryCatalogProvider;
    use datafusion::datasource::empty::EmptyTable;

    use super::*;

    #[tokio::test]
    async fn quoted_name_in_other_case_does_not_go_around_an_overlay() {
        let table = Arc::new(EmptyTable::new(Arc::new(Schema::empty())));
        let overlay = (
            "silver".to_owned(),
            "flights".to_owned(),
            table as Arc<dyn TableProvider>,
        );
        let catalog = OverlayCatalog::new(
            Arc::new(MemoryCatalogProvider::new()),
            [overlay],
            [],
            None,
            DEFAULT_SCHEMA,
        );
        let schema = catalog.schema("Silver").unwrap();
        assert!(schema.table("Flights").await.unwrap().is_some());
        assert!(schema.table("other").await.unwrap().is_none());
    }
}
