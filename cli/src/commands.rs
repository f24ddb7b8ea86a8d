//! The commands: one file each, with its arguments and its documentation.

mod apply;
mod catalog;
mod check;
mod demo;
mod explain;
mod init;
mod plan;
mod profile;
mod query;
pub(crate) mod run;
mod serve;
mod settings;
mod user;
mod validate;
mod waive;

use std::path::Path;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Demo(demo::Demo),
    Validate(validate::Validate),
    Plan(plan::Plan),
    Run(run::Run),
    Apply(apply::Apply),
    Check(check::Check),
    Profile(profile::Profile),
    Waive(waive::Waive),
    Query(query::Query),
    Serve(serve::Serve),
    User(user::UserArguments),
    Catalog(catalog::CatalogArguments),
    Explain(explain::Explain),
    Settings(settings::ShowSettings),
}

/// Exit code of a command that did its work.
pub(crate) const DONE: u8 = 0;
/// Exit code when a check failed.
pub(crate) const CHECK_FAILED: u8 = 1;

/// Exit code when the configuration or the input is invalid.
pub(crate) const INVALID: u8 = 2;

/// Whether a file is meant, not a table: a path has a slash, or is that of a file.
fn is_file(subject: &str, context: &Context) -> bool {
    let path = Path::new(subject);
    subject.contains(['/', '\\']) || context.path(path).exists() || {
        let known = [
            "parquet", "csv", "json", "jsonl", "ndjson", "gz", "zst", "zip", "tsv",
        ];
        let extension = path.extension();
        extension.is_some_and(|e| known.iter().any(|k| e.eq_ignore_ascii_case(k)))
    }
}

/// Carries a command out. Returns the exit code.
pub(crate) async fn run(context: Context, command: Command) -> Result<u8, CliError> {
    match command {
        Command::Init(init) => init.run(&context),
        Command::Demo(demo) => Box::pin(demo.run(&context)).await,
        Command::Validate(validate) => Box::pin(validate.run(&context)).await,
        Command::Plan(plan) => plan.run(&context),
        Command::Run(run) => Box::pin(run.run(&context)).await,
        Command::Apply(apply) => Box::pin(apply.run(&context)).await,
        Command::Check(check) => Box::pin(check.run(&context)).await,
        Command::Profile(profile) => Box::pin(profile.run(&context)).await,
        Command::Waive(waive) => Box::pin(waive.run(&context)).await,
        Command::Query(query) => Box::pin(query.run(&context)).await,
        Command::Serve(serve) => Box::pin(serve.run(&context)).await,
        Command::User(user) => user.run(&context),
        Command::Catalog(catalog) => Box::pin(catalog.run(&context)).await,
        Command::Explain(explain) => explain.run(&context),
        Command::Settings(settings) => settings.run(&context),
    }
}
