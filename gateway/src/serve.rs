//! Both doors, from their opening to their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use lakegate_engine::Queries;
use lakegate_flight::{Access, FlightDoor};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::{info, warn};

use crate::connections::{Connections, Protocol, Tls};
use crate::{GatewayError, TlsFiles, http};

/// How often a connection without messages is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long its answer may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that may be on their way to a client before it takes them.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Bytes of the headers of a call: drivers put their settings there.
const MOST_HEADER_BYTES: u32 = 64 << 10;

/// Connections of a door that wait to be accepted. Of more, the system breaks some; it may allow fewer
/// (`net.core.somaxconn`).
const MOST_UNACCEPTED: u32 = 4096;

/// Calls of one connection at once, each with a message of its own.
const MOST_STREAMS: u32 = 128;

/// How long connections may go on after the last query has ended, so that the last rows arrive.
const LAST_ROWS: Duration = Duration::from_secs(5);

/// Where doors are, and how they close.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The Flight SQL door; port 0 picks one.
    pub flight: SocketAddr,
    /// The HTTP door; port 0 picks one.
    pub http: SocketAddr,
    /// Who may come in.
    pub access: Access,
    /// The certificates of both doors; without them, nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// Whether doors may be open to other machines although anyone may come in, or nothing is encrypted.
    pub is_open: bool,
    /// How long queries that run may go on when the server stops.
    pub drain: Duration,
}

/// Doors that are open.
#[derive(Debug)]
pub struct Doors {
    /// Where the Flight SQL door is.
    pub flight: SocketAddr,
    /// Where the HTTP door is.
    pub http: SocketAddr,
    listeners: (TcpListener, TcpListener),
    tls: Option<Tls>,
    options: ServeOptions,
    queries: Arc<Queries>,
}

impl Doors {
    /// Listens on both addresses; nothing is answered before [`Doors::serve`].
    ///
    /// # Errors
    /// [`GatewayError::Open`] for an address that other machines reach, when anyone may come in or nothing is encrypted
    /// and that was not asked for; [`GatewayError::Tls`] for files that are not what they should be;
    /// [`GatewayError::Listen`] for an address that is taken.
    pub fn open(queries: Arc<Queries>, options: ServeOptions) -> Result<Self, GatewayError> {
        let lacking = match (&options.access, &options.tls) {
            (Access::Users(_), Some(_)) => None,
            (Access::Users(_), None) => Some("TLS"),
            (Access::Anyone { .. }, Some(_)) => Some("users"),
            (Access::Anyone { .. }, None) => Some("users and TLS"),
        };
        let doors = [("Flight SQL", options.flight), ("HTTP", options.http)];
        for (door, address) in doors {
            let Some(without) = lacking.filter(|_| !address.ip().is_loopback()) else {
                continue;
            };
            if !options.is_open {
                return Err(GatewayError::Open {
                    without,
                    door,
                    address,
                });
            }
            warn!(door, %address, without, "the door is open to other machines");
        }
        let tls = options.tls.clone().map(Tls::open).transpose()?;
        let [(door, address), (other_door, other_address)] = doors;
        let flight = listen(door, address)?;
        let http = listen(other_door, other_address)?;
        let own = |listener: &TcpListener, door, address| {
            let own = listener.local_addr();
            own.map_err(|source| GatewayError::Listen {
                door,
                address,
                source,
            })
        };
        Ok(Self {
            flight: own(&flight, door, address)?,
            http: own(&http, other_door, other_address)?,
            listeners: (flight, http),
            tls,
            options,
            queries,
        })
    }

    /// Answers until `stop` comes. Then queries that run may go on for a time, and new ones are refused, as ones to try
    /// again elsewhere.
    ///
    /// # Errors
    /// When a door stops by itself.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), GatewayError> {
        let closing = CancellationToken::new();
        let (flight, http) = self.listeners;
        let door = FlightDoor::new(Arc::clone(&self.queries), self.options.access.clone());
        let door = door.ok_or_else(|| GatewayError::Bug("a key cannot be made".to_owned()))?;
        let mut serving = JoinSet::new();
        let closed = closing.clone();
        let connections = Connections::of(flight, self.tls.clone(), Protocol::Http2);
        serving.spawn(async move {
            let served = Server::builder()
                .http2_keepalive_interval(Some(KEEP_ALIVE))
                .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .http2_max_header_list_size(MOST_HEADER_BYTES)
                .max_concurrent_streams(MOST_STREAMS)
                .add_service(door.into_service())
                .serve_with_incoming_shutdown(connections, closed.cancelled_owned())
                .await;
            served.map_err(|source| stopped("Flight SQL", source))
        });
        let router = http::router(Arc::clone(&self.queries), stop.clone());
        let (closed, tls) = (closing.clone(), self.tls);
        // Whether the server lives is told also while every worker is busy planning.
        serving.spawn_blocking(move || {
            let served = serve_http(http, tls, router, closed);
            served.map_err(|source| stopped("HTTP", source))
        });
        tokio::select! {
            () = stop.cancelled() => {}
            ended = serving.join_next() => return match ended {
                Some(Ok(Err(error))) => Err(error),
                _ => Err(GatewayError::Bug("a door closed by itself".to_owned())),
            },
        }
        info!(limit = ?self.options.drain, "stopping: queries that run may finish");
        if !self.queries.drain(self.options.drain).await {
            warn!("queries that still run are ended");
        }
        closing.cancel();
        let closed = async { while serving.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ROWS, closed).await.is_err() {
            warn!("clients that still hold connections are cut off");
        }
        Ok(())
    }
}

/// Serves HTTP on this thread alone.
fn serve_http(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    closed: CancellationToken,
) -> Result<(), std::io::Error> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        http::serve(
            Connections::of(listener, tls, Protocol::Http1),
            router,
            closed,
        )
        .await;
        Ok(())
    })
}

fn stopped(
    door: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> GatewayError {
    GatewayError::Stopped {
        door,
        source: source.into(),
    }
}

fn listen(door: &'static str, address: SocketAddr) -> Result<TcpListener, GatewayError> {
    let listening = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A server that starts again takes the address of one that has just ended.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(MOST_UNACCEPTED)
    };
    listening().map_err(|source| GatewayError::Listen {
        door,
        address,
        source,
    })
}
