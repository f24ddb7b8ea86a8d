//! The gate against every kind of commit, lost races, stores that lie, and damaged rules.

#![expect(
    clippy::disallowed_methods,
    reason = "tests need a clock and a session of their own"
)]

mod batches;
mod handmade;
mod judging;
mod races;
mod refusals;
mod rules;
mod stores;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use deltalake::logstore::{LogStoreRef, StorageConfig, logstore_for};
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
            after_commit: None,
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
