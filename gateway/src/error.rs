//! What can go wrong with doors.

use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of a door.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A door's address cannot be listened on.
    #[error("the {door} door cannot listen on {address}: {source}")]
    Listen {
        /// The door.
        door: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of TLS does not hold what it should.
    #[error("`{}` does not hold {what}: {why}", .file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        why: String,
    },
    /// A door would be open to other machines, to anyone or for anyone to listen to.
    #[error("the {door} door would be open to other machines on {address}, without {without}")]
    Open {
        /// What is missing.
        without: &'static str,
        /// The door.
        door: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// A door stopped by itself.
    #[error("the {door} door stopped: {source}")]
    Stopped {
        /// The door.
        door: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A broken invariant of Lakegate itself.
    #[error("internal error: {0}; please report it")]
    Bug(String),
}
