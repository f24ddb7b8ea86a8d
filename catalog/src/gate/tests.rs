//! The gate against every kind of commit, lost races, stores that lie, and damaged rules.

#![expect(
    clippy::disallowed_methods,
    reason = "tests need a clock and a session of their own"
)]

mod handmade;
mod stores;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use deltalake::kernel::Action;
use deltalake::kernel::transaction::{CommitBuilder, TableReference};
use deltalake::logstore::{LogStoreRef, StorageConfig, logstore_for};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::{
    At, Batch, Catalog, CatalogError, CatalogOptions, MatchedAction, MatchedClause, MergeSpec,
    NotMatchedClause, Write, WriteContext, WriteMode, WriteOptions, WriteOutcome,
};

type Hook = Box<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>;

/// Refuses a candidate in which a row is called `bad`, and remembers what it was asked.
struct FakeJudge {
    asked: Mutex<Vec<Candidate>>,
    before: Mutex<Option<Hook>>,
    /// Candidates that it is ready to accept; it refuses all after them.
    patience: AtomicUsize,
}

impl std::fmt::Debug for FakeJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeJudge")
    }
}

#[async_trait]
impl Judge for FakeJudge {
    async fn judge(&self, candidate: Candidate) -> Result<Ruling, JudgeError> {
        let asked = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(candidate.clone());
            asked.len()
        };
        let hook = self.before.lock().unwrap().as_ref().map(|hook| hook(asked));
        if let Some(hook) = hook {
            hook.await;
        }
        if candidate.rules.text.as_ref() == "unreadable" {
            return Err(JudgeError("no such check".to_owned()));
        }
        let session = SessionContext::new();
        let scan = candidate
            .candidate
            .scan()
            .map_err(|e| JudgeError(e.to_string()))?;
        // The rules `lax` have nothing against such a row.
        let name = if candidate.rules.text.as_ref() == "lax" {
            "worse"
        } else {
            "bad"
        };
        let bad = session
            .read_table(scan)
            .unwrap()
            .filter(datafusion::prelude::col("name").eq(datafusion::prelude::lit(name)))
            .unwrap()
            .count()
            .await
            .map_err(|e| JudgeError(e.to_string()))?;
        Ok(Ruling {
            accept: bad == 0 && asked <= self.patience.load(Ordering::SeqCst),
            summary: json!({"verdict": "pass", "checks": 1}),
            message: format!("{bad} bad rows"),
            report: json!({"bad": bad}),
        })
    }
}

struct Fixture {
    folder: TempDir,
    catalog: Arc<Catalog>,
    judge: Arc<FakeJudge>,
    session: SessionContext,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let judge = Arc::new(FakeJudge {
            asked: Mutex::default(),
            before: Mutex::default(),
            patience: AtomicUsize::new(usize::MAX),
        });
        let catalog = open(&folder, &judge).await;
        Self {
            folder,
            catalog,
            judge,
            session: SessionContext::new(),
        }
    }

    async fn write(
        &self,
        rows: &[(i64, &str)],
        mode: WriteMode,
        context: WriteContext,
    ) -> Result<crate::Written, CatalogError> {
        let write = Write {
            table: name(),
            mode,
            source: plan(rows),
            options: WriteOptions::default(),
            context,
        };
        self.catalog.write(&self.session, write).await
    }

    /// A table with rules and the rows 1 and 2.
    async fn guarded(&self) {
        self.write(&[(1, "one"), (2, "two")], WriteMode::Append, attach("v1"))
            .await
            .unwrap();
    }

    async fn rows(&self) -> Vec<(i64, String)> {
        let snapshot = self.catalog.snapshot(&name(), At::Latest).await.unwrap();
        let batches = self
            .session
            .read_table(snapshot.scan().unwrap())
            .unwrap()
            .sort_by(vec![datafusion::prelude::col("id")])
            .unwrap()
            .collect()
            .await
            .unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let ids = datafusion::arrow::compute::cast(
                batch.column(0),
                &datafusion::arrow::datatypes::DataType::Int64,
            )
            .unwrap();
            let names = datafusion::arrow::compute::cast(
                batch.column(1),
                &datafusion::arrow::datatypes::DataType::Utf8,
            )
            .unwrap();
            let ids = ids.as_any().downcast_ref::<Int64Array>().unwrap();
            let names = names.as_any().downcast_ref::<StringArray>().unwrap();
            rows.extend((0..batch.num_rows()).map(|i| (ids.value(i), names.value(i).to_owned())));
        }
        rows
    }

    async fn version(&self) -> i64 {
        self.catalog
            .snapshot(&name(), At::Latest)
            .await
            .unwrap()
            .version
    }

    fn parquet_files(&self) -> Vec<String> {
        let folder = self.folder.path().join("warehouse/silver/things");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|file| file.ends_with(".parquet"))
            .collect();
        files.sort();
        files
    }

    fn asked(&self) -> Vec<(String, i64)> {
        self.judge
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|c| (c.operation.clone(), c.version))
            .collect()
    }

    /// Has the judge accept this many more candidates, and no others.
    fn accept_only(&self, more: usize) {
        let patience = self.asked().len() + more;
        self.judge.patience.store(patience, Ordering::SeqCst);
    }

    /// The first action of a kind in a commit.
    fn action(&self, version: i64, kind: &str) -> Value {
        let commit = format!("warehouse/silver/things/_delta_log/{version:020}.json");
        let commit = std::fs::read_to_string(self.folder.path().join(commit)).unwrap();
        let actions = commit
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let mut found = actions.filter_map(|mut action: Value| Some(action.get_mut(kind)?.take()));
        found.next().unwrap()
    }

    fn location(&self) -> Url {
        Url::from_directory_path(self.folder.path().join("warehouse/silver/things")).unwrap()
    }

    fn log_store(&self) -> LogStoreRef {
        logstore_for(&self.location(), StorageConfig::default()).unwrap()
    }
}

async fn open(folder: &TempDir, judge: &Arc<FakeJudge>) -> Arc<Catalog> {
    let options = CatalogOptions {
        registry: folder.path().join("catalog.db"),
        warehouse: Url::from_directory_path(folder.path().join("warehouse")).unwrap(),
        clock: Utc::now,
    };
    let catalog = Catalog::open(options).await.unwrap();
    let judge: Arc<dyn Judge> = judge.clone();
    catalog.set_judge(Arc::downgrade(&judge));
    catalog
}

fn name() -> TableName {
    "silver.things".parse().unwrap()
}

fn plan(rows: &[(i64, &str)]) -> LogicalPlan {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
    let batch = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    SessionContext::new()
        .read_table(Arc::new(table))
        .unwrap()
        .into_unoptimized_plan()
}

async fn sql(sql: &str) -> LogicalPlan {
    SessionContext::new()
        .sql(sql)
        .await
        .unwrap()
        .into_unoptimized_plan()
}

fn rules(text: &str) -> RulesText {
    use sha2::Digest;
    let sha256 = sha2::Sha256::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    RulesText {
        file: "rules.yaml".into(),
        text: text.into(),
        sha256,
    }
}

fn attach(text: &str) -> WriteContext {
    WriteContext {
        attach: Some(rules(text)),
        run: Some("run-1".into()),
        ..WriteContext::default()
    }
}

fn batch(id: &str) -> WriteContext {
    WriteContext {
        batch: Some(Batch {
            writer: "p/s".into(),
            id: id.into(),
        }),
        ..WriteContext::default()
    }
}

fn upsert() -> WriteMode {
    WriteMode::Merge(MergeSpec {
        on: "target.id = source.id".into(),
        matched: vec![MatchedClause {
            when: None,
            action: MatchedAction::UpdateAll,
        }],
        not_matched: vec![NotMatchedClause {
            when: None,
            insert: None,
        }],
        not_matched_by_source: vec![],
    })
}

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
async fn restore_keeps_the_rules_attached() {
    let fixture = Fixture::new().await;
    fixture
        .write(&[(1, "one")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    fixture
        .write(&[(2, "two")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .catalog
        .restore(&name(), At::Version(0))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .catalog
            .attached_rules(&name())
            .await
            .unwrap()
            .unwrap()
            .text
            .as_ref(),
        "v1"
    );
    let refused = fixture
        .write(&[(3, "bad")], WriteMode::Append, WriteContext::default())
        .await;
    assert!(matches!(refused, Err(CatalogError::Refused(_))));
}

#[tokio::test]
async fn rules_apply_only_to_a_version_that_passes_them_and_once() {
    let fixture = Fixture::new().await;
    fixture
        .write(&[(1, "bad")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    assert!(matches!(
        fixture.catalog.apply_rules(&name(), rules("v1")).await,
        Err(CatalogError::Refused(_))
    ));
    assert!(
        fixture
            .catalog
            .attached_rules(&name())
            .await
            .unwrap()
            .is_none()
    );
    fixture
        .write(
            &[(1, "good")],
            WriteMode::Overwrite,
            WriteContext::default(),
        )
        .await
        .unwrap();
    let applied = fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    assert_eq!(
        (applied.version, applied.outcome),
        (2, WriteOutcome::Committed)
    );
    let again = fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    assert_eq!(
        (again.version, again.outcome),
        (2, WriteOutcome::AlreadyDone)
    );
}

#[tokio::test]
async fn write_with_other_rules_cannot_get_past_those_attached() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let refused = fixture
        .write(&[(3, "bad")], WriteMode::Append, attach("lax"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("must pass both"), "{refused}");
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1");

    let written = fixture
        .write(&[(3, "good")], WriteMode::Append, attach("lax"))
        .await
        .unwrap();
    let stamp = written.verdict.unwrap();
    assert_eq!(stamp["rules_sha256"], rules("lax").sha256);
    assert_eq!(stamp["replaced_rules_sha256"], rules("v1").sha256);
    fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1", "`apply` replaces");
}

#[tokio::test]
async fn rules_are_attached_past_those_before_by_apply_alone() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let judged_by = |from: usize| -> Vec<String> {
        let asked = fixture.judge.asked.lock().unwrap();
        let rules = asked.iter().skip(from).map(|c| c.rules.text.to_string());
        rules.collect()
    };
    let before = fixture.asked().len();
    fixture
        .catalog
        .attach_rules(&name(), rules("lax"))
        .await
        .unwrap();
    assert_eq!(judged_by(before), ["v1", "lax"]);
    let before = fixture.asked().len();
    fixture
        .catalog
        .apply_rules(&name(), rules("v2"))
        .await
        .unwrap();
    assert_eq!(judged_by(before), ["v2"]);
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
async fn damaged_rules_let_nothing_pass() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let file = fixture.folder.path().join(format!(
        "warehouse/silver/things/_lakegate/rules/{}.yaml",
        rules("v1").sha256
    ));
    std::fs::write(&file, "checks: []").unwrap();
    let error = fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not the ones that were attached"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    let error = fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert_eq!(fixture.version().await, 0);
}

#[tokio::test]
async fn damaged_rules_are_repaired_by_the_same_rules_and_do_not_stop_upkeep() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    let file = fixture.folder.path().join(format!(
        "warehouse/silver/things/_lakegate/rules/{}.yaml",
        rules("v1").sha256
    ));
    let damages: [fn(&std::path::Path); 2] = [
        |file| std::fs::write(file, "v0").unwrap(),
        |file| std::fs::remove_file(file).unwrap(),
    ];
    for damage in damages {
        damage(&file);
        fixture
            .catalog
            .optimize(&fixture.session, &name(), &[], None)
            .await
            .unwrap();
        let applied = fixture
            .catalog
            .apply_rules(&name(), rules("v1"))
            .await
            .unwrap();
        assert_eq!(applied.outcome, WriteOutcome::AlreadyDone);
        fixture
            .write(&[(4, "four")], WriteMode::Append, WriteContext::default())
            .await
            .unwrap();
        damage(&file);
        fixture
            .write(&[(5, "five")], WriteMode::Append, attach("v1"))
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "v1");
    }
}

#[tokio::test]
async fn rules_under_a_hash_that_is_not_theirs_are_not_attached() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let forged = RulesText {
        sha256: rules("v1").sha256,
        ..rules("lax")
    };
    for table in [name(), "silver.others".parse().unwrap()] {
        let write = Write {
            table,
            mode: WriteMode::Append,
            source: plan(&[(3, "bad")]),
            options: WriteOptions::default(),
            context: WriteContext {
                attach: Some(forged.clone()),
                ..WriteContext::default()
            },
        };
        let refused = fixture.catalog.write(&fixture.session, write).await;
        assert!(matches!(refused, Err(CatalogError::Bug(_))), "{refused:?}");
    }
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1");
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
