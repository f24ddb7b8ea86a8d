//! What makes two batches the same: the content that went in, and the definition of the stages that it went through.
//!
//! The rules of the table are not part of it: other rules over the same rows are attached without writing the rows again.

use std::collections::BTreeMap;

use lakegate_catalog::{
    Batch, CatalogError, QUARANTINE_SUFFIX, TableName, UNTYPED_SUFFIX, WriteMode,
};
use sha2::{Digest, Sha256};

use crate::pipeline::{PublishMode, PublishStage};

/// Version of the way in which identities are made.
const SCHEME: &str = "lakegate batch 1";

/// Collects what makes a batch.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// One entry a stage, so that the order of stages in the file does not matter.
    stages: BTreeMap<String, Vec<(&'static str, String)>>,
}

impl Identity {
    /// Says something about a stage.
    pub(crate) fn add(&mut self, stage: &str, what: &'static str, value: impl Into<String>) {
        let facts = self.stages.entry(stage.to_owned()).or_default();
        facts.push((what, value.into()));
    }

    /// Says how a publish writes: by `mode`, in which the run's parameters are bound.
    pub(crate) fn add_publish(&mut self, stage: &str, publish: &PublishStage, mode: &WriteMode) {
        self.add(stage, "table", publish.table.to_string());
        self.add(stage, "mode", publish.mode.name());
        match mode {
            WriteMode::Append | WriteMode::Overwrite => {}
            WriteMode::ReplaceWhere(predicate) => self.add(stage, "replace_where", predicate),
            WriteMode::Merge(merge) => self.add(stage, "merge", format!("{merge:?}")),
        }
        if let PublishMode::Scd2(scd2) = &publish.mode {
            self.add(stage, "track", scd2.track.join("\n"));
            if let Some((column, _)) = &scd2.effective_at {
                self.add(stage, "effective_at", column);
            }
        }
    }

    /// The identity as the catalog takes it.
    pub(crate) fn batch(&self, pipeline: &str, stage: &str) -> Batch {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        field(SCHEME);
        for (stage, facts) in &self.stages {
            field(stage);
            for (what, value) in facts {
                field(what);
                field(value);
            }
        }
        Batch {
            writer: format!("{pipeline}/{stage}"),
            id: hex(&hash.finalize()),
        }
    }
}

/// The table that a quarantine belongs to, by its name; none for other tables.
pub(crate) fn published_beside(table: &TableName) -> Option<TableName> {
    [QUARANTINE_SUFFIX, UNTYPED_SUFFIX]
        .iter()
        .find_map(|suffix| {
            let name = table.table.strip_suffix(suffix)?;
            TableName::new(&table.schema, name).ok()
        })
}

/// The table beside a table that takes the rows which row-level checks reject.
pub(crate) fn quarantine_of(table: &TableName) -> Result<TableName, CatalogError> {
    beside(table, QUARANTINE_SUFFIX)
}

/// The table beside a table that takes the rows which do not type, as the text that they were.
pub(crate) fn untyped_of(table: &TableName) -> Result<TableName, CatalogError> {
    beside(table, UNTYPED_SUFFIX)
}

fn beside(table: &TableName, suffix: &str) -> Result<TableName, CatalogError> {
    TableName::new(&table.schema, &format!("{}{suffix}", table.table))
}

/// SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_does_not_depend_on_the_order_of_stages_and_depends_on_everything_else() {
        let of = |facts: &[(&str, &'static str, &str)]| {
            let mut identity = Identity::default();
            for (stage, what, value) in facts {
                identity.add(stage, what, *value);
            }
            identity.batch("p", "s").id
        };
        let one = of(&[("a", "digest", "1"), ("b", "sql", "SELECT 1")]);
        assert_eq!(one, of(&[("b", "sql", "SELECT 1"), ("a", "digest", "1")]));
        assert_ne!(one, of(&[("a", "digest", "2"), ("b", "sql", "SELECT 1")]));
        assert_ne!(one, of(&[("a", "digest", "1"), ("b", "sql", "SELECT 2")]));
        assert_ne!(of(&[("a", "x", "bc")]), of(&[("a", "xb", "c")]));
    }
}
