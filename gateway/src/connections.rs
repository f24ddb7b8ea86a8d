//! The connections of a door, in TLS where that is asked for.
//!
//! Certificates are read anew when their files change. A client that is slow to agree on a key holds up no other.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use lakegate_engine::Watched;
use lakegate_flight::Peer;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::GatewayError;

/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may take to begin.
const GREETING: Duration = Duration::from_secs(30);

/// Bytes with which a client of HTTP/2 begins. RFC 9113, section 3.4.
const PREFACE_BYTES: usize = 24;

/// Connections of a door; others wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;

/// Connections that wait to be served.
const MOST_WAITING: usize = 64;

/// How long nothing is accepted after the system gave no connection, for want of open files for one.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// The files of a server's TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients. With it, who has no certificate of theirs is not let in.
    pub client_authority: Option<PathBuf>,
}

/// TLS as its files have it.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<Watched<ServerConfig, GatewayError>>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, GatewayError> {
        let mut watched = vec![files.certificate.clone(), files.key.clone()];
        watched.extend(files.client_authority.clone());
        let config = Watched::open(watched, move || config(&files))?;
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

fn config(files: &TlsFiles) -> Result<ServerConfig, GatewayError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| GatewayError::Bug(error.to_string()))?;
    let builder = match &files.client_authority {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(client_verifier(file, provider)?),
    };
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&files.key, "a private key", &error))?;
    let chain = certificates(&files.certificate)?;
    builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&files.certificate, "a certificate of that key", &error))
}

type ClientVerifier = Arc<dyn rustls::server::danger::ClientCertVerifier>;

fn client_verifier(
    file: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<ClientVerifier, GatewayError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(file, "certificates of authorities", &error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier =
        verifier.map_err(|error| unusable(file, "certificates of authorities", &error))?;
    Ok(verifier)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, GatewayError> {
    let certificates =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unusable(file, "certificates", &error))?;
    match certificates.is_empty() {
        true => Err(unusable(file, "certificates", &"there are none")),
        false => Ok(certificates),
    }
}

fn unusable(file: &Path, what: &'static str, error: &dyn Display) -> GatewayError {
    GatewayError::Tls {
        file: file.to_owned(),
        what,
        why: error.to_string(),
    }
}

/// A connection that was accepted, and agreed on a key where that is asked for.
#[derive(Debug)]
pub(crate) struct Connection {
    bytes: Bytes,
    peer: Peer,
    /// What is awaited before anything else; none once it came, and where the protocol itself limits the time.
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Greeting {
    missing: usize,
    limit: Pin<Box<Sleep>>,
}

#[derive(Debug)]
enum Bytes {
    Plain(TcpStream),
    Secret(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Bytes::Secret(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Some(greeting) = &mut self.greeting {
            let came = buffer.filled().len() - before;
            greeting.missing = greeting.missing.saturating_sub(came);
            if greeting.missing == 0 {
                self.greeting = None;
            } else if read.is_pending() && greeting.limit.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Bytes::Secret(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Bytes::Secret(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(stream) => stream.is_write_vectored(),
            Bytes::Secret(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_flush(context),
            Bytes::Secret(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::Secret(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// The protocol that a door speaks, as TLS names it. RFC 7301.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    fn greeting(self) -> Option<Greeting> {
        match self {
            Self::Http1 => None,
            Self::Http2 => Some(Greeting {
                missing: PREFACE_BYTES,
                limit: Box::pin(tokio::time::sleep(GREETING)),
            }),
        }
    }
}

/// The connections of a door, as they come.
#[derive(Debug)]
pub(crate) struct Connections(mpsc::Receiver<Connection>);

impl Connections {
    /// Begins to accept connections, until this is dropped.
    pub(crate) fn of(listener: TcpListener, tls: Option<Tls>, protocol: Protocol) -> Self {
        let (sender, accepted) = mpsc::channel(MOST_WAITING);
        tokio::spawn(accept(listener, tls, protocol, sender));
        Self(accepted)
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    protocol: Protocol,
    sender: mpsc::Sender<Connection>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = sender.closed() => return,
            accepted = accept_one(&listener, &places) => accepted,
        };
        let (stream, address, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection may be slow");
        }
        let Some(tls) = &tls else {
            let connection = Connection {
                bytes: Bytes::Plain(stream),
                peer: Peer {
                    address: Some(address),
                    certificate: None,
                },
                greeting: protocol.greeting(),
                _place: place,
            };
            if sender.send(connection).await.is_err() {
                return;
            }
            continue;
        };
        let mut config = ServerConfig::clone(&tls.config.get());
        config.alpn_protocols = vec![protocol.name().to_vec()];
        let sender = sender.clone();
        tokio::spawn(async move {
            let agreed = TlsAcceptor::from(Arc::new(config)).accept(stream);
            match tokio::time::timeout(HANDSHAKE, agreed).await {
                Ok(Ok(stream)) => {
                    let peer = Peer {
                        address: Some(address),
                        certificate: common_name(&stream),
                    };
                    let connection = Connection {
                        bytes: Bytes::Secret(Box::new(stream)),
                        peer,
                        greeting: protocol.greeting(),
                        _place: place,
                    };
                    // The door may have closed.
                    sender.send(connection).await.ok();
                }
                Ok(Err(error)) => debug!(%address, %error, "a client did not agree on a key"),
                Err(_) => debug!(%address, "a client took too long to agree on a key"),
            }
        });
    }
}

/// The next connection, once there is a place for it.
async fn accept_one(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    if places.available_permits() == 0 {
        warn!(MOST_CONNECTIONS, "further connections wait");
    }
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

/// The common name of the certificate that a client showed.
fn common_name(stream: &TlsStream<TcpStream>) -> Option<String> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok().map(str::to_owned)
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|next| next.map(Ok))
    }
}
