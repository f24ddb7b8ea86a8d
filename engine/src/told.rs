//! What clients are told of errors: neither paths nor hosts of the server.

use crate::{EngineError, ErrorKind};

/// What is told of an error that only concerns the server.
const UNTOLD: &str = "the server could not carry the statement out; its log says why";

impl EngineError {
    /// Whether the error only concerns the server.
    pub fn is_untold(&self) -> bool {
        matches!(self.kind(), ErrorKind::Failed | ErrorKind::Bug)
    }

    /// The message for a client.
    pub fn told(&self) -> String {
        match self.is_untold() {
            true => UNTOLD.to_owned(),
            false => without_locations(&self.to_string()),
        }
    }

    /// The way out for a client, when there is one.
    pub fn told_hint(&self) -> Option<String> {
        let hint = self.hint().filter(|_| !self.is_untold());
        hint.map(without_locations)
    }
}

/// A text without the places of files.
fn without_locations(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.contains("://") {
        true => "its location",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use lakegate_catalog::CatalogError;

    use super::*;

    #[test]
    fn nobody_is_told_where_files_are() {
        let hint = Some("look into file:///srv/lake/t".to_owned());
        let error = EngineError::invalid("no table in s3://lake/t here", None, hint);
        assert_eq!(error.told(), "no table in its location here");
        assert_eq!(error.told_hint().unwrap(), "look into its location");
        let source = std::io::Error::other("no place on /srv/lake");
        let error = EngineError::Catalog(CatalogError::Failed {
            message: "writing to `/srv/lake/t` failed".to_owned(),
            source: Box::new(source),
        });
        assert_eq!(error.told(), UNTOLD);
        assert_eq!(error.told_hint(), None);
    }
}
