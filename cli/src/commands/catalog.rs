//! `lakegate catalog`: the tables, their versions, and their upkeep.

mod maintain;
mod show;

use clap::{Args, Subcommand};
use lakegate_catalog::TableName;
use lakegate_etl::Lakegate;
use serde_json::json;

use crate::arguments::table_name;
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::output::TextTable;
use crate::settings::{folder_url, without_secrets};

/// The tables, their versions, and their upkeep
#[derive(Debug, Args)]
pub(crate) struct CatalogArguments {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// List the tables
    List,
    Show(show::Show),
    History(show::History),
    Register(Register),
    Drop(Drop),
    Vacuum(maintain::Vacuum),
    Optimize(maintain::Optimize),
    Restore(maintain::Restore),
}

/// Give a name to a table that exists: a Delta table, or a folder of Parquet files
#[derive(Debug, Args)]
struct Register {
    /// The name
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// Its folder
    #[arg(value_name = "DIR")]
    location: String,
}

/// Forget a table; its files stay unless `--purge` is given, and a publish in the same folder goes on from them
#[derive(Debug, Args)]
struct Drop {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// Delete its folder too, with all versions
    #[arg(long)]
    purge: bool,
}

impl CatalogArguments {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let lakegate = match self.command {
            CatalogCommand::Register(_) => context.open_to_write().await?,
            _ => context.open().await?,
        };
        match self.command {
            CatalogCommand::List => list(context, &lakegate).await,
            CatalogCommand::Show(show) => show.run(context, &lakegate).await,
            CatalogCommand::History(history) => history.run(context, &lakegate).await,
            CatalogCommand::Register(register) => register.run(context, &lakegate).await,
            CatalogCommand::Drop(drop) => drop.run(context, &lakegate).await,
            CatalogCommand::Vacuum(vacuum) => Box::pin(vacuum.run(context, &lakegate)).await,
            CatalogCommand::Optimize(optimize) => Box::pin(optimize.run(context, &lakegate)).await,
            CatalogCommand::Restore(restore) => Box::pin(restore.run(context, &lakegate)).await,
        }
    }
}

async fn list(context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
    let entries = lakegate.catalog.list().await?;
    if context.output.is_json() {
        context.output.json(&entries)?;
        return Ok(DONE);
    }
    if entries.is_empty() {
        context
            .output
            .note("there are no tables; `lakegate run PIPELINE` makes some");
        return Ok(DONE);
    }
    let mut table = TextTable::new(["table", "format", "location"]);
    for entry in entries {
        table.row([
            entry.name.to_string(),
            entry.format.as_str().to_owned(),
            entry.location.to_string(),
        ]);
    }
    context.output.text(&table.to_text());
    Ok(DONE)
}

impl Register {
    async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        let location = folder_url(&self.location, &context.root).map_err(|wanted| {
            CliError::new(format!(
                "the location must be {wanted}, found `{}`",
                without_secrets(&self.location)
            ))
        })?;
        let entry = lakegate.catalog.register(&self.table, &location).await?;
        if context.output.is_json() {
            context.output.json(&entry)?;
        } else {
            context.output.text(&format!(
                "{} is the {} table in {}",
                entry.name,
                entry.format.as_str(),
                entry.location
            ));
        }
        Ok(DONE)
    }
}

impl Drop {
    async fn run(self, context: &Context, lakegate: &Lakegate) -> Result<u8, CliError> {
        lakegate.catalog.drop_table(&self.table, self.purge).await?;
        if context.output.is_json() {
            context
                .output
                .json(&json!({ "dropped": self.table, "purged": self.purge }))?;
        } else {
            context.output.text(&match self.purge {
                true => format!("{} is forgotten, its files are deleted", self.table),
                false => format!("{} is forgotten, its files are as they were", self.table),
            });
            if !self.purge {
                context.output.note(&format!(
                    "a table that is published in the same folder as {} takes up its rows and versions again",
                    self.table
                ));
            }
        }
        Ok(DONE)
    }
}
