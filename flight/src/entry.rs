//! Lets callers in by the headers of their calls, before anything else that they send is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::caller::Peer;
use crate::codec::RowsCodec;
use crate::encode::{Message, Messages};
use crate::service::FlightDoor;

/// The call by which a client says who it is.
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";

/// The call that asks for rows.
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// Bytes of the largest message that is taken.
const MOST_MESSAGE_BYTES: usize = 64 << 20;

/// The door as a service of gRPC. Each call reaches it with the session of its caller.
#[derive(Debug, Clone)]
pub struct Entry {
    door: Arc<FlightDoor>,
    calls: FlightServiceServer<FlightDoor>,
}

impl Entry {
    pub(crate) fn new(door: FlightDoor) -> Self {
        let door = Arc::new(door);
        let calls = FlightServiceServer::from_arc(Arc::clone(&door));
        Self {
            door,
            calls: calls.max_decoding_message_size(MOST_MESSAGE_BYTES),
        }
    }
}

impl NamedService for Entry {
    const NAME: &'static str = <FlightServiceServer<FlightDoor> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for Entry {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { door, mut calls } = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let headers = MetadataMap::from_headers(parts.headers.clone());
            // Without one, nothing is known of the other end.
            let peer: Peer = parts.extensions.get().cloned().unwrap_or_default();
            let is_login = parts.uri.path() == HANDSHAKE;
            match door.enter(&headers, &peer, is_login).await {
                Ok(session) => {
                    parts.extensions.insert(session);
                    let asks_for_rows = parts.uri.path() == DO_GET;
                    let request = http::Request::from_parts(parts, body);
                    if !asks_for_rows {
                        return calls.call(request).await;
                    }
                    let mut call = Grpc::new(RowsCodec)
                        .apply_max_message_size_config(Some(MOST_MESSAGE_BYTES), None);
                    Ok(call.server_streaming(Rows(door), request).await)
                }
                Err(refused) => Ok(refused.into_http()),
            }
        })
    }
}

/// Answers the call that asks for rows.
struct Rows(Arc<FlightDoor>);

impl ServerStreamingService<Ticket> for Rows {
    type Response = Message;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<Ticket>) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.rows(request).await })
    }
}
