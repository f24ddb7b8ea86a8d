//! Permission for one check to fail for a while.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An attributed, expiring permission for one check to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The check's id.
    pub check: String,
    /// It holds until then, exclusively.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub by: String,
    /// When it was given.
    pub made: DateTime<Utc>,
}

impl Waiver {
    /// Whether the permission is in force.
    pub fn holds_at(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }
}
