//! The registry in a SQLite file: nothing else to install.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tracing::warn;
use url::Url;

use crate::live_state::LiveState;
use crate::registry::{Registry, TableEntry, other_location, other_name};
use crate::{CatalogError, TableName};

/// Names of tables in the catalog's SQLite file.
#[derive(Debug)]
pub(crate) struct EmbeddedRegistry {
    state: LiveState,
}

impl EmbeddedRegistry {
    /// A registry in an open file.
    pub(crate) fn new(state: LiveState) -> Self {
        Self { state }
    }

    async fn list_entries(&self) -> Result<Vec<TableEntry>, CatalogError> {
        let rows = sqlx::query(
            "SELECT schema_name, table_name, location, format, registered_at FROM tables
             ORDER BY schema_name, table_name",
        )
        .fetch_all(self.state.pool())
        .await
        .map_err(|error| self.state.failed("list the tables of", error))?;
        // One entry that cannot be read does not take the other tables away.
        let readable = rows.iter().filter_map(|row| match self.entry(row) {
            Ok(entry) => Some(entry),
            Err(error) => {
                warn!(%error, "an entry of the catalog is passed over");
                None
            }
        });
        Ok(readable.collect())
    }

    async fn get_entry(&self, name: &TableName) -> Result<Option<TableEntry>, CatalogError> {
        let row = sqlx::query(
            "SELECT schema_name, table_name, location, format, registered_at FROM tables
             WHERE schema_name = ?1 AND table_name = ?2",
        )
        .bind(&name.schema)
        .bind(&name.table)
        .fetch_optional(self.state.pool())
        .await
        .map_err(|error| self.state.failed("read a table of", error))?;
        row.as_ref().map(|row| self.entry(row)).transpose()
    }

    async fn register_entry(&self, entry: &TableEntry) -> Result<(), CatalogError> {
        let doing = "register a table in";
        let failed = |error| self.state.failed(doing, error);
        let mut transaction = self.state.write(doing).await?;
        let there = sqlx::query(
            "SELECT location, format FROM tables WHERE schema_name = ?1 AND table_name = ?2",
        )
        .bind(&entry.name.schema)
        .bind(&entry.name.table)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        if let Some(there) = there {
            let location: String = there.try_get(0).map_err(failed)?;
            let format: String = there.try_get(1).map_err(failed)?;
            if location == entry.location.as_str() && format == entry.format.as_str() {
                return Ok(());
            }
            return Err(other_location(entry, &location, &format));
        }
        let other = sqlx::query("SELECT schema_name, table_name FROM tables WHERE location = ?1")
            .bind(entry.location.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        if let Some(other) = other {
            let part = |index: usize| other.try_get::<String, _>(index).map_err(failed);
            return Err(other_name(entry, &format!("{}.{}", part(0)?, part(1)?)));
        }
        sqlx::query(
            "INSERT INTO tables (schema_name, table_name, location, format, registered_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(&entry.name.schema)
        .bind(&entry.name.table)
        .bind(entry.location.as_str())
        .bind(entry.format.as_str())
        .bind(entry.registered_at.to_rfc3339())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn drop_entry(&self, name: &TableName) -> Result<bool, CatalogError> {
        let result = sqlx::query("DELETE FROM tables WHERE schema_name = ?1 AND table_name = ?2")
            .bind(&name.schema)
            .bind(&name.table)
            .execute(self.state.pool())
            .await
            .map_err(|error| self.state.failed("drop a table of", error))?;
        Ok(result.rows_affected() > 0)
    }

    fn entry(&self, row: &SqliteRow) -> Result<TableEntry, CatalogError> {
        let text = |index: usize| -> Result<String, CatalogError> {
            row.try_get(index)
                .map_err(|error| self.state.failed("read a table of", error))
        };
        let name = TableName::new(&text(0)?, &text(1)?)?;
        let broken = |what: &str, error: Box<dyn std::error::Error + Send + Sync>| {
            CatalogError::failed(
                format!("the catalog's entry of `{name}` has a broken {what}"),
                error,
            )
        };
        Ok(TableEntry {
            location: Url::parse(&text(2)?).map_err(|error| broken("location", error.into()))?,
            format: text(3)?
                .parse()
                .map_err(|error: CatalogError| broken("format", error.into()))?,
            registered_at: DateTime::parse_from_rfc3339(&text(4)?)
                .map_err(|error| broken("date of registration", error.into()))?
                .with_timezone(&Utc),
            name,
        })
    }
}

#[async_trait]
impl Registry for EmbeddedRegistry {
    async fn list(&self) -> Result<Vec<TableEntry>, CatalogError> {
        self.list_entries().await
    }

    async fn get(&self, name: &TableName) -> Result<Option<TableEntry>, CatalogError> {
        self.get_entry(name).await
    }

    async fn register(&self, entry: &TableEntry) -> Result<(), CatalogError> {
        self.register_entry(entry).await
    }

    async fn remove(&self, name: &TableName) -> Result<bool, CatalogError> {
        self.drop_entry(name).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::conformance;

    #[tokio::test]
    async fn it_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/catalog.db");
        let registry = EmbeddedRegistry::new(LiveState::open(&path).await.unwrap());
        let again = EmbeddedRegistry::new(LiveState::open(&path).await.unwrap());
        conformance::run(Arc::new(registry), Arc::new(again)).await;
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let state = LiveState::open(&folder.path().join("catalog.db"))
            .await
            .unwrap();
        let long = "x".repeat(200);
        for (name, location) in [
            ("good", "file:///w/good/"),
            ("odd", "no place"),
            (&long, "file:///w/x/"),
        ] {
            sqlx::query("INSERT INTO tables VALUES ('s', ?1, ?2, 'delta', '2025-11-20T12:00:00Z')")
                .bind(name)
                .bind(location)
                .execute(state.pool())
                .await
                .unwrap();
        }
        let entries = EmbeddedRegistry::new(state).list().await.unwrap();
        let names: Vec<String> = entries.iter().map(|e| e.name.to_string()).collect();
        assert_eq!(names, ["s.good"]);
    }
}
