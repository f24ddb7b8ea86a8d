//! Statements: prepared, described, and fetched by ticket.
//!
//! A handle of a prepared statement holds its SQL and the values that were bound; a ticket also the versions of the tables
//! that were planned, so that what is fetched is what was described, whoever writes meanwhile.

use std::sync::Arc;

use arrow_flight::sql::{
    ActionCreatePreparedStatementResult, Any, CommandStatementIngest, ProstMessageExt,
    TableExistsOption, TableNotExistOption, TicketStatementQuery,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt};
use lakegate_engine::{
    CATALOG, IfAbsent, IfExists, Ingest, Pins, Prepared, Queries, Ready, Request, SessionOptions,
};
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::Status;
use uuid::Uuid;

use crate::caller::Session;
use crate::encode::{self, Messages};
use crate::seal::{Purpose, Seal};
use crate::sql_info::MOST_SQL_BYTES;
use crate::{columns, parameters, status};

/// How long a prepared statement can be used.
const STATEMENT_LASTS: TimeDelta = TimeDelta::days(1);

/// How long rows can be fetched after a statement was planned.
const TICKET_LASTS: TimeDelta = TimeDelta::hours(1);

/// A statement as its client carries it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) sql: Arc<str>,
    #[serde(flatten)]
    session: SessionOptions,
    principal: String,
    /// The values that were bound: a stream of Arrow, in base64. One row of them for a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<String>,
}

impl Carried {
    /// The rows of values that were bound.
    fn rows(&self) -> Result<Vec<Vec<ScalarValue>>, Status> {
        let rows = self.values.as_deref().map(parameters::read);
        Ok(rows.transpose()?.unwrap_or_default())
    }
}

/// A statement whose rows can be fetched.
#[derive(Debug, Serialize, Deserialize)]
struct Fetchable {
    query_id: Uuid,
    #[serde(flatten)]
    statement: Carried,
    tables: Vec<(String, i64, String)>,
    clauses: Vec<i64>,
    /// Whether it was a change, which is made already.
    #[serde(default)]
    is_done: bool,
}

/// Statements of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statements<'a> {
    pub(crate) queries: &'a Arc<Queries>,
    pub(crate) seal: &'a Seal,
    pub(crate) session: &'a Session,
    pub(crate) now: DateTime<Utc>,
}

impl Statements<'_> {
    /// A statement that comes as text.
    pub(crate) fn of_text(&self, sql: &str) -> Result<Carried, Status> {
        if sql.len() > MOST_SQL_BYTES {
            return Err(Status::invalid_argument(format!(
                "the SQL has {} bytes, and may have {MOST_SQL_BYTES}\nhint: put long lists of values into a table, and join it",
                sql.len()
            )));
        }
        Ok(Carried {
            sql: sql.into(),
            session: self.session.options(),
            principal: self.session.principal.clone(),
            values: None,
        })
    }

    /// A statement that was prepared.
    pub(crate) fn of_handle(&self, handle: &[u8]) -> Result<Carried, Status> {
        let carried: Carried = self
            .seal
            .open(Purpose::Statement, handle, self.now)
            .map_err(status::of_seal)?;
        self.expect_own(&carried)?;
        Ok(carried)
    }

    /// Prepares a statement.
    pub(crate) async fn prepare(
        &self,
        sql: &str,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let carried = self.of_text(sql)?;
        let prepared = self.prepared(&carried).await?;
        let parameters = Schema::new(prepared.parameters);
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.handle(&carried)?,
            dataset_schema: encode::schema(&columns::advertised(&prepared.schema))?,
            parameter_schema: encode::schema(&columns::advertised(&parameters))?,
        })
    }

    /// The handle of a prepared statement with values: one row for a query, any number for a change.
    pub(crate) async fn bound(
        &self,
        carried: Carried,
        values: &[RecordBatch],
    ) -> Result<Bytes, Status> {
        if self.is_query(&self.request(&carried, None)?).await? {
            parameters::expect_one_row(values)?;
        }
        let values = parameters::carried(values)?;
        self.handle(&Carried { values, ..carried })
    }

    /// Says how the rows of a statement can be fetched.
    pub(crate) async fn info(
        &self,
        carried: Carried,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let request = self.request(&carried, None)?;
        if !self.is_query(&request).await? {
            return self.changed(carried, request, descriptor).await;
        }
        let ready = self.planned(request).await?;
        let pins = ready.pins();
        let tables = pins.tables.iter();
        let query_id = Uuid::now_v7();
        let fetchable = Fetchable {
            query_id,
            statement: carried,
            tables: tables
                .map(|(name, version, id)| (name.to_string(), *version, id.clone()))
                .collect(),
            clauses: pins.clauses.clone(),
            is_done: false,
        };
        let endpoint = self.endpoint(fetchable)?;
        let info = FlightInfo::new()
            .try_with_schema(&columns::advertised(&ready.schema))
            .map_err(status::of_arrow)?;
        self.queries.keep(query_id, ready, &self.session.caller());
        Ok(info
            .with_descriptor(descriptor)
            .with_endpoint(endpoint)
            .with_app_metadata(query_id.to_string()))
    }

    /// Makes a change, once: what is fetched afterwards is that it was made. Its number of rows is that of the answer.
    async fn changed(
        &self,
        carried: Carried,
        request: Request,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let rows = carried.rows()?;
        let query_id = Uuid::now_v7();
        let changed = self.make(query_id, &request, &rows).await?;
        let fetchable = Fetchable {
            query_id,
            statement: carried,
            tables: Vec::new(),
            clauses: Vec::new(),
            is_done: true,
        };
        let endpoint = self.endpoint(fetchable)?;
        let info = FlightInfo::new().try_with_schema(&Schema::empty());
        Ok(info
            .map_err(status::of_arrow)?
            .with_descriptor(descriptor)
            .with_endpoint(endpoint)
            .with_total_records(changed)
            .with_app_metadata(query_id.to_string()))
    }

    /// Makes a change with each row of values, or else with those that were bound before, and gives the number of rows
    /// that it brought: -1 when it is not known.
    pub(crate) async fn update(
        &self,
        carried: &Carried,
        rows: Vec<Vec<ScalarValue>>,
    ) -> Result<i64, Status> {
        let request = self.request(carried, None)?;
        if self.is_query(&request).await? {
            return Err(Status::invalid_argument(
                "the statement only reads\nhint: run it as a query",
            ));
        }
        let rows = match rows.is_empty() {
            true => carried.rows()?,
            false => rows,
        };
        self.make(Uuid::now_v7(), &request, &rows).await
    }

    /// Writes rows that a client sends to a table, and gives their number: -1 when it is not known.
    pub(crate) async fn ingest<S>(
        &self,
        command: CommandStatementIngest,
        sent: S,
    ) -> Result<i64, Status>
    where
        S: Stream<Item = Result<FlightData, Status>> + Send + 'static,
    {
        let ingest = ingest_of(command)?;
        let (schema, batches) = parameters::stream(sent).await?;
        let in_schema = self.session.schema();
        let caller = self.session.caller();
        let query_id = Uuid::now_v7();
        let ingested = self
            .queries
            .ingest(query_id, &ingest, in_schema, schema, batches, caller)
            .await;
        let rows = ingested.map_err(|error| status::of_engine(&error))?;
        Ok(rows.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1))
    }

    async fn make(
        &self,
        query_id: Uuid,
        request: &Request,
        rows: &[Vec<ScalarValue>],
    ) -> Result<i64, Status> {
        let caller = self.session.caller();
        let changed = self.queries.change(query_id, request, rows, caller).await;
        let changed = changed.map_err(|error| status::of_engine(&error))?;
        Ok(changed
            .and_then(|rows| i64::try_from(rows).ok())
            .unwrap_or(-1))
    }

    fn endpoint(&self, fetchable: Fetchable) -> Result<FlightEndpoint, Status> {
        let until = self.now + TICKET_LASTS;
        let sealed = self.seal.close(Purpose::Ticket, fetchable, until);
        let sealed = sealed.map_err(|error| status::bug("a ticket could not be written", error))?;
        let ticket = TicketStatementQuery {
            statement_handle: sealed.into(),
        };
        Ok(FlightEndpoint::new()
            .with_ticket(Ticket::new(ticket.as_any().encode_to_vec()))
            .with_expiration_time(prost_time(until)))
    }

    /// The columns of a statement's rows.
    pub(crate) async fn schema(&self, carried: &Carried) -> Result<Bytes, Status> {
        let request = self.request(carried, None)?;
        if carried.values.is_some() && self.is_query(&request).await? {
            let ready = self.planned(request).await?;
            return encode::schema(&columns::advertised(&ready.schema));
        }
        let prepared = self.prepared(carried).await?;
        encode::schema(&columns::advertised(&prepared.schema))
    }

    /// Runs a statement by its ticket.
    pub(crate) async fn fetch(&self, ticket: &[u8]) -> Result<Messages, Status> {
        let fetchable = self.fetchable(ticket)?;
        if fetchable.is_done {
            return encode::batch(RecordBatch::new_empty(Arc::new(Schema::empty())));
        }
        let tables = fetchable.tables.iter().map(|(name, version, id)| {
            let name = name.parse();
            name.map(|name| (name, *version, id.clone()))
        });
        let tables: Result<Vec<_>, _> = tables.collect();
        let pins = Pins {
            tables: tables.map_err(|error| status::bug("a ticket names no table", error))?,
            clauses: fetchable.clauses.clone(),
        };
        let request = self.request(&fetchable.statement, Some(pins))?;
        let caller = self.session.caller();
        let query_id = fetchable.query_id;
        let ready = self.queries.plan_again(query_id, request, &caller).await;
        let ready = ready.map_err(|error| status::of_engine(&error))?;
        let schema = columns::advertised(&ready.schema);
        let rows = self.queries.run(query_id, ready, caller).await;
        let rows = rows.map_err(|error| status::of_engine(&error))?;
        let taken = rows.taken();
        let messages = encode::rows(rows, schema)?;
        Ok(messages.inspect(move |_| taken.note()).boxed())
    }

    /// Ends a query that runs. False when it does not run.
    pub(crate) fn cancel(&self, info: &FlightInfo) -> Result<bool, Status> {
        let tickets = info
            .endpoint
            .iter()
            .filter_map(|endpoint| endpoint.ticket.as_ref());
        let mut is_cancelled = false;
        for ticket in tickets {
            let Some(ticket) = statement_ticket(ticket)? else {
                continue;
            };
            let fetchable = self.fetchable(&ticket.statement_handle)?;
            is_cancelled |= self.queries.cancel(fetchable.query_id);
        }
        Ok(is_cancelled)
    }

    /// The same endpoint, for longer.
    pub(crate) fn renew(&self, endpoint: FlightEndpoint) -> Result<FlightEndpoint, Status> {
        let ticket = endpoint.ticket.as_ref();
        let ticket =
            ticket.ok_or_else(|| Status::invalid_argument("the endpoint has no ticket"))?;
        let Some(old) = statement_ticket(ticket)? else {
            // Metadata can be fetched at any time.
            return Ok(endpoint);
        };
        let renewed = self.endpoint(self.fetchable(&old.statement_handle)?)?;
        Ok(FlightEndpoint {
            location: endpoint.location,
            app_metadata: endpoint.app_metadata,
            ..renewed
        })
    }

    fn fetchable(&self, ticket: &[u8]) -> Result<Fetchable, Status> {
        let fetchable: Fetchable = self
            .seal
            .open(Purpose::Ticket, ticket, self.now)
            .map_err(status::of_seal)?;
        self.expect_own(&fetchable.statement)?;
        Ok(fetchable)
    }

    fn request(&self, carried: &Carried, pins: Option<Pins>) -> Result<Request, Status> {
        Ok(Request {
            sql: Arc::clone(&carried.sql),
            parameters: carried.rows()?.into_iter().next().unwrap_or_default(),
            session: carried.session.clone(),
            pins,
        })
    }

    async fn planned(&self, request: Request) -> Result<Ready, Status> {
        let ready = self.queries.plan(request, &self.session.caller()).await;
        ready.map_err(|error| status::of_engine(&error))
    }

    async fn prepared(&self, carried: &Carried) -> Result<Prepared, Status> {
        let caller = self.session.caller();
        let prepared = self
            .queries
            .prepare(&carried.sql, &carried.session, &caller)
            .await;
        prepared.map_err(|error| status::of_engine(&error))
    }

    async fn is_query(&self, request: &Request) -> Result<bool, Status> {
        let is_query = self.queries.is_query(request, &self.session.caller()).await;
        is_query.map_err(|error| status::of_engine(&error))
    }

    fn handle(&self, carried: &Carried) -> Result<Bytes, Status> {
        let until = self.now + STATEMENT_LASTS;
        let sealed = self.seal.close(Purpose::Statement, carried, until);
        let sealed = sealed.map_err(|error| status::bug("a handle could not be written", error));
        sealed.map(Bytes::from)
    }

    fn expect_own(&self, carried: &Carried) -> Result<(), Status> {
        if carried.principal == self.session.principal {
            return Ok(());
        }
        Err(Status::permission_denied(
            "the statement is somebody else's",
        ))
    }
}

/// The ticket of a statement; none for one of metadata.
fn statement_ticket(ticket: &Ticket) -> Result<Option<TicketStatementQuery>, Status> {
    let any = Any::decode(&*ticket.ticket);
    let any = any.map_err(|error| status::malformed("the ticket", error))?;
    any.unpack()
        .map_err(|error| status::malformed("the ticket", error))
}

/// Where a client wants its rows.
fn ingest_of(command: CommandStatementIngest) -> Result<Ingest, Status> {
    let catalog = command.catalog.filter(|catalog| !catalog.is_empty());
    if let Some(catalog) = catalog.filter(|catalog| catalog != CATALOG) {
        return Err(Status::not_found(format!(
            "there is no catalog `{catalog}`\nhint: the catalog is `{CATALOG}`"
        )));
    }
    if command.temporary {
        return Err(Status::unimplemented("there are no temporary tables here"));
    }
    if command.transaction_id.is_some_and(|id| !id.is_empty()) {
        return Err(Status::unimplemented("there are no transactions here"));
    }
    if let Some(option) = command.options.keys().min() {
        return Err(Status::unimplemented(format!(
            "there is no option `{option}` here"
        )));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let if_absent = match options.if_not_exist() {
        TableNotExistOption::Create => IfAbsent::Create,
        TableNotExistOption::Unspecified | TableNotExistOption::Fail => IfAbsent::Fail,
    };
    let if_exists = match options.if_exists() {
        TableExistsOption::Append => IfExists::Append,
        TableExistsOption::Replace => IfExists::Replace,
        TableExistsOption::Unspecified | TableExistsOption::Fail => IfExists::Fail,
    };
    Ok(Ingest {
        schema: command.schema.filter(|schema| !schema.is_empty()),
        table: command.table,
        if_absent,
        if_exists,
    })
}

fn prost_time(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: 0,
    }
}
