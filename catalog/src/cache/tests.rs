use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use deltalake::protocol::SaveMode;

use super::*;
use crate::At;
use crate::fixture::{Fixture, open, rows, write};

fn numbers(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    rows(vec![("a", column)])
}

fn delete(fixture: &Fixture, name: &str) {
    std::fs::remove_dir_all(fixture.location(name).to_file_path().unwrap()).unwrap();
}

#[tokio::test]
async fn an_unchanged_table_is_not_read_again() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    let first = fixture.snapshot("s.t").await;
    assert!(Arc::ptr_eq(&first, &fixture.snapshot("s.t").await));
}

#[tokio::test]
async fn versions_of_another_handle_are_seen() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    let other = open(&fixture.folder).await;
    let name = "s.t".parse().unwrap();
    for version in 1..4 {
        fixture.append("s.t", &[], numbers(&[version])).await;
        assert_eq!(
            other.snapshot(&name, At::Latest).await.unwrap().version,
            version
        );
        assert_eq!(
            fixture.snapshot("s.t").await.row_count(),
            Some(version as u64 + 1)
        );
    }
}

#[tokio::test]
async fn a_table_made_anew_at_the_same_place_is_another_one() {
    // Fewer versions than before, as many, and more.
    for versions in [1, 2, 3] {
        let fixture = Fixture::new().await;
        fixture.append("s.t", &[], numbers(&[1, 2, 3])).await;
        fixture.append("s.t", &[], numbers(&[4])).await;
        let before = fixture.snapshot("s.t").await;
        assert_eq!((before.version, before.row_count()), (1, Some(4)));
        delete(&fixture, "s.t");
        for _ in 0..versions {
            write(
                &fixture.location("s.t"),
                &[],
                vec![numbers(&[7])],
                SaveMode::Append,
            )
            .await;
        }
        let after = fixture.snapshot("s.t").await;
        assert_eq!(
            (after.version, after.row_count()),
            (versions - 1, Some(versions as u64))
        );
        assert_ne!(after.table_id, before.table_id);
    }
}

#[tokio::test]
async fn a_deleted_table_is_an_error_that_names_it_and_does_not_come_back_empty() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    fixture.snapshot("s.t").await;
    delete(&fixture, "s.t");
    let name = "s.t".parse().unwrap();
    for at in [
        At::Latest,
        At::Version(0),
        At::Timestamp(DateTime::UNIX_EPOCH),
    ] {
        let error = fixture.catalog.snapshot(&name, at).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::NotFound { .. }),
            "{at:?}: {error:?}"
        );
        assert!(
            error.to_string().contains("table `s.t`") && error.hint().is_some(),
            "{at:?}: {error}"
        );
    }
    assert!(fixture.catalog.history(&name, None).await.is_err());
    assert!(
        !fixture.location("s.t").to_file_path().unwrap().exists(),
        "reading made the folder again"
    );
}

#[tokio::test]
async fn a_data_file_that_is_gone_is_named() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    let snapshot = fixture.snapshot("s.t").await;
    let file = &snapshot.files[0].path;
    std::fs::remove_file(fixture.location("s.t").to_file_path().unwrap().join(file)).unwrap();
    let session = crate::fixture::session();
    session
        .register_table("t", snapshot.scan().unwrap())
        .unwrap();
    let error = session
        .sql("SELECT a FROM t")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap_err();
    assert!(error.to_string().contains(file), "{error}");
}

#[tokio::test]
async fn many_readers_wait_for_one_refresh() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    let name: TableName = "s.t".parse().unwrap();
    let readers = (0..16).map(|_| fixture.catalog.snapshot(&name, At::Latest));
    let snapshots = futures::future::try_join_all(readers).await.unwrap();
    assert!(
        snapshots
            .iter()
            .all(|snapshot| Arc::ptr_eq(snapshot, &snapshots[0]))
    );
}

#[tokio::test]
async fn our_own_commit_is_taken_over_and_never_goes_back() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], numbers(&[1])).await;
    let entry = fixture
        .catalog
        .entry(&"s.t".parse().unwrap())
        .await
        .unwrap();
    let old = load(&entry, None).await.unwrap();
    fixture.append("s.t", &[], numbers(&[2])).await;
    let new = load(&entry, None).await.unwrap();
    let cache = SnapshotCache::default();
    let published = cache
        .publish(&entry, new.snapshot().unwrap())
        .await
        .unwrap();
    assert!(Arc::ptr_eq(
        &published,
        &cache.latest(&entry).await.unwrap()
    ));
    cache
        .publish(&entry, old.snapshot().unwrap())
        .await
        .unwrap();
    assert!(Arc::ptr_eq(
        &published,
        &cache.latest(&entry).await.unwrap()
    ));
}

#[tokio::test]
async fn earlier_versions_are_found_by_number_and_time() {
    let fixture = Fixture::new().await;
    for value in 0..4 {
        fixture.append("s.t", &[], numbers(&[value])).await;
    }
    let name: TableName = "s.t".parse().unwrap();
    let history = fixture.catalog.history(&name, None).await.unwrap();
    assert_eq!(
        history
            .iter()
            .map(|commit| commit.version)
            .collect::<Vec<_>>(),
        [3, 2, 1, 0]
    );
    assert_eq!(history[0].operation, "WRITE");
    assert_eq!(
        fixture.catalog.history(&name, Some(2)).await.unwrap().len(),
        2
    );
    for commit in &history {
        let by_number = fixture
            .catalog
            .snapshot(&name, At::Version(commit.version))
            .await
            .unwrap();
        assert_eq!(by_number.row_count(), Some(commit.version as u64 + 1));
        let by_time = fixture
            .catalog
            .snapshot(&name, At::Timestamp(commit.timestamp))
            .await
            .unwrap();
        assert!(
            by_time.version >= commit.version
                && history[(3 - by_time.version) as usize].timestamp == commit.timestamp
        );
    }
    let first = history[3].timestamp;
    for at in [
        At::Version(4),
        At::Version(-1),
        At::Timestamp(first - chrono::TimeDelta::milliseconds(1)),
    ] {
        let error = fixture.catalog.snapshot(&name, at).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::NotFound { .. }) && error.hint().is_some(),
            "{at:?}: {error:?}"
        );
    }
    let later = first + chrono::TimeDelta::days(1);
    assert_eq!(
        fixture
            .catalog
            .snapshot(&name, At::Timestamp(later))
            .await
            .unwrap()
            .version,
        3
    );
}
