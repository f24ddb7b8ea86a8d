//! The service: which call is answered where.

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use lakegate_engine::Queries;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::caller::{self, Access, Peer, Session};
use crate::encode::Messages;
use crate::entry::Entry;
use crate::seal::Seal;
use crate::statements::Statements;
use crate::{actions, encode, metadata, parameters, sql_info, status, type_info};

/// The Flight SQL door to an engine.
#[derive(Debug)]
pub struct FlightDoor {
    queries: Arc<Queries>,
    access: Access,
    seal: Seal,
}

impl FlightDoor {
    /// A door, with a key of its own for what clients carry. None when no key can be made.
    pub fn new(queries: Arc<Queries>, access: Access) -> Option<Self> {
        Some(Self {
            queries,
            access,
            seal: Seal::random()?,
        })
    }

    /// The door as a service of gRPC.
    pub fn into_service(self) -> Entry {
        Entry::new(self)
    }

    fn now(&self) -> DateTime<Utc> {
        self.queries.engine().catalog().now()
    }

    /// The session of a call; a client that may not come in is refused, and that is recorded. Who logs in has to say who
    /// they are.
    pub(crate) async fn enter(
        &self,
        headers: &MetadataMap,
        peer: &Peer,
        is_login: bool,
    ) -> Result<Session, Status> {
        let (seal, now) = (&self.seal, self.now());
        let session = match is_login {
            true => self.access.log_in(headers, peer, seal, now).await,
            false => self.access.session(headers, peer, seal, now).await,
        };
        session.map_err(|refused| {
            let name = refused.name.as_deref();
            self.queries.audit_login(name, caller::DOOR, peer.address);
            refused.status()
        })
    }

    /// The rows of a ticket.
    pub(crate) async fn rows(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Messages>, Status> {
        let session = session(&request)?;
        let messages = match command(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let statements = self.statements(&session);
                statements.fetch(&ticket.statement_handle).await?
            }
            command => {
                let refused = not_supported(&command);
                encode::batch(self.metadata(command, &session).await?.ok_or(refused)?)?
            }
        };
        Ok(Response::new(messages))
    }

    fn statements<'a>(&'a self, session: &'a Session) -> Statements<'a> {
        Statements {
            queries: &self.queries,
            seal: &self.seal,
            session,
            now: self.now(),
        }
    }

    /// The rows of a command that asks for metadata; none for another command.
    async fn metadata(
        &self,
        command: Command,
        session: &Session,
    ) -> Result<Option<RecordBatch>, Status> {
        let (engine, caller) = (self.queries.engine(), session.caller());
        let empty = |schema: &SchemaRef| RecordBatch::new_empty(Arc::clone(schema));
        Ok(Some(match command {
            Command::CommandGetCatalogs(_) => metadata::catalogs()?,
            Command::CommandGetDbSchemas(command) => {
                metadata::schemas(engine, &caller, command).await?
            }
            Command::CommandGetTables(command) => {
                metadata::tables(engine, &caller, command).await?
            }
            Command::CommandGetTableTypes(_) => metadata::table_types()?,
            Command::CommandGetSqlInfo(command) => sql_info::values(&command.info)?,
            Command::CommandGetXdbcTypeInfo(command) => type_info::values(command.data_type)?,
            Command::CommandGetPrimaryKeys(_) => empty(&metadata::PRIMARY_KEYS),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => empty(&metadata::FOREIGN_KEYS),
            _ => return Ok(None),
        }))
    }

    /// The columns of what a command that asks for metadata gives; none for another command.
    async fn metadata_schema(
        &self,
        command: &Command,
        session: &Session,
    ) -> Result<Option<SchemaRef>, Status> {
        if let Command::CommandGetTables(command) = command {
            // Without opening any table.
            return Ok(Some(command.clone().into_builder().schema()));
        }
        let rows = self.metadata(command.clone(), session).await?;
        Ok(rows.map(|rows| rows.schema()))
    }

    async fn info(
        &self,
        session: &Session,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let statements = self.statements(session);
        let carried = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                refuse_transaction(query.transaction_id.as_deref())?;
                statements.of_text(&query.query)?
            }
            Command::CommandPreparedStatementQuery(query) => {
                statements.of_handle(&query.prepared_statement_handle)?
            }
            command => {
                let schema = self.metadata_schema(&command, session).await?;
                let schema = schema.ok_or_else(|| not_supported(&command))?;
                let ticket = Ticket::new(descriptor.cmd.clone());
                let info = FlightInfo::new().try_with_schema(&schema);
                return Ok(info
                    .map_err(status::of_arrow)?
                    .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
                    .with_descriptor(descriptor));
            }
        };
        statements.info(carried, descriptor).await
    }
}

/// The session of a call that was let in.
fn session<T>(request: &Request<T>) -> Result<Session, Status> {
    let session = request.extensions().get().cloned();
    session.ok_or_else(|| status::bug("a call was not let in", "it has no session"))
}

/// The command in a descriptor or ticket.
fn command(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(|error| status::malformed("the command", error))?;
    Command::try_from(any).map_err(|error| status::malformed("the command", error))
}

fn not_supported(command: &Command) -> Status {
    let name = command.type_url();
    let name = name.rsplit(['.', '/']).next().unwrap_or_default();
    match name.is_empty() {
        true => Status::invalid_argument("the command has no type"),
        false => Status::unimplemented(format!("`{name}` is not supported here")),
    }
}

/// Refuses a statement inside of a transaction, of which there are none.
fn refuse_transaction(transaction_id: Option<&[u8]>) -> Result<(), Status> {
    match transaction_id {
        None | Some([]) => Ok(()),
        Some(_) => Err(Status::unimplemented(
            "there are no transactions here\nhint: each statement is one by itself",
        )),
    }
}

/// One message as the answer to a call that takes several.
fn one<T: Send + 'static>(message: T) -> BoxStream<'static, Result<T, Status>> {
    stream::iter([Ok(message)]).boxed()
}

#[async_trait]
impl FlightService for FlightDoor {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let session = session(&request)?;
        let mut response = Response::new(one(HandshakeResponse::default()));
        caller::carry(&mut response, &session, &self.seal, self.now())?;
        Ok(response)
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        // Tables are listed by Flight SQL.
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let session = session(&request)?;
        let info = self.info(&session, request.into_inner()).await?;
        Ok(Response::new(info))
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let session = session(&request)?;
        let info = self.info(&session, request.into_inner()).await?;
        // Planning is all that there is to wait for: without a descriptor to ask again with, it is complete.
        let complete = PollInfo::new().with_info(info).try_with_progress(1.0);
        Ok(Response::new(complete.map_err(status::of_arrow)?))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let session = session(&request)?;
        let statements = self.statements(&session);
        let schema = match command(&request.get_ref().cmd)? {
            Command::CommandStatementQuery(query) => {
                let carried = statements.of_text(&query.query)?;
                Box::pin(statements.schema(&carried)).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                let carried = statements.of_handle(&query.prepared_statement_handle)?;
                Box::pin(statements.schema(&carried)).await?
            }
            command => {
                let schema = self.metadata_schema(&command, &session).await?;
                let schema = schema.ok_or_else(|| not_supported(&command))?;
                encode::schema(&schema)?
            }
        };
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        // `Entry` answers it with `FlightDoor::rows`.
        Err(status::bug("DoGet", "the call is not for this service"))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let session = session(&request)?;
        let statements = self.statements(&session);
        let mut sent = request.into_inner().peekable();
        let first = match Pin::new(&mut sent).peek().await {
            Some(Ok(first)) => first,
            Some(Err(status)) => return Err(status.clone()),
            None => {
                return Err(Status::invalid_argument(
                    "nothing was sent\nhint: some clients send nothing when there are no rows: leave the call out then",
                ));
            }
        };
        let Some(descriptor) = &first.flight_descriptor else {
            return Err(Status::invalid_argument(
                "the first message has no descriptor to say what is sent",
            ));
        };
        let result = match command(&descriptor.cmd)? {
            Command::CommandPreparedStatementQuery(query) => {
                let carried = statements.of_handle(&query.prepared_statement_handle)?;
                let values = parameters::batches(sent).await?;
                let handle = statements.bound(carried, &values).await?;
                DoPutPreparedStatementResult {
                    prepared_statement_handle: Some(handle),
                }
                .encode_to_vec()
            }
            Command::CommandPreparedStatementUpdate(update) => {
                let carried = statements.of_handle(&update.prepared_statement_handle)?;
                let rows = parameters::rows(&parameters::batches(sent).await?)?;
                let record_count = statements.update(&carried, rows).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandStatementUpdate(update) => {
                refuse_transaction(update.transaction_id.as_deref())?;
                let carried = statements.of_text(&update.query)?;
                let record_count = statements.update(&carried, Vec::new()).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandStatementIngest(ingest) => {
                let record_count = statements.ingest(ingest, sent).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            command => return Err(not_supported(&command)),
        };
        Ok(Response::new(one(PutResult {
            app_metadata: result.into(),
        })))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(stream::iter(actions::all().map(Ok)).boxed()))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let session = session(&request)?;
        let statements = self.statements(&session);
        let answer = Box::pin(actions::answer(statements, request.get_ref())).await?;
        let bodies = stream::iter(answer.bodies).map(|body| Ok(arrow_flight::Result::new(body)));
        let mut response = Response::new(bodies.boxed());
        if let Some(session) = answer.session {
            caller::carry(&mut response, &session, &self.seal, self.now())?;
        }
        Ok(response)
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("`DoExchange` is not supported here"))
    }
}
