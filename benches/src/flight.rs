//! What the Flight SQL door costs: against the engine behind it, against a server that does nothing else, and in TPC-H.

mod bare;
mod lookup;
mod server;
mod tpch;
mod transfer;

use std::path::Path;

use crate::table::{Table, extract};
use crate::{Result, data};

pub(crate) use bare::serve_bare;
pub(crate) use lookup::point_lookup;
pub(crate) use tpch::tpch;
pub(crate) use transfer::transfer;

/// A project in which all tables of TPC-H are published.
pub(crate) fn publish(lakegate: &Path, data: &Path, scale: f64) -> Result<Table> {
    let files = data::all_of_tpch(data, scale)?;
    let tables = Table::new(data, "flight")?;
    for name in data::TABLES {
        tables.publish(lakegate, name, &extract(&files.join(name)), "mode: append")?;
    }
    Ok(tables)
}
