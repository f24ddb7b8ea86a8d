//! The SQLite file that holds the embedded registry and rows on their way into system tables.
//!
//! Several processes may have it open at once: it is in WAL mode, and a writer waits for another one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::CatalogError;

/// How long a writer waits for another process to finish its own write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts to open the file while other processes are making it.
const OPEN_ATTEMPTS: u32 = 50;

/// SQLite's primary result codes, https://sqlite.org/rescode.html
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const NOTADB: u32 = 26;
}

/// Everything that the file holds.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS tables (
        schema_name TEXT NOT NULL, table_name TEXT NOT NULL, location TEXT NOT NULL,
        format TEXT NOT NULL, registered_at TEXT NOT NULL,
        PRIMARY KEY (schema_name, table_name)) STRICT",
    // `flush` is the identity of the commit that a row belongs to, once it has one.
    "CREATE TABLE IF NOT EXISTS live_rows (
        id INTEGER PRIMARY KEY AUTOINCREMENT, table_name TEXT NOT NULL, row TEXT NOT NULL,
        flush TEXT) STRICT",
    "CREATE INDEX IF NOT EXISTS live_rows_by_flush ON live_rows (flush)",
];

/// The open file.
#[derive(Debug, Clone)]
pub(crate) struct LiveState {
    pool: SqlitePool,
    path: PathBuf,
}

impl LiveState {
    /// Opens the file, making it and its folder when they are absent.
    pub(crate) async fn open(path: &Path) -> Result<Self, CatalogError> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            tokio::fs::create_dir_all(folder).await.map_err(|error| {
                let why = match error.kind() {
                    ErrorKind::PermissionDenied => ": it is not permitted".to_owned(),
                    ErrorKind::ReadOnlyFilesystem => ": the file system is read only".to_owned(),
                    ErrorKind::StorageFull => ": the disk is full".to_owned(),
                    ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                        ": there is a file in its place".to_owned()
                    }
                    _ => String::new(),
                };
                CatalogError::failed(
                    format!(
                        "cannot make the catalog's folder `{}`{why}",
                        folder.display()
                    ),
                    error,
                )
            })?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let mut attempt = 0;
        let pool = loop {
            attempt += 1;
            let opened = SqlitePoolOptions::new()
                .max_connections(4)
                .acquire_timeout(BUSY_TIMEOUT)
                .connect_with(options.clone())
                .await;
            match opened {
                Ok(pool) => break pool,
                // The change to WAL mode does not wait for others as statements do.
                Err(error)
                    if attempt < OPEN_ATTEMPTS
                        && matches!(primary_code(&error), Some(code::BUSY | code::LOCKED)) =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(failed(path, "open", error)),
            }
        };
        let state = Self {
            pool,
            path: path.to_owned(),
        };
        let mut transaction = state.write("make the tables of").await?;
        for table in TABLES {
            sqlx::query(*table)
                .execute(&mut *transaction)
                .await
                .map_err(|error| state.failed("make the tables of", error))?;
        }
        transaction
            .commit()
            .await
            .map_err(|error| state.failed("make the tables of", error))?;
        Ok(state)
    }

    /// Connections for reading.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that holds the write lock from its start, so that it cannot fail half way for lack of it.
    pub(crate) async fn write(
        &self,
        doing: &str,
    ) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, CatalogError> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| self.failed(doing, error))
    }

    /// The error of a statement, naming the file.
    pub(crate) fn failed(&self, doing: &str, error: sqlx::Error) -> CatalogError {
        failed(&self.path, doing, error)
    }
}

fn failed(path: &Path, doing: &str, error: sqlx::Error) -> CatalogError {
    let why = match primary_code(&error) {
        Some(code::BUSY | code::LOCKED) => ": another process holds it",
        Some(code::READONLY) => ": it is read only",
        Some(code::FULL) => ": the disk is full",
        Some(code::CANTOPEN) => ": it cannot be made or opened there",
        Some(code::NOTADB | code::CORRUPT) => ": it is not a Lakegate catalog",
        _ => "",
    };
    CatalogError::failed(
        format!("cannot {doing} the catalog file `{}`{why}", path.display()),
        error,
    )
}

/// The low byte of SQLite's extended code.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of an error with all its sources.
    async fn open_error(path: &Path) -> String {
        LiveState::open(path).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn many_may_make_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let path = path.clone();
            tasks.spawn(async move { LiveState::open(&path).await.map(|_| ()) });
        }
        for opened in tasks.join_all().await {
            opened.unwrap();
        }
    }

    #[tokio::test]
    async fn a_place_that_cannot_hold_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let below = open_error(&file.join("catalog.db")).await;
        assert!(
            below.contains(&format!("`{}`", file.display()))
                && below.contains("a file in its place"),
            "{below}"
        );
        let is_folder = open_error(folder.path()).await;
        assert!(
            is_folder.contains(&format!("`{}`", folder.path().display())),
            "{is_folder}"
        );
        let refused = open_error(Path::new("/proc/lakegate/catalog.db")).await;
        assert!(refused.contains("`/proc/lakegate`"), "{refused}");
    }

    #[tokio::test]
    async fn a_file_of_another_kind_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        std::fs::write(&path, "this is no database".repeat(100)).unwrap();
        let error = open_error(&path).await;
        assert!(
            error.contains(&format!(
                "`{}`: it is not a Lakegate catalog",
                path.display()
            )),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_read_only_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let state = LiveState::open(&path).await.unwrap();
        // As on a disk that is mounted read only; permissions would not stop the superuser.
        let mut connection = state.pool().acquire().await.unwrap();
        sqlx::query("PRAGMA query_only = ON")
            .execute(&mut *connection)
            .await
            .unwrap();
        let error = sqlx::query("DELETE FROM tables")
            .execute(&mut *connection)
            .await
            .unwrap_err();
        let error = state.failed("write", error).to_string();
        assert!(
            error.contains(&format!("`{}`: it is read only", path.display())),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_leaves_the_file_usable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let state = LiveState::open(&path).await.unwrap();
        let mut transaction = state.write("write").await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let row = "x".repeat(100_000);
        let error = sqlx::query("INSERT INTO live_rows (table_name, row) VALUES ('t', ?1)")
            .bind(&row)
            .execute(&mut *transaction)
            .await
            .unwrap_err();
        let error = state.failed("write", error).to_string();
        assert!(
            error.contains(&format!("`{}`: the disk is full", path.display())),
            "{error}"
        );
        drop(transaction);
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM live_rows")
            .fetch_one(state.pool())
            .await
            .unwrap();
        assert_eq!(rows, 0);
    }
}
