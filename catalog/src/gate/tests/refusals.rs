//! What a refusal leaves behind: the table as it was, and no files of its own.

use super::*;

#[tokio::test]
async fn refused_commit_leaves_version_rows_and_files() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let (version, rows, files) = (
        fixture.version().await,
        fixture.rows().await,
        fixture.parquet_files(),
    );
    for mode in [
        WriteMode::Append,
        WriteMode::Overwrite,
        upsert(),
        WriteMode::ReplaceWhere("id >= 0".into()),
    ] {
        let refused = fixture
            .write(&[(3, "bad")], mode.clone(), WriteContext::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, CatalogError::Refused(r) if r.message == "1 bad rows"),
            "{mode:?}: {refused}"
        );
        assert_eq!(fixture.version().await, version);
        assert_eq!(fixture.rows().await, rows);
        assert_eq!(
            fixture.parquet_files(),
            files,
            "{mode:?} left a file behind or took one away"
        );
    }
}

#[tokio::test]
async fn commit_that_cannot_be_judged_is_refused_and_leaves_no_files() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let files = fixture.parquet_files();
    let refused = fixture
        .write(&[(3, "three")], WriteMode::Append, attach("unreadable"))
        .await
        .unwrap_err();
    assert!(matches!(refused, CatalogError::Refused(_)), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "commit refused: version 1 of `silver.things` could not be judged: no such check"
    );
    assert_eq!(fixture.parquet_files(), files);
}

#[tokio::test]
async fn refused_first_version_leaves_no_table() {
    let fixture = Fixture::new().await;
    let refused = fixture
        .write(&[(1, "bad")], WriteMode::Append, attach("v1"))
        .await;
    assert!(matches!(refused, Err(CatalogError::Refused(_))));
    assert!(matches!(
        fixture.catalog.snapshot(&name(), At::Latest).await,
        Err(CatalogError::NotFound { .. })
    ));
    assert!(fixture.catalog.list().await.unwrap().is_empty());
    fixture.guarded().await;
    assert_eq!(fixture.version().await, 0);
}

#[tokio::test]
async fn update_and_restore_to_bad_rows_are_refused_and_keep_live_files() {
    let fixture = Fixture::new().await;
    fixture
        .write(&[(1, "bad")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .write(&[(1, "good")], WriteMode::Overwrite, attach("v1"))
        .await
        .unwrap();
    let files = fixture.parquet_files();
    let restored = fixture.catalog.restore(&name(), At::Version(0)).await;
    assert!(
        matches!(restored, Err(CatalogError::Refused(_))),
        "{restored:?}"
    );
    let set = [("name".to_owned(), "'bad'".to_owned())];
    let updated = fixture
        .catalog
        .update_rows(
            &fixture.session,
            &name(),
            None,
            &set,
            WriteContext::default(),
        )
        .await;
    assert!(
        matches!(updated, Err(CatalogError::Refused(_))),
        "{updated:?}"
    );
    assert_eq!(
        fixture.parquet_files(),
        files,
        "a file that a version needs was deleted"
    );
    assert_eq!(fixture.rows().await, [(1, "good".into())]);
}
