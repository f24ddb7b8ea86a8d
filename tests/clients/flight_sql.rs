use std::error::Error;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::{TryStreamExt, stream};
use tonic::transport::{Channel, Endpoint};

type Client = FlightSqlServiceClient<Channel>;

async fn connect(door: &str) -> Result<Client, Box<dyn Error>> {
    let channel = Endpoint::from_shared(format!("http://{door}"))?
        .connect()
        .await?;
    Ok(FlightSqlServiceClient::new(channel))
}

/// The orders of a customer: the value is bound, and never read as SQL.
async fn orders_of(
    client: &mut Client,
    customer: &str,
) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let sql = "SELECT order_id, amount FROM silver.orders WHERE customer = $1 ORDER BY order_id";
    let mut statement = client.prepare(sql.to_owned(), None).await?;
    let schema = Arc::new(statement.parameter_schema()?.clone());
    let values = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![customer]))])?;
    statement.set_parameters(values)?;
    let info = statement.execute().await?;
    let mut orders = Vec::new();
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.ok_or("an endpoint without a ticket")?;
        let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
        orders.extend(batches);
    }
    statement.close().await?;
    Ok(orders)
}

/// Puts rows into a table, in one commit; their number is returned.
async fn replace_table(
    client: &mut Client,
    table: &str,
    rows: RecordBatch,
) -> Result<i64, Box<dyn Error>> {
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Replace.into(),
        }),
        schema: Some("bronze".to_owned()),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    };
    Ok(client
        .execute_ingest(command, stream::iter([Ok(rows)]))
        .await?)
}
