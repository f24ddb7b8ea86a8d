//! Names of tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::CatalogError;

/// The schema of a table whose name has no schema.
pub const DEFAULT_SCHEMA: &str = "default";

/// The schema of the tables that Lakegate fills itself.
pub const SYSTEM_SCHEMA: &str = "lakegate";

/// What the name of a table ends in that takes the rows which row-level checks reject.
pub const QUARANTINE_SUFFIX: &str = "__quarantine";

/// What the name of a table ends in that takes the rows which do not type.
pub const UNTYPED_SUFFIX: &str = "__quarantine_untyped";

/// Characters in a schema's or table's name; both are folders. AWS Glue takes 255, and some file systems less.
const MAX_NAME_CHARACTERS: usize = 128;

/// Characters in a table's name before the suffix of a quarantine, so that each table can have one.
const MAX_TABLE_CHARACTERS: usize = MAX_NAME_CHARACTERS - UNTYPED_SUFFIX.len();

/// Schemas that are not folders of the warehouse.
const RESERVED_SCHEMAS: &[&str] = &["information_schema"];

/// The name of a table: a schema and a table, in lower case.
///
/// Written `schema.table`, or `table` alone for schema `default`. Case does not matter. Only the letters `a` to `z`,
/// digits and underscores are allowed, so that a name means the same in SQL, in a folder and in AWS Glue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// The schema, for example `silver`.
    pub schema: String,
    /// The table, for example `flights`.
    pub table: String,
}

impl TableName {
    /// A name from its two parts.
    pub fn new(schema: &str, table: &str) -> Result<Self, CatalogError> {
        let whole = format!("{schema}.{table}");
        let name = Self {
            schema: part("schema", schema, &whole, schema.len(), MAX_NAME_CHARACTERS)?,
            table: part(
                "table",
                table,
                &whole,
                without_suffix(table).len(),
                MAX_TABLE_CHARACTERS,
            )?,
        };
        if RESERVED_SCHEMAS.contains(&name.schema.as_str()) {
            return Err(CatalogError::invalid(
                format!(
                    "table name `{whole}` is in the reserved schema `{}`",
                    name.schema
                ),
                "choose another schema".to_owned(),
            ));
        }
        Ok(name)
    }
}

impl TableName {
    /// Whether this is in the schema that only Lakegate itself writes to.
    pub fn is_of_the_system(&self) -> bool {
        self.schema == SYSTEM_SCHEMA
    }

    /// Refuses a table of the system's own schema, saying what is not done to it.
    pub(crate) fn refuse_system(&self, doing: &str) -> Result<(), CatalogError> {
        if !self.is_of_the_system() {
            return Ok(());
        }
        Err(CatalogError::invalid(
            format!("`{self}` cannot be {doing}: the schema `{SYSTEM_SCHEMA}` is Lakegate's own"),
            "use a table of another schema".to_owned(),
        ))
    }

    /// What messages call a table that is known by its folder only.
    pub(crate) fn of_folder(location: &Url) -> Result<Self, CatalogError> {
        let last = location
            .path_segments()
            .and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()))
            .unwrap_or("table");
        let name = last.to_ascii_lowercase().replace(is_odd, "_");
        Self::new(
            DEFAULT_SCHEMA,
            name.get(..MAX_TABLE_CHARACTERS).unwrap_or(&name),
        )
    }
}

impl FromStr for TableName {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        match text.split('.').collect::<Vec<_>>().as_slice() {
            [table] => Self::new(DEFAULT_SCHEMA, table),
            [schema, table] => Self::new(schema, table),
            parts => Err(CatalogError::invalid(
                format!("table name `{text}` has {} parts", parts.len()),
                "write `schema.table`, or `table` for schema `default`".to_owned(),
            )),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = CatalogError;

    fn try_from(text: String) -> Result<Self, CatalogError> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// The name of the table that a quarantine belongs to; the name itself for other tables.
fn without_suffix(table: &str) -> &str {
    [UNTYPED_SUFFIX, QUARANTINE_SUFFIX]
        .iter()
        .find_map(|suffix| table.strip_suffix(suffix))
        .unwrap_or(table)
}

fn part(
    what: &str,
    text: &str,
    whole: &str,
    length: usize,
    limit: usize,
) -> Result<String, CatalogError> {
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() {
        return Err(CatalogError::invalid(
            format!("table name `{whole}` has an empty {what}"),
            "write `schema.table`, or `table` for schema `default`".to_owned(),
        ));
    }
    if length > limit {
        return Err(CatalogError::invalid(
            format!("the {what} in table name `{whole}` is longer than {limit} characters"),
            "choose a shorter name".to_owned(),
        ));
    }
    if let Some(odd) = lower.chars().find(|c| is_odd(*c)) {
        return Err(CatalogError::invalid(
            format!("table name `{whole}` has {odd:?} in its {what}"),
            format!(
                "use letters a to z, digits and underscores, for example `{}`",
                lower.replace(is_odd, "_")
            ),
        ));
    }
    Ok(lower)
}

fn is_odd(c: char) -> bool {
    !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_to_lower_case_and_default_schema() {
        for (text, expected) in [
            ("flights", "default.flights"),
            ("Silver.Flights", "silver.flights"),
            ("s_1.t__quarantine", "s_1.t__quarantine"),
            ("1.2", "1.2"),
        ] {
            let name: TableName = text.parse().unwrap();
            assert_eq!(name.to_string(), expected);
            assert_eq!(name.to_string().parse::<TableName>().unwrap(), name);
        }
    }

    #[test]
    fn odd_names_are_refused_and_the_message_names_them() {
        let long = "x".repeat(109);
        for (text, expected) in [
            ("", "table name `default.` has an empty table"),
            (".", "table name `.` has an empty schema"),
            ("a.", "table name `a.` has an empty table"),
            ("a.b.c", "table name `a.b.c` has 3 parts"),
            (
                "silver.my table",
                "table name `silver.my table` has ' ' in its table",
            ),
            ("../etc", "table name `../etc` has 3 parts"),
            ("a/b.c", "table name `a/b.c` has '/' in its schema"),
            ("größe", "table name `default.größe` has 'ö' in its table"),
            ("İ", "table name `default.İ` has 'İ' in its table"),
            ("a\"b", "table name `default.a\"b` has '\"' in its table"),
            (
                "information_schema.t",
                "table name `information_schema.t` is in the reserved schema `information_schema`",
            ),
            (long.as_str(), "longer than 108 characters"),
        ] {
            let error = text.parse::<TableName>().unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn every_table_can_have_a_quarantine() {
        let longest = "x".repeat(MAX_TABLE_CHARACTERS);
        for suffix in ["", QUARANTINE_SUFFIX, UNTYPED_SUFFIX] {
            let name = TableName::new("s", &format!("{longest}{suffix}")).unwrap();
            assert_eq!(name.to_string().parse::<TableName>().unwrap(), name);
            assert!(TableName::new("s", &format!("{longest}x{suffix}")).is_err());
        }
    }

    #[test]
    fn a_name_travels_through_json_as_text() {
        let name: TableName = "silver.flights".parse().unwrap();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"silver.flights\"");
        assert_eq!(serde_json::from_str::<TableName>(&json).unwrap(), name);
        assert!(serde_json::from_str::<TableName>("\"a.b.c\"").is_err());
    }
}
