//! What a thousand checks cost over a hundred columns.

use std::path::Path;

use super::{COLUMNS, SCAN_RULES, decoding};
use crate::table::Table;
use crate::{Result, data, median};

/// A kind of column: how many there are, what the nth one is in SQL over orders, and the checks of each.
const KINDS: &[(&str, usize, &str, [&str; 10])] = &[
    (
        "i",
        40,
        "o_orderkey * {n} % 100003",
        [
            "not_null",
            "min: { at_least: 0 }",
            "max: { at_most: 100002 }",
            "between: [0, 100002]",
            "mean: { at_least: 0 }",
            "stddev: { at_least: 0 }",
            "sum: { at_least: 0 }",
            "zeros: { at_least: 0 }",
            "range: { at_most: 100002 }",
            "approx_distinct: { at_least: 1 }",
        ],
    ),
    (
        "x",
        30,
        "(o_orderkey * {n} % 10007)::double / 7.0",
        [
            "not_null",
            "min: { at_least: 0 }",
            "max: { at_most: 1430 }",
            "between: [0, 1430]",
            "mean: { at_least: 0 }",
            "variance: { at_least: 0 }",
            "sum: { at_least: 0 }",
            "quantile: { name: median, at: 0.5, at_least: 0 }",
            "quantile: { name: p99, at: 0.99, at_least: 0 }",
            "skewness: { at_least: -9 }",
        ],
    ),
    (
        "t",
        20,
        "concat('value ', o_orderkey * {n} % 23)",
        [
            "not_null",
            "length: { max: 8 }",
            "min_length: { at_least: 7 }",
            "max_length: { at_most: 8 }",
            "mean_length: { at_least: 7 }",
            "matches: '^value [0-9]+$'",
            "approx_distinct: { at_least: 1 }",
            "min: { at_least: value }",
            "max: { at_most: value 9 }",
            "data_type: { is: text }",
        ],
    ),
    (
        "d",
        10,
        "o_orderdate + INTERVAL '{n} day'",
        [
            "not_null",
            "not_null: { name: late, where: o_orderkey > 100 }",
            "min: { at_least: 1992-01-01 }",
            "max: { at_most: 2001-01-01 }",
            "between: { min: 1992-01-01 }",
            "between: { name: late, min: 1992-01-01, where: o_orderkey > 100 }",
            "completeness: { at_least: 100% }",
            "approx_distinct: { at_least: 1 }",
            "max: { name: late, at_most: 2001-01-01, where: o_orderkey > 100 }",
            "min: { name: late, at_least: 1992-01-01, where: o_orderkey > 100 }",
        ],
    ),
];

/// A thousand checks over a hundred columns, against thirty over lineitem, each against decoding its columns.
pub(crate) fn wide(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let table = Table::new(data, "wide")?;
    let (mut columns, mut rules) = (vec!["o_orderkey".to_owned()], String::new());
    let mut names = vec!["o_orderkey".to_owned()];
    for (prefix, count, sql, checks) in KINDS {
        for n in 1..=*count {
            let name = format!("{prefix}{n}");
            columns.push(format!("{} AS {name}", sql.replace("{n}", &n.to_string())));
            rules.push_str(&format!("  {name}:\n"));
            checks
                .iter()
                .for_each(|check| rules.push_str(&format!("    - {check}\n")));
            names.push(name);
        }
    }
    let rules = format!("version: 1\ntable: bench.wide\ncolumns:\n{rules}");
    let stages = format!(
        "  - name: files\n    extract: {{ path: \"{}/*.parquet\", format: parquet }}\n  - name: rows\n    sql: {{ query: \"SELECT {} FROM files\" }}\n",
        tpch.join("orders").display(),
        columns.join(", ")
    );
    table.publish(lakegate, "wide", &stages, "mode: append")?;
    let lineitem = crate::table::extract(&tpch.join("lineitem"));
    table.publish(lakegate, "lineitem", &lineitem, "mode: append")?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, wide_bytes) = decoding(&table.data("wide"), &names)?;
    let (_, bytes) = decoding(&table.data("lineitem"), COLUMNS)?;
    let (mut thousand, mut thirty) = (Vec::new(), Vec::new());
    for round in 0..=repeat {
        let usages = [
            table.check_anew(lakegate, "wide", &rules)?,
            table.check_anew(lakegate, "lineitem", SCAN_RULES)?,
        ];
        if round > 0 {
            thousand.push(usages[0].cpu_seconds);
            thirty.push(usages[1].cpu_seconds);
        }
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let thousand = median(thousand) / gigabytes(wide_bytes);
    let thirty = median(thirty) / gigabytes(bytes);
    println!(
        "| 1,000 checks over 100 columns SF{scale}, processor a decoded GB | {thousand:.2} s | 30 checks {thirty:.2} s | {:.2} | at most 3.00 |",
        thousand / thirty
    );
    Ok(())
}
