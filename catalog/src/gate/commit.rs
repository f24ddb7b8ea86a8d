//! A commit on its way to the log: its actions, and the few lines that the gate edits.

use std::collections::BTreeMap;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Add, Remove, StructType};
use serde_json::{Map, Value, json};

use crate::CatalogError;

/// What a protocol says that allows times without a zone. Delta Lake protocol, "Timestamp without timezone".
const ZONELESS_FEATURE: &str = "timestampNtz";

/// Table property that holds the hash of the attached rules.
pub(crate) const RULES_PROPERTY: &str = "lakegate.rules";

/// What the application ids of Lakegate's batches begin with.
pub(crate) const BATCH_PREFIX: &str = "lakegate/";

/// The application id under which the version of the newest restore is kept, longer than its commit is. No writer of
/// batches has it, since theirs have two slashes.
pub(crate) const RESTORE_ID: &str = "lakegate/restore";

/// The actions of one commit, one JSON object a line, as Delta writes them.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    lines: Vec<Map<String, Value>>,
    pub(super) adds: Vec<Add>,
    pub(super) removes: Vec<Remove>,
}

/// What a `metaData` action says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableMetadata {
    pub(super) table_id: String,
    pub(super) schema: SchemaRef,
    pub(super) partition_columns: Vec<String>,
    pub(super) properties: BTreeMap<String, String>,
}

impl Commit {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CatalogError> {
        let mut commit = Self {
            lines: Vec::new(),
            adds: Vec::new(),
            removes: Vec::new(),
        };
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let object: Map<String, Value> = serde_json::from_slice(line).map_err(unreadable)?;
            if let Some(add) = object.get("add") {
                commit.adds.push(Add::deserialize_value(add)?);
            } else if let Some(remove) = object.get("remove") {
                commit.removes.push(Remove::deserialize_value(remove)?);
            }
            commit.lines.push(object);
        }
        Ok(commit)
    }

    /// The operation's name, for example `WRITE`.
    pub(super) fn operation(&self) -> &str {
        self.action("commitInfo")
            .and_then(|info| info.get("operation"))
            .and_then(Value::as_str)
            .unwrap_or("UNKNOWN")
    }

    /// Rows in the files that the commit adds; none when their statistics do not tell.
    pub(super) fn added_rows(&self) -> Option<u64> {
        let mut rows = 0;
        for add in &self.adds {
            let statistics: Value = serde_json::from_str(add.stats.as_deref()?).ok()?;
            rows += statistics.get("numRecords")?.as_u64()?;
        }
        Some(rows)
    }

    /// Whether a row may come or go. `rearranged` says that Lakegate itself only moved rows between files.
    pub(super) fn changes_rows(&self, rearranged: bool) -> bool {
        if rearranged {
            return self.adds.iter().any(|a| a.data_change)
                || self.removes.iter().any(|r| r.data_change);
        }
        !self.adds.is_empty() || !self.removes.is_empty()
    }

    /// The `metaData` action, when the commit has one.
    pub(super) fn metadata(&self) -> Result<Option<TableMetadata>, CatalogError> {
        let Some(object) = self.action("metaData") else {
            return Ok(None);
        };
        let text = |key: &str| {
            object
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let schema: StructType = serde_json::from_str(&text("schemaString")).map_err(unreadable)?;
        let schema: Schema = (&schema)
            .try_into_arrow()
            .map_err(|e| CatalogError::failed("the commit's schema has no Arrow form", e))?;
        let partition_columns = object
            .get("partitionColumns")
            .and_then(Value::as_array)
            .map(|columns| {
                columns
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default();
        let properties = object
            .get("configuration")
            .and_then(Value::as_object)
            .map(|c| {
                c.iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                    .collect()
            })
            .unwrap_or_default();
        Ok(Some(TableMetadata {
            table_id: text("id"),
            schema: schema.into(),
            partition_columns,
            properties,
        }))
    }

    /// A table with times without a zone must say so in its protocol, or nobody reads it any more. `base` is the table's
    /// `protocol` as it is.
    pub(super) fn expect_readable(
        &self,
        table: &str,
        base: Option<&Value>,
    ) -> Result<(), CatalogError> {
        let Some(metadata) = self.metadata()? else {
            return Ok(());
        };
        let added = self.action("protocol").cloned().map(Value::Object);
        let has_feature = |protocol: &Value| {
            let features = protocol.get("readerFeatures").and_then(Value::as_array);
            features.is_some_and(|features| features.iter().any(|f| f == ZONELESS_FEATURE))
        };
        if added.iter().chain(base).any(has_feature) {
            return Ok(());
        }
        let fields = metadata.schema.fields().iter();
        let mut zoneless = fields.filter(|field| is_zoneless(field.data_type()));
        match zoneless.next() {
            None => Ok(()),
            Some(field) => Err(CatalogError::invalid(
                format!(
                    "column `{}` has times without a zone, which `{table}` cannot take: it was made without them",
                    field.name()
                ),
                Some("give them a zone in the SQL: `arrow_cast(..., 'Timestamp(Microsecond, Some(\"UTC\"))')`; or add the column by `mode: append`".to_owned()),
            )),
        }
    }

    /// Sets one table property. `base` is the table's `metaData` as it is, for a commit that has none of its own.
    pub(super) fn set_property(
        &mut self,
        base: Option<Value>,
        key: &str,
        value: &str,
    ) -> Result<(), CatalogError> {
        if self.action("metaData").is_none() {
            let Some(metadata) = base else {
                return Err(CatalogError::Bug(
                    "a first commit without metaData reached the gate".into(),
                ));
            };
            self.lines
                .push(Map::from_iter([("metaData".to_owned(), metadata)]));
        }
        for line in &mut self.lines {
            if let Some(Value::Object(metadata)) = line.get_mut("metaData") {
                let configuration = metadata
                    .entry("configuration")
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(configuration) = configuration {
                    configuration.insert(key.to_owned(), Value::String(value.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Keeps the table's id, name, description and creation time, which delta-rs' merge makes anew with the schema.
    pub(super) fn keep_identity(&mut self, base: &Value) {
        for line in &mut self.lines {
            let Some(Value::Object(metadata)) = line.get_mut("metaData") else {
                continue;
            };
            for key in ["id", "name", "description", "createdTime"] {
                if let Some(value) = base.get(key) {
                    metadata.insert(key.to_owned(), value.clone());
                }
            }
        }
    }

    /// Gives the batches of this commit the version that it makes as their number; so a restore, which may take batches
    /// out.
    pub(super) fn number_batches(&mut self, version: i64) {
        if self.operation() == "RESTORE" {
            let transaction = json!({"txn": {"appId": RESTORE_ID, "version": version}});
            self.lines.extend(transaction.as_object().cloned());
        }
        for line in &mut self.lines {
            let Some(Value::Object(transaction)) = line.get_mut("txn") else {
                continue;
            };
            let is_ours = transaction
                .get("appId")
                .and_then(Value::as_str)
                .is_some_and(|id| id.starts_with(BATCH_PREFIX));
            if is_ours {
                transaction.insert("version".to_owned(), version.into());
            }
        }
    }

    /// Writes `commitInfo.lakegate`.
    pub(super) fn stamp(&mut self, lakegate: Map<String, Value>) {
        for line in &mut self.lines {
            if let Some(Value::Object(info)) = line.get_mut("commitInfo") {
                info.insert("lakegate".to_owned(), Value::Object(lakegate));
                return;
            }
        }
        let info = Map::from_iter([("lakegate".to_owned(), Value::Object(lakegate))]);
        self.lines.insert(
            0,
            Map::from_iter([("commitInfo".to_owned(), Value::Object(info))]),
        );
    }

    /// The token that a gate stamped into the commit.
    pub(super) fn token(&self) -> Option<&str> {
        self.action("commitInfo")?
            .get("lakegate")?
            .get("token")?
            .as_str()
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes, CatalogError> {
        let lines: Result<Vec<String>, _> = self.lines.iter().map(serde_json::to_string).collect();
        Ok(Bytes::from(lines.map_err(unreadable)?.join("\n")))
    }

    fn action(&self, kind: &str) -> Option<&Map<String, Value>> {
        self.lines
            .iter()
            .find_map(|line| line.get(kind))
            .and_then(Value::as_object)
    }
}

/// Whether a type has times without a zone, at any depth.
fn is_zoneless(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, zone) => zone.is_none(),
        DataType::List(item) | DataType::Map(item, _) => is_zoneless(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_zoneless(field.data_type())),
        _ => false,
    }
}

trait DeserializeValue: serde::de::DeserializeOwned {
    fn deserialize_value(value: &Value) -> Result<Self, CatalogError> {
        serde_json::from_value(value.clone()).map_err(unreadable)
    }
}

impl DeserializeValue for Add {}
impl DeserializeValue for Remove {}

fn unreadable(source: serde_json::Error) -> CatalogError {
    CatalogError::failed("a commit is not readable as Delta's JSON", source)
}
