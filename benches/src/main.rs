//! Measures Lakegate against the limit, and prints ratios as a Markdown table.
//!
//! `cargo build --release && cargo run --release -p lakegate-benches` runs all of it on TPC-H's lineitem.
//! Everything that is compared runs in turns in one run, because machines are noisy.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark's output is what it prints"
)]

mod check;
mod data;
mod flight;
mod lookup;
mod process;
mod publish;
mod rivals;
mod table;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Any failure of a benchmark; it is printed and ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Publishing with and without rules.
    Publish,
    /// Checking tables.
    Check,
    /// A point look-up in this process.
    Lookup,
    /// A point look-up through Flight SQL.
    FlightLookup,
    /// The 22 queries of TPC-H through Flight SQL.
    Tpch,
    /// A large result through Flight SQL.
    Transfer,
    /// The memory that large publishes take.
    Memory,
}

/// Measures publishing with and without rules, checks, look-ups, the Flight SQL door, and memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// TPC-H scale factor of the publish and look-up measurements.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// TPC-H scale factor of the memory measurement; 0 leaves it out.
    #[arg(long, default_value_t = 10.0)]
    memory_scale: f64,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Measures only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Prints the time of each query of TPC-H.
    #[arg(long)]
    each_query: bool,
    /// Folder for data, kept between runs.
    #[arg(long, default_value = "target/bench-data")]
    data: PathBuf,
    /// Only reads the files of this folder.
    #[arg(long, hide = true)]
    decode: Option<PathBuf>,
    /// The columns that are read.
    #[arg(long, hide = true, value_delimiter = ',')]
    columns: Vec<String>,
    /// Prints how many bytes they are.
    #[arg(long, hide = true)]
    count_bytes: bool,
    /// Only serves the rows that the Flight SQL server at this address gives for `--sql`, from memory.
    #[arg(long, hide = true, requires = "sql")]
    bare_server_of: Option<String>,
    /// The query of those rows.
    #[arg(long, hide = true)]
    sql: Option<String>,
    /// The `lakegate` binary.
    #[arg(long, default_value = "target/release/lakegate")]
    lakegate: PathBuf,
}

impl Arguments {
    fn measures(&self, what: Measurement) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.decode {
        return check::decode(folder, &arguments.columns, arguments.count_bytes).await;
    }
    if let (Some(address), Some(sql)) = (&arguments.bare_server_of, &arguments.sql) {
        return flight::serve_bare(address, sql).await;
    }
    std::fs::create_dir_all(&arguments.data)?;
    let lakegate = std::fs::canonicalize(&arguments.lakegate).map_err(|error| {
        format!(
            "{}: {error}; build it with `cargo build --release`",
            arguments.lakegate.display()
        )
    })?;
    let data = std::fs::canonicalize(&arguments.data)?;
    println!("| What | Measured | Against | Ratio | Wanted |");
    println!("|---|---|---|---|---|");
    let (scale, repeat) = (arguments.scale, arguments.repeat);
    if arguments.measures(Measurement::Publish) {
        publish::overhead(&lakegate, &data, scale, repeat)?;
    }
    if arguments.measures(Measurement::Check) {
        check::full(&lakegate, &data, scale, repeat)?;
        check::incremental(&lakegate, &data, scale, repeat)?;
        check::wide(&lakegate, &data, scale, repeat)?;
    }
    if arguments.measures(Measurement::Lookup) {
        lookup::point_lookup(&lakegate, &data, scale).await?;
    }
    let of_door = [
        Measurement::FlightLookup,
        Measurement::Tpch,
        Measurement::Transfer,
    ];
    if of_door.into_iter().any(|what| arguments.measures(what)) {
        let tables = flight::publish(&lakegate, &data, scale)?;
        if arguments.measures(Measurement::FlightLookup) {
            flight::point_lookup(&lakegate, &tables, scale).await?;
        }
        if arguments.measures(Measurement::Tpch) {
            let each_query = arguments.each_query;
            flight::tpch(&lakegate, &tables, &data, scale, repeat, each_query).await?;
        }
        if arguments.measures(Measurement::Transfer) {
            flight::transfer(&lakegate, &tables, scale, repeat).await?;
        }
    }
    if arguments.measures(Measurement::Memory) && arguments.memory_scale > 0.0 {
        publish::memory(&lakegate, &data, arguments.memory_scale)?;
        publish::memory_of_csv(&lakegate, &data, arguments.memory_scale)?;
    }
    Ok(())
}

/// The value that a share of measurements do not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share) as usize;
    let value = values.get(place.min(values.len().saturating_sub(1)));
    value.copied().unwrap_or(f64::NAN)
}

/// The middle one of some measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
