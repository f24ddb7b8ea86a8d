//! Which commits are judged, what the judge is told, and what the commit says of it.

use super::*;

#[tokio::test]
async fn every_kind_of_commit_is_judged_and_upkeep_is_not() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    fixture
        .write(
            &[(2, "zwei"), (3, "drei")],
            upsert(),
            WriteContext::default(),
        )
        .await
        .unwrap();
    fixture
        .write(&[(4, "four")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .catalog
        .update_rows(
            &fixture.session,
            &name(),
            Some("id = 4"),
            &[("name".into(), "'vier'".into())],
            WriteContext::default(),
        )
        .await
        .unwrap();
    fixture
        .catalog
        .delete_rows(&fixture.session, &name(), "id = 4", WriteContext::default())
        .await
        .unwrap();
    let judged = fixture.asked().len();
    fixture
        .catalog
        .optimize(&fixture.session, &name(), &[], None)
        .await
        .unwrap();
    fixture
        .catalog
        .vacuum(&name(), std::time::Duration::from_secs(3600), false)
        .await
        .unwrap();
    assert_eq!(
        fixture.asked().len(),
        judged,
        "optimize or vacuum was judged"
    );
    fixture
        .catalog
        .restore(&name(), At::Version(0))
        .await
        .unwrap();
    let operations: Vec<String> = fixture
        .asked()
        .into_iter()
        .map(|(operation, _)| operation)
        .collect();
    assert_eq!(
        operations,
        ["WRITE", "MERGE", "WRITE", "UPDATE", "DELETE", "RESTORE"]
    );
    assert_eq!(fixture.rows().await, [(1, "one".into()), (2, "two".into())]);
}

#[tokio::test]
async fn judge_is_told_what_the_commit_brings_and_what_it_builds_on() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let waiver = json!({"check": "name/not_null"});
    fixture.catalog.waive(&name(), &waiver).await.unwrap();
    let brought = fixture.session.sql("SELECT 3 AS id").await.unwrap();
    let context = WriteContext {
        added: Some(brought.into_view()),
        run: Some("run-2".into()),
        ..WriteContext::default()
    };
    fixture
        .write(&[(3, "three")], WriteMode::Append, context)
        .await
        .unwrap();
    let asked = fixture.judge.asked.lock().unwrap();
    let candidate = asked.last().unwrap();
    assert_eq!(candidate.added.as_ref().unwrap().schema().fields().len(), 1);
    assert_eq!(candidate.waivers, [waiver]);
    assert_eq!(candidate.run.as_deref(), Some("run-2"));
    assert_eq!(candidate.rules.text.as_ref(), "v1");
    assert!(!candidate.attaching);
    let base = candidate.base.as_ref().unwrap();
    assert_eq!((base.version, candidate.version), (0, 1));
    assert_eq!(candidate.candidate.row_count(), Some(3));
}

#[tokio::test]
async fn verdict_is_in_the_commit() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let history = fixture.catalog.history(&name(), Some(1)).await.unwrap();
    let lakegate = history[0].lakegate.clone().unwrap();
    assert_eq!(lakegate["verdict"], "pass");
    assert_eq!(lakegate["checks"], 1);
    assert_eq!(lakegate["run"], "run-1");
    assert_eq!(lakegate["rules_sha256"], rules("v1").sha256);
    assert!(lakegate["token"].is_string());
}

#[tokio::test]
async fn without_a_judge_a_table_with_rules_takes_no_rows() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let options = CatalogOptions {
        registry: fixture.folder.path().join("catalog.db"),
        warehouse: Url::from_directory_path(fixture.folder.path().join("warehouse")).unwrap(),
        clock: Utc::now,
    };
    let catalog = Catalog::open(options).await.unwrap();
    let write = Write {
        table: name(),
        mode: WriteMode::Append,
        source: plan(&[(3, "three")]),
        options: WriteOptions::default(),
        context: WriteContext::default(),
    };
    assert!(matches!(
        catalog.write(&fixture.session, write).await,
        Err(CatalogError::Bug(_))
    ));
    assert_eq!(fixture.version().await, 0);
}
