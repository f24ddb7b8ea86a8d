//! What checking a table costs: against decoding its columns, against DuckDB, and after a small change.

use std::path::{Path, PathBuf};
use std::process::Command;

use datafusion::execution::context::SessionContext;
use datafusion::prelude::{ParquetReadOptions, SessionConfig};
use futures::StreamExt;

use crate::process::{Usage, measure};
use crate::{Result, data, median};

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

/// Checks that need a grouping or a look-up, each with the query of the rival.
const GROUPING_RULES: &[(&str, &str, &str)] = &[
    (
        "unique key",
        "table_checks:\n  - unique_key: [l_orderkey, l_linenumber]\n",
        "unique_key.sql",
    ),
    (
        "exists_in orders",
        "columns:\n  l_orderkey: [{ exists_in: { table: bench.orders, column: o_orderkey } }]\n",
        "exists_in.sql",
    ),
    (
        "entropy of l_comment",
        "columns:\n  l_comment: [{ entropy: { at_least: 0 } }]\n",
        "entropy.sql",
    ),
];

/// A project in which lineitem and orders are published, without rules.
struct Table {
    folder: PathBuf,
}

impl Table {
    fn new(data: &Path, name: &str) -> Result<Self> {
        let folder = data.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join("pipelines"))?;
        std::fs::write(folder.join("lakegate.yaml"), "version: 1\nproject: bench\n")?;
        Ok(Self { folder })
    }

    fn publish(&self, lakegate: &Path, table: &str, rows: &str, partition: &str) -> Result<()> {
        let text = format!(
            "version: 1\npipeline: {table}\nstages:\n{rows}  - name: publish_rows\n    publish: {{ view: rows, table: bench.{table}, mode: append{partition} }}\n"
        );
        std::fs::write(self.folder.join(format!("pipelines/{table}.yaml")), text)?;
        let folder = self.folder.display().to_string();
        measure(lakegate, &["-C", &folder, "run", table]).map(|_| ())
    }

    /// A check that finds no states of an earlier one.
    fn check_anew(&self, lakegate: &Path, rules: &str) -> Result<Usage> {
        let states = self
            .folder
            .join("warehouse/bench/lineitem/_lakegate/states");
        if states.exists() {
            std::fs::remove_dir_all(states)?;
        }
        self.check(lakegate, rules)
    }

    fn check(&self, lakegate: &Path, rules: &str) -> Result<Usage> {
        let file = self.folder.join("rules.yaml");
        std::fs::write(&file, rules)?;
        let (folder, file) = (
            self.folder.display().to_string(),
            file.display().to_string(),
        );
        measure(
            lakegate,
            &["-C", &folder, "check", "bench.lineitem", "--rules", &file],
        )
    }
}

fn extract(folder: &Path) -> String {
    let path = folder.join("*.parquet");
    format!(
        "  - name: rows\n    extract: {{ path: \"{}\", format: parquet }}\n",
        path.display()
    )
}

/// All checks at once against decoding and against DuckDB; then those that group, each against DuckDB.
pub(crate) fn full(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let table = Table::new(data, "check")?;
    table.publish(lakegate, "lineitem", &extract(&tpch.join("lineitem")), "")?;
    table.publish(lakegate, "orders", &extract(&tpch.join("orders")), "")?;
    let itself = std::env::current_exe()?;
    let lineitem = tpch.join("lineitem").display().to_string();
    let rival = Rival::new(data)?;
    let mut checked = Vec::new();
    let mut decoded = Vec::new();
    let mut queried = Vec::new();
    for round in 0..=repeat {
        let usages = [
            measure(&itself, &["--decode", &lineitem])?,
            table.check_anew(lakegate, SCAN_RULES)?,
            rival.query(&tpch, "checks.sql")?,
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
    let peak = checked
        .iter()
        .map(|usage| usage.peak_bytes)
        .max()
        .unwrap_or(0);
    let peak = peak as f64 / f64::from(1 << 30);
    println!("| {what}, most memory | {peak:.2} GiB | 1.00 GiB | {peak:.2} | at most 1.00 |");
    for (name, rules, query) in GROUPING_RULES {
        let rules = format!("version: 1\ntable: bench.lineitem\n{rules}");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=repeat {
            let usages = (
                table.check_anew(lakegate, &rules)?,
                rival.query(&tpch, query)?,
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

/// A check after one of 84 months was added, against a check of all.
pub(crate) fn incremental(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let (mut whole, mut part, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repeat {
        let table = Table::new(data, "incremental")?;
        let publish = |condition: &str| {
            let rows = format!(
                "  - name: files\n    extract: {{ path: \"{}/*.parquet\", format: parquet }}\n  - name: rows\n    sql: {{ query: \"SELECT *, date_trunc('month', l_shipdate)::date AS month FROM files WHERE {condition}\" }}\n",
                tpch.join("lineitem").display()
            );
            table.publish(lakegate, "lineitem", &rows, ", partition_by: [month]")
        };
        publish("l_shipdate < DATE '1998-11-01'")?;
        whole.push(table.check_anew(lakegate, SCAN_RULES)?.cpu_seconds);
        nothing.push(table.check(lakegate, SCAN_RULES)?.cpu_seconds);
        publish("l_shipdate >= DATE '1998-11-01'")?;
        part.push(table.check(lakegate, SCAN_RULES)?.cpu_seconds);
    }
    let (whole, part, nothing) = (median(whole), median(part), median(nothing));
    for (what, seconds, wanted) in [
        ("again, nothing changed", nothing, "reported"),
        ("after a month of 84 was appended", part, "at most 0.03"),
    ] {
        println!(
            "| check lineitem SF{scale} {what}, processor | {seconds:.2} s | all of it {whole:.2} s | {:.3} | {wanted} |",
            seconds / whole
        );
    }
    Ok(())
}

/// Reads the columns of the checks and does nothing with them.
pub(crate) async fn decode(folder: &Path) -> Result<()> {
    let config = SessionConfig::new().set_bool(
        "datafusion.execution.parquet.schema_force_view_types",
        false,
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "the limit, without an engine around it"
    )]
    let session = SessionContext::new_with_config(config);
    let path = folder.display().to_string();
    let rows = session
        .read_parquet(path, ParquetReadOptions::default())
        .await?;
    let streams = rows
        .select_columns(COLUMNS)?
        .execute_stream_partitioned()
        .await?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut rows = 0;
            while let Some(batch) = stream.next().await {
                rows += batch?.num_rows();
            }
            Ok::<_, datafusion::error::DataFusionError>(rows)
        });
    }
    let mut rows = 0;
    while let Some(read) = tasks.join_next().await {
        rows += read??;
    }
    println!("{rows}");
    Ok(())
}

/// DuckDB in a Python of its own.
struct Rival {
    python: PathBuf,
    queries: PathBuf,
}

impl Rival {
    fn new(data: &Path) -> Result<Self> {
        let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals");
        let folder = data.join("python");
        let python = folder.join("bin/python");
        if !python.exists() {
            let run = |program: &Path, arguments: &[&str]| -> Result<()> {
                let status = Command::new(program).args(arguments).status()?;
                match status.success() {
                    true => Ok(()),
                    false => Err(format!("{} {arguments:?} failed", program.display()).into()),
                }
            };
            let place = folder.display().to_string();
            run(Path::new("python3"), &["-m", "venv", &place])?;
            let wanted = queries.join("requirements.txt").display().to_string();
            run(&python, &["-m", "pip", "install", "--quiet", "-r", &wanted])?;
        }
        Ok(Self { python, queries })
    }

    fn query(&self, tpch: &Path, query: &str) -> Result<Usage> {
        let script = self.queries.join("duckdb_checks.py").display().to_string();
        let query = self.queries.join(query).display().to_string();
        measure(
            &self.python,
            &[&script, &tpch.display().to_string(), &query],
        )
    }
}
