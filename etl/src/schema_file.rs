//! Schema files: the columns that a `type:` stage makes.

use lakegate_rules::yaml::Problems;

/// A schema file.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// The file, as the user named it.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
}

impl SchemaFile {
    /// Reads a schema file.
    pub fn parse(_file: &str, _text: &str) -> Result<Self, Problems> {
        Err(Problems::default())
    }
}
