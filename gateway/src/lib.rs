//! Starts the doors: Flight SQL on one port; health, readiness and metrics over HTTP on another.

mod connections;
mod error;
mod http;
mod metrics;
mod serve;

pub use connections::TlsFiles;
pub use error::GatewayError;
pub use lakegate_flight::Access;
pub use serve::{Doors, ServeOptions};
