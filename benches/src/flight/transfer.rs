//! A result of about a gigabyte through Flight SQL, against a server that sends the same batches from memory.

use std::path::Path;
use std::time::Instant;

use arrow_flight::Ticket;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use futures::TryStreamExt;
use lakegate_engine::Engine;
use prost::Message;

use super::server::{Client, Fetched, Server, fetch, ticket};
use crate::lookup::engine_over;
use crate::table::Table;
use crate::{Result, median};

/// Rows of sixteen numbers that are a gigabyte.
const ROWS_OF_NUMBERS: u64 = 8_000_000;

/// Columns of numbers, each the same array: making them costs next to nothing.
const COLUMNS_OF_NUMBERS: usize = 16;

/// Compares a scan of all of lineitem, and rows that cost nothing to make.
pub(crate) async fn transfer(
    lakegate: &Path,
    tables: &Table,
    scale: f64,
    repeat: usize,
) -> Result<()> {
    let server = Server::lakegate(lakegate, tables.folder(), &[])?;
    let engine = engine_over(tables.folder()).await?;
    let columns: Vec<String> = (0..COLUMNS_OF_NUMBERS)
        .map(|column| format!("value AS c{column}"))
        .collect();
    let numbers = format!(
        "SELECT {} FROM generate_series(1, {})",
        columns.join(", "),
        (scale * ROWS_OF_NUMBERS as f64) as u64
    );
    for (what, sql, wanted) in [
        (
            "numbers that cost nothing to make",
            numbers.as_str(),
            "at least 0.80",
        ),
        (
            "all of lineitem",
            "SELECT * FROM bench.lineitem",
            "at least 0.80",
        ),
    ] {
        let itself = std::env::current_exe()?;
        let arguments = ["--bare-server-of", server.address(), "--sql", sql];
        let bare = Server::start(&itself, &arguments)?;
        let (mut ours, mut limit) = (server.connect().await?, bare.connect().await?);
        let mut fetched = [Fetched::default(); 2];
        let mut seconds: [Vec<f64>; 3] = Default::default();
        for round in 0..=repeat {
            let mut taken = [0.0; 3];
            let started = Instant::now();
            fetched[0] = of_lakegate(&mut ours, sql).await?;
            taken[0] = started.elapsed().as_secs_f64();
            let started = Instant::now();
            fetched[1] = fetch(&mut limit, any_ticket()).await?;
            taken[1] = started.elapsed().as_secs_f64();
            let started = Instant::now();
            scan(&engine, sql).await?;
            taken[2] = started.elapsed().as_secs_f64();
            if fetched[0].rows != fetched[1].rows {
                return Err(format!("not the same was sent: {fetched:?}").into());
            }
            if round > 0 {
                for (all, seconds) in seconds.iter_mut().zip(taken) {
                    all.push(seconds);
                }
            }
        }
        let gigabytes = fetched[0].bytes as f64 / 1e9;
        let [ours, limit, scanned] = seconds.map(|seconds| gigabytes / median(seconds));
        println!(
            "| {gigabytes:.2} GB by DoGet, {what} | {ours:.2} GB/s | bare server {limit:.2} GB/s | {:.2} | {wanted} |",
            ours / limit
        );
        println!(
            "| {gigabytes:.2} GB by DoGet, {what} | {ours:.2} GB/s | the query in process {scanned:.2} GB/s | {:.2} | reported |",
            ours / scanned
        );
    }
    Ok(())
}

async fn of_lakegate(client: &mut Client, sql: &str) -> Result<Fetched> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetch(client, ticket(info)?).await
}

/// Runs a query in this process and drops its rows.
async fn scan(engine: &Engine, sql: &str) -> Result<()> {
    let rows = engine.session().sql(sql).await?.execute_stream().await?;
    rows.try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

/// A ticket for a server that has one thing to give.
fn any_ticket() -> Ticket {
    let ticket = TicketStatementQuery::default();
    Ticket::new(ticket.as_any().encode_to_vec())
}
