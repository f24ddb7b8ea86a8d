//! Commits that no writer of Lakegate makes: what they bring is judged, or refused.

use deltalake::kernel::Action;
use deltalake::kernel::transaction::{CommitBuilder, TableReference};
use deltalake::logstore::CommitOrBytes;
use deltalake::protocol::{DeltaOperation, SaveMode};
use object_store::path::Path;
use uuid::Uuid;

use super::*;

/// Sends a commit to the gate, as a writer does who has opened the table.
pub(super) async fn send(
    fixture: &Fixture,
    trust: Trust,
    commit: CommitOrBytes,
) -> Result<(), CatalogError> {
    let (name, context) = (name(), WriteContext::default());
    let opened = fixture.catalog.open_existing(&name, context, trust);
    let table = opened.await.unwrap();
    let next = u64::try_from(table.version() + 1).unwrap();
    let log_store = table.table.log_store();
    match log_store
        .write_commit_entry(next, commit, Uuid::new_v4())
        .await
    {
        Ok(()) => Ok(()),
        Err(_) => Err(table.gate.record().stop.take().unwrap()),
    }
}

/// A commit of these actions.
pub(super) fn actions(actions: &[Value]) -> CommitOrBytes {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    CommitOrBytes::LogBytes(lines.join("\n").into())
}

/// A copy of the table's first file, and the action that adds it.
fn copied(fixture: &Fixture, name: &str) -> Value {
    let folder = fixture.folder.path().join("warehouse/silver/things");
    let mut add = fixture.action(0, "add");
    std::fs::copy(
        folder.join(add["path"].as_str().unwrap()),
        folder.join(name),
    )
    .unwrap();
    add["path"] = name.into();
    add
}

#[tokio::test]
async fn change_of_columns_alone_is_judged_and_one_of_properties_is_not() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    fixture.accept_only(0);
    let column = |name: &str, data_type: &str, nullable: bool| json!({"name": name, "type": data_type, "nullable": nullable, "metadata": {}});
    let (id, text) = (column("id", "long", true), column("name", "string", true));
    let change = async |columns: &[Value], partition_columns: &[&str]| {
        let mut metadata = fixture.action(0, "metaData");
        let schema = json!({"type": "struct", "fields": columns});
        metadata["schemaString"] = schema.to_string().into();
        metadata["partitionColumns"] = json!(partition_columns);
        metadata["configuration"] = json!({"owner": "ada"});
        send(
            &fixture,
            Trust::default(),
            actions(&[json!({"metaData": metadata})]),
        )
        .await
    };
    for (columns, partition_columns) in [
        (vec![column("key", "long", true), text.clone()], vec![]),
        (vec![column("id", "integer", true), text.clone()], vec![]),
        (vec![column("id", "long", false), text.clone()], vec![]),
        (vec![text.clone(), id.clone()], vec![]),
        (vec![text.clone()], vec![]),
        (
            vec![id.clone(), text.clone(), column("more", "long", true)],
            vec![],
        ),
        (vec![id.clone(), text.clone()], vec!["id"]),
    ] {
        let judged = fixture.asked().len();
        let outcome = change(&columns, &partition_columns).await;
        assert!(
            matches!(&outcome, Err(CatalogError::Refused(refusal)) if refusal.message == "0 bad rows"),
            "{columns:?} {partition_columns:?}: {outcome:?}"
        );
        assert_eq!(fixture.asked().len(), judged + 1);
        let asked = fixture.judge.asked.lock().unwrap();
        let candidate = &asked.last().unwrap().candidate;
        let names: Vec<&str> = candidate
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let wanted: Vec<&str> = columns
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, wanted);
        assert_eq!(candidate.partition_columns, partition_columns);
    }
    let judged = fixture.asked().len();
    change(&[id, text], &[]).await.unwrap();
    assert_eq!(fixture.asked().len(), judged);
    let snapshot = fixture.catalog.snapshot(&name(), At::Latest).await.unwrap();
    assert_eq!(snapshot.properties.get("owner"), Some(&"ada".to_owned()));
    assert_eq!(snapshot.rules_sha256(), Some(rules("v1").sha256.as_str()));
}

#[tokio::test]
async fn deletion_vectors_in_a_commit_are_refused_unread() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let judged = fixture.asked().len();
    let mut add = fixture.action(0, "add");
    add["deletionVector"] = json!({"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4,
        "sizeInBytes": 40, "cardinality": 1});
    let refused = send(&fixture, Trust::default(), actions(&[json!({"add": add})])).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("brings deletion vectors"), "{message}");
    assert_eq!(
        (fixture.version().await, fixture.asked().len()),
        (0, judged)
    );
}

#[tokio::test]
async fn table_with_deletion_vectors_is_judged_as_its_versions_are_read() {
    let fixture = Fixture::new().await;
    let rows: Vec<(i64, &str)> = (0..30).map(|id| (id, "good")).collect();
    fixture
        .write(&rows, WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    crate::fixture::commit_deletion_vector(&fixture.location().to_file_path().unwrap());
    fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    assert_eq!(fixture.asked(), [("SET TBLPROPERTIES".to_owned(), 2)]);

    let mut metadata = fixture.action(0, "metaData");
    let schema = metadata["schemaString"]
        .as_str()
        .unwrap()
        .replace("\"id\"", "\"key\"");
    metadata["schemaString"] = schema.into();
    let change = actions(&[json!({"metaData": metadata})]);
    let refused = send(&fixture, Trust::default(), change).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Refused(_)), "{refused:?}");
    assert!(
        refused
            .to_string()
            .contains("the table has deletion vectors"),
        "{refused}"
    );
}

#[tokio::test]
async fn refusal_deletes_the_files_of_the_commit_and_none_that_the_table_has() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let files = fixture.parquet_files();
    let (old, new) = (fixture.action(0, "add"), copied(&fixture, "new.parquet"));
    fixture.accept_only(0);
    let trust = Trust {
        writes_its_files: true,
        ..Trust::default()
    };
    let refused = send(
        &fixture,
        trust,
        actions(&[json!({"add": old}), json!({"add": new})]),
    )
    .await;
    assert!(
        matches!(refused, Err(CatalogError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(fixture.parquet_files(), files);
    assert_eq!(fixture.rows().await.len(), 2);
    let asked = fixture.judge.asked.lock().unwrap();
    let candidate = &asked.last().unwrap().candidate;
    assert_eq!(
        candidate.files.len(),
        2,
        "a file that is added again is one file"
    );
    assert_eq!(candidate.row_count(), Some(4));
}

#[tokio::test]
async fn rearrangement_that_brings_or_takes_rows_is_judged() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let trust = Trust {
        rearranges: true,
        ..Trust::default()
    };
    let add = json!({"add": copied(&fixture, "new.parquet")});
    let path = fixture.action(0, "add")["path"].clone();
    let remove = json!({"remove": {"path": path, "dataChange": true, "deletionTimestamp": 1}});
    for action in [add, remove] {
        let judged = fixture.asked().len();
        send(&fixture, trust, actions(&[action])).await.unwrap();
        assert_eq!(fixture.asked().len(), judged + 1);
    }
    assert_eq!(fixture.rows().await.len(), 2);
}

#[tokio::test]
async fn commit_in_a_temporary_file_is_refused() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let file = "_delta_log/_commit_1.json.tmp";
    let bytes = json!({"add": copied(&fixture, "new.parquet")}).to_string();
    let folder = fixture.folder.path().join("warehouse/silver/things");
    std::fs::write(folder.join(file), bytes).unwrap();
    let commit = CommitOrBytes::TmpCommit(Path::from(file));
    let refused = send(&fixture, Trust::default(), commit).await;
    assert!(matches!(refused, Err(CatalogError::Bug(_))), "{refused:?}");
    assert_eq!(fixture.version().await, 0);
}

#[tokio::test]
async fn batches_alone_are_numbered_with_the_version() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let transaction = |id: &str| json!({"txn": {"appId": id, "version": 7}});
    let sent = actions(&[transaction("lakegate/p/s/a"), transaction("stream")]);
    send(&fixture, Trust::default(), sent).await.unwrap();
    let table = fixture
        .catalog
        .open_existing(&name(), WriteContext::default(), Trust::default())
        .await
        .unwrap();
    let (state, log_store) = (table.state().unwrap(), table.table.log_store());
    for (id, version) in [("lakegate/p/s/a", 1), ("stream", 7)] {
        let found = state
            .transaction_version(log_store.as_ref(), id.to_owned())
            .await;
        assert_eq!(found.unwrap(), Some(version), "{id}");
    }
}

#[tokio::test]
#[expect(deprecated, reason = "the one way to name a live file")]
async fn rearrangement_is_believed_only_from_optimize() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let table = fixture
        .catalog
        .open_existing(&name(), WriteContext::default(), Trust::default())
        .await
        .unwrap();
    let state = table.table.snapshot().unwrap().clone();
    let mut add = state.log_data().iter().next().unwrap().add_action();
    add.path = "claims-to-move-rows.parquet".into();
    add.data_change = false;
    std::fs::copy(
        fixture
            .folder
            .path()
            .join("warehouse/silver/things")
            .join(&fixture.parquet_files()[0]),
        fixture
            .folder
            .path()
            .join("warehouse/silver/things/claims-to-move-rows.parquet"),
    )
    .unwrap();
    let judged = fixture.asked().len();
    CommitBuilder::default()
        .with_actions(vec![Action::Add(add)])
        .build(
            Some(&state as &dyn TableReference),
            table.table.log_store(),
            DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: None,
                predicate: None,
            },
        )
        .await
        .unwrap();
    assert_eq!(fixture.asked().len(), judged + 1);
}
