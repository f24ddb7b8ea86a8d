//! One row by its key through Flight SQL, against the engine in this process, alone and in a crowd.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use lakegate_engine::Engine;
use tokio::task::JoinSet;

use super::server::{Client, Server, fetch, ticket};
use crate::lookup::engine_over;
use crate::table::Table;
use crate::{Result, median, quantile};

/// Look-ups of each kind that count, and those before, which fill the caches.
const LOOKUPS: usize = 300;
const WARM_UPS: usize = 30;

/// Clients at once, and what each of them looks up.
const CLIENTS: usize = 32;
const LOOKUPS_OF_EACH: usize = 60;

/// Orders for each unit of scale. TPC-H, 4.2.5.
const ORDERS_PER_SCALE: f64 = 1_500_000.0;

/// Compares look-ups of one row of all 16 columns.
pub(crate) async fn point_lookup(lakegate: &Path, tables: &Table, scale: f64) -> Result<()> {
    let engine = engine_over(tables.folder()).await?;
    let server = Server::lakegate(lakegate, tables.folder(), &[])?;
    let mut client = server.connect().await?;
    let mut prepared = client.prepare(with_key("$1"), None).await?;
    let mut milliseconds: [Vec<f64>; 3] = Default::default();
    for lookup in 0..WARM_UPS + LOOKUPS {
        let key = key(lookup, scale);
        let mut taken = [0.0; 3];
        let started = Instant::now();
        in_process(&engine, key).await?;
        taken[0] = started.elapsed().as_secs_f64();
        let started = Instant::now();
        plain(&mut client, key).await?;
        taken[1] = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let values: ArrayRef = Arc::new(Int64Array::from(vec![key]));
        prepared.set_parameters(RecordBatch::try_from_iter([("$1", values)])?)?;
        let info = prepared.execute().await?;
        one_row(&mut client, ticket(info)?).await?;
        taken[2] = started.elapsed().as_secs_f64();
        if lookup >= WARM_UPS {
            for (all, seconds) in milliseconds.iter_mut().zip(taken) {
                all.push(seconds * 1_000.0);
            }
        }
    }
    let [ours, plain, prepared] = milliseconds.map(median);
    let row = |what: &str, measured: f64| {
        println!(
            "| look-up of one row of lineitem SF{scale}, 16 columns, {what}, median of {LOOKUPS} | {measured:.2} ms | in process {ours:.2} ms | {:.2} | at most 1.30 |",
            measured / ours
        );
    };
    row("Flight SQL, statement", plain);
    row("Flight SQL, prepared, values bound each time", prepared);
    crowd(&server, scale).await
}

/// Many clients, each on a connection of its own, one look-up after the other.
async fn crowd(server: &Server, scale: f64) -> Result<()> {
    let mut clients = JoinSet::new();
    let started = Instant::now();
    for number in 0..CLIENTS {
        let mut client = server.connect().await?;
        clients.spawn(async move {
            let mut milliseconds = Vec::with_capacity(LOOKUPS_OF_EACH);
            for lookup in 0..LOOKUPS_OF_EACH {
                let key = key(number * LOOKUPS_OF_EACH + lookup, scale);
                let started = Instant::now();
                plain(&mut client, key).await?;
                milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(milliseconds)
        });
    }
    let mut milliseconds = Vec::new();
    while let Some(taken) = clients.join_next().await {
        milliseconds.extend(taken??);
    }
    let each_second = milliseconds.len() as f64 / started.elapsed().as_secs_f64();
    let p99 = quantile(&mut milliseconds, 0.99);
    let p50 = median(milliseconds);
    println!(
        "| the same by {CLIENTS} clients at once, statements, {each_second:.0} a second, p99 | {p99:.1} ms | its p50 {p50:.1} ms | {:.2} | at most 5.00 |",
        p99 / p50
    );
    Ok(())
}

fn with_key(key: &str) -> String {
    format!("SELECT * FROM bench.lineitem WHERE l_orderkey = {key} AND l_linenumber = 1")
}

async fn in_process(engine: &Engine, key: i64) -> Result<()> {
    let rows = engine.session().sql(&with_key(&key.to_string())).await?;
    let rows = rows.collect().await?;
    expect_one(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64)
}

async fn plain(client: &mut Client, key: i64) -> Result<()> {
    let info = client.execute(with_key(&key.to_string()), None).await?;
    one_row(client, ticket(info)?).await
}

async fn one_row(client: &mut Client, ticket: arrow_flight::Ticket) -> Result<()> {
    expect_one(fetch(client, ticket).await?.rows)
}

fn expect_one(rows: u64) -> Result<()> {
    match rows {
        1 => Ok(()),
        rows => Err(format!("a look-up gave {rows} rows").into()),
    }
}

/// The key of some order. Of each 32 keys, 8 are used. TPC-H, 4.2.3.
fn key(lookup: usize, scale: f64) -> i64 {
    let orders = (scale * ORDERS_PER_SCALE) as usize;
    let order = lookup * 7_919 % (orders - 1) + 1;
    (((order >> 3) << 5) | (order & 7)) as i64
}
