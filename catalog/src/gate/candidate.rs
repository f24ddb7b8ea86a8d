//! The candidate of a commit: the version that it would make, with what is known of it.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use deltalake::kernel::Version;
use deltalake::logstore::LogStoreRef;

use super::commit::{Commit, TableMetadata};
use super::decision::{Base, Gate, signed};
use super::{Candidate, RulesText};
use crate::snapshot::{Reader, StatisticsCell};
use crate::{CatalogError, DataFile, TableSnapshot, attach};

impl Gate {
    /// All that is needed to judge a commit by some rules.
    pub(super) async fn candidate(
        &self,
        log_store: &LogStoreRef,
        version: Version,
        commit: &Commit,
        base: Option<&Base>,
        rules: RulesText,
        attaching: bool,
    ) -> Result<Candidate, CatalogError> {
        let version = signed(version)?;
        let metadata = commit.metadata()?;
        let snapshot = Arc::new(self.candidate_snapshot(version, commit, base, metadata)?);
        let watched = self.watched_rows(commit, &rules, &snapshot);
        Ok(Candidate {
            name: self.name.clone(),
            location: self.location.clone(),
            version,
            operation: commit.operation().to_owned(),
            rules,
            attaching,
            waivers: attach::load_waivers(log_store, &self.table()).await?,
            schema: snapshot.schema.clone(),
            candidate: snapshot,
            watched,
            base: base.map(|b| b.snapshot.clone()),
            added: self.context.added.clone(),
            run: self.context.run.clone(),
            commit_time: (self.clock)(),
        })
    }

    /// The version that the commit would make.
    fn candidate_snapshot(
        &self,
        version: i64,
        commit: &Commit,
        base: Option<&Base>,
        metadata: Option<TableMetadata>,
    ) -> Result<TableSnapshot, CatalogError> {
        if commit.adds.iter().any(|add| add.deletion_vector.is_some()) {
            return Err(CatalogError::invalid(
                format!("a commit to `{}` brings deletion vectors, which the gate cannot judge", self.table()),
                Some("rewrite the table without deletion vectors, or restore a version that has none".to_owned()),
            ));
        }
        let files = candidate_files(commit, base);
        let kept_from_base = |metadata: Option<TableMetadata>, base: &Base| {
            let mut snapshot = TableSnapshot {
                version,
                files: files.clone(),
                statistics: StatisticsCell::default(),
                ..TableSnapshot::clone(&base.snapshot)
            };
            if let Some(metadata) = metadata {
                if !same_columns(&metadata.schema, &base.snapshot.schema) {
                    // The files are read with other columns than before, which makes them another list.
                    snapshot.files = files.iter().cloned().collect();
                }
                snapshot.schema = metadata.schema;
                snapshot.partition_columns = metadata.partition_columns;
                snapshot.properties = metadata.properties;
            }
            snapshot
        };
        match (base, metadata) {
            (Some(base), metadata) => Ok(kept_from_base(metadata, base)),
            (None, Some(metadata)) => Ok(TableSnapshot {
                name: self.name.clone(),
                location: self.location.clone(),
                version,
                table_id: metadata.table_id,
                schema: metadata.schema,
                partition_columns: metadata.partition_columns,
                files,
                properties: metadata.properties,
                reader: Reader::Plain,
                statistics: StatisticsCell::default(),
            }),
            (None, None) => Err(CatalogError::Bug(
                "a first commit without metaData reached the gate".into(),
            )),
        }
    }
}

/// The base's files without those the commit removes, with those it adds. A commit that does neither keeps the very list
/// of the base, which tells readers that its files are the published ones.
fn candidate_files(commit: &Commit, base: Option<&Base>) -> Arc<[DataFile]> {
    if let Some(base) = base
        && commit.adds.is_empty()
        && commit.removes.is_empty()
    {
        return Arc::clone(&base.snapshot.files);
    }
    let added: Vec<DataFile> = commit.adds.iter().map(DataFile::from_add).collect();
    let gone: HashSet<&str> = commit
        .removes
        .iter()
        .map(|remove| remove.path.as_str())
        .chain(added.iter().map(|file| file.path.as_str()))
        .collect();
    let kept: Vec<DataFile> = base
        .iter()
        .flat_map(|base| base.snapshot.files.iter())
        .filter(|file| !gone.contains(file.path.as_str()))
        .cloned()
        .collect();
    kept.into_iter().chain(added).collect()
}

/// Whether a commit changes columns, or by which of them files are partitioned.
pub(super) fn changes_schema(base: Option<&Base>, metadata: Option<&TableMetadata>) -> bool {
    match (base, metadata) {
        (Some(base), Some(metadata)) => {
            metadata.partition_columns != base.snapshot.partition_columns
                || !same_columns(&metadata.schema, &base.snapshot.schema)
        }
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

fn same_columns(left: &SchemaRef, right: &SchemaRef) -> bool {
    left.fields().len() == right.fields().len()
        && left.fields().iter().zip(right.fields()).all(|(l, r)| {
            l.name() == r.name()
                && l.is_nullable() == r.is_nullable()
                && l.data_type() == r.data_type()
        })
}
