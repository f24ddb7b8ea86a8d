//! Flight servers as processes of their own, and clients of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, Ticket};
use futures::TryStreamExt;
use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};

use crate::Result;

pub(super) type Client = FlightSqlServiceClient<Channel>;

/// How long a server may take to answer a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server prints once it listens.
#[derive(Debug, Deserialize)]
struct Ready {
    flight: String,
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// `lakegate serve` over a project, with some arguments more.
    pub(super) fn lakegate(lakegate: &Path, project: &Path, more: &[&str]) -> Result<Self> {
        let project = project.display().to_string();
        let serve = ["-C", &project, "serve"];
        let anywhere = ["--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        Self::start(lakegate, &[&serve[..], &anywhere, more].concat())
    }

    /// A program that prints where it listens.
    pub(super) fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready: serde_json::Result<Ready> = serde_json::from_str(&line);
        let mut server = Self {
            process,
            address: String::new(),
        };
        let ready = ready.map_err(|error| format!("{}: {error}: {line}", program.display()))?;
        server.address = ready.flight;
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A client on a connection of its own.
    pub(super) async fn connect(&self) -> Result<Client> {
        connect(&self.address).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A client of a server at an address.
pub(super) async fn connect(address: &str) -> Result<Client> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await?;
    let calls = FlightServiceClient::new(channel);
    let calls = calls.max_decoding_message_size(usize::MAX);
    Ok(FlightSqlServiceClient::new_from_inner(calls))
}

/// The ticket of what was asked for.
pub(super) fn ticket(info: FlightInfo) -> Result<Ticket> {
    let endpoint = info.endpoint.into_iter().next();
    let ticket = endpoint.and_then(|endpoint| endpoint.ticket);
    ticket.ok_or_else(|| "there is nothing to fetch".into())
}

/// What was fetched and dropped.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fetched {
    pub(super) rows: u64,
    /// Bytes of the arrays in the messages.
    pub(super) bytes: u64,
}

/// Fetches rows and drops them as they come.
pub(super) async fn fetch(client: &mut Client, ticket: Ticket) -> Result<Fetched> {
    let mut messages: FlightDataDecoder = client.do_get(ticket).await?.into_inner();
    let mut fetched = Fetched::default();
    while let Some(message) = messages.try_next().await? {
        if let DecodedPayload::RecordBatch(batch) = &message.payload {
            fetched.rows += batch.num_rows() as u64;
            fetched.bytes += message.inner.data_body.len() as u64;
        }
    }
    Ok(fetched)
}
