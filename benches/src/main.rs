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
mod lookup;
mod process;
mod publish;

use std::path::PathBuf;

use clap::Parser;

/// Any failure of a benchmark; it is printed and ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures publishing with and without rules, memory, and point look-ups.
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
    /// The `lakegate` binary.
    #[arg(long, default_value = "target/release/lakegate")]
    lakegate: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.decode {
        return check::decode(folder, &arguments.columns, arguments.count_bytes).await;
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
    publish::overhead(&lakegate, &data, arguments.scale, arguments.repeat)?;
    check::full(&lakegate, &data, arguments.scale, arguments.repeat)?;
    check::incremental(&lakegate, &data, arguments.scale, arguments.repeat)?;
    check::wide(&lakegate, &data, arguments.scale, arguments.repeat)?;
    lookup::point_lookup(&lakegate, &data, arguments.scale).await?;
    if arguments.memory_scale > 0.0 {
        publish::memory(&lakegate, &data, arguments.memory_scale)?;
        publish::memory_of_csv(&lakegate, &data, arguments.memory_scale)?;
    }
    Ok(())
}

/// The middle one of some measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
