//! Decides over one commit: loads what it builds on, asks the judge, and stamps the verdict into it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake::kernel::{Add, Version};
use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Map, Value};
use tracing::{info, warn};
use url::Url;
use uuid::Uuid;

use super::candidate::changes_schema;
use super::commit::{Commit, RULES_PROPERTY};
use super::{AfterCommit, Candidate, Judge, JudgeError, Ruling, WriteWatch};
use crate::{CatalogError, Refusal, TableName, TableSnapshot, WriteContext, attach};

/// What a writer may do beyond the ordinary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// `dataChange=false` is believed: Lakegate itself only moves rows between files.
    pub(crate) rearranges: bool,
    /// The rules that the commit attaches take the place of those attached before, which do not judge it any more.
    pub(crate) replaces_rules: bool,
    /// Every file that the commit adds was written by this very operation, so it may be deleted when the judge refuses.
    pub(crate) writes_its_files: bool,
}

/// The gate in front of one table, for one writer.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(super) name: Option<TableName>,
    pub(super) location: Url,
    judge: Option<Arc<dyn Judge>>,
    pub(super) context: WriteContext,
    trust: Trust,
    pub(super) clock: fn() -> DateTime<Utc>,
    /// Delta's id of the table as the writer opened it; none when there was no table.
    opened: OnceLock<String>,
    /// A table property that the commit sets.
    property: OnceLock<(&'static str, String)>,
    /// What is known of the rows that the commit adds.
    pub(super) watch: OnceLock<Arc<WriteWatch>>,
    base: tokio::sync::Mutex<Option<Base>>,
    record: Mutex<Record>,
}

/// What happened at the gate; delta-rs' own errors cannot carry it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The version committed last.
    pub(crate) committed: Option<i64>,
    /// Why the gate stopped a commit.
    pub(crate) stop: Option<CatalogError>,
    /// The ruling over the commit judged last.
    pub(crate) ruling: Option<Ruling>,
    /// `commitInfo.lakegate` of the commit made last.
    pub(crate) stamp: Option<Value>,
    /// Rows in the files of the commit that passed last.
    pub(crate) added_rows: Option<u64>,
    /// What is to be done once the commit that passed last exists.
    after_commit: Vec<Arc<dyn AfterCommit>>,
}

/// A commit that may be written.
pub(super) struct Passed {
    pub(super) bytes: Bytes,
    pub(super) token: String,
}

/// The published version that a commit builds on.
#[derive(Debug, Clone)]
pub(super) struct Base {
    state: DeltaTableState,
    pub(super) snapshot: Arc<TableSnapshot>,
}

impl Gate {
    pub(crate) fn new(
        name: Option<TableName>,
        location: Url,
        judge: Option<Arc<dyn Judge>>,
        context: WriteContext,
        trust: Trust,
        clock: fn() -> DateTime<Utc>,
    ) -> Self {
        Self {
            name,
            location,
            judge,
            context,
            trust,
            clock,
            opened: OnceLock::new(),
            property: OnceLock::new(),
            watch: OnceLock::new(),
            base: tokio::sync::Mutex::default(),
            record: Mutex::default(),
        }
    }

    /// Says which table the writer opened. Without it, only the commit that makes the table passes.
    pub(crate) fn opened(&self, table_id: &str) {
        let _first_id_stays = self.opened.set(table_id.to_owned());
    }

    /// Has the commit set a table property too.
    pub(crate) fn set_property(&self, key: &'static str, value: String) {
        let _first_one_stays = self.property.set((key, value));
    }

    /// Says that the rows which the commit adds are watched on their way into files.
    pub(crate) fn watch(&self, watch: Arc<WriteWatch>) {
        let _first_one_stays = self.watch.set(watch);
    }

    /// The table, for people.
    pub(crate) fn table(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.location.to_string(), ToString::to_string)
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn record_commit(&self, version: Version) {
        let after_commit = {
            let mut record = self.record();
            record.committed = i64::try_from(version).ok();
            std::mem::take(&mut record.after_commit)
        };
        for after in after_commit {
            after.committed().await;
        }
    }

    pub(super) fn record_stop(&self, error: CatalogError) {
        self.record().stop = Some(error);
    }

    /// Decides over a commit, and gives back its bytes with the verdict inside.
    pub(super) async fn pass(
        &self,
        log_store: &LogStoreRef,
        version: Version,
        bytes: &[u8],
        untried: bool,
    ) -> Result<Passed, CatalogError> {
        self.record().after_commit.clear();
        let mut commit = Commit::parse(bytes)?;
        self.record().added_rows = commit.added_rows();
        commit.number_batches(signed(version)?);
        let base = self.base(log_store, version).await?;
        let base_metadata = match &base {
            Some(base) => Some(self.as_json(base.state.metadata())?),
            None => None,
        };
        if let Some(base) = &base {
            self.expect_same_table(base)?;
        }
        if let Some(base_metadata) = &base_metadata {
            commit.keep_identity(base_metadata);
        }
        if let Some((key, value)) = self.property.get() {
            commit.set_property(base_metadata.clone(), key, value)?;
        }
        let metadata = commit.metadata()?;
        let protocol = base
            .as_ref()
            .map(|base| self.as_json(base.state.protocol()));
        commit.expect_readable(&self.table(), protocol.transpose()?.as_ref())?;

        let attached = base
            .as_ref()
            .and_then(|b| b.snapshot.rules_sha256().map(str::to_owned));
        if let Some(rules) = &self.context.attach {
            attach::store_rules(log_store, &self.table(), rules).await?;
        }
        let brought = self.context.attach.as_ref().map(|rules| &rules.sha256);
        let attaching = brought.is_some() && brought != attached.as_ref();
        let rules_sha256 = brought.or(attached.as_ref()).cloned();
        if let Some(sha256) = &rules_sha256
            && (attaching || metadata.is_some())
        {
            // A commit with metadata of an older version (a restore) would drop the rules with it.
            commit.set_property(base_metadata, RULES_PROPERTY, sha256)?;
        }

        let token = Uuid::new_v4().to_string();
        let mut stamp = Map::new();
        let changes = commit.changes_rows(self.trust.rearranges)
            || changes_schema(base.as_ref(), metadata.as_ref());
        if let Some(sha256) = rules_sha256.filter(|_| changes || attaching) {
            let rules = match &self.context.attach {
                Some(rules) => rules.clone(),
                None => attach::load_rules(log_store, &self.table(), &sha256).await?,
            };
            let replaced = attached.filter(|_| attaching);
            let mut judges = Vec::new();
            if let Some(replaced) = &replaced
                && !self.trust.replaces_rules
            {
                // A write may attach other rules, but not by way of getting past those that are there.
                judges.push((
                    attach::load_rules(log_store, &self.table(), replaced).await?,
                    false,
                ));
            }
            judges.push((rules.clone(), attaching));
            for (judging, attaching) in judges {
                let is_replaced = judging.sha256 != rules.sha256;
                let candidate = self
                    .candidate(
                        log_store,
                        version,
                        &commit,
                        base.as_ref(),
                        judging,
                        attaching,
                    )
                    .await?;
                crate::failpoint!("gate.before_judge");
                let mut ruling = self.judge(candidate).await?;
                self.record()
                    .after_commit
                    .extend(ruling.after_commit.take());
                if !ruling.accept {
                    if untried && self.trust.writes_its_files {
                        self.delete_refused_files(log_store, &commit.adds, base.as_ref())
                            .await;
                    }
                    return Err(self.refuse(version, ruling, is_replaced)?);
                }
                if !is_replaced {
                    if let Value::Object(summary) = &ruling.summary {
                        stamp.extend(summary.clone());
                    }
                    self.record().ruling = Some(ruling);
                }
            }
            add_warned(&mut stamp, &self.context.warned);
            stamp.insert("rules_sha256".into(), rules.sha256.clone().into());
            if let Some(replaced) = replaced {
                stamp.insert("replaced_rules_sha256".into(), replaced.into());
            }
        }
        for (key, value) in &self.context.extra {
            stamp.insert(key.clone(), value.clone());
        }
        if let Some(run) = &self.context.run {
            stamp.insert("run".into(), run.clone().into());
        }
        stamp.insert("token".into(), token.clone().into());
        self.record().stamp = Some(Value::Object(stamp.clone()));
        commit.stamp(stamp);
        Ok(Passed {
            bytes: commit.to_bytes()?,
            token,
        })
    }

    /// The error of a refused commit.
    fn refuse(
        &self,
        version: Version,
        ruling: Ruling,
        by_replaced: bool,
    ) -> Result<CatalogError, CatalogError> {
        let mut message = ruling.message.clone();
        if by_replaced {
            message.push_str(
                "; these rules are attached to the table, and a write with other rules must pass both (`lakegate apply` replaces them)",
            );
        }
        let refusal = Refusal {
            table: self.table(),
            version: signed(version)?,
            message,
            report: ruling.report.clone(),
        };
        self.record().ruling = Some(ruling);
        Ok(CatalogError::Refused(Box::new(refusal)))
    }

    async fn judge(&self, candidate: Candidate) -> Result<Ruling, CatalogError> {
        let Some(judge) = &self.judge else {
            return Err(CatalogError::Bug(format!(
                "`{}` has rules, and nothing is there to judge by them",
                self.table()
            )));
        };
        let version = candidate.version;
        let ruling = judge
            .judge(candidate)
            .await
            .unwrap_or_else(|JudgeError(message)| Ruling {
                accept: false,
                summary: Value::Null,
                message,
                report: Value::Null,
                after_commit: None,
            });
        info!(table = %self.table(), version, accepted = ruling.accept, "commit judged");
        Ok(ruling)
    }

    /// A commit is made for the table that its writer opened. One that another writer created at the same time, or put
    /// in its place, has other columns and other files.
    fn expect_same_table(&self, base: &Base) -> Result<(), CatalogError> {
        let table_id = &base.snapshot.table_id;
        let what = match self.opened.get() {
            Some(opened) if opened == table_id => return Ok(()),
            Some(_) => "replaced",
            None => "created",
        };
        Err(CatalogError::Conflict {
            message: format!(
                "`{}` was {what} by another writer at the same time",
                self.table()
            ),
            source: None,
        })
    }

    /// An action of the table's own log, as the log has it.
    fn as_json(&self, action: &impl serde::Serialize) -> Result<Value, CatalogError> {
        serde_json::to_value(action).map_err(|e| {
            CatalogError::failed(
                format!("the metadata of `{}` has no JSON form", self.table()),
                e,
            )
        })
    }

    async fn base(
        &self,
        log_store: &LogStoreRef,
        version: Version,
    ) -> Result<Option<Base>, CatalogError> {
        let Some(wanted) = version.checked_sub(1) else {
            return Ok(None);
        };
        let mut cached = self.base.lock().await;
        if let Some(base) = cached.as_ref()
            && base.state.version() == wanted
        {
            return Ok(Some(base.clone()));
        }
        let failed = |e| {
            CatalogError::failed(
                format!("version {wanted} of `{}` cannot be read", self.table()),
                e,
            )
        };
        // Not on from an older version: that would not see that the table is another one by now.
        let state = DeltaTableState::try_new(log_store.as_ref(), Some(wanted))
            .await
            .map_err(failed)?;
        let snapshot = TableSnapshot::from_state(self.name.clone(), &self.location, &state)?;
        let base = Base {
            state,
            snapshot: Arc::new(snapshot),
        };
        *cached = Some(base.clone());
        Ok(Some(base))
    }

    /// Deletes files that this operation wrote for a commit that the judge refused. What cannot be deleted is left to
    /// `vacuum`.
    async fn delete_refused_files(
        &self,
        log_store: &LogStoreRef,
        adds: &[Add],
        base: Option<&Base>,
    ) {
        let base_paths: HashSet<&str> = base
            .iter()
            .flat_map(|base| base.snapshot.files.iter().map(|file| file.path.as_str()))
            .collect();
        let store = log_store.object_store(None);
        for add in adds {
            let Ok(path) = Path::parse(&add.path) else {
                continue;
            };
            if base_paths.contains(add.path.as_str()) {
                continue;
            }
            if let Err(error) = store.delete(&path).await {
                warn!(table = %self.table(), %path, %error, "a refused file is left to vacuum");
            }
        }
    }
}

pub(super) fn signed(version: Version) -> Result<i64, CatalogError> {
    i64::try_from(version)
        .map_err(|_| CatalogError::Bug(format!("version {version} is beyond Delta's range")))
}

/// Names checks that warned before the write; a verdict that was `pass` becomes `warn` by them.
fn add_warned(stamp: &mut Map<String, Value>, warned: &[String]) {
    if warned.is_empty() {
        return;
    }
    if stamp.get("verdict").and_then(Value::as_str) == Some("pass") {
        stamp.insert("verdict".into(), "warn".into());
    }
    let named = stamp
        .entry("warned")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(named) = named {
        for check in warned {
            if !named.iter().any(|known| known == check) {
                named.push(check.as_str().into());
            }
        }
    }
}
