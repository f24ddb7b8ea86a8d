//! Who may do what: users, their roles, and what roles grant.
//!
//! Roles are written by people (`roles.yaml`), users by `lakegate user` (`users.json`). Whoever asks for something is a
//! [`Caller`]; what the process does for itself is done as [`OnBehalf::System`]. A table that a caller may not read is not
//! there for them: not in lists, not in messages.

mod catalog;
mod grants;
mod needs;
mod password;
mod roles;
mod user_file;
mod users;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use lakegate_catalog::{CatalogError, TableName};

use crate::{EngineError, Statement};

pub(crate) use catalog::GrantedCatalog;
pub use grants::{Grants, Right, TablePattern};
pub use user_file::{NewUser, UserEntry, UserFile};
pub use users::{Login, TooManyLogins, Users};

/// Who asks, where, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who asks.
    pub principal: String,
    /// The door: `flight`.
    pub door: &'static str,
    /// From where, when that is known.
    pub peer: Option<SocketAddr>,
    /// What they may do.
    pub grants: Arc<Grants>,
}

/// For whom something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnBehalf<'a> {
    /// For Lakegate itself, or for who runs the command: nothing is forbidden.
    System,
    /// For a client.
    Of(&'a Caller),
}

impl OnBehalf<'_> {
    /// Whether a table is there for them.
    pub(crate) fn sees(self, table: &TableName) -> bool {
        match self {
            Self::System => true,
            Self::Of(caller) => caller.grants.sees(table),
        }
    }

    /// The same error, without the name of a table that may be hidden from them.
    pub(crate) fn as_seen(self, error: EngineError) -> EngineError {
        match (self, error) {
            (Self::Of(caller), EngineError::Catalog(CatalogError::NotFound { what, .. }))
                if caller.grants.readable().is_some() =>
            {
                EngineError::Catalog(CatalogError::NotFound { what, hint: None })
            }
            (_, error) => error,
        }
    }

    /// Refuses a statement that they may not make.
    ///
    /// # Errors
    /// [`EngineError::Denied`].
    pub(crate) fn expect_statement(self, statement: &Statement) -> Result<(), EngineError> {
        for (right, table) in statement.needs() {
            self.expect(right, &table)?;
        }
        for version in &statement.versions {
            if !self.sees(&version.table) {
                self.expect(Right::Read, &version.table)?;
            }
        }
        Ok(())
    }

    /// Refuses what they may not do.
    ///
    /// # Errors
    /// [`EngineError::Denied`].
    pub(crate) fn expect(self, right: Right, table: &TableName) -> Result<(), EngineError> {
        match self {
            Self::Of(caller) if !caller.grants.has(right, table) => {
                Err(denied(caller, right, table))
            }
            _ => Ok(()),
        }
    }
}

fn denied(caller: &Caller, right: Right, table: &TableName) -> EngineError {
    let is_hidden = !caller.grants.sees(table);
    let principal = &caller.principal;
    EngineError::Denied {
        message: match (is_hidden, right) {
            // Making a table tells of none that is there.
            (true, Right::Manage) | (false, _) => {
                format!("`{principal}` may not {} table `{table}`", right.verb())
            }
            (true, _) => format!("table `{table}` does not exist"),
        },
        hint: match is_hidden && right != Right::Manage {
            true => "`SHOW TABLES` shows the tables there are for you".to_owned(),
            false => {
                format!("a role with `{right}` on it is needed: `lakegate user roles` gives roles")
            }
        },
        right,
        table: table.clone(),
        is_hidden: is_hidden && right != Right::Manage,
    }
}
