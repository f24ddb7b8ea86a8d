//! What rules cost a publish, and how much memory a large one takes.

use std::path::{Path, PathBuf};

use crate::process::{Usage, measure};
use crate::{Result, data, median};

/// Twenty checks over lineitem that a scan answers.
const SCAN_RULES: &str = "version: 1
table: bench.lineitem
columns:
  l_orderkey: [not_null, { between: { min: 1 } }]
  l_partkey: [not_null]
  l_suppkey: [{ min: { at_least: 1 } }]
  l_linenumber: [{ between: [1, 7] }]
  l_quantity: [{ between: [1, 50] }, { mean: { between: [20, 30] } }, { sum: { at_least: 1 } }]
  l_extendedprice: [{ between: { min: 0 } }, { stddev: { at_least: 1 } }, { max: { at_most: 1000000 } }]
  l_discount: [{ between: [0, 0.1] }]
  l_tax: [{ completeness: { at_least: 99% } }]
  l_returnflag: [{ one_of: [A, N, R] }]
  l_linestatus: [{ one_of: [O, F] }]
  l_shipdate: [{ between: { min: 1992-01-01, max: 1999-12-31 } }]
  l_receiptdate: [not_null, { compare: { operator: \">=\", column: l_shipdate } }]
  l_shipmode: [{ one_of: [REG AIR, AIR, RAIL, SHIP, TRUCK, MAIL, FOB] }]
  l_comment: [{ length: { max: 44 } }]
table_checks:
  - row_count: { at_least: 1000 }
";

/// Unique keys and look-ups, which need a group-by and a join.
const GROUPING_RULES: &str = "version: 1
table: bench.lineitem
columns:
  l_orderkey: [{ exists_in: { table: bench.orders, column: o_orderkey } }]
table_checks:
  - unique_key: [l_orderkey, l_linenumber]
";

/// The columns of lineitem in a CSV file.
const LINEITEM_SCHEMA: &str = "version: 1
columns:
  - { name: l_orderkey, type: bigint }
  - { name: l_partkey, type: bigint }
  - { name: l_suppkey, type: bigint }
  - { name: l_linenumber, type: int }
  - { name: l_quantity, type: \"decimal(15,2)\" }
  - { name: l_extendedprice, type: \"decimal(15,2)\" }
  - { name: l_discount, type: \"decimal(15,2)\" }
  - { name: l_tax, type: \"decimal(15,2)\" }
  - { name: l_returnflag, type: string }
  - { name: l_linestatus, type: string }
  - { name: l_shipdate, type: date }
  - { name: l_commitdate, type: date }
  - { name: l_receiptdate, type: date }
  - { name: l_shipinstruct, type: string }
  - { name: l_shipmode, type: string }
  - { name: l_comment, type: string }
";

struct Project {
    folder: PathBuf,
}

impl Project {
    fn new(data: &Path, name: &str, tpch: &Path) -> Result<Self> {
        let folder = data.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join("pipelines"))?;
        std::fs::create_dir_all(folder.join("checks"))?;
        std::fs::write(folder.join("lakegate.yaml"), "version: 1\nproject: bench\n")?;
        std::fs::write(folder.join("checks/scan.yaml"), SCAN_RULES)?;
        std::fs::write(folder.join("checks/grouping.yaml"), GROUPING_RULES)?;
        let project = Self { folder };
        project.pipeline("orders", &tpch.join("orders"), "bench.orders", None)?;
        let lineitem = tpch.join("lineitem");
        project.pipeline("plain", &lineitem, "bench.lineitem", None)?;
        project.pipeline(
            "scan",
            &lineitem,
            "bench.lineitem",
            Some("checks/scan.yaml"),
        )?;
        project.pipeline(
            "grouping",
            &lineitem,
            "bench.lineitem",
            Some("checks/grouping.yaml"),
        )?;
        Ok(project)
    }

    fn pipeline(&self, name: &str, source: &Path, table: &str, rules: Option<&str>) -> Result<()> {
        let rules = rules
            .map(|file| format!(", rules: {file}"))
            .unwrap_or_default();
        let text = format!(
            "version: 1\npipeline: {name}\nstages:\n  - name: rows\n    extract: {{ path: \"{}/*.parquet\", format: parquet }}\n  - name: publish_rows\n    publish: {{ view: rows, table: {table}, mode: append{rules} }}\n",
            source.display()
        );
        std::fs::write(self.folder.join(format!("pipelines/{name}.yaml")), text)?;
        Ok(())
    }

    fn run(&self, lakegate: &Path, pipeline: &str) -> Result<Usage> {
        let folder = self.folder.display().to_string();
        measure(lakegate, &["-C", &folder, "run", pipeline])
    }

    fn forget(&self, table: &str) -> Result<()> {
        for folder in [
            self.folder.join(format!("warehouse/bench/{table}")),
            self.folder.join(".lakegate"),
        ] {
            if folder.exists() {
                std::fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }
}

/// Publishes without rules, with twenty scan checks, and with keys and look-ups, in turns.
pub(crate) fn overhead(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let mut seconds: [Vec<f64>; 3] = Default::default();
    let mut processor: [Vec<f64>; 3] = Default::default();
    for round in 0..=repeat {
        for (place, pipeline) in ["plain", "scan", "grouping"].into_iter().enumerate() {
            let project = Project::new(data, "publish", &tpch)?;
            if pipeline == "grouping" {
                project.run(lakegate, "orders")?;
            }
            let usage = project.run(lakegate, pipeline)?;
            project.forget("lineitem")?;
            // The first round warms the page cache.
            if round > 0 {
                seconds[place].push(usage.seconds);
                processor[place].push(usage.cpu_seconds);
            }
        }
    }
    let [plain, scan, grouping] = seconds.map(median);
    let [plain_cpu, scan_cpu, grouping_cpu] = processor.map(median);
    row(
        &format!("publish lineitem SF{scale}, 20 scan checks, time"),
        scan,
        plain,
        "at most 1.10",
    );
    row(
        &format!("publish lineitem SF{scale}, 20 scan checks, processor"),
        scan_cpu,
        plain_cpu,
        "",
    );
    row(
        &format!("publish lineitem SF{scale}, unique key and look-up, time"),
        grouping,
        plain,
        "reported",
    );
    row(
        &format!("publish lineitem SF{scale}, unique key and look-up, processor"),
        grouping_cpu,
        plain_cpu,
        "reported",
    );
    Ok(())
}

fn row(what: &str, measured: f64, against: f64, wanted: &str) {
    println!(
        "| {what} | {measured:.2} s | without rules {against:.2} s | {:.2} | {wanted} |",
        measured / against
    );
}

/// Publishes a table that is larger than the memory it may take.
pub(crate) fn memory(lakegate: &Path, data: &Path, scale: f64) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let project = Project::new(data, "memory", &tpch)?;
    let usage = project.run(lakegate, "scan")?;
    project.forget("lineitem")?;
    let limit = 2.0;
    let peak = gibibytes(usage.peak_bytes as f64);
    println!(
        "| publish lineitem SF{scale}, 20 scan checks, most memory ({:.0} s) | {peak:.2} GiB | {limit:.2} GiB | {:.2} | at most 1.00 |",
        usage.seconds,
        peak / limit
    );
    Ok(())
}

/// Publishes a CSV file that is larger than the memory it may take.
pub(crate) fn memory_of_csv(lakegate: &Path, data: &Path, scale: f64) -> Result<()> {
    let csv = data::lineitem_csv(data, scale)?;
    let folder = data.join("memory-of-csv");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(folder.join("pipelines"))?;
    std::fs::create_dir_all(folder.join("schemas"))?;
    std::fs::write(folder.join("lakegate.yaml"), "version: 1\nproject: bench\n")?;
    std::fs::write(folder.join("schemas/lineitem.yaml"), LINEITEM_SCHEMA)?;
    let pipeline = format!(
        "version: 1\npipeline: csv\nstages:\n  - name: raw\n    extract: {{ path: \"{}\", format: csv }}\n  - name: typed\n    type: {{ view: raw, schema: schemas/lineitem.yaml }}\n  - name: publish_rows\n    publish: {{ view: typed, table: bench.lineitem, mode: append }}\n",
        csv.display()
    );
    std::fs::write(folder.join("pipelines/csv.yaml"), pipeline)?;
    let project = Project { folder };
    let usage = project.run(lakegate, "csv")?;
    project.forget("lineitem")?;
    let input = std::fs::metadata(&csv)?.len() as f64;
    let (peak, input) = (gibibytes(usage.peak_bytes as f64), gibibytes(input));
    println!(
        "| publish lineitem SF{scale} from one CSV file, typed, most memory ({:.0} s) | {peak:.2} GiB | the file {input:.2} GiB | {:.2} | reported |",
        usage.seconds,
        peak / input
    );
    Ok(())
}

fn gibibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 30)
}

/// A project whose `bench.lineitem` is published, for look-ups.
pub(crate) fn published(lakegate: &Path, data: &Path, scale: f64) -> Result<PathBuf> {
    let tpch = data::tpch(data, scale)?;
    let project = Project::new(data, "lookup", &tpch)?;
    project.run(lakegate, "plain")?;
    Ok(project.folder)
}
