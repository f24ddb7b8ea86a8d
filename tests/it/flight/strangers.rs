//! Clients that have not said who they are, and those that never do.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Empty, FlightDescriptor, FlightInfo};
use futures::stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::client::stop;
use crate::support::Project;

/// More than a door gives anyone.
const PATIENCE: Duration = Duration::from_secs(60);

async fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Calls a method whose message never comes.
async fn call_that_sends_nothing(channel: Channel, method: &str) -> Status {
    let mut calls = Grpc::new(channel);
    calls.ready().await.unwrap();
    let path = format!("/arrow.flight.protocol.FlightService/{method}");
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<FlightDescriptor, FlightInfo>::default();
    let nothing = Request::new(stream::pending::<FlightDescriptor>());
    let answer = calls.streaming(nothing, path, codec);
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    // Without an answer, the message was waited for.
    answer.unwrap().unwrap_err()
}

#[tokio::test]
async fn strangers_are_refused_before_anything_they_send_is_read() {
    let project = Project::of(&[]);
    let added = ["user", "add", "ann", "--role", "reader", "--no-password"];
    project.run(&added).expect_code(0);
    let server = project.serve(&[]);
    let channel = channel(&server.flight).await;
    for method in [
        "Handshake",
        "GetFlightInfo",
        "PollFlightInfo",
        "GetSchema",
        "DoGet",
        "DoPut",
        "DoAction",
        "DoExchange",
    ] {
        let refused = call_that_sends_nothing(channel.clone(), method).await;
        assert_eq!(
            refused.code(),
            Code::Unauthenticated,
            "{method}: {refused:?}"
        );
    }
    let mut client = FlightServiceClient::new(channel);
    let refused = client.list_actions(Empty {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    drop(client);
    stop(server).await.expect_code(0);
    let denied = project.query("SELECT count(*) AS n FROM lakegate.audit WHERE action = 'log_in'");
    assert_eq!(denied, [serde_json::json!({ "n": 9 })]);
}

#[test]
fn connections_over_which_nothing_is_said_are_closed() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let silent = [&server.flight, &server.http].map(|door| {
        let connection = TcpStream::connect(door).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection
    });
    for mut connection in silent {
        let mut said = Vec::new();
        connection.read_to_end(&mut said).unwrap();
    }
    server.stop().expect_code(0);
}
