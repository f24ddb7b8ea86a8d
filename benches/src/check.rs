//! What checking a table costs: against decoding its columns, against DuckDB, and after a small change.

mod incremental;
mod wide;

use std::path::Path;
use std::process::Command;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::execution::context::SessionContext;
use datafusion::prelude::ParquetReadOptions;
use futures::StreamExt;

use crate::process::{Usage, measure};
use crate::rivals::Rivals;
use crate::table::{Table, extract};
use crate::{Result, data, median};

pub(crate) use incremental::incremental;
pub(crate) use wide::wide;

/// Thirty checks over lineitem that one scan answers. `rivals/checks.sql` computes the same numbers.
const SCAN_RULES: &str = "version: 1
table: bench.lineitem
columns:
  l_orderkey: [not_null, { approx_distinct: { at_least: 1 } }]
  l_partkey: [not_null, { approx_distinct: { at_least: 1 } }]
  l_quantity:
    [not_null, { min: { at_least: 1 } }, { max: { at_most: 50 } }, { sum: { at_least: 1 } }, { correlation: { with: l_extendedprice, at_least: 0 } }]
  l_discount: [{ min: { at_least: 0 } }, { max: { at_most: 1 } }, { between: [0, 0.1] }]
  l_tax: [{ min: { at_least: 0 } }, { max: { at_most: 1 } }]
  l_extendedprice:
    - min: { at_least: 0 }
    - max: { at_most: 1000000 }
    - mean: { at_least: 1 }
    - stddev: { at_least: 1 }
    - quantile: { name: p50, at: 0.5, at_least: 1 }
    - quantile: { name: p99, at: 0.99, at_least: 1 }
  l_shipdate: [not_null, { max: { at_most: 1999-12-31 } }]
  l_shipmode: [not_null, { one_of: [REG AIR, AIR, RAIL, SHIP, TRUCK, MAIL, FOB] }]
  l_returnflag: [{ one_of: [A, N, R] }]
  l_linestatus: [{ one_of: [O, F] }]
  l_shipinstruct: [{ matches: \"^[A-Z ]+$\" }]
  l_comment: [not_null, { min_length: { at_least: 1 } }, { max_length: { at_most: 44 } }, { matches: \"[a-z]\" }]
table_checks:
  - row_count: { at_least: 1000 }
  - satisfies: l_receiptdate >= l_shipdate
";

/// The columns that these checks read.
const COLUMNS: &[&str] = &[
    "l_orderkey",
    "l_partkey",
    "l_quantity",
    "l_discount",
    "l_tax",
    "l_extendedprice",
    "l_shipdate",
    "l_receiptdate",
    "l_shipmode",
    "l_returnflag",
    "l_linestatus",
    "l_shipinstruct",
    "l_comment",
];

/// Checks that need a grouping or a look-up, each with the query of the rival and the columns that it reads.
const GROUPING_RULES: &[(&str, &str, &str, &[&str])] = &[
    (
        "unique key",
        "table_checks:\n  - unique_key: [l_orderkey, l_linenumber]\n",
        "unique_key.sql",
        &["l_orderkey", "l_linenumber"],
    ),
    (
        "exists_in orders",
        "columns:\n  l_orderkey: [{ exists_in: { table: bench.orders, column: o_orderkey } }]\n",
        "exists_in.sql",
        &["l_orderkey"],
    ),
    (
        "entropy of l_comment",
        "columns:\n  l_comment: [{ entropy: { at_least: 0 } }]\n",
        "entropy.sql",
        &["l_comment"],
    ),
];

/// All checks at once against decoding and against DuckDB; then those that group, each against DuckDB.
pub(crate) fn full(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let table = Table::new(data, "check")?;
    for name in ["lineitem", "orders"] {
        table.publish(lakegate, name, &extract(&tpch.join(name)), "mode: append")?;
    }
    let rivals = Rivals::new(data)?;
    let mut checked = Vec::new();
    let mut decoded = Vec::new();
    let mut queried = Vec::new();
    for round in 0..=repeat {
        let usages = [
            decoding(&table.data("lineitem"), COLUMNS)?.0,
            table.check_anew(lakegate, "lineitem", SCAN_RULES)?,
            rivals.duckdb(&tpch, "checks.sql")?,
        ];
        // The first round warms the page cache.
        if round > 0 {
            decoded.push(usages[0].cpu_seconds);
            checked.push(usages[1]);
            queried.push(usages[2].cpu_seconds);
        }
    }
    let what = format!("check lineitem SF{scale}, 30 scan checks");
    let processor = median(checked.iter().map(|usage| usage.cpu_seconds).collect());
    let row = |what: &str, against: &str, other: f64, wanted: &str| {
        println!(
            "| {what}, processor | {processor:.2} s | {against} {other:.2} s | {:.2} | {wanted} |",
            processor / other
        );
    };
    row(&what, "decoding", median(decoded), "at most 1.50");
    row(&what, "DuckDB", median(queried), "at most 0.70");
    // The processor time of its Java machine is not that of the process that is measured.
    let spark = rivals.spark(&tpch, "checks.sql")?.seconds;
    let seconds = median(checked.iter().map(|usage| usage.seconds).collect());
    println!(
        "| {what}, time | {seconds:.2} s | Spark, once {spark:.2} s | {:.2} | reported |",
        seconds / spark
    );
    let peak = checked
        .iter()
        .map(|usage| usage.peak_bytes)
        .max()
        .unwrap_or(0);
    let peak = peak as f64 / f64::from(1 << 30);
    println!("| {what}, most memory | {peak:.2} GiB | 1.00 GiB | {peak:.2} | at most 1.00 |");
    for (name, rules, query, _) in GROUPING_RULES {
        let rules = rules_of(rules);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=repeat {
            let usages = (
                table.check_anew(lakegate, "lineitem", &rules)?,
                rivals.duckdb(&tpch, query)?,
            );
            if round > 0 {
                ours.push(usages.0.seconds);
                theirs.push(usages.1.seconds);
            }
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "| check lineitem SF{scale}, {name}, time | {ours:.2} s | DuckDB {theirs:.2} s | {:.2} | at most 1.00 |",
            ours / theirs
        );
    }
    Ok(())
}

/// A rule file of some checks of lineitem.
fn rules_of(checks: &str) -> String {
    format!("version: 1\ntable: bench.lineitem\n{checks}")
}

/// What it takes to decode some columns of the files in a folder, in a process of its own, and their bytes in memory.
fn decoding(folder: &Path, columns: &[&str]) -> Result<(Usage, u64)> {
    let itself = std::env::current_exe()?;
    let (folder, columns) = (folder.display().to_string(), columns.join(","));
    let arguments = ["--decode", &folder, "--columns", &columns];
    let usage = measure(&itself, &arguments)?;
    let counting = [&arguments[..], &["--count-bytes"]].concat();
    let said = Command::new(&itself).args(counting).output()?.stdout;
    let bytes = String::from_utf8(said)?.trim().parse()?;
    Ok((usage, bytes))
}

/// Reads some columns and does nothing with them, or prints how many bytes they are.
pub(crate) async fn decode(folder: &Path, columns: &[String], counts_bytes: bool) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the limit, without an engine around it"
    )]
    let session = SessionContext::new();
    let path = folder.display().to_string();
    let rows = session
        .read_parquet(path, ParquetReadOptions::default())
        .await?;
    let streams = rows
        .select_columns(&columns.iter().map(String::as_str).collect::<Vec<_>>())?
        .execute_stream_partitioned()
        .await?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut bytes = 0;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                if counts_bytes {
                    bytes += batch.columns().iter().map(bytes_of).sum::<usize>();
                }
            }
            Ok::<_, datafusion::error::DataFusionError>(bytes)
        });
    }
    let mut bytes = 0;
    while let Some(read) = tasks.join_next().await {
        bytes += read??;
    }
    if counts_bytes {
        println!("{bytes}");
    }
    Ok(())
}

/// The bytes of an array's own values. Views share what they look at, and hold short texts in themselves.
fn bytes_of(array: &ArrayRef) -> usize {
    const INLINE: usize = 12;
    match array.as_string_view_opt() {
        Some(views) => {
            let lengths = views.views().iter().map(|view| *view as u32 as usize);
            let elsewhere = lengths.filter(|length| *length > INLINE);
            elsewhere.sum::<usize>() + array.len() * size_of::<u128>()
        }
        None => array.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}
