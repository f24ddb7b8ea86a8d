//! The client on the page about Rust.

use arrow::array::{ArrayRef, Int64Array};
use serde_json::json;

use super::client::{change, objects, rows};
use super::documentation::{block, project_of};

include!("../../clients/flight_sql.rs");

#[test]
fn page_shows_the_client_that_is_tested() {
    let client = include_str!("../../clients/flight_sql.rs");
    assert_eq!(
        block("rust.md", "rust"),
        client,
        "copy tests/clients/flight_sql.rs into the page"
    );
}

#[tokio::test]
async fn client_of_the_page_reads_and_writes() {
    let project = project_of("rust.md");
    let server = project.serve(&[]);
    let client = &mut connect(&server.flight).await.unwrap();
    let of_customer = objects(&orders_of(client, "ada").await.unwrap());
    assert_eq!(of_customer.len(), 2);
    assert_eq!(of_customer[0]["order_id"], json!(1));
    assert_eq!(of_customer[1]["order_id"], json!(3));
    let quoted = orders_of(client, "ada' OR '1'='1").await.unwrap();
    assert_eq!(objects(&quoted).len(), 0);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let table = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    for _ in 0..2 {
        let written = replace_table(client, "numbers", table.clone())
            .await
            .unwrap();
        assert_eq!(written, 3);
    }
    let counted = rows(client, "SELECT count(*) AS n FROM bronze.numbers").await;
    assert_eq!(counted.unwrap(), [json!({ "n": 3 })]);
    change(client, "DROP TABLE bronze.numbers").await.unwrap();
}
