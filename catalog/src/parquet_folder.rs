//! A folder of Parquet files as a table: read only, without versions.
//!
//! All files with the ending `.parquet` belong to it, in sub-folders too, but for names that start with `_` or `.`.
//! Folders such as `month=2` are partition columns, of type text, after the columns of the files. Files may lack columns
//! that others have; those are null.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use sha2::{Digest, Sha256};

use crate::cache::{gone, log_store, missing_folder};
use crate::snapshot::{Reader, StatisticsCell};
use crate::{At, CatalogError, DataFile, TableEntry, TableSnapshot};

/// Footers that are read at once.
const PARALLEL_READS: usize = 16;

/// The name of the folder for null.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Whether there are Parquet files at an entry's location.
pub(crate) async fn exists(entry: &TableEntry) -> Result<bool, CatalogError> {
    let store = log_store(entry)?.object_store(None);
    Ok(!files(entry, store.as_ref()).await?.is_empty())
}

/// The folder as it is.
pub(crate) async fn snapshot(
    entry: &TableEntry,
    at: At,
) -> Result<Arc<TableSnapshot>, CatalogError> {
    if at != At::Latest {
        return Err(CatalogError::invalid(
            format!(
                "table `{}` is a folder of Parquet files, which has no versions",
                entry.name
            ),
            "leave the version out; only Delta tables have versions".to_owned(),
        ));
    }
    missing_folder(entry)?;
    let store = log_store(entry)?.object_store(None);
    let found = files(entry, store.as_ref()).await?;
    if found.is_empty() {
        return Err(gone(entry, "Parquet files in"));
    }
    let partition_columns: Vec<String> = partitions(&found[0].location)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let read: Vec<(DataFile, Schema)> = futures::stream::iter(found)
        .map(|meta| read_footer(entry, Arc::clone(&store), meta))
        .buffered(PARALLEL_READS)
        .try_collect()
        .await?;
    let mut files = Vec::with_capacity(read.len());
    let mut schema = Schema::empty();
    for (file, columns) in read {
        let differ = |why: String| {
            CatalogError::invalid(
                format!(
                    "the files of table `{}` do not fit together: `{}` {why}",
                    entry.name, file.path
                ),
                "a table's files have the same types and the same partition folders".to_owned(),
            )
        };
        if !file.partition_values.keys().eq(sorted(&partition_columns)) {
            return Err(differ("is in other partition folders".to_owned()));
        }
        if let Some(column) = partition_columns
            .iter()
            .find(|name| columns.field_with_name(name).is_ok())
        {
            return Err(differ(format!(
                "has a column `{column}`, which is also a partition folder"
            )));
        }
        schema = Schema::try_merge([schema, columns])
            .map_err(|error| differ(format!("differs: {error}")))?;
        files.push(file);
    }
    // A column that a file lacks reads as null.
    let mut fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    fields.extend(
        partition_columns
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true)),
    );
    Ok(Arc::new(TableSnapshot {
        name: Some(entry.name.clone()),
        location: entry.location.clone(),
        version: 0,
        table_id: identity(&files),
        schema: Arc::new(Schema::new(fields)),
        partition_columns,
        files: files.into(),
        properties: BTreeMap::new(),
        reader: Reader::Plain,
        statistics: StatisticsCell::default(),
    }))
}

/// A folder has no versions: what tells two states of it apart is its files.
fn identity(files: &[DataFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.path.as_bytes());
        hash.update([0]);
        hash.update(file.size.to_be_bytes());
        hash.update(file.modification_time.to_be_bytes());
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(names: &[String]) -> impl Iterator<Item = &String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names.into_iter()
}

async fn files(
    entry: &TableEntry,
    store: &dyn ObjectStore,
) -> Result<Vec<ObjectMeta>, CatalogError> {
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.map_err(|error| {
        CatalogError::failed(
            format!(
                "cannot list the files of table `{}` at {}",
                entry.name, entry.location
            ),
            error,
        )
    })?;
    let is_data = |meta: &ObjectMeta| {
        let is_hidden = meta
            .location
            .parts()
            .any(|part| part.as_ref().starts_with(['_', '.']));
        !is_hidden && meta.location.as_ref().ends_with(".parquet")
    };
    let mut files: Vec<ObjectMeta> = listed.into_iter().filter(is_data).collect();
    files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    Ok(files)
}

async fn read_footer(
    entry: &TableEntry,
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
) -> Result<(DataFile, Schema), CatalogError> {
    let failed = |error| {
        CatalogError::failed(
            format!(
                "cannot read `{}` of table `{}` as Parquet",
                meta.location, entry.name
            ),
            error,
        )
    };
    let reader = DFParquetMetadata::new(store.as_ref(), &meta);
    let footer = reader.fetch_metadata().await.map_err(failed)?;
    let key_values = footer.file_metadata().key_value_metadata();
    let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), key_values)
        .map_err(|error| failed(error.into()))?;
    let rows = footer.file_metadata().num_rows();
    let file = DataFile {
        path: meta.location.to_string(),
        size: meta.size,
        partition_values: partitions(&meta.location).into_iter().collect(),
        stats: Some(Arc::from(format!("{{\"numRecords\":{rows}}}"))),
        modification_time: meta.last_modified.timestamp_millis(),
    };
    Ok((file, schema))
}

/// The partition folders that a file is in, outermost first.
fn partitions(location: &Path) -> Vec<(String, Option<String>)> {
    let mut folders: Vec<_> = location.parts().collect();
    folders.pop();
    folders
        .iter()
        .filter_map(|folder| {
            let (name, value) = folder.as_ref().split_once('=')?;
            let decode = |text: &str| {
                Path::from_url_path(text).map_or_else(|_| text.to_owned(), |path| path.to_string())
            };
            Some((
                decode(name),
                (value != NULL_PARTITION).then(|| decode(value)),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use url::Url;

    use super::*;
    use crate::TableFormat;
    use crate::fixture::{Fixture, query, rows};

    fn put(folder: &std::path::Path, path: &str, batch: &RecordBatch) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer =
            ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None)
                .unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    fn numbers(values: &[i64]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        rows(vec![("a", column)])
    }

    async fn register(
        fixture: &Fixture,
        folder: &std::path::Path,
    ) -> Result<TableEntry, CatalogError> {
        let location = Url::from_directory_path(folder).unwrap();
        fixture
            .catalog
            .register(&"raw.files".parse().unwrap(), &location)
            .await
    }

    #[tokio::test]
    async fn a_folder_of_parquet_files_is_a_table() {
        let fixture = Fixture::new().await;
        let folder = fixture.folder.path().join("some files");
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let mut wider = numbers(&[3]);
        wider = rows(vec![("a", Arc::clone(wider.column(0))), ("b", text)]);
        put(&folder, "month=1/a.parquet", &numbers(&[1, 2]));
        put(&folder, "month=a%20b%2Fc/b.parquet", &wider);
        put(
            &folder,
            "month=__HIVE_DEFAULT_PARTITION__/c.parquet",
            &numbers(&[4]),
        );
        put(&folder, "_temporary/month=1/d.parquet", &numbers(&[5]));
        std::fs::write(folder.join("README.md"), "about").unwrap();
        assert_eq!(
            register(&fixture, &folder).await.unwrap().format,
            TableFormat::Parquet
        );
        let snapshot = fixture.snapshot("raw.files").await;
        assert_eq!(snapshot.row_count(), Some(4));
        let text = query(
            snapshot.scan().unwrap(),
            "SELECT a, b, month FROM t ORDER BY a",
        )
        .await;
        let expected = "\
+---+---+-------+
| a | b | month |
+---+---+-------+
| 1 |   | 1     |
| 2 |   | 1     |
| 3 | x | a b/c |
| 4 |   |       |
+---+---+-------+";
        assert_eq!(text, expected);
        let text = query(
            snapshot.scan().unwrap(),
            "SELECT a FROM t WHERE month = 'a b/c'",
        )
        .await;
        assert!(text.contains("| 3 |") && !text.contains("| 1 |"), "{text}");
    }

    #[tokio::test]
    async fn a_file_more_makes_another_identity() {
        let fixture = Fixture::new().await;
        let folder = fixture.folder.path().join("files");
        put(&folder, "a.parquet", &numbers(&[1]));
        register(&fixture, &folder).await.unwrap();
        let before = fixture.snapshot("raw.files").await;
        let same = fixture.snapshot("raw.files").await;
        put(&folder, "b.parquet", &numbers(&[2]));
        let after = fixture.snapshot("raw.files").await;
        assert_eq!(before.table_id, same.table_id);
        assert_ne!(before.table_id, after.table_id);
    }

    #[tokio::test]
    async fn a_folder_has_no_versions_and_a_place_without_tables_is_refused() {
        let fixture = Fixture::new().await;
        let folder = fixture.folder.path().join("files");
        put(&folder, "a.parquet", &numbers(&[1]));
        let entry = register(&fixture, &folder).await.unwrap();
        let error = fixture
            .catalog
            .snapshot(&entry.name, At::Version(0))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("has no versions"), "{error}");
        let error = fixture
            .catalog
            .history(&entry.name, None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("has no versions"), "{error}");
        let empty = fixture.folder.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        for place in [empty, fixture.folder.path().join("absent")] {
            let location = Url::from_directory_path(&place).unwrap();
            let error = fixture
                .catalog
                .register(&"raw.empty".parse().unwrap(), &location)
                .await
                .unwrap_err();
            assert!(matches!(error, CatalogError::NotFound { .. }), "{error:?}");
            assert!(error.to_string().contains("raw.empty"), "{error}");
        }
        assert!(!fixture.folder.path().join("absent").exists());
    }

    #[tokio::test]
    async fn files_that_do_not_fit_together_are_named() {
        for (path, batch, expected) in [
            (
                "month=2/day=1/x.parquet",
                numbers(&[2]),
                "is in other partition folders",
            ),
            (
                "month=2/x.parquet",
                rows(vec![(
                    "a",
                    Arc::new(StringArray::from(vec!["t"])) as ArrayRef,
                )]),
                "differs",
            ),
            (
                "month=2/x.parquet",
                rows(vec![(
                    "month",
                    Arc::new(StringArray::from(vec!["t"])) as ArrayRef,
                )]),
                "also a partition folder",
            ),
        ] {
            let fixture = Fixture::new().await;
            let folder = fixture.folder.path().join("files");
            put(&folder, "month=1/a.parquet", &numbers(&[1]));
            put(&folder, path, &batch);
            let entry = register(&fixture, &folder).await.unwrap();
            let error = fixture
                .catalog
                .snapshot(&entry.name, At::Latest)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(expected)
                    && error.contains("`raw.files`")
                    && error.contains("x.parquet"),
                "{error}"
            );
        }
        let fixture = Fixture::new().await;
        let folder = fixture.folder.path().join("files");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("broken.parquet"), "PAR1 not quite").unwrap();
        let entry = register(&fixture, &folder).await.unwrap();
        let error = fixture
            .catalog
            .snapshot(&entry.name, At::Latest)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot read `broken.parquet` of table `raw.files` as Parquet"),
            "{error}"
        );
    }
}
