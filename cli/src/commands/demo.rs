//! `lakegate demo`: shows the main job on real data.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::error::CliError;

/// See it work: real flights pass the gate, a damaged delivery does not
///
/// Writes the flights example into a new folder and runs it. A folder that is there already is not touched: to see
/// the demo again, delete it or name another one.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder
    #[arg(value_name = "DIR", default_value = "lakegate-demo")]
    folder: PathBuf,
}

impl Demo {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        crate::demo::run(context, &self.folder).await
    }
}
