//! What is kept of clients' queries, and of what was denied: rows of the system tables `queries` and `audit`.
//!
//! A query does not wait for its record. Records are put into the catalog's file a few at a time, and reach the table in
//! larger groups; what a process that is killed had not written is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use lakegate_catalog::{SystemTable, SystemTables};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use uuid::Uuid;

use crate::Engine;

/// How long records are gathered before they are put into the catalog's file.
const GATHERING: Duration = Duration::from_millis(500);

/// How long they stay there before they are moved into the table.
const UNTIL_FLUSH: Duration = Duration::from_secs(60);

/// Records that wait to be written; further ones are dropped, and counted in a warning.
const MOST_WAITING: usize = 65_536;

/// Longer SQL is cut in the record, in bytes.
const MOST_SQL_BYTES: usize = 1 << 16;

/// Longer names of people who were not let in are cut in the record, in bytes.
const MOST_NAME_BYTES: usize = 256;

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryState {
    /// All rows were given, or the change was made.
    Done,
    /// It could not be carried out, or the gate refused it.
    Failed,
    /// The client went away, or asked for it.
    Cancelled,
}

impl QueryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Cancelled];

    /// Its name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is kept of one query.
#[derive(Debug, Clone)]
pub(crate) struct QueryRecord {
    pub(crate) query_id: Uuid,
    pub(crate) principal: String,
    pub(crate) door: &'static str,
    pub(crate) sql: Arc<str>,
    pub(crate) state: QueryState,
    pub(crate) submitted_at: DateTime<Utc>,
    pub(crate) finished_at: DateTime<Utc>,
    pub(crate) queued: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) rows: u64,
    pub(crate) bytes_scanned: Option<u64>,
    pub(crate) error: Option<String>,
}

impl QueryRecord {
    fn row(&self) -> Value {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let milliseconds = |duration: Duration| duration.as_millis() as u64;
        json!({
            "query_id": self.query_id.to_string(),
            "principal": self.principal,
            "door": self.door,
            "route": "local",
            "sql": cut(&self.sql, MOST_SQL_BYTES),
            "state": self.state.as_str(),
            "submitted_at": time(self.submitted_at),
            "finished_at": time(self.finished_at),
            "queued_ms": milliseconds(self.queued),
            "elapsed_ms": milliseconds(self.elapsed),
            "rows": self.rows,
            "bytes_scanned": self.bytes_scanned,
            "error": self.error,
        })
    }
}

/// The beginning of a text.
fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}

/// What is kept of something that was denied.
#[derive(Debug, Clone)]
pub(crate) struct DenialRecord {
    pub(crate) at: DateTime<Utc>,
    /// Who asked, or the name that they gave.
    pub(crate) principal: Option<String>,
    pub(crate) door: &'static str,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) action: &'static str,
    pub(crate) object: Option<String>,
}

impl DenialRecord {
    fn row(&self) -> Value {
        json!({
            "at": self.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            "principal": self.principal.as_deref().map(|principal| cut(principal, MOST_NAME_BYTES)),
            "door": self.door,
            "peer": self.peer.map(|peer| peer.to_string()),
            "action": self.action,
            "object": self.object,
        })
    }
}

enum Message {
    Record(Box<QueryRecord>),
    Denial(Box<DenialRecord>),
    /// Write everything, and say when that is done.
    Flush(oneshot::Sender<()>),
}

/// Where records go.
#[derive(Debug)]
pub(crate) struct QueryLog {
    messages: mpsc::Sender<Message>,
}

impl QueryLog {
    /// Starts writing records, until the log is dropped.
    pub(crate) fn start(engine: Arc<Engine>, keep_samples: Duration) -> Self {
        let (messages, received) = mpsc::channel(MOST_WAITING);
        let tables = SystemTables::new(Arc::clone(engine.catalog()), keep_samples);
        tokio::spawn(write(engine, tables, received));
        Self { messages }
    }

    pub(crate) fn add(&self, record: QueryRecord) {
        let query_id = record.query_id;
        if let Err(error) = self.messages.try_send(Message::Record(Box::new(record))) {
            warn!(%query_id, %error, "the record of a query is dropped");
        }
    }

    pub(crate) fn add_denial(&self, record: DenialRecord) {
        let principal = record.principal.as_deref();
        let principal = principal.map(|principal| cut(principal, MOST_NAME_BYTES));
        let action = record.action;
        warn!(principal, action, object = record.object.as_deref(), peer = ?record.peer, "denied");
        if let Err(error) = self.messages.try_send(Message::Denial(Box::new(record))) {
            warn!(%error, "the record of a denial is dropped");
        }
    }

    /// Waits until all records that were added are in the table.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.messages.send(Message::Flush(done)).await.is_ok() {
            // An error means that writing has ended, with everything written.
            is_done.await.ok();
        }
    }
}

async fn write(engine: Arc<Engine>, tables: SystemTables, mut received: mpsc::Receiver<Message>) {
    let (mut rows, mut denials) = (Vec::new(), Vec::new());
    let mut unflushed: Option<Instant> = None;
    let mut ungathered: Option<Instant> = None;
    loop {
        let due = |since: Option<Instant>, after: Duration| async move {
            match since {
                Some(since) => sleep_until(since + after).await,
                None => std::future::pending().await,
            }
        };
        let mut waits_for_flush = None;
        let (mut is_gathered, mut is_flushed, mut is_over) = (false, false, false);
        tokio::select! {
            message = received.recv() => match message {
                Some(Message::Record(record)) => {
                    rows.push(record.row());
                    ungathered.get_or_insert_with(Instant::now);
                    unflushed.get_or_insert_with(Instant::now);
                }
                Some(Message::Denial(record)) => {
                    denials.push(record.row());
                    ungathered.get_or_insert_with(Instant::now);
                    unflushed.get_or_insert_with(Instant::now);
                }
                Some(Message::Flush(done)) => {
                    waits_for_flush = Some(done);
                    is_flushed = true;
                }
                None => (is_flushed, is_over) = (true, true),
            },
            () = due(ungathered, GATHERING) => is_gathered = true,
            () = due(unflushed, UNTIL_FLUSH) => is_flushed = true,
        }
        if is_gathered || is_flushed {
            ungathered = None;
            keep(&tables, SystemTable::Queries, std::mem::take(&mut rows)).await;
            keep(&tables, SystemTable::Audit, std::mem::take(&mut denials)).await;
        }
        if is_flushed {
            unflushed = None;
            if let Err(error) = tables.flush(&engine.session()).await {
                warn!(%error, "records of queries wait in the catalog's file");
            }
        }
        if let Some(done) = waits_for_flush {
            // Who asked may have gone.
            done.send(()).ok();
        }
        if is_over {
            return;
        }
    }
}

async fn keep(tables: &SystemTables, table: SystemTable, rows: Vec<Value>) {
    let count = rows.len();
    if let Err(error) = tables.append(table, rows).await {
        warn!(table = table.as_str(), %error, count, "records are lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn record_of_a_failure_names_no_path_of_the_server() {
        let fixture = Fixture::new().await;
        fixture.changes(&["CREATE TABLE t AS SELECT 1 AS a"]).await;
        for file in std::fs::read_dir(fixture.folder_of("t")).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
        let error = fixture.answer("SELECT a FROM t").await.unwrap_err();
        assert!(error.to_string().contains("warehouse"), "{error}");
        let answer = fixture
            .answer("SELECT error FROM lakegate.queries WHERE state = 'failed'")
            .await
            .unwrap();
        assert!(answer.contains("its log says why"), "{answer}");
        assert!(!answer.contains("warehouse"), "{answer}");
    }

    #[test]
    fn long_sql_is_cut_between_letters() {
        let sql = "é".repeat(MOST_SQL_BYTES);
        assert_eq!(cut(&sql, MOST_SQL_BYTES).len(), MOST_SQL_BYTES);
        let sql = format!("x{sql}");
        assert_eq!(cut(&sql, MOST_SQL_BYTES).len(), MOST_SQL_BYTES - 1);
        assert_eq!(cut("SELECT 1", MOST_SQL_BYTES), "SELECT 1");
    }
}
