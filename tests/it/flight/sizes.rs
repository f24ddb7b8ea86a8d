//! Statements and answers of unusual size.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::{StreamExt, stream};
use serde_json::json;
use tonic::Code;

use super::client::{change, connect, expect_refused, fetch, rows, told};
use crate::support::Project;

#[tokio::test]
async fn sql_of_ten_megabytes_is_refused_wherever_it_comes() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let long = format!("SELECT '{}'", "x".repeat(10 << 20));
    let words = ["10485769 bytes", "hint: "];
    expect_refused(
        client.execute(long.clone(), None).await,
        Code::InvalidArgument,
        &words,
    );
    expect_refused(
        client.prepare(long.clone(), None).await,
        Code::InvalidArgument,
        &words,
    );
    expect_refused(change(client, &long).await, Code::InvalidArgument, &words);
    // Less than a MiB is taken.
    let long = format!("SELECT length('{}') AS n", "x".repeat(1_000_000));
    assert_eq!(
        rows(client, &long).await.unwrap(),
        [json!({ "n": 1_000_000 })]
    );
    // No message is that large.
    let larger = format!("SELECT '{}'", "x".repeat(65 << 20));
    expect_refused(client.execute(larger, None).await, Code::OutOfRange, &[]);
    assert_eq!(
        rows(client, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
}

#[tokio::test]
async fn ten_thousand_columns_arrive() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let columns: Vec<_> = (0..10_000)
        .map(|column| format!("{column} AS c{column}"))
        .collect();
    let sql = format!("SELECT {}", columns.join(", "));
    let info = client.execute(sql, None).await.unwrap();
    assert_eq!(told(&info).fields().len(), 10_000);
    let batches = fetch(client, &info).await.unwrap();
    assert_eq!(*batches[0].schema(), told(&info));
    for (at, column) in batches[0].columns().iter().enumerate() {
        assert_eq!(column.as_primitive::<Int64Type>().value(0), at as i64);
    }
}

#[tokio::test]
async fn rows_of_many_megabytes_arrive() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let sql = "SELECT repeat('x', 5000000) AS text, value FROM generate_series(1, 4)";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let batches = fetch(client, &info).await.unwrap();
    let lengths = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter());
    assert_eq!(
        lengths.map(|text| text.unwrap().len()).collect::<Vec<_>>(),
        [5_000_000; 4]
    );
}

#[tokio::test]
async fn client_that_still_sends_is_told_why_its_rows_are_not_taken() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    change(client, "CREATE TABLE bronze.there AS SELECT 0 AS id")
        .await
        .unwrap();
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Fail.into(),
        }),
        table: "there".to_owned(),
        schema: Some("bronze".to_owned()),
        ..CommandStatementIngest::default()
    };
    for _ in 0..5 {
        // A MiB each, and far more than fits between client and server.
        let batches = stream::iter(0..100).map(|_| {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..131_072));
            Ok(RecordBatch::try_from_iter([("id", ids)])?)
        });
        let sent = client.execute_ingest(command.clone(), batches).await;
        expect_refused(sent, Code::InvalidArgument, &["exists already"]);
    }
}
