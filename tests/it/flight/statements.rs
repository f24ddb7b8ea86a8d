//! What a program does with a statement: run it, prepare it, bind values, change tables, send rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    CommandPreparedStatementQuery, CommandStatementIngest, CommandStatementQuery,
    DoPutPreparedStatementResult, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::{TryStreamExt, stream};
use prost::Message;
use serde_json::json;
use tonic::Code;

use super::client::{
    act, change, connect, descriptor, expect_refused, expect_status, fetch, objects, packed, put,
    rows, schema_of, stop, told, unpacked,
};
use crate::orders::orders;
use crate::support::{Project, Server};

fn with_orders() -> (Project, Server) {
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    (project, server)
}

/// The names and types of columns, each of which may be null.
fn columns(schema: &Schema) -> Vec<(&str, &DataType)> {
    let fields = schema.fields().iter();
    let columns = fields.map(|field| {
        assert!(field.is_nullable(), "{field}");
        (field.name().as_str(), field.data_type())
    });
    columns.collect()
}

fn numbers(name: &str, values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([(name, values)]).unwrap()
}

fn ingest(
    table: &str,
    absent: TableNotExistOption,
    exists: TableExistsOption,
) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: absent.into(),
            if_exists: exists.into(),
        }),
        table: table.to_owned(),
        schema: Some("bronze".to_owned()),
        ..CommandStatementIngest::default()
    }
}

#[tokio::test]
async fn queries_give_rows_and_changes_their_number() {
    let (_project, server) = with_orders();
    let client = &mut connect(&server).await;
    let counted = rows(
        client,
        "SELECT count(*) AS n, max(id) AS last FROM silver.orders",
    )
    .await;
    assert_eq!(counted.unwrap(), [json!({ "n": 100, "last": 100 })]);
    let info = client.execute(
        "SELECT value FROM generate_series(1, 1000000)".to_owned(),
        None,
    );
    let info = info.await.unwrap();
    let batches = fetch(client, &info).await.unwrap();
    let sum = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
    assert_eq!(sum.sum::<i64>(), 500_000_500_000);
    assert!(batches.len() > 1);

    let made = change(client, "CREATE TABLE bronze.t (id BIGINT, name VARCHAR)")
        .await
        .unwrap();
    assert!([-1, 0].contains(&made), "{made}");
    assert_eq!(
        change(client, "INSERT INTO bronze.t VALUES (1, 'a'), (2, 'b')")
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        change(client, "UPDATE bronze.t SET name = 'c' WHERE id > 1")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        change(client, "DELETE FROM bronze.t WHERE id = 1")
            .await
            .unwrap(),
        1
    );
    let left = rows(client, "SELECT * FROM bronze.t").await.unwrap();
    assert_eq!(left, [json!({ "id": 2, "name": "c" })]);
    change(client, "DROP TABLE bronze.t").await.unwrap();
    expect_refused(
        rows(client, "SELECT * FROM bronze.t").await,
        Code::NotFound,
        &["bronze.t"],
    );
    expect_refused(
        change(client, "SELECT 1").await,
        Code::InvalidArgument,
        &["only reads"],
    );
    let in_transaction = client
        .execute("SELECT 1".to_owned(), Some("t1".into()))
        .await;
    expect_refused(in_transaction, Code::Unimplemented, &["transactions"]);
    expect_refused(
        client.begin_transaction().await,
        Code::Unimplemented,
        &["transactions"],
    );
}

#[tokio::test]
async fn prepared_statement_tells_its_columns_and_takes_values() {
    let (_project, server) = with_orders();
    let client = &mut connect(&server).await;
    let sql = "SELECT id, customer FROM silver.orders WHERE customer = $1 AND id <= $2 ORDER BY id";
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    assert_eq!(
        columns(prepared.dataset_schema().unwrap()),
        [("id", &DataType::Int64), ("customer", &DataType::Utf8)]
    );
    assert_eq!(
        columns(prepared.parameter_schema().unwrap()),
        [("$1", &DataType::Utf8), ("$2", &DataType::Int64)]
    );
    for (most, ids) in [(10, vec![1, 8]), (1, vec![1])] {
        let values: [ArrayRef; 2] = [
            Arc::new(StringArray::from(vec!["c1"])),
            Arc::new(Int64Array::from(vec![most])),
        ];
        let schema = Arc::new(prepared.parameter_schema().unwrap().clone());
        let values = RecordBatch::try_new(schema, values.to_vec()).unwrap();
        prepared.set_parameters(values).unwrap();
        let info = prepared.execute().await.unwrap();
        let fetched = objects(&fetch(client, &info).await.unwrap());
        let expected = ids
            .into_iter()
            .map(|id| json!({ "id": id, "customer": "c1" }));
        assert_eq!(fetched, expected.collect::<Vec<_>>(), "{most}");
    }
    prepared.set_parameters(numbers("$1", [1, 2])).unwrap();
    expect_refused(prepared.execute().await, Code::Unimplemented, &["one row"]);
    prepared.set_parameters(numbers("$1", [1])).unwrap();
    expect_refused(
        prepared.execute().await,
        Code::InvalidArgument,
        &["2 parameters"],
    );
    prepared.close().await.unwrap();
}

#[tokio::test]
async fn prepared_change_is_made_with_what_was_bound() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    change(client, "CREATE TABLE bronze.bound (id BIGINT)")
        .await
        .unwrap();
    let mut plain = client
        .prepare("INSERT INTO bronze.bound VALUES (1)".to_owned(), None)
        .await
        .unwrap();
    assert_eq!(plain.execute_update().await.unwrap(), 1);
    let mut insert = client
        .prepare("INSERT INTO bronze.bound VALUES ($1)".to_owned(), None)
        .await
        .unwrap();
    insert.set_parameters(numbers("$1", [2])).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 1);
    insert.set_parameters(numbers("$1", [3, 4, 5])).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 3);
    // Without values, it is an error rather than a change with other ones.
    let mut unbound = client
        .prepare("INSERT INTO bronze.bound VALUES ($1)".to_owned(), None)
        .await
        .unwrap();
    expect_refused(
        unbound.execute_update().await,
        Code::InvalidArgument,
        &["1 parameter"],
    );
    let ids = rows(client, "SELECT id FROM bronze.bound ORDER BY id")
        .await
        .unwrap();
    let expected: Vec<_> = (1..=5).map(|id| json!({ "id": id })).collect();
    assert_eq!(ids, expected);
    stop(server).await.expect_code(0);
    // The table, the plain row, the bound one, and three in one commit.
    assert_eq!(project.independent("bronze.bound")["version"], 3);
}

#[tokio::test]
async fn rows_that_are_sent_become_a_table() {
    use TableExistsOption as Exists;
    use TableNotExistOption as Absent;

    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    // In batches of a thousand.
    let sent = |ids: std::ops::Range<i64>| {
        let batches = ids.clone().step_by(1_000).map(move |from| {
            let until = ids.end.min(from + 1_000);
            Ok(numbers("id", from..until))
        });
        stream::iter(batches.collect::<Vec<_>>())
    };
    let create = ingest("sent", Absent::Create, Exists::Fail);
    let made = client.execute_ingest(create.clone(), sent(0..10_000)).await;
    assert_eq!(made.unwrap(), 10_000);
    let again = client.execute_ingest(create, sent(0..1)).await;
    expect_refused(again, Code::InvalidArgument, &["exists already"]);
    let append = ingest("sent", Absent::Fail, Exists::Append);
    let added = client.execute_ingest(append, sent(10_000..10_010)).await;
    assert_eq!(added.unwrap(), 10);
    let elsewhere = ingest("nowhere", Absent::Fail, Exists::Append);
    let elsewhere = client.execute_ingest(elsewhere, sent(0..1)).await;
    expect_refused(elsewhere, Code::NotFound, &["bronze.nowhere"]);
    let summed = rows(
        client,
        "SELECT count(*) AS n, sum(id) AS sum FROM bronze.sent",
    )
    .await;
    assert_eq!(summed.unwrap(), [json!({ "n": 10_010, "sum": 50_095_045 })]);
    let replace = ingest("sent", Absent::Create, Exists::Replace);
    assert_eq!(client.execute_ingest(replace, sent(7..8)).await.unwrap(), 1);
    assert_eq!(
        rows(client, "SELECT * FROM bronze.sent").await.unwrap(),
        [json!({ "id": 7 })]
    );
    stop(server).await.expect_code(0);
    let seen = project.independent("bronze.sent");
    assert_eq!((&seen["version"], &seen["rows"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn rows_that_do_not_fit_a_table_leave_it_as_it_was() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    change(
        client,
        "CREATE TABLE bronze.strict AS SELECT 1 AS id, 'a' AS name",
    )
    .await
    .unwrap();
    let append = ingest(
        "strict",
        TableNotExistOption::Fail,
        TableExistsOption::Append,
    );
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let other =
        RecordBatch::try_from_iter([("id", Arc::clone(&texts)), ("name", Arc::clone(&texts))]);
    let further = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![2])) as ArrayRef),
        ("name", Arc::clone(&texts)),
        ("color", texts),
    ]);
    let none = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let fewer = numbers("id", [2]);
    for (rows, word) in [
        (other.unwrap(), "id"),
        (further.unwrap(), "color"),
        (fewer, "name"),
        (none, ""),
    ] {
        let sent = client
            .execute_ingest(append.clone(), stream::iter([Ok(rows)]))
            .await;
        expect_refused(sent, Code::InvalidArgument, &[word]);
    }
    let kept = rows(client, "SELECT * FROM bronze.strict").await.unwrap();
    assert_eq!(kept, [json!({ "id": 1, "name": "a" })]);
    stop(server).await.expect_code(0);
    assert_eq!(project.independent("bronze.strict")["version"], 0);
}

#[tokio::test]
async fn columns_are_told_before_anything_is_run() {
    let (_project, server) = with_orders();
    let client = &mut connect(&server).await;
    let sql = "SELECT day, count(*) AS n, sum(amount) AS amount FROM silver.orders GROUP BY day";
    let query = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let schema = client
        .inner_mut()
        .get_schema(descriptor(&query))
        .await
        .unwrap();
    let schema = schema_of(schema.into_inner());
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    assert_eq!(told(&info), schema);
    for batch in fetch(client, &info).await.unwrap() {
        assert_eq!(*batch.schema(), schema);
    }
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["day", "n", "amount"]);

    let sql = "SELECT id + $1 AS id, $2 AS other FROM silver.orders";
    let prepared = arrow_flight::sql::ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let (_, bodies) = act(client, "CreatePreparedStatement", packed(&prepared))
        .await
        .unwrap();
    let prepared: arrow_flight::sql::ActionCreatePreparedStatementResult = unpacked(&bodies[0]);
    let by_handle = |handle: bytes::Bytes| {
        descriptor(&CommandPreparedStatementQuery {
            prepared_statement_handle: handle,
        })
    };
    let handle = prepared.prepared_statement_handle;
    let unbound = client
        .inner_mut()
        .get_schema(by_handle(handle.clone()))
        .await
        .unwrap();
    let unbound = schema_of(unbound.into_inner());
    assert_eq!(columns(&unbound)[0], ("id", &DataType::Int64));
    // With values, what they make of the columns is known.
    let values: [(&str, ArrayRef); 2] = [
        ("$1", Arc::new(Int64Array::from(vec![1]))),
        ("$2", Arc::new(BooleanArray::from(vec![true]))),
    ];
    let values = RecordBatch::try_from_iter(values).unwrap();
    let messages = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(by_handle(handle)))
        .build(stream::iter([Ok(values)]));
    let messages: Vec<FlightData> = messages.try_collect().await.unwrap();
    let bound = put(client, stream::iter(messages)).await.unwrap();
    let bound = DoPutPreparedStatementResult::decode(bound).unwrap();
    let bound = by_handle(bound.prepared_statement_handle.unwrap());
    let info = client.inner_mut().get_flight_info(bound.clone());
    let info = info.await.unwrap().into_inner();
    let schema = client.inner_mut().get_schema(bound).await.unwrap();
    let schema = schema_of(schema.into_inner());
    assert_eq!(
        columns(&schema),
        [("id", &DataType::Int64), ("other", &DataType::Boolean)]
    );
    assert_eq!(told(&info), schema);
    // A change has no columns, and asking for them does not make it.
    let change_it = CommandStatementQuery {
        query: "DROP TABLE silver.orders".to_owned(),
        transaction_id: None,
    };
    let of_change = client
        .inner_mut()
        .get_schema(descriptor(&change_it))
        .await
        .unwrap();
    assert_eq!(schema_of(of_change.into_inner()), Schema::empty());
    let still = rows(client, "SELECT count(*) AS n FROM silver.orders")
        .await
        .unwrap();
    assert_eq!(still, [json!({ "n": 100 })]);

    let wrong = CommandStatementQuery {
        query: "SELECT nothing".to_owned(),
        transaction_id: None,
    };
    let wrong = client
        .inner_mut()
        .get_schema(descriptor(&wrong))
        .await
        .unwrap_err();
    expect_status(&wrong, Code::InvalidArgument, &["nothing"]);
    let forged = client
        .inner_mut()
        .get_schema(by_handle("forged".into()))
        .await
        .unwrap_err();
    expect_status(&forged, Code::InvalidArgument, &["prepared statement"]);
}
