//! The 22 queries of TPC-H: through Flight SQL by a client of ADBC, and by others over plain Parquet files.

use std::path::Path;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use serde::Deserialize;

use super::server::Server;
use crate::rivals::Rivals;
use crate::table::Table;
use crate::{Result, data, median};

/// How far sums may be apart: engines give quotients and means in other types.
const TOLERANCE: f64 = 1e-4;

/// How long a query took, and what came out.
#[derive(Debug, Deserialize)]
struct Answer {
    query: String,
    seconds: f64,
    rows: usize,
    /// Of each column: its numbers, its days since 1970, or the bytes of its texts.
    sums: Vec<f64>,
}

/// Compares the 22 queries over Delta tables with others over plain files. All have to give the same.
pub(crate) async fn tpch(
    lakegate: &Path,
    tables: &Table,
    data: &Path,
    scale: f64,
    repeat: usize,
    each_query: bool,
) -> Result<()> {
    let files = data::all_of_tpch(data, scale)?;
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let rivals = Rivals::new(data)?;
    let server = Server::lakegate(lakegate, tables.folder(), &[])?;
    let plain = plain_files(&files).await?;
    let address = format!("grpc://{}", server.address());
    let (files, folder) = (files.display().to_string(), queries.display().to_string());
    let script = |arguments: &[&str]| -> Result<Vec<Answer>> {
        let lines = rivals.output("tpch_queries.py", arguments)?;
        let answers = lines.lines().map(serde_json::from_str);
        Ok(answers.collect::<std::result::Result<_, _>>()?)
    };
    let mut names = Vec::new();
    // Of each engine, of each query, of each round.
    let mut seconds: [Vec<Vec<f64>>; 3] = Default::default();
    for round in 0..=repeat {
        let answers = [
            script(&["adbc", &address, &folder])?,
            datafusion(&plain, &queries).await?,
            script(&["duckdb", &files, &folder])?,
        ];
        let [ours, others @ ..] = &answers;
        for other in others {
            expect_same(ours, other)?;
        }
        names = ours.iter().map(|answer| answer.query.clone()).collect();
        // The first round warms the caches.
        if round == 0 {
            continue;
        }
        for (all, answers) in seconds.iter_mut().zip(&answers) {
            all.resize(answers.len(), Vec::new());
            for (all, answer) in all.iter_mut().zip(answers) {
                all.push(answer.seconds);
            }
        }
    }
    let [ours, plain, duckdb] =
        seconds.map(|queries| queries.into_iter().map(median).collect::<Vec<f64>>());
    if each_query {
        let each = names.iter().zip(&ours).zip(plain.iter().zip(&duckdb));
        for ((name, ours), (plain, duckdb)) in each {
            println!(
                "| TPC-H SF{scale} {name}, ADBC over Delta | {ours:.3} s | DataFusion {plain:.3} s, DuckDB {duckdb:.3} s | {:.2} | reported |",
                ours / plain
            );
        }
    }
    let [ours, plain, duckdb] = [ours, plain, duckdb].map(|each| each.into_iter().sum::<f64>());
    let row = |against: &str, other: f64, wanted: &str| {
        println!(
            "| TPC-H SF{scale}, 22 queries, ADBC over Delta | {ours:.2} s | {against} over plain Parquet {other:.2} s | {:.2} | {wanted} |",
            ours / other
        );
    };
    row("DataFusion in process", plain, "at most 1.10");
    row("DuckDB in process", duckdb, "reported");
    Ok(())
}

/// DataFusion as it comes, over the files that were generated.
async fn plain_files(files: &Path) -> Result<SessionContext> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the rival is DataFusion as it comes"
    )]
    let plain = SessionContext::new();
    for name in data::TABLES {
        let folder = files.join(name).display().to_string();
        plain
            .register_parquet(name, &folder, ParquetReadOptions::default())
            .await?;
    }
    Ok(plain)
}

async fn datafusion(plain: &SessionContext, queries: &Path) -> Result<Vec<Answer>> {
    let mut files = std::fs::read_dir(queries)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut answers = Vec::new();
    for file in files {
        let sql = std::fs::read_to_string(&file)?;
        let started = Instant::now();
        let rows = plain.sql(&sql).await?.collect().await?;
        let seconds = started.elapsed().as_secs_f64();
        let columns = rows.first().map_or(0, RecordBatch::num_columns);
        let sums = (0..columns).map(|column| {
            let sums = rows.iter().map(|batch| sum(batch.column(column)));
            sums.sum::<Result<f64>>()
        });
        let name = file.file_stem().unwrap_or_default();
        answers.push(Answer {
            query: name.to_string_lossy().into_owned(),
            seconds,
            rows: rows.iter().map(RecordBatch::num_rows).sum(),
            sums: sums.collect::<Result<_>>()?,
        });
    }
    Ok(answers)
}

fn sum(column: &ArrayRef) -> Result<f64> {
    if column.data_type().is_string() {
        let texts = cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter().flatten();
        return Ok(texts.flat_map(str::bytes).map(f64::from).sum());
    }
    let days = match column.data_type() {
        DataType::Date32 => cast(column, &DataType::Int32)?,
        _ => ArrayRef::clone(column),
    };
    let numbers = cast(&days, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().flatten().sum())
}

/// A wrong answer must not be fast.
fn expect_same(ours: &[Answer], other: &[Answer]) -> Result<()> {
    let is_same = |ours: &Answer, other: &Answer| {
        let sums = ours.sums.iter().zip(&other.sums);
        ours.query == other.query
            && ours.rows == other.rows
            && (ours.rows == 0 || ours.sums.len() == other.sums.len())
            && sums
                .into_iter()
                .all(|(one, other)| (one - other).abs() <= TOLERANCE * one.abs().max(1.0))
    };
    let differing = ours.iter().zip(other).find(|(a, b)| !is_same(a, b));
    match differing {
        Some((ours, other)) => Err(format!("answers differ: {ours:?} and {other:?}").into()),
        None if ours.len() != other.len() => Err("not all queries were answered".into()),
        None => Ok(()),
    }
}
