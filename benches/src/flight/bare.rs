//! A Flight server that does nothing but send batches from memory: the limit.

use std::sync::Arc;

use arrow_flight::Ticket;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{SqlInfo, TicketStatementQuery};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::server::{connect, ticket};
use crate::Result;

#[derive(Debug)]
struct Bare {
    schema: SchemaRef,
    batches: Arc<Vec<RecordBatch>>,
}

#[tonic::async_trait]
impl FlightSqlService for Bare {
    type FlightService = Self;

    async fn do_get_statement(
        &self,
        _ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> std::result::Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let batches = Arc::clone(&self.batches);
        let batches = (0..batches.len()).map(move |index| Ok(batches[index].clone()));
        let messages = FlightDataEncoderBuilder::new()
            .with_schema(Arc::clone(&self.schema))
            // Batches came as messages that are small enough.
            .with_max_flight_data_size(usize::MAX)
            .build(stream::iter(batches));
        Ok(Response::new(messages.map_err(Status::from).boxed()))
    }

    async fn register_sql_info(&self, _id: i32, _info: &SqlInfo) {}
}

/// Takes the rows that a server gives for a query, says where it listens, and sends them to whoever asks.
pub(crate) async fn serve_bare(address: &str, sql: &str) -> Result<()> {
    let mut client = connect(address).await?;
    let info = client.execute(sql.to_owned(), None).await?;
    let rows = client.do_get(ticket(info)?).await?;
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    drop(client);
    let schema = batches.first().map(RecordBatch::schema);
    let bare = Bare {
        schema: schema.unwrap_or_else(|| Arc::new(Schema::empty())),
        batches: Arc::new(batches),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{{\"flight\":\"{}\"}}", listener.local_addr()?);
    Server::builder()
        .add_service(FlightServiceServer::new(bare))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}
