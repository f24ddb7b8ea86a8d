//! Commands of Flight SQL, and what the documentation says of each.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, UInt32Type};
use arrow_flight::sql::{
    Any, Command, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo,
    CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{Empty, FlightData, FlightDescriptor, IpcMessage};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use super::client::{Client, act, connect, fetch, objects, schema_of, ticket, told};
use crate::orders::orders;
use crate::support::Project;

/// The messages of Flight SQL by their names, as the crate has them: it does not compile when there is another one.
macro_rules! messages {
    ($($name:ident)*) => {
        const MESSAGES: &[&str] = &[$(stringify!($name)),*];

        fn name_of(command: &Command) -> &'static str {
            match command {
                $(Command::$name(_) => stringify!($name),)*
                Command::Unknown(_) => "unknown",
            }
        }
    };
}

messages! {
    ActionBeginSavepointRequest
    ActionBeginSavepointResult
    ActionBeginTransactionRequest
    ActionBeginTransactionResult
    ActionCancelQueryRequest
    ActionCancelQueryResult
    ActionClosePreparedStatementRequest
    ActionCreatePreparedStatementRequest
    ActionCreatePreparedStatementResult
    ActionCreatePreparedSubstraitPlanRequest
    ActionEndSavepointRequest
    ActionEndTransactionRequest
    CommandGetCatalogs
    CommandGetCrossReference
    CommandGetDbSchemas
    CommandGetExportedKeys
    CommandGetImportedKeys
    CommandGetPrimaryKeys
    CommandGetSqlInfo
    CommandGetTableTypes
    CommandGetTables
    CommandGetXdbcTypeInfo
    CommandPreparedStatementQuery
    CommandPreparedStatementUpdate
    CommandStatementIngest
    CommandStatementQuery
    CommandStatementSubstraitPlan
    CommandStatementUpdate
    DoPutPreparedStatementResult
    DoPutUpdateResult
    TicketStatementQuery
}

/// What the page says of each command and action, by its name.
fn documented() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/flight-sql.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("\n## Commands\n").nth(1).unwrap();
    let mut documented = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [names, answer] = cells[..] else {
            panic!("not two cells: {line}");
        };
        for name in names.split('`').skip(1).step_by(2) {
            assert_eq!(
                documented.insert(name.to_owned(), answer.to_owned()),
                None,
                "{name}"
            );
        }
    }
    documented
}

/// The command with this name and nothing in it, which is what its type is by default.
fn empty(name: &str) -> Bytes {
    let any = Any {
        type_url: format!("type.googleapis.com/arrow.flight.protocol.sql.{name}"),
        value: Bytes::new(),
    };
    assert_eq!(name_of(&Command::try_from(any.clone()).unwrap()), name);
    any.encode_to_vec().into()
}

/// Whether some call takes the command, well or ill made.
async fn is_taken(client: &mut Client, name: &str) -> bool {
    let descriptor = FlightDescriptor::new_cmd(empty(name));
    let asked = client.inner_mut().get_flight_info(descriptor.clone()).await;
    let asked = asked.map_or_else(|status| status.code(), |_| Code::Ok);
    let message = FlightData::new().with_descriptor(descriptor);
    let put = client.inner_mut().do_put(stream::iter([message])).await;
    let put = put.map_or_else(|status| status.code(), |_| Code::Ok);
    asked != Code::Unimplemented || put != Code::Unimplemented
}

#[tokio::test]
async fn each_command_is_answered_as_its_page_says() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let documented = documented();
    let mut wrong = Vec::new();
    for message in MESSAGES {
        let action = message
            .strip_prefix("Action")
            .and_then(|name| name.strip_suffix("Request"));
        let (name, is_taken) = match action {
            Some(action) => {
                let code = act(client, action, empty(message)).await.map(|_| ());
                (
                    action,
                    code.map_err(|status| status.code()) != Err(Code::Unimplemented),
                )
            }
            None if message.starts_with("Command") => (*message, is_taken(client, message).await),
            // What the server gives: results, and tickets.
            None => continue,
        };
        let says = documented
            .get(name)
            .map(|answer| !answer.starts_with("refused"));
        if says != Some(is_taken) {
            wrong.push(format!("{name}: taken: {is_taken}, documented: {says:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let listed = client
        .inner_mut()
        .list_actions(Empty {})
        .await
        .unwrap()
        .into_inner();
    let listed: Vec<arrow_flight::ActionType> = listed.try_collect().await.unwrap();
    for action in listed {
        let answer = documented.get(&action.r#type);
        assert!(
            answer.is_some_and(|answer| !answer.starts_with("refused")),
            "{}",
            action.r#type
        );
    }
}

/// What a command for metadata gives: the same columns each time that they are told, and its rows.
async fn metadata(client: &mut Client, command: Command) -> (Schema, Vec<Value>) {
    let name = name_of(&command);
    let descriptor = FlightDescriptor::new_cmd(command.into_any().encode_to_vec());
    let schema = client
        .inner_mut()
        .get_schema(descriptor.clone())
        .await
        .unwrap();
    let schema = schema_of(schema.into_inner());
    let info = client
        .inner_mut()
        .get_flight_info(descriptor)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told(&info), schema, "{name}");
    let mut stream = client.do_get(ticket(&info)).await.unwrap();
    let batches: Vec<RecordBatch> = stream.by_ref().try_collect().await.unwrap();
    assert_eq!(**stream.schema().unwrap(), schema, "{name}");
    let rows = match name {
        // Unions have no JSON.
        "CommandGetSqlInfo" => Vec::new(),
        _ => objects(&batches),
    };
    (schema, rows)
}

#[tokio::test]
async fn catalog_is_described_in_the_columns_that_were_told() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let names = |schema: &Schema| -> Vec<String> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };

    let (_, rows) = metadata(client, Command::CommandGetCatalogs(CommandGetCatalogs {})).await;
    assert_eq!(rows, [json!({ "catalog_name": "lakegate" })]);

    let schemas = |pattern: Option<&str>, catalog: Option<&str>| {
        Command::CommandGetDbSchemas(CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: pattern.map(str::to_owned),
        })
    };
    let (_, rows) = metadata(client, schemas(Some("s_lv%"), None)).await;
    assert_eq!(
        rows,
        [json!({ "catalog_name": "lakegate", "db_schema_name": "silver" })]
    );
    assert!(metadata(client, schemas(None, None)).await.1.len() >= 4);
    assert_eq!(
        metadata(client, schemas(None, Some("other"))).await.1,
        Vec::<Value>::new()
    );

    let tables = CommandGetTables {
        table_name_filter_pattern: Some("ord%".to_owned()),
        table_types: vec!["TABLE".to_owned()],
        ..CommandGetTables::default()
    };
    let expected = json!({ "catalog_name": "lakegate", "db_schema_name": "silver", "table_name": "orders", "table_type": "TABLE" });
    let (_, rows) = metadata(client, Command::CommandGetTables(tables.clone())).await;
    assert_eq!(rows, [expected]);
    let tables = CommandGetTables {
        include_schema: true,
        ..tables
    };
    let info = client.get_tables(tables).await.unwrap();
    let batches = fetch(client, &info).await.unwrap();
    let described = batches[0]
        .column_by_name("table_schema")
        .unwrap()
        .as_binary::<i32>();
    let described =
        Schema::try_from(IpcMessage(Bytes::copy_from_slice(described.value(0)))).unwrap();
    assert_eq!(names(&described), ["id", "customer", "amount", "day"]);
    assert_eq!(described.field(2).data_type(), &DataType::Decimal128(12, 2));

    let (_, rows) = metadata(
        client,
        Command::CommandGetTableTypes(CommandGetTableTypes {}),
    )
    .await;
    let types = ["SYSTEM TABLE", "TABLE", "VIEW"].map(|name| json!({ "table_type": name }));
    assert_eq!(rows, types);

    let (schema, rows) = metadata(
        client,
        Command::CommandGetXdbcTypeInfo(CommandGetXdbcTypeInfo { data_type: None }),
    )
    .await;
    assert_eq!(schema.fields().len(), 19);
    assert!(rows.iter().any(|row| {
        row["type_name"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case("bigint"))
    }));

    let table = "orders".to_owned();
    let (schema, rows) = metadata(
        client,
        Command::CommandGetPrimaryKeys(CommandGetPrimaryKeys {
            table: table.clone(),
            ..CommandGetPrimaryKeys::default()
        }),
    )
    .await;
    assert_eq!((schema.fields().len(), rows.len()), (6, 0));
    for command in [
        Command::CommandGetExportedKeys(CommandGetExportedKeys {
            table: table.clone(),
            ..CommandGetExportedKeys::default()
        }),
        Command::CommandGetImportedKeys(CommandGetImportedKeys {
            table: table.clone(),
            ..CommandGetImportedKeys::default()
        }),
        Command::CommandGetCrossReference(CommandGetCrossReference {
            pk_table: table.clone(),
            fk_table: table,
            ..CommandGetCrossReference::default()
        }),
    ] {
        let (schema, rows) = metadata(client, command).await;
        assert_eq!((schema.fields().len(), rows.len()), (13, 0));
    }
}

#[tokio::test]
async fn server_says_what_it_can_do() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    metadata(
        client,
        Command::CommandGetSqlInfo(CommandGetSqlInfo { info: Vec::new() }),
    )
    .await;
    let wanted = [
        SqlInfo::FlightSqlServerName,
        SqlInfo::FlightSqlServerTransaction,
    ];
    let info = client.get_sql_info(wanted.to_vec()).await.unwrap();
    let batches = fetch(client, &info).await.unwrap();
    let names = batches[0].column(0).as_primitive::<UInt32Type>();
    assert_eq!(names.values(), &[0, 8]);
    let values = batches[0].column(1).as_union();
    assert_eq!(values.value(0).as_string::<i32>().value(0), "Lakegate");
    // There are no transactions.
    assert_eq!(
        values
            .value(1)
            .as_primitive::<arrow::datatypes::Int32Type>()
            .value(0),
        0
    );
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    let all = fetch(client, &info).await.unwrap();
    assert!(all[0].num_rows() > 50, "{}", all[0].num_rows());
}
