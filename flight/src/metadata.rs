//! What there is: catalogs, schemas, tables and their columns, and the keys that lake tables do not have.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use chrono::SecondsFormat;
use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, stream};
use lakegate_engine::{CATALOG, Caller, Engine, LastVerdict, TableKind};
use tonic::Status;
use tracing::warn;

use crate::{columns, status};

/// Tables whose columns are looked up at once.
const AT_ONCE: usize = 8;

/// The types of tables, as clients filter by them.
const TABLE: &str = "TABLE";
const SYSTEM_TABLE: &str = "SYSTEM TABLE";
const VIEW: &str = "VIEW";

/// The catalogs: one.
pub(crate) fn catalogs() -> Result<RecordBatch, Status> {
    let mut catalogs = GetCatalogsBuilder::new();
    catalogs.append(CATALOG);
    catalogs.build().map_err(status::of_flight)
}

/// The types of tables.
pub(crate) fn table_types() -> Result<RecordBatch, Status> {
    let types = StringArray::from(vec![SYSTEM_TABLE, TABLE, VIEW]);
    let schema = Schema::new(vec![Field::new("table_type", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(types)]).map_err(status::of_arrow)
}

/// The schemas that hold tables.
pub(crate) async fn schemas(
    engine: &Engine,
    caller: &Caller,
    command: CommandGetDbSchemas,
) -> Result<RecordBatch, Status> {
    let mut schemas: GetDbSchemasBuilder = command.into_builder();
    let known = engine.schemas(caller).await;
    for schema in known.map_err(|error| status::of_engine(&error))? {
        schemas.append(CATALOG, schema);
    }
    schemas.build().map_err(status::of_flight)
}

/// The tables, with their columns when those are asked for.
pub(crate) async fn tables(
    engine: &Engine,
    caller: &Caller,
    command: CommandGetTables,
) -> Result<RecordBatch, Status> {
    let include_schema = command.include_schema;
    // Which tables are meant is found before any is opened.
    let named = CommandGetTables {
        include_schema: false,
        ..command
    };
    let mut named: GetTablesBuilder = named.into_builder();
    let known = engine.tables(caller).await;
    for table in known.map_err(|error| status::of_engine(&error))? {
        let kind = match table.kind {
            TableKind::Table => TABLE,
            TableKind::System => SYSTEM_TABLE,
            TableKind::View => VIEW,
        };
        named
            .append(CATALOG, table.schema, table.table, kind, &Schema::empty())
            .map_err(status::of_flight)?;
    }
    let named = named.build().map_err(status::of_flight)?;
    if !include_schema {
        return Ok(named);
    }
    let texts = |column: usize| named.column(column).as_string::<i32>();
    let (schemas, tables, kinds) = (texts(1), texts(2), texts(3));
    let columns = stream::iter(0..named.num_rows()).map(|row| async move {
        let (schema, table) = (schemas.value(row), tables.value(row));
        match engine.columns(schema, table, caller).await {
            Ok(found) => {
                let columns = columns::of_table(&found, CATALOG, schema, table);
                let verdict = engine.last_verdict(schema, table, caller).await;
                match verdict {
                    Ok(Some(verdict)) => columns.with_metadata(of_verdict(&verdict)),
                    // What system tables and other formats hold is not judged.
                    Ok(None) | Err(_) => columns,
                }
            }
            // One table that cannot be read hides no other.
            Err(error) => {
                warn!(schema, table, %error, "the columns of a table are not known");
                Schema::empty()
            }
        }
    });
    let columns: Vec<Schema> = columns.buffered(AT_ONCE).collect().await;
    let mut described = GetTablesBuilder::new(
        None::<String>,
        None::<String>,
        None::<String>,
        Vec::<String>::new(),
        true,
    );
    for (row, columns) in columns.iter().enumerate() {
        described
            .append(
                CATALOG,
                schemas.value(row),
                tables.value(row),
                kinds.value(row),
                columns,
            )
            .map_err(status::of_flight)?;
    }
    described.build().map_err(status::of_flight)
}

/// What the gate last said of a table, beside its columns.
fn of_verdict(verdict: &LastVerdict) -> HashMap<String, String> {
    let judged_at = verdict
        .judged_at
        .to_rfc3339_opts(SecondsFormat::Micros, true);
    [
        ("lakegate.verdict", verdict.verdict.clone()),
        ("lakegate.version", verdict.version.to_string()),
        ("lakegate.judged_at", judged_at),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Columns of `CommandGetPrimaryKeys`. Apache Arrow, FlightSql.proto.
pub(crate) static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

/// Columns of `CommandGetExportedKeys`, `CommandGetImportedKeys` and `CommandGetCrossReference`. Apache Arrow,
/// FlightSql.proto.
pub(crate) static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}
