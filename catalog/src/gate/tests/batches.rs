//! Batches that are written once, replaced, taken out by a restore, and remembered.

use super::handmade::{actions, send};
use super::*;

#[tokio::test]
async fn batch_is_committed_once_and_an_overwrite_until_another_replaces_it() {
    let fixture = Fixture::new().await;
    let outcome = |w: crate::Written| w.outcome;
    let append = fixture
        .write(&[(1, "one")], WriteMode::Append, batch("a"))
        .await
        .unwrap();
    assert_eq!(outcome(append), WriteOutcome::Committed);
    assert_eq!(
        outcome(
            fixture
                .write(&[(1, "one")], WriteMode::Append, batch("a"))
                .await
                .unwrap()
        ),
        WriteOutcome::AlreadyDone
    );
    fixture
        .write(&[(2, "two")], WriteMode::Append, batch("b"))
        .await
        .unwrap();
    assert_eq!(
        outcome(
            fixture
                .write(&[(1, "one")], WriteMode::Append, batch("a"))
                .await
                .unwrap()
        ),
        WriteOutcome::AlreadyDone
    );
    assert_eq!(fixture.rows().await.len(), 2);
    let again = WriteContext {
        reprocess: true,
        ..batch("a")
    };
    assert_eq!(
        outcome(
            fixture
                .write(&[(1, "one")], WriteMode::Append, again)
                .await
                .unwrap()
        ),
        WriteOutcome::Committed
    );

    fixture
        .write(&[(1, "A")], WriteMode::Overwrite, batch("x"))
        .await
        .unwrap();
    assert_eq!(
        outcome(
            fixture
                .write(&[(1, "A")], WriteMode::Overwrite, batch("x"))
                .await
                .unwrap()
        ),
        WriteOutcome::AlreadyDone
    );
    fixture
        .write(&[(1, "B")], WriteMode::Overwrite, batch("y"))
        .await
        .unwrap();
    assert_eq!(
        outcome(
            fixture
                .write(&[(1, "A")], WriteMode::Overwrite, batch("x"))
                .await
                .unwrap()
        ),
        WriteOutcome::Committed
    );
    assert_eq!(fixture.rows().await, [(1, "A".into())]);
}

#[tokio::test]
async fn batch_that_a_restore_took_out_is_written_again() {
    let fixture = Fixture::new().await;
    for (row, id) in [((1, "one"), "a"), ((2, "two"), "b"), ((3, "three"), "c")] {
        fixture
            .write(&[row], WriteMode::Append, batch(id))
            .await
            .unwrap();
    }
    let done = async |id: &str| {
        let batch = batch(id).batch.unwrap();
        fixture
            .catalog
            .batch_version(&name(), &batch, &WriteMode::Append)
            .await
            .unwrap()
    };
    assert_eq!(
        (done("a").await, done("b").await, done("c").await),
        (Some(0), Some(1), Some(2))
    );
    fixture
        .catalog
        .restore(&name(), At::Version(0))
        .await
        .unwrap();
    assert_eq!(
        (done("a").await, done("b").await, done("c").await),
        (Some(0), None, None)
    );
    fixture
        .write(&[(2, "two")], WriteMode::Append, batch("b"))
        .await
        .unwrap();
    assert_eq!(
        (done("a").await, done("b").await, done("c").await),
        (Some(0), Some(4), None)
    );
    fixture
        .catalog
        .restore(&name(), At::Version(2))
        .await
        .unwrap();
    assert_eq!((done("a").await, done("c").await), (Some(0), Some(2)));
    assert_eq!(fixture.rows().await.len(), 3);
}

#[tokio::test]
async fn batches_are_known_when_the_commits_that_brought_them_are_cleaned_up() {
    let fixture = Fixture::new().await;
    for (row, id) in [((1, "one"), "a"), ((2, "two"), "b")] {
        fixture
            .write(&[row], WriteMode::Append, batch(id))
            .await
            .unwrap();
    }
    fixture
        .catalog
        .restore(&name(), At::Version(0))
        .await
        .unwrap();
    for (row, id) in [((3, "three"), "c"), ((4, "four"), "d"), ((5, "five"), "e")] {
        fixture
            .write(&[row], WriteMode::Append, batch(id))
            .await
            .unwrap();
    }
    let table = fixture
        .catalog
        .open_existing(&name(), WriteContext::default(), Trust::default())
        .await
        .unwrap();
    deltalake::checkpoints::create_checkpoint(&table.table, None)
        .await
        .unwrap();
    for version in 0..table.version() {
        let commit = format!("warehouse/silver/things/_delta_log/{version:020}.json");
        std::fs::remove_file(fixture.folder.path().join(commit)).unwrap();
    }
    for (id, version) in [("b", None), ("c", Some(3)), ("e", Some(5))] {
        let batch = batch(id).batch.unwrap();
        let found = fixture
            .catalog
            .batch_version(&name(), &batch, &WriteMode::Append)
            .await
            .unwrap();
        assert_eq!(found, version, "batch {id}");
    }
}

#[tokio::test]
async fn batch_that_a_restore_to_its_own_time_kept_is_not_written_again() {
    let fixture = Fixture::new().await;
    for (row, id) in [((1, "one"), "a"), ((2, "two"), "b"), ((3, "three"), "c")] {
        fixture
            .write(&[row], WriteMode::Append, batch(id))
            .await
            .unwrap();
    }
    // As other tools restore, which know times alone.
    let time = fixture.action(1, "commitInfo")["timestamp"].clone();
    let restore = json!({"operation": "RESTORE", "operationParameters": {"datetime": time}});
    let commit = actions(&[json!({"commitInfo": restore})]);
    send(&fixture, Trust::default(), commit).await.unwrap();
    let found = fixture
        .catalog
        .batch_version(&name(), &batch("b").batch.unwrap(), &WriteMode::Append)
        .await
        .unwrap();
    assert_eq!(found, Some(1));
}
