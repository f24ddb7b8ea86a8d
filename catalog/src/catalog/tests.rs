use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use deltalake::protocol::SaveMode;

use super::*;
use crate::fixture::{Fixture, open, rows, write};

fn one() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    rows(vec![("a", column)])
}

fn two() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    rows(vec![("a", Arc::clone(&numbers)), ("b", numbers)])
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

/// An entry as an older catalog may have it: without a look at its folder.
async fn entry(fixture: &Fixture, name: &str, location: &Url) {
    let entry = TableEntry {
        name: name.parse().unwrap(),
        location: location.clone(),
        format: TableFormat::Delta,
        registered_at: crate::fixture::noon(),
    };
    fixture.catalog.registry.register(&entry).await.unwrap();
}

#[tokio::test]
async fn tables_that_share_a_folder_are_neither_registered_nor_purged_nor_vacuumed() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &["a"], two()).await;
    let outer = fixture.location("s.t");
    let (around, inside) = (outer.join("..").unwrap(), outer.join("a=1/").unwrap());
    for (location, expected) in [
        (&outer, "it is the folder of table `s.t`"),
        (&around, "its folder holds table `s.t`"),
        (&inside, "it lies in the folder of table `s.t`"),
    ] {
        let name = "x.y".parse().unwrap();
        let error = fixture.catalog.register(&name, location).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(fixture.catalog.entry(&name).await.is_err());
    }
    for location in [&around, &inside] {
        entry(&fixture, "x.y", location).await;
        let name = "x.y".parse().unwrap();
        let error = fixture.catalog.drop_table(&name, true).await.unwrap_err();
        assert!(error.to_string().contains("cannot be purged"), "{error}");
        fixture.catalog.drop_table(&name, false).await.unwrap();
    }
    assert_eq!(fixture.snapshot("s.t").await.row_count(), Some(2));
}

#[tokio::test]
async fn a_link_to_the_folder_of_a_table_is_that_folder() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], two()).await;
    let folder = fixture.location("s.t").to_file_path().unwrap();
    let link = fixture.folder.path().join("link");
    std::os::unix::fs::symlink(folder, &link).unwrap();
    let link = Url::from_directory_path(link).unwrap();
    let name = "x.y".parse().unwrap();
    let error = fixture.catalog.register(&name, &link).await.unwrap_err();
    let expected = "it is the folder of table `s.t`";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_table_inside_another_is_not_vacuumed() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &["a"], two()).await;
    let inside = fixture.location("s.t").join("a=1/").unwrap();
    write(&inside, &[], vec![one()], SaveMode::Append).await;
    entry(&fixture, "x.y", &inside).await;
    let name = "x.y".parse().unwrap();
    let vacuumed = fixture
        .catalog
        .vacuum(&name, std::time::Duration::ZERO, false);
    let error = vacuumed.await.unwrap_err().to_string();
    assert!(
        error.contains("cannot be vacuumed: it lies in the folder of table `s.t`"),
        "{error}"
    );
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    crate::fixture::query(scan, "SELECT sum(b) FROM t").await;
}

#[tokio::test]
async fn a_folder_in_a_table_that_is_not_registered_is_refused() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &["a"], two()).await;
    fixture
        .catalog
        .drop_table(&"s.t".parse().unwrap(), false)
        .await
        .unwrap();
    let inside = fixture.location("s.t").join("a=1/").unwrap();
    let name = "x.y".parse().unwrap();
    let error = fixture.catalog.register(&name, &inside).await.unwrap_err();
    assert!(
        error.to_string().contains("lies in the folder of"),
        "{error}"
    );
    entry(&fixture, "x.y", &inside).await;
    let error = fixture.catalog.drop_table(&name, true).await.unwrap_err();
    assert!(error.to_string().contains("cannot be purged"), "{error}");
}

#[tokio::test]
async fn vacuum_leaves_other_tables_in_the_folder() {
    let fixture = Fixture::new().await;
    fixture.append("s.t", &[], two()).await;
    let name: TableName = "s.t".parse().unwrap();
    let nested = fixture.location("s.t").join("other/").unwrap();
    write(&nested, &[], vec![two()], SaveMode::Append).await;
    for registered in [false, true] {
        if registered {
            entry(&fixture, "x.y", &nested).await;
        }
        for dry_run in [true, false] {
            let vacuumed = fixture
                .catalog
                .vacuum(&name, std::time::Duration::ZERO, dry_run)
                .await;
            let error = vacuumed.unwrap_err().to_string();
            assert!(error.contains("cannot be vacuumed"), "{error}");
        }
    }
    let other = fixture.catalog.snapshot_in(&nested, At::Latest).await;
    assert_eq!(other.unwrap().row_count(), Some(2));
}

#[tokio::test]
async fn only_the_system_writes_to_its_schema() {
    let fixture = Fixture::new().await;
    let name: TableName = "lakegate.runs".parse().unwrap();
    write(
        &fixture.location("lakegate.runs"),
        &[],
        vec![one()],
        SaveMode::Append,
    )
    .await;
    let location = fixture.location("lakegate.runs");
    let refused = [
        fixture.catalog.register(&name, &location).await.err(),
        {
            entry(&fixture, "lakegate.runs", &location).await;
            fixture.catalog.drop_table(&name, true).await.err()
        },
        fixture
            .catalog
            .apply_rules(
                &name,
                crate::RulesText {
                    file: "r.yaml".into(),
                    text: "".into(),
                    sha256: String::new(),
                },
            )
            .await
            .err(),
        fixture
            .catalog
            .waive(&name, &serde_json::json!({}))
            .await
            .err(),
        fixture.catalog.restore(&name, At::Version(0)).await.err(),
    ];
    for error in refused {
        let error = error.unwrap().to_string();
        assert!(error.contains("Lakegate's own"), "{error}");
    }
    assert_eq!(fixture.snapshot("lakegate.runs").await.row_count(), Some(1));
}
