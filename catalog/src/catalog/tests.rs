use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use deltalake::protocol::SaveMode;

use super::*;
use crate::fixture::{Fixture, open, rows, write};

fn one() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    rows(vec![("a", column)])
}

#[tokio::test]
async fn an_unknown_table_is_named_with_the_nearest_one() {
    let fixture = Fixture::new().await;
    for name in ["silver.flights", "silver.airports", "gold.daily_delays"] {
        fixture.append(name, &[], one()).await;
    }
    for (name, hint) in [
        ("silver.fligts", "did you mean `silver.flights`?"),
        ("slver.airports", "did you mean `silver.airports`?"),
        ("daily_delays", "did you mean `gold.daily_delays`?"),
        (
            "bronze.nothing_like_it",
            "`lakegate catalog list` shows the tables there are",
        ),
    ] {
        let name: TableName = name.parse().unwrap();
        let error = fixture.catalog.entry(&name).await.unwrap_err();
        assert_eq!(error.to_string(), format!("table `{name}` does not exist"));
        assert_eq!(error.hint(), Some(hint), "{name}");
    }
}

#[tokio::test]
async fn two_handles_see_each_other_s_tables() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.folder).await;
    fixture.append("s.t", &[], one()).await;
    let name = "s.t".parse().unwrap();
    assert_eq!(
        other.entry(&name).await.unwrap(),
        fixture.catalog.entry(&name).await.unwrap()
    );
    other.drop_table(&name, false).await.unwrap();
    assert!(fixture.catalog.list().await.unwrap().is_empty());
    assert!(matches!(
        fixture.catalog.snapshot(&name, At::Latest).await,
        Err(CatalogError::NotFound { .. })
    ));
}

#[tokio::test]
async fn dropping_keeps_the_files_and_purging_deletes_them() {
    let fixture = Fixture::new().await;
    let name: TableName = "s.t".parse().unwrap();
    fixture.append("s.t", &[], one()).await;
    let folder = fixture.location("s.t").to_file_path().unwrap();
    fixture.catalog.drop_table(&name, false).await.unwrap();
    assert!(folder.join("_delta_log").is_dir());
    fixture
        .catalog
        .register(&name, &fixture.location("s.t"))
        .await
        .unwrap();
    assert_eq!(fixture.snapshot("s.t").await.row_count(), Some(1));
    fixture.catalog.drop_table(&name, true).await.unwrap();
    assert!(!folder.exists());
    assert!(fixture.catalog.drop_table(&name, true).await.is_err());
}

#[tokio::test]
async fn a_table_outside_the_warehouse_is_not_purged() {
    let fixture = Fixture::new().await;
    let name: TableName = "s.outside".parse().unwrap();
    for place in ["elsewhere", "warehouse2", "warehouse/../sneaky"] {
        let location = Url::from_directory_path(fixture.folder.path().join(place)).unwrap();
        write(&location, &[], vec![one()], SaveMode::Append).await;
        fixture.catalog.register(&name, &location).await.unwrap();
        let error = fixture.catalog.drop_table(&name, true).await.unwrap_err();
        assert!(
            error.to_string().contains("is not in the warehouse"),
            "{error}"
        );
        assert_eq!(fixture.snapshot("s.outside").await.row_count(), Some(1));
        fixture.catalog.drop_table(&name, false).await.unwrap();
        assert!(location.to_file_path().unwrap().exists());
    }
}

#[tokio::test]
async fn the_warehouse_itself_is_never_purged() {
    let fixture = Fixture::new().await;
    let name: TableName = "s.root".parse().unwrap();
    let warehouse = fixture.catalog.warehouse.clone();
    write(&warehouse, &[], vec![one()], SaveMode::Append).await;
    fixture.catalog.register(&name, &warehouse).await.unwrap();
    let error = fixture.catalog.drop_table(&name, true).await.unwrap_err();
    assert!(
        error.to_string().contains("is not in the warehouse"),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_holds_another_table_is_not_purged() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], one()).await;
    let name: TableName = "s.parent".parse().unwrap();
    let parent = fixture.location("s.t").join("..").unwrap();
    fixture.catalog.register(&name, &parent).await.unwrap();
    let error = fixture.catalog.drop_table(&name, true).await.unwrap_err();
    assert!(
        error.to_string().contains("holds table `s.t` too"),
        "{error}"
    );
    assert_eq!(fixture.snapshot("s.t").await.row_count(), Some(1));
    assert!(fixture.catalog.entry(&name).await.is_ok());
}
