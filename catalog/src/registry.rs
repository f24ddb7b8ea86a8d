//! Where the catalog keeps which tables there are.

use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{CatalogError, TableName};

/// A table in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its name.
    pub name: TableName,
    /// Its folder, with a slash at the end.
    pub location: Url,
    /// How its files are organised.
    pub format: TableFormat,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
}

/// How a table's files are organised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// A Delta table: it has versions, and the gate guards it.
    Delta,
    /// A folder of Parquet files, read only.
    Parquet,
}

impl TableFormat {
    /// The format's name: `delta` or `parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Parquet => "parquet",
        }
    }
}

impl FromStr for TableFormat {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        match text {
            "delta" => Ok(Self::Delta),
            "parquet" => Ok(Self::Parquet),
            other => Err(CatalogError::invalid(
                format!("unknown table format `{other}`"),
                "a table is `delta` or `parquet`".to_owned(),
            )),
        }
    }
}

/// Names of tables and where they are.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// All tables, by name.
    async fn list(&self) -> Result<Vec<TableEntry>, CatalogError>;
    /// One table, when there is one of that name.
    async fn get(&self, name: &TableName) -> Result<Option<TableEntry>, CatalogError>;
    /// Adds a table; a second registration of the same name and location changes nothing. Another location for a name,
    /// and another name for a location, are errors.
    async fn register(&self, entry: &TableEntry) -> Result<(), CatalogError>;
    /// Forgets a table; false when there was none.
    async fn remove(&self, name: &TableName) -> Result<bool, CatalogError>;
}

/// The error for a name that is taken by a table elsewhere.
pub(crate) fn other_location(entry: &TableEntry, location: &str, format: &str) -> CatalogError {
    CatalogError::invalid(
        format!(
            "table `{}` is registered at {location} as {format}",
            entry.name
        ),
        format!(
            "choose another name, or drop `{}` from the catalog first",
            entry.name
        ),
    )
}

/// The error for a folder that has a name already. A second name would be a way around rules that know the first.
pub(crate) fn other_name(entry: &TableEntry, other: &str) -> CatalogError {
    CatalogError::invalid(
        format!(
            "`{}` cannot be registered at {}: that is table `{other}`",
            entry.name, entry.location
        ),
        format!("use `{other}`, or drop it from the catalog first"),
    )
}

/// What every registry must do, as code: each kind runs all of it over a registry that is empty.
#[cfg(test)]
pub(crate) mod conformance {
    use std::sync::Arc;

    use super::*;

    fn entry(name: &str, location: &str) -> TableEntry {
        TableEntry {
            name: name.parse().unwrap(),
            location: Url::parse(location).unwrap(),
            format: TableFormat::Delta,
            registered_at: crate::fixture::noon(),
        }
    }

    /// Runs the suite. `again` opens the same registry once more, as another process would.
    pub(crate) async fn run(registry: Arc<dyn Registry>, again: Arc<dyn Registry>) {
        an_empty_registry_has_nothing(registry.as_ref()).await;
        what_is_registered_is_read_back(registry.as_ref(), again.as_ref()).await;
        a_name_means_one_location(registry.as_ref(), again.as_ref()).await;
        a_location_has_one_name(registry.as_ref(), again.as_ref()).await;
        what_is_removed_is_gone(registry.as_ref(), again.as_ref()).await;
        one_of_many_wins_a_name(&registry, &again).await;
    }

    async fn an_empty_registry_has_nothing(registry: &dyn Registry) {
        assert_eq!(registry.list().await.unwrap(), []);
        let name = "silver.flights".parse().unwrap();
        assert_eq!(registry.get(&name).await.unwrap(), None);
        assert!(!registry.remove(&name).await.unwrap());
    }

    async fn what_is_registered_is_read_back(registry: &dyn Registry, again: &dyn Registry) {
        let mut parquet = entry("b.a", "file:///tmp/with%20space/%C3%A9/");
        parquet.format = TableFormat::Parquet;
        let entries = [
            entry("a.b", "file:///w/a/b/"),
            entry("a.c", "s3://bucket/a/c/"),
            parquet,
        ];
        for entry in entries.iter().rev() {
            registry.register(entry).await.unwrap();
        }
        for registry in [registry, again] {
            assert_eq!(registry.list().await.unwrap(), entries);
            for entry in &entries {
                assert_eq!(
                    registry.get(&entry.name).await.unwrap().as_ref(),
                    Some(entry)
                );
            }
        }
    }

    async fn a_name_means_one_location(registry: &dyn Registry, again: &dyn Registry) {
        registry
            .register(&entry("a.b", "file:///w/a/b/"))
            .await
            .unwrap();
        let error = again
            .register(&entry("a.b", "file:///elsewhere/"))
            .await
            .unwrap_err();
        assert!(matches!(error, CatalogError::Invalid { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("`a.b` is registered at file:///w/a/b/"),
            "{error}"
        );
        let mut other_format = entry("a.b", "file:///w/a/b/");
        other_format.format = TableFormat::Parquet;
        assert!(registry.register(&other_format).await.is_err());
    }

    async fn a_location_has_one_name(registry: &dyn Registry, again: &dyn Registry) {
        registry
            .register(&entry("a.b", "file:///w/a/b/"))
            .await
            .unwrap();
        let error = again
            .register(&entry("other.alias", "file:///w/a/b/"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("that is table `a.b`"), "{error}");
    }

    async fn what_is_removed_is_gone(registry: &dyn Registry, again: &dyn Registry) {
        let name = "a.c".parse().unwrap();
        assert!(registry.remove(&name).await.unwrap());
        assert!(!again.remove(&name).await.unwrap());
        assert_eq!(again.get(&name).await.unwrap(), None);
        registry
            .register(&entry("a.c", "file:///new/"))
            .await
            .unwrap();
    }

    async fn one_of_many_wins_a_name(registry: &Arc<dyn Registry>, again: &Arc<dyn Registry>) {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let registry = Arc::clone(if number % 2 == 0 { registry } else { again });
            tasks.spawn(async move {
                registry
                    .register(&entry("race.t", &format!("file:///w/{number}/")))
                    .await
                    .is_ok()
            });
        }
        let won = tasks
            .join_all()
            .await
            .into_iter()
            .filter(|won| *won)
            .count();
        assert_eq!(won, 1);
    }
}
