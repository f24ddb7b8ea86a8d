//! Tables for tests: a catalog in a folder of its own, and Delta tables written by deltalake's own builders.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTable;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::{At, Catalog, CatalogOptions, TableName, TableSnapshot};

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) catalog: Arc<Catalog>,
}

pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_640_000, 0).unwrap()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = open(&folder).await;
        Self { folder, catalog }
    }

    pub(crate) fn location(&self, name: &str) -> Url {
        self.catalog.new_location(&name.parse().unwrap())
    }

    /// Appends rows to a table, made and registered when it is absent.
    pub(crate) async fn append(&self, name: &str, partitions: &[&str], batch: RecordBatch) -> i64 {
        let version = write(
            &self.location(name),
            partitions,
            vec![batch],
            SaveMode::Append,
        )
        .await;
        let name: TableName = name.parse().unwrap();
        if self.catalog.entry(&name).await.is_err() {
            self.catalog
                .register(&name, &self.catalog.new_location(&name))
                .await
                .unwrap();
        }
        version
    }

    pub(crate) async fn snapshot(&self, name: &str) -> Arc<TableSnapshot> {
        self.catalog
            .snapshot(&name.parse().unwrap(), At::Latest)
            .await
            .unwrap()
    }
}

pub(crate) async fn open(folder: &TempDir) -> Arc<Catalog> {
    let warehouse = Url::from_directory_path(folder.path().join("warehouse")).unwrap();
    let registry = folder.path().join(".lakegate/catalog.db");
    Catalog::open(CatalogOptions {
        registry,
        warehouse,
        clock: noon,
    })
    .await
    .unwrap()
}

pub(crate) async fn write(
    location: &Url,
    partitions: &[&str],
    batches: Vec<RecordBatch>,
    mode: SaveMode,
) -> i64 {
    std::fs::create_dir_all(location.to_file_path().unwrap()).unwrap();
    let mut table = DeltaTable::try_from_url(location.clone()).await.unwrap();
    if table.load().await.is_err() {
        table = DeltaTable::try_from_url(location.clone()).await.unwrap();
    }
    let table = table
        .write(batches)
        .with_save_mode(mode)
        .with_schema_mode(SchemaMode::Merge)
        .with_partition_columns(partitions.iter().map(ToString::to_string))
        .await
        .unwrap();
    i64::try_from(table.version().unwrap()).unwrap()
}

/// Commits a deletion vector to a table of one file, as another tool would. The vector holds rows 3, 4, 7, 11, 18
/// and 29; it is one of the Delta kernel's own examples.
pub(crate) fn commit_deletion_vector(folder: &Path) {
    let log = folder.join("_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let mut add = first
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find_map(|mut action| action.get_mut("add").map(Value::take))
        .unwrap();
    let remove = json!({"path": add["path"], "dataChange": true, "deletionTimestamp": 1});
    add["deletionVector"] = json!({
        "storageType": "i", "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 44, "cardinality": 6
    });
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]});
    let actions = [("protocol", protocol), ("remove", remove), ("add", add)];
    let lines = actions.map(|(name, action)| json!({name: action}).to_string());
    std::fs::write(log.join("00000000000000000001.json"), lines.join("\n")).unwrap();
}

pub(crate) fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this crate is below the engine, which builds sessions"
)]
pub(crate) fn session() -> SessionContext {
    SessionContext::new_with_config(
        SessionConfig::new()
            .with_target_partitions(2)
            .with_information_schema(true),
    )
}

/// Runs SQL over one table called `t`; the answer as text.
pub(crate) async fn query(provider: Arc<dyn TableProvider>, sql: &str) -> String {
    let session = session();
    session.register_table("t", provider).unwrap();
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// The physical plan of SQL over one table called `t`.
pub(crate) async fn plan(provider: Arc<dyn TableProvider>, sql: &str) -> String {
    let session = session();
    session.register_table("t", provider).unwrap();
    let plan = session
        .sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    datafusion::physical_plan::displayable(plan.as_ref())
        .indent(true)
        .to_string()
}
