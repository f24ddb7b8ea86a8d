//! What a role grants: a right on the tables of a pattern.

use std::fmt;
use std::str::FromStr;

use lakegate_catalog::{SystemTable, TableName};

/// What may be done with a table. Each right includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To query it.
    Read,
    /// To add, change and delete its rows.
    Write,
    /// To make and drop it, and to maintain its files.
    Manage,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Manage];

    /// Its name in `roles.yaml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }

    /// What who has it may do to a table, for messages.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write to",
            Self::Manage => "make, drop or maintain",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tables: all, those of a schema, or one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablePattern {
    /// `*`: all tables.
    All,
    /// `silver.*`: the tables of a schema.
    Schema(String),
    /// `silver.orders`: one table.
    Table(TableName),
}

impl TablePattern {
    /// Whether a table is one of them.
    pub fn holds(&self, table: &TableName) -> bool {
        match self {
            Self::All => true,
            Self::Schema(schema) => *schema == table.schema,
            Self::Table(name) => name == table,
        }
    }
}

impl FromStr for TablePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        let wanted =
            || format!("`{text}` names no tables: write `*`, `schema.*` or `schema.table`");
        let (schema, table) = text.split_once('.').ok_or_else(wanted)?;
        if table == "*" {
            // Any table's name serves to find out whether the schema's can be one.
            let name = TableName::new(schema, "t").map_err(|_| wanted())?;
            return Ok(Self::Schema(name.schema));
        }
        let name = TableName::new(schema, table).map_err(|_| wanted())?;
        Ok(Self::Table(name))
    }
}

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Everything,
    Only(Vec<(Right, TablePattern)>),
}

/// The rows of a system table that somebody may read without a grant for the table itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnRows {
    /// Those about tables that they may read, by the name in this column.
    OfTables(&'static str),
    /// Those that name them in this column.
    OfPrincipal(&'static str),
}

impl Grants {
    /// Everything may be done.
    pub const EVERYTHING: Self = Self(Kind::Everything);

    /// Only this may be done.
    pub fn only(granted: Vec<(Right, TablePattern)>) -> Self {
        Self(Kind::Only(granted))
    }

    /// Whether something may be done with a table.
    pub fn has(&self, right: Right, table: &TableName) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Only(granted) => granted
                .iter()
                .any(|(granted, tables)| *granted >= right && tables.holds(table)),
        }
    }

    /// Whether a table is there for who has these grants: some of its rows may be read.
    pub fn sees(&self, table: &TableName) -> bool {
        self.has(Right::Read, table) || self.own_rows(table).is_some()
    }

    /// The tables of which something may be read, when those are not all.
    pub(super) fn readable(&self) -> Option<impl Iterator<Item = &TablePattern>> {
        match &self.0 {
            Kind::Everything => None,
            Kind::Only(granted) => Some(granted.iter().map(|(_, tables)| tables)),
        }
    }

    /// The rows of a system table that may be read although the table may not.
    pub(super) fn own_rows(&self, table: &TableName) -> Option<OwnRows> {
        if self.has(Right::Read, table) || !table.is_of_the_system() {
            return None;
        }
        match table.table.parse().ok()? {
            SystemTable::Stages | SystemTable::CheckResults | SystemTable::Samples => {
                Some(OwnRows::OfTables("table_name"))
            }
            SystemTable::Queries => Some(OwnRows::OfPrincipal("principal")),
            SystemTable::Runs | SystemTable::Audit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    #[test]
    fn rights_include_those_before_and_hold_for_their_tables_alone() {
        let grants = Grants::only(vec![
            (Right::Read, "silver.*".parse().unwrap()),
            (Right::Write, "silver.orders".parse().unwrap()),
        ]);
        for (right, table, has) in [
            (Right::Read, "silver.flights", true),
            (Right::Write, "silver.flights", false),
            (Right::Read, "silver.orders", true),
            (Right::Write, "silver.orders", true),
            (Right::Manage, "silver.orders", false),
            (Right::Read, "silver2.orders", false),
            (Right::Read, "lakegate.runs", false),
        ] {
            assert_eq!(grants.has(right, &name(table)), has, "{right} {table}");
        }
        let manages = Grants::only(vec![(Right::Manage, TablePattern::All)]);
        assert!(
            Right::ALL
                .iter()
                .all(|right| manages.has(*right, &name("a.b")))
        );
    }

    #[test]
    fn only_own_rows_of_system_tables_are_seen() {
        let grants = Grants::only(vec![(Right::Read, "silver.*".parse().unwrap())]);
        assert!(grants.sees(&name("lakegate.check_results")));
        assert!(grants.sees(&name("lakegate.queries")));
        assert!(!grants.sees(&name("lakegate.runs")));
        assert!(!grants.sees(&name("lakegate.audit")));
        assert!(!grants.sees(&name("gold.orders")));
    }

    #[test]
    fn what_names_no_tables_is_refused() {
        for text in [
            "",
            "orders",
            "silver.",
            ".orders",
            "silver.or*",
            "a.b.c",
            "**",
            "*.orders",
        ] {
            assert!(text.parse::<TablePattern>().is_err(), "{text}");
        }
        assert_eq!(
            "Silver.*".parse(),
            Ok(TablePattern::Schema("silver".to_owned()))
        );
    }
}
