//! Another writer who commits while a commit is judged.

use futures::FutureExt;

use super::*;

#[tokio::test]
async fn lost_race_is_judged_again_over_the_version_that_won() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let other = open(&fixture.folder, &fixture.judge).await;
    let calls = fixture.asked().len();
    *fixture.judge.before.lock().unwrap() = Some(Box::new(move |asked| {
        let other = other.clone();
        async move {
            if asked == calls + 1 {
                let write = Write {
                    table: name(),
                    mode: WriteMode::Append,
                    source: plan(&[(10, "winner")]),
                    options: WriteOptions::default(),
                    context: WriteContext::default(),
                };
                other.write(&SessionContext::new(), write).await.unwrap();
            }
        }
        .boxed()
    }));
    fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    assert_eq!(fixture.version().await, 2);
    let asked = fixture.judge.asked.lock().unwrap();
    let last = asked.last().unwrap();
    assert_eq!(last.version, 2);
    assert_eq!(last.base.as_ref().unwrap().version, 1);
    assert_eq!(last.candidate.files.len(), 3);
}

#[tokio::test]
async fn two_creations_at_once_make_one_table() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.folder, &fixture.judge).await;
    *fixture.judge.before.lock().unwrap() = Some(Box::new(move |asked| {
        let other = other.clone();
        async move {
            if asked == 1 {
                let write = Write {
                    table: name(),
                    mode: WriteMode::Append,
                    source: plan(&[(10, "winner")]),
                    options: WriteOptions::default(),
                    context: WriteContext::default(),
                };
                other.write(&SessionContext::new(), write).await.unwrap();
            }
        }
        .boxed()
    }));
    fixture.guarded().await;
    assert_eq!(fixture.rows().await.len(), 3);
    let ids: Vec<String> = vec![
        fixture
            .catalog
            .snapshot(&name(), At::Version(0))
            .await
            .unwrap()
            .table_id
            .clone(),
        fixture
            .catalog
            .snapshot(&name(), At::Version(1))
            .await
            .unwrap()
            .table_id
            .clone(),
    ];
    assert_eq!(
        ids[0], ids[1],
        "the second creation replaced the table's identity"
    );
}

#[tokio::test]
async fn creation_that_another_came_before_does_not_replace_its_columns() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.folder, &fixture.judge).await;
    *fixture.judge.before.lock().unwrap() = Some(Box::new(move |asked| {
        let other = other.clone();
        async move {
            if asked == 1 {
                let write = Write {
                    table: name(),
                    mode: WriteMode::Append,
                    source: sql("SELECT CAST(7 AS bigint) AS other").await,
                    options: WriteOptions::default(),
                    context: WriteContext::default(),
                };
                other.write(&SessionContext::new(), write).await.unwrap();
            }
        }
        .boxed()
    }));
    let error = fixture
        .write(&[(1, "one")], WriteMode::Append, attach("v1"))
        .await
        .unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }), "{error:?}");
    let snapshot = fixture.catalog.snapshot(&name(), At::Latest).await.unwrap();
    assert_eq!((snapshot.version, snapshot.row_count()), (0, Some(1)));
    assert_eq!(snapshot.schema.field(0).name(), "other");
}

#[tokio::test]
async fn table_that_is_replaced_under_a_write_is_not_given_rows_of_the_old_one() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let other = open(&fixture.folder, &fixture.judge).await;
    let before = fixture.asked().len();
    *fixture.judge.before.lock().unwrap() = Some(Box::new(move |asked| {
        let other = other.clone();
        async move {
            if asked != before + 1 {
                return;
            }
            other.drop_table(&name(), true).await.unwrap();
            for _ in 0..3 {
                let write = Write {
                    table: name(),
                    mode: WriteMode::Append,
                    source: sql("SELECT CAST(7 AS bigint) AS other").await,
                    options: WriteOptions::default(),
                    context: WriteContext::default(),
                };
                other.write(&SessionContext::new(), write).await.unwrap();
            }
        }
        .boxed()
    }));
    let error = fixture
        .write(&[(3, "three")], WriteMode::Append, attach("v2"))
        .await
        .unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }), "{error:?}");
    let snapshot = fixture.catalog.snapshot(&name(), At::Latest).await.unwrap();
    assert_eq!((snapshot.version, snapshot.row_count()), (2, Some(3)));
    assert_eq!(snapshot.rules_sha256(), None);
}

#[tokio::test]
async fn refused_first_version_leaves_the_rules_of_a_table_that_came_to_be_meanwhile() {
    let fixture = Fixture::new().await;
    let other = open(&fixture.folder, &fixture.judge).await;
    *fixture.judge.before.lock().unwrap() = Some(Box::new(move |asked| {
        let other = other.clone();
        async move {
            if asked == 1 {
                let write = Write {
                    table: name(),
                    mode: WriteMode::Append,
                    source: plan(&[(10, "winner")]),
                    options: WriteOptions::default(),
                    context: attach("v1"),
                };
                other.write(&SessionContext::new(), write).await.unwrap();
            }
        }
        .boxed()
    }));
    let refused = fixture
        .write(&[(1, "bad")], WriteMode::Append, attach("v1"))
        .await;
    assert!(
        matches!(refused, Err(CatalogError::Refused(_))),
        "{refused:?}"
    );
    fixture
        .write(&[(11, "later")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    assert_eq!(fixture.rows().await.len(), 2);
}
