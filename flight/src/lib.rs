//! The wire of Arrow Flight SQL: what clients send becomes statements of the engine, and its rows become Flight's.
//!
//! [`FlightDoor`] is the service. It keeps nothing between calls: statements that are prepared, tickets and sessions
//! travel with the client, signed.

mod actions;
mod caller;
mod codec;
mod columns;
mod encode;
mod entry;
mod metadata;
mod parameters;
mod seal;
mod service;
mod sql_info;
mod statements;
mod status;
mod type_info;

pub use caller::{Access, Peer};
pub use entry::Entry;
pub use service::FlightDoor;
