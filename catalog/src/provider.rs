//! The catalog's tables as DataFusion looks them up: each table at one version for as long as the session lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::TableType;
use tokio::sync::OnceCell;

use crate::{At, Catalog, CatalogError, TableName, TableSnapshot};

/// A session's view of the catalog.
///
/// A table is at the version that it had when the session first looked at it, so that every statement of the session
/// sees the same rows. Names are looked up without regard to case, quoted ones too: the catalog has no two names that
/// differ in case only. A name that the catalog does not know gives [`CatalogError::NotFound`] with the nearest name, as
/// an external error of DataFusion.
#[derive(Debug)]
pub struct PinnedCatalog {
    catalog: Arc<Catalog>,
    pins: Arc<Mutex<BTreeMap<TableName, Pin>>>,
}

/// The version of one table, looked up once.
type Pin = Arc<OnceCell<Arc<TableSnapshot>>>;

impl PinnedCatalog {
    /// A view in which no table is pinned yet.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            pins: Arc::default(),
        }
    }

    /// The version at which this session sees a table; it is pinned when it is not yet.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] for an unknown table; [`CatalogError::Failed`] when its log cannot be read.
    pub async fn snapshot(&self, name: &TableName) -> Result<Arc<TableSnapshot>, CatalogError> {
        pinned(&self.catalog, &self.pins, name).await
    }

    /// The tables that this session has looked at, with their versions and Delta's ids of them.
    pub fn versions(&self) -> Vec<(TableName, i64, String)> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = pins.iter().filter_map(|(name, pin)| {
            let snapshot = pin.get()?;
            Some((name.clone(), snapshot.version, snapshot.table_id.clone()))
        });
        seen.collect()
    }
}

async fn pinned(
    catalog: &Catalog,
    pins: &Mutex<BTreeMap<TableName, Pin>>,
    name: &TableName,
) -> Result<Arc<TableSnapshot>, CatalogError> {
    let pin = {
        let mut pins = pins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pins.entry(name.clone()).or_default())
    };
    pin.get_or_try_init(|| catalog.snapshot(name, At::Latest))
        .await
        .cloned()
}

impl CatalogProvider for PinnedCatalog {
    /// The schemas as the catalog last saw them; a session that lists tables calls [`Catalog::list`] first.
    fn schema_names(&self) -> Vec<String> {
        let known = self.catalog.known_names();
        known
            .into_iter()
            .map(|name| name.schema)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Any schema that can be written: whether it has a table is asked when the table is looked up.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = name.to_ascii_lowercase();
        // Any table's name serves to find out whether the schema's can be one.
        TableName::new(&name, "t").ok()?;
        Some(Arc::new(PinnedSchema {
            catalog: Arc::clone(&self.catalog),
            pins: Arc::clone(&self.pins),
            schema: name,
        }))
    }
}

#[derive(Debug)]
struct PinnedSchema {
    catalog: Arc<Catalog>,
    pins: Arc<Mutex<BTreeMap<TableName, Pin>>>,
    schema: String,
}

#[async_trait]
impl SchemaProvider for PinnedSchema {
    fn table_names(&self) -> Vec<String> {
        let known = self.catalog.known_names().into_iter();
        known
            .filter(|name| name.schema == self.schema)
            .map(|name| name.table)
            .collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let external = |error: CatalogError| DataFusionError::External(Box::new(error));
        let name = TableName::new(&self.schema, name).map_err(external)?;
        let snapshot = pinned(&self.catalog, &self.pins, &name)
            .await
            .map_err(external)?;
        snapshot.scan().map(Some).map_err(external)
    }

    /// Without reading the table, so that one that was deleted does not hide the others from `SHOW TABLES`.
    async fn table_type(&self, _name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(Some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.table_names().contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;
    use crate::fixture::{self, Fixture, rows};

    fn one(value: i64) -> datafusion::arrow::array::RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
        rows(vec![("a", column)])
    }

    async fn count(
        session: &datafusion::prelude::SessionContext,
        table: &str,
    ) -> Result<usize, DataFusionError> {
        let frame = session.sql(&format!("SELECT a FROM {table}")).await?;
        frame.count().await
    }

    fn session(fixture: &Fixture) -> (datafusion::prelude::SessionContext, Arc<PinnedCatalog>) {
        let session = fixture::session();
        let catalog = Arc::new(PinnedCatalog::new(Arc::clone(&fixture.catalog)));
        session.register_catalog("lakegate", Arc::clone(&catalog) as Arc<dyn CatalogProvider>);
        (session, catalog)
    }

    #[tokio::test]
    async fn a_session_keeps_the_version_that_it_first_saw() {
        let fixture = Fixture::new().await;
        fixture.append("silver.t", &[], one(1)).await;
        let (session_before, catalog) = session(&fixture);
        assert_eq!(
            count(&session_before, "lakegate.silver.t").await.unwrap(),
            1
        );
        fixture.append("silver.t", &[], one(2)).await;
        assert_eq!(
            count(&session_before, "lakegate.silver.t").await.unwrap(),
            1
        );
        let seen = catalog.versions();
        let [(name, version, table_id)] = seen.as_slice() else {
            panic!("{seen:?}");
        };
        assert_eq!((name.to_string().as_str(), *version), ("silver.t", 0));
        assert_eq!(*table_id, fixture.snapshot("silver.t").await.table_id);
        let (session_after, _) = session(&fixture);
        assert_eq!(count(&session_after, "lakegate.silver.t").await.unwrap(), 2);
    }

    #[tokio::test]
    async fn names_are_found_in_any_case_quoted_or_not() {
        let fixture = Fixture::new().await;
        fixture.append("silver.t", &[], one(1)).await;
        let (session, _) = session(&fixture);
        for name in [
            "lakegate.silver.t",
            "lakegate.SILVER.T",
            "lakegate.\"Silver\".\"T\"",
        ] {
            assert_eq!(count(&session, name).await.unwrap(), 1, "{name}");
        }
    }

    #[tokio::test]
    async fn an_unknown_table_is_an_error_with_the_nearest_name() {
        let fixture = Fixture::new().await;
        fixture.append("silver.flights", &[], one(1)).await;
        let (session, _) = session(&fixture);
        let error = count(&session, "lakegate.silver.fligths")
            .await
            .unwrap_err();
        let DataFusionError::External(error) = error.find_root() else {
            panic!("{error}")
        };
        let error = error.downcast_ref::<CatalogError>().unwrap();
        assert_eq!(error.to_string(), "table `silver.fligths` does not exist");
        assert_eq!(error.hint(), Some("did you mean `silver.flights`?"));
    }

    #[tokio::test]
    async fn a_table_that_was_deleted_does_not_hide_the_others() {
        let fixture = Fixture::new().await;
        fixture.append("silver.gone", &[], one(1)).await;
        fixture.append("silver.here", &[], one(1)).await;
        std::fs::remove_dir_all(fixture.location("silver.gone").to_file_path().unwrap()).unwrap();
        let (session, _) = session(&fixture);
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver' ORDER BY 1";
        let answer = session.sql(sql).await.unwrap().collect().await.unwrap();
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&answer)
            .unwrap()
            .to_string();
        assert!(
            text.contains("| gone ") && text.contains("| here "),
            "{text}"
        );
        let error = count(&session, "lakegate.silver.gone")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("table `silver.gone`"), "{error}");
    }
}
