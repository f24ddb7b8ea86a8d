//! The judge watches the rows of a write, and what it saw counts for the files that hold them.

use std::sync::Mutex;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::fixture::{Fixture, session};
use crate::gate::{WatchedRows, Watcher};
use crate::{
    Candidate, Judge, JudgeError, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause,
    Ruling, TableName, WriteContext, WriteMode, WriteOptions, WriteOutcome,
};

const TABLE: &str = "silver.things";

/// What was watched of one candidate: the rows that were seen, and the files beside theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    rules: String,
    rows: Option<usize>,
    other_files: usize,
}

/// Accepts everything, and remembers what it was shown.
#[derive(Debug, Default)]
struct Onlooker {
    seen: Mutex<Vec<Seen>>,
}

#[derive(Debug)]
struct Counter {
    schema: SchemaRef,
    rows: Mutex<usize>,
}

struct Counting(Arc<Counter>);

impl Watcher for Counter {
    fn begin(self: Arc<Self>) -> Box<dyn RowWatch> {
        Box::new(Counting(self))
    }
}

impl RowWatch for Counting {
    fn observe(&mut self, rows: &RecordBatch) {
        *self.0.rows.lock().unwrap() += rows.num_rows();
    }

    fn finish(self: Box<Self>) {}
}

#[async_trait]
impl Judge for Onlooker {
    async fn judge(&self, candidate: Candidate) -> Result<Ruling, JudgeError> {
        let counter = candidate.watched.as_ref().map(|watched: &WatchedRows| {
            let watcher: Arc<dyn std::any::Any + Send + Sync> = watched.watcher.clone();
            watcher.downcast::<Counter>().unwrap()
        });
        if let Some(counter) = &counter {
            // Rows of other types than the table's would be of no use to a judge.
            let columns = std::iter::zip(counter.schema.fields(), candidate.schema.fields());
            for (watched, stored) in columns {
                assert_eq!(watched.name(), stored.name());
                let types = (watched.data_type(), stored.data_type());
                assert!(types.0.equals_datatype(types.1), "{types:?}");
            }
        }
        let rest = candidate.watched.as_ref().and_then(|w| w.rest.as_ref());
        self.seen.lock().unwrap().push(Seen {
            rules: candidate.rules.text.to_string(),
            rows: counter.map(|counter| *counter.rows.lock().unwrap()),
            other_files: rest.map_or(0, |rest| rest.files.len()),
        });
        Ok(Ruling {
            accept: true,
            after_commit: None,
            summary: json!({}),
            message: String::new(),
            report: Value::Null,
        })
    }

    async fn watcher(
        &self,
        _: &TableName,
        _: &RulesText,
        schema: &SchemaRef,
    ) -> Option<Arc<dyn Watcher>> {
        Some(Arc::new(Counter {
            schema: Arc::clone(schema),
            rows: Mutex::default(),
        }))
    }
}

struct Watched {
    fixture: Fixture,
    judge: Arc<Onlooker>,
    session: SessionContext,
}

impl Watched {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let judge = Arc::new(Onlooker::default());
        let known: Arc<dyn Judge> = judge.clone();
        fixture.catalog.set_judge(Arc::downgrade(&known));
        Self {
            fixture,
            judge,
            session: session(),
        }
    }

    async fn plan(&self, sql: &str) -> LogicalPlan {
        let rows = self.session.sql(sql).await.unwrap();
        rows.into_unoptimized_plan()
    }

    /// Writes, and tells what the judge was shown.
    async fn write(&self, sql: &str, mode: WriteMode, rules: Option<&str>) -> Vec<Seen> {
        let write = Write {
            table: TABLE.parse().unwrap(),
            mode,
            source: self.plan(sql).await,
            options: WriteOptions::default(),
            context: WriteContext {
                attach: rules.map(rules_text),
                ..WriteContext::default()
            },
        };
        self.write_as(write).await
    }

    async fn write_as(&self, write: Write) -> Vec<Seen> {
        let written = self.fixture.catalog.write(&self.session, write).await;
        assert_eq!(written.unwrap().outcome, WriteOutcome::Committed);
        std::mem::take(&mut *self.judge.seen.lock().unwrap())
    }
}

fn rules_text(text: &str) -> RulesText {
    let sha256 = Sha256::digest(text.as_bytes());
    RulesText {
        file: "rules.yaml".to_owned(),
        text: text.into(),
        sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn seen(rules: &str, rows: usize, other_files: usize) -> Seen {
    Seen {
        rules: rules.to_owned(),
        rows: Some(rows),
        other_files,
    }
}

const TWO: &str = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (id, name)";
const ONE: &str = "SELECT 3 AS id, 'c' AS name";

#[tokio::test]
async fn rows_are_watched_once_and_the_other_files_are_told() {
    let table = Watched::new().await;
    let first = table.write(TWO, WriteMode::Append, Some("rules")).await;
    assert_eq!(first, [seen("rules", 2, 0)]);
    let second = table.write(ONE, WriteMode::Append, None).await;
    assert_eq!(second, [seen("rules", 1, 1)]);
    let whole = table.write(TWO, WriteMode::Overwrite, None).await;
    assert_eq!(whole, [seen("rules", 2, 0)]);
}

#[tokio::test]
async fn each_rule_file_has_its_own_watcher() {
    let table = Watched::new().await;
    table.write(TWO, WriteMode::Append, Some("old")).await;
    let both = table.write(ONE, WriteMode::Append, Some("new")).await;
    assert_eq!(both, [seen("old", 1, 1), seen("new", 1, 1)]);
}

#[tokio::test]
async fn files_with_rows_of_the_table_do_not_count_as_watched() {
    let table = Watched::new().await;
    table.write(TWO, WriteMode::Append, Some("rules")).await;
    let replace = WriteMode::ReplaceWhere("id = 3".to_owned());
    for mode in [replace, upsert()] {
        let judged = table.write(ONE, mode, None).await;
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].rows, None);
    }
}

#[tokio::test]
async fn partitioned_rows_of_every_type_are_watched_in_the_types_of_the_table() {
    let table = Watched::new().await;
    let sql = "SELECT CAST(x AS SMALLINT) AS small, CAST(x AS INT UNSIGNED) AS whole, \
                      CAST(x AS DOUBLE) AS f, CAST(x AS DECIMAL(12, 2)) AS d, x > 1 AS flag, \
                      arrow_cast(text, 'Utf8View') AS seen, arrow_cast(text, 'Dictionary(Int32, Utf8)') AS coded, \
                      arrow_cast(text, 'Binary') AS bytes, CAST('2024-01-01' AS DATE) AS day, \
                      CAST('2024-01-01T00:00:00' AS TIMESTAMP) AS moment, \
                      arrow_cast(CAST('2024-01-01T00:00:00' AS TIMESTAMP), 'Timestamp(Microsecond, Some(\"UTC\"))') AS instant, \
                      make_array(x) AS list, named_struct('x', x) AS part, text AS p \
               FROM (VALUES (1, 'a'), (2, 'b'), (3, 'b')) AS t (x, text)";
    for other_files in [0, 2] {
        let write = Write {
            table: TABLE.parse().unwrap(),
            mode: WriteMode::Append,
            source: table.plan(sql).await,
            options: WriteOptions {
                partition_by: vec!["p".to_owned()],
                ..WriteOptions::default()
            },
            context: WriteContext {
                attach: Some(rules_text("rules")),
                ..WriteContext::default()
            },
        };
        let judged = table.write_as(write).await;
        assert_eq!(judged, [seen("rules", 3, other_files)]);
    }
}

fn upsert() -> WriteMode {
    WriteMode::Merge(MergeSpec {
        on: "target.id = source.id".to_owned(),
        matched: vec![MatchedClause {
            when: None,
            action: MatchedAction::UpdateAll,
        }],
        not_matched: vec![NotMatchedClause {
            when: None,
            insert: None,
        }],
        not_matched_by_source: Vec::new(),
    })
}
