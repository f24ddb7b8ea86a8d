//! What a check costs after a small change.

use std::path::Path;

use super::{GROUPING_RULES, SCAN_RULES, decoding, rules_of};
use crate::process::Usage;
use crate::table::Table;
use crate::{Result, data, median};

/// A check after one of 84 months was added, and after one was written anew, against a check of all.
pub(crate) fn incremental(lakegate: &Path, data: &Path, scale: f64, repeat: usize) -> Result<()> {
    let tpch = data::tpch(data, scale)?;
    let mut measured: Vec<Vec<f64>> = Vec::new();
    let what = [
        "all",
        "again, nothing changed",
        "after a month of 84 was appended",
        "after a month of 84 was written anew",
    ];
    let mut of_keys: Vec<Vec<f64>> = Vec::new();
    for _ in 0..repeat {
        let table = Table::new(data, "incremental")?;
        let publish = |condition: &str, settings: &str| {
            let rows = format!(
                "  - name: files\n    extract: {{ path: \"{}/*.parquet\", format: parquet }}\n  - name: rows\n    sql: {{ query: \"SELECT *, date_trunc('month', l_shipdate)::date AS month FROM files WHERE {condition}\" }}\n",
                tpch.join("lineitem").display()
            );
            table.publish(lakegate, "lineitem", &rows, settings)
        };
        let append = "mode: append, partition_by: [month]";
        let check = || table.check(lakegate, "lineitem", SCAN_RULES);
        publish("l_shipdate < DATE '1998-11-01'", append)?;
        let whole = table.check_anew(lakegate, "lineitem", SCAN_RULES)?;
        let again = check()?;
        publish("l_shipdate >= DATE '1998-11-01'", append)?;
        let appended = check()?;
        let replace = "mode: replace_where, replace_where: \"month = DATE '1995-03-01'\"";
        publish(
            "date_trunc('month', l_shipdate) = DATE '1995-03-01'",
            replace,
        )?;
        let rewritten = check()?;
        measured.push(processor(&[whole, again, appended, rewritten]));
        table.publish(
            lakegate,
            "orders",
            &crate::table::extract(&tpch.join("orders")),
            "mode: append",
        )?;
        let mut keys = Vec::new();
        for (_, rules, ..) in &GROUPING_RULES[..2] {
            keys.push(table.check(lakegate, "lineitem", &rules_of(rules))?);
        }
        of_keys.push(processor(&keys));
    }
    let median_of =
        |measured: &[Vec<f64>], at: usize| median(measured.iter().map(|round| round[at]).collect());
    let whole = median_of(&measured, 0);
    for (at, what) in what.iter().enumerate().skip(1) {
        let seconds = median_of(&measured, at);
        let wanted = if at == 1 { "reported" } else { "at most 0.03" };
        println!(
            "| check lineitem SF{scale} {what}, processor | {seconds:.2} s | all of it {whole:.2} s | {:.3} | {wanted} |",
            seconds / whole
        );
    }
    for (at, (name, _, _, columns)) in GROUPING_RULES[..2].iter().enumerate() {
        let (decoded, _) = decoding(&tpch.join("lineitem"), columns)?;
        let (seconds, decoded) = (median_of(&of_keys, at), decoded.cpu_seconds);
        println!(
            "| check lineitem SF{scale}, {name}, after an append, processor | {seconds:.2} s | decoding its columns {decoded:.2} s | {:.2} | reported |",
            seconds / decoded
        );
    }
    Ok(())
}

fn processor(usages: &[Usage]) -> Vec<f64> {
    usages.iter().map(|usage| usage.cpu_seconds).collect()
}
