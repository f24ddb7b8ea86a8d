//! What makes the batch of a publish.

use std::sync::Arc;

use lakegate_catalog::{At, Batch, CatalogError, CommitRecord, TableSnapshot, WriteMode};
use serde_json::Value;

use crate::EtlError;
use crate::batch::{Identity, sha256};
use crate::pipeline::{PublishStage, StageKind};
use crate::run::{Runner, Stop};

/// Commits that are looked at first for the newest one of another writer.
const FIRST_COMMITS: usize = 16;

/// Operations that leave every row as it is.
const KEEPS_ROWS: &[&str] = &[
    "OPTIMIZE",
    "SET TBLPROPERTIES",
    "VACUUM START",
    "VACUUM END",
];

/// Key of `commitInfo.lakegate` for the pipeline that wrote.
pub(super) const PIPELINE: &str = "pipeline";
/// Key of `commitInfo.lakegate` for the stage that wrote.
pub(super) const STAGE: &str = "stage";

impl Runner {
    /// What makes the batch of a publish: the input's content, and the definitions of the stages that it goes through.
    ///
    /// A publish whose view is made from the table that it writes reads something else after each of its own commits.
    /// Its input is what others brought: it is done until another writer changes the table.
    pub(super) async fn identity(
        self: &Arc<Self>,
        index: usize,
        publish: &PublishStage,
        mode: &WriteMode,
    ) -> Result<Batch, Stop> {
        let mut identity = Identity::default();
        let target = self.target_id(publish).await?;
        let is_target = |read: &TableSnapshot| target.as_ref() == Some(&read.table_id);
        let writer = &self.stage(index)?.name;
        for made_from in self.pipeline.graph.made_from(index) {
            let stage = self.stage(made_from)?;
            let name = stage.name.as_str();
            match &stage.kind {
                StageKind::Extract(spec) => match self.extract(made_from, spec).await {
                    Ok(extract) => match extract.source.newest().filter(|read| is_target(read)) {
                        Some(read) => {
                            let others = self.version_of_others(publish, writer, read).await?;
                            identity.add(name, "table", table(read, others));
                        }
                        None => identity.add(name, "content", extract.digest.as_str()),
                    },
                    Err(error) => return Err(self.stop_of(made_from, error).await),
                },
                StageKind::Type(stage) => {
                    identity.add(name, "view", stage.spec.view.as_str());
                    identity.add(name, "schema", stage.schema.sha256.as_str());
                    identity.add(name, "on_error", format!("{:?}", stage.spec.on_error));
                }
                StageKind::Sql(sql) => {
                    identity.add(name, "sql", sha256(&sql.text.text));
                    for parameter in sql.statement.parameters() {
                        let value = self.values.bound.get(&parameter.name);
                        identity.add(name, "parameter", format!("{}={value:?}", parameter.name));
                    }
                    let pins = match self.pins(made_from, sql).await {
                        Ok(pins) => pins,
                        Err(error) => return Err(self.stop_of(made_from, error).await),
                    };
                    for (name_in_sql, read) in &pins.newest {
                        let version = match is_target(read) {
                            true => self.version_of_others(publish, writer, read).await?,
                            false => read.version,
                        };
                        let fact = format!("{name_in_sql} {}", table(read, version));
                        identity.add(name, "table", fact);
                    }
                    for read in &pins.versions {
                        identity.add(name, "version", table(read, read.version));
                    }
                }
                StageKind::Publish(publish) => {
                    identity.add(name, "view", publish.view.as_str());
                    identity.add_publish(name, publish, mode);
                }
                StageKind::Check(_) => {}
            }
        }
        Ok(identity.batch(&self.pipeline.name, writer))
    }

    /// Delta's id of the published table, when it exists.
    async fn target_id(&self, publish: &PublishStage) -> Result<Option<String>, EtlError> {
        match self
            .lakegate
            .catalog
            .snapshot(&publish.table, At::Latest)
            .await
        {
            Ok(snapshot) => Ok(Some(snapshot.table_id.clone())),
            Err(CatalogError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The newest version up to the one that is read in which something else than this publish changed rows; -1 when
    /// the table's log has none.
    async fn version_of_others(
        &self,
        publish: &PublishStage,
        writer: &str,
        read: &TableSnapshot,
    ) -> Result<i64, EtlError> {
        let mut limit = FIRST_COMMITS;
        loop {
            let catalog = &self.lakegate.catalog;
            let commits = catalog.history(&publish.table, Some(limit)).await?;
            let of_others = commits.iter().find(|commit| {
                commit.version <= read.version
                    && !KEEPS_ROWS.contains(&commit.operation.as_str())
                    && !self.is_own(writer, commit)
            });
            match of_others {
                Some(commit) => return Ok(commit.version),
                None if commits.len() < limit => return Ok(-1),
                None => limit *= 4,
            }
        }
    }

    fn is_own(&self, writer: &str, commit: &CommitRecord) -> bool {
        let says = |key: &str, value: &str| {
            let said = commit.lakegate.as_ref().and_then(|said| said.get(key));
            said.and_then(Value::as_str) == Some(value)
        };
        says(PIPELINE, &self.pipeline.name) && says(STAGE, writer)
    }

    /// A stage that could not be prepared reports that itself.
    async fn stop_of(self: &Arc<Self>, index: usize, error: Stop) -> Stop {
        match error {
            Stop::Error(error) => match self.demand(index).await {
                Err(stop) => stop,
                Ok(_) => Stop::Error(error),
            },
            dependency => dependency,
        }
    }
}

/// A table at a version.
fn table(read: &TableSnapshot, version: i64) -> String {
    format!("{} {version}", read.table_id)
}
