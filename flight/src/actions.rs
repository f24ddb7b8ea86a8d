//! Actions: prepared statements, sessions, and what is done with queries.

use std::collections::HashMap;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    RenewFlightEndpointRequest,
};
use bytes::Bytes;
use lakegate_engine::{CATALOG, is_schema};
use prost::Message;
use tonic::Status;

use crate::caller::{ROUTE, Session};
use crate::statements::Statements;
use crate::status;

/// What an action gives back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) bodies: Vec<Bytes>,
    /// The session that the client goes on with.
    pub(crate) session: Option<Session>,
}

impl Answer {
    fn of(body: impl Into<Bytes>) -> Self {
        Self {
            bodies: vec![body.into()],
            session: None,
        }
    }
}

/// The names of actions, and what they do. Apache Arrow, Flight.proto and FlightSql.proto.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "Prepares a statement."),
    ("ClosePreparedStatement", "Forgets a prepared statement."),
    ("CancelFlightInfo", "Ends a query that runs."),
    ("CancelQuery", "Ends a query that runs."),
    (
        "RenewFlightEndpoint",
        "Lets the rows of a query be fetched for longer.",
    ),
    (
        "SetSessionOptions",
        "Sets the catalog, the schema or the time zone of a session.",
    ),
    ("GetSessionOptions", "Gives what is set for a session."),
    ("CloseSession", "Forgets what is set for a session."),
];

/// The actions that there are.
pub(crate) fn all() -> impl Iterator<Item = ActionType> + Clone {
    ACTIONS.into_iter().map(|(name, description)| ActionType {
        r#type: name.to_owned(),
        description: description.to_owned(),
    })
}

/// Carries an action out.
pub(crate) async fn answer(statements: Statements<'_>, action: &Action) -> Result<Answer, Status> {
    let body = action.body.as_ref();
    match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let request: ActionCreatePreparedStatementRequest = unpack(body)?;
            if request.transaction_id.is_some_and(|id| !id.is_empty()) {
                return Err(without_transactions());
            }
            let prepared = statements.prepare(&request.query).await?;
            Ok(Answer::of(prepared.as_any().encode_to_vec()))
        }
        "ClosePreparedStatement" => {
            // The client carries it: there is nothing to forget.
            let _closed: ActionClosePreparedStatementRequest = unpack(body)?;
            Ok(Answer::default())
        }
        "CancelFlightInfo" => {
            let request: CancelFlightInfoRequest = read(body)?;
            let info = request.info;
            let info = info.ok_or_else(|| Status::invalid_argument("no query is named"))?;
            expect_cancelled(statements, &info)?;
            let result = CancelFlightInfoResult::new(CancelStatus::Cancelled);
            Ok(Answer::of(result.encode_to_vec()))
        }
        "CancelQuery" => {
            let request: ActionCancelQueryRequest = unpack(body)?;
            let info: FlightInfo = read(&request.info)?;
            expect_cancelled(statements, &info)?;
            let result = ActionCancelQueryResult {
                result: CancelStatus::Cancelled as i32,
            };
            Ok(Answer::of(result.as_any().encode_to_vec()))
        }
        "RenewFlightEndpoint" => {
            let request: RenewFlightEndpointRequest = read(body)?;
            let endpoint = request.endpoint;
            let endpoint =
                endpoint.ok_or_else(|| Status::invalid_argument("no endpoint is named"))?;
            Ok(Answer::of(statements.renew(endpoint)?.encode_to_vec()))
        }
        "SetSessionOptions" => Ok(set(statements, &read(body)?)),
        "GetSessionOptions" => {
            let options = statements.session.named_options().into_iter();
            let options = options.map(|(name, value)| (name.to_owned(), OptionValue::text(value)));
            let result = GetSessionOptionsResult {
                session_options: options.collect(),
            };
            Ok(Answer::of(result.encode_to_vec()))
        }
        "CloseSession" => {
            let result = CloseSessionResult {
                status: CloseStatus::Closed as i32,
            };
            let mut answer = Answer::of(result.encode_to_vec());
            let session = statements.session;
            answer.session = Some(session.with(None, None, statements.now));
            Ok(answer)
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            Err(without_transactions())
        }
        other => Err(Status::unimplemented(format!(
            "there is no action `{other}` here"
        ))),
    }
}

fn without_transactions() -> Status {
    Status::unimplemented(
        "there are no transactions here\nhint: each statement is one by itself; leave the client in autocommit",
    )
}

fn expect_cancelled(statements: Statements<'_>, info: &FlightInfo) -> Result<(), Status> {
    match statements.cancel(info)? {
        true => Ok(()),
        false => Err(Status::not_found("the query does not run")),
    }
}

/// Sets options of a session. What cannot be set is told by its name; the others are set.
fn set(statements: Statements<'_>, request: &SetSessionOptionsRequest) -> Answer {
    let mut in_schema = statements.session.schema.clone();
    let mut time_zone = statements.session.time_zone.clone();
    let mut errors = HashMap::new();
    for (name, value) in &request.session_options {
        let is_unset = value.kind.is_none() || value.as_text() == Some("");
        let wrong = match (name.as_str(), value.as_text()) {
            ("catalog", _) if is_unset => None,
            ("catalog", Some(CATALOG)) => None,
            ("schema", _) if is_unset => {
                in_schema = None;
                None
            }
            ("schema", Some(schema)) if is_schema(schema) => {
                in_schema = Some(schema.to_ascii_lowercase());
                None
            }
            ("time_zone", _) if is_unset => {
                time_zone = None;
                None
            }
            ("time_zone", Some(zone)) => match zone.parse() {
                Ok(zone) => {
                    time_zone = Some(zone);
                    None
                }
                Err(_) => Some(SetError::InvalidValue),
            },
            ("route", _) if is_unset => None,
            ("route", Some(ROUTE)) => None,
            ("catalog" | "schema" | "time_zone" | "route", _) => Some(SetError::InvalidValue),
            _ => Some(SetError::InvalidName),
        };
        if let Some(wrong) = wrong {
            let value = wrong as i32;
            errors.insert(name.clone(), SetSessionOptionsError { value });
        }
    }
    let result = SetSessionOptionsResult { errors };
    let mut answer = Answer::of(result.encode_to_vec());
    answer.session = Some(
        statements
            .session
            .with(in_schema, time_zone, statements.now),
    );
    answer
}

/// A message of Flight SQL, which says its type.
fn unpack<M: ProstMessageExt>(bytes: &[u8]) -> Result<M, Status> {
    let any: Any = read(bytes)?;
    let message = any.unpack();
    let message = message.map_err(|error| status::malformed("the action", error))?;
    message.ok_or_else(|| {
        Status::invalid_argument(format!(
            "the action holds `{}` instead of `{}`",
            any.type_url,
            M::type_url()
        ))
    })
}

/// A message of Flight.
fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| status::malformed("the action", error))
}

// The messages of sessions, which the crate does not have. Apache Arrow, Flight.proto.

#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(oneof = "OptionKind", tags = "1, 2, 3, 4, 5")]
    kind: Option<OptionKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OptionKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Float(f64),
    #[prost(message, tag = "5")]
    Texts(OptionTexts),
}

#[derive(Clone, PartialEq, Message)]
struct OptionTexts {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

impl OptionValue {
    fn text(text: String) -> Self {
        Self {
            kind: Some(OptionKind::Text(text)),
        }
    }

    fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Some(OptionKind::Text(text)) => Some(text),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    session_options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, SetSessionOptionsError>,
}

#[derive(Clone, PartialEq, Message)]
struct SetSessionOptionsError {
    #[prost(int32, tag = "1")]
    value: i32,
}

/// Why an option is not set.
#[derive(Debug, Clone, Copy)]
enum SetError {
    InvalidName = 1,
    InvalidValue = 2,
}

#[derive(Clone, PartialEq, Message)]
struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    session_options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct CloseSessionResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// What became of a session that was to be closed.
#[derive(Debug, Clone, Copy)]
enum CloseStatus {
    Closed = 1,
}
