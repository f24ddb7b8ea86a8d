//! Cases whose answer is more than a number: histograms, types, sketches, profiles, distances and scans.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::datasource::TableType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::{Value, json};

use super::case::{Case, Expected, is_close, unquoted};
use super::parse_any;
use crate::distance::{Compared, Distance};
use crate::finding::Measured;
use crate::frequencies::{Frequencies, FrequenciesOf, count_frequencies};
use crate::tests::{now, session, subject};
use crate::{ColumnProfile, ProfileOptions, profile};

type Answer = Result<(), String>;

fn equal(what: &str, found: f64, wanted: &Value) -> Answer {
    match wanted.as_f64() {
        Some(wanted) if is_close(found, wanted) => Ok(()),
        _ => Err(format!("{what}: wanted {wanted}, found {found}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Answer {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{what}: wanted {wanted:?}, found {found:?}")),
    }
}

/// The condition of a case as ours.
fn options(case: &Case) -> ProfileOptions {
    let options = ProfileOptions::default();
    match case.text("where") {
        "" => options,
        filter => options.with_condition(super::rule::dialect(filter)),
    }
}

/// The profile of the column, and the number of rows.
async fn profiled(
    case: &Case,
    rows: Arc<dyn TableProvider>,
    options: ProfileOptions,
) -> Result<(ColumnProfile, u64), String> {
    let column = unquoted(case.text("column")).to_owned();
    let options = options.with_columns(vec![column]);
    let profile = profile(&session(), rows, &options).await;
    let mut profile = profile.map_err(|e| e.to_string())?;
    let column = profile.columns.pop().ok_or("no column")?;
    Ok((column, profile.rows))
}

/// `DataType`: what the values look like.
pub(super) async fn types(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let profiled = profiled(case, rows, options(case)).await;
    if case.expected == Expected::Failure {
        return profiled.map_or(Ok(()), |_| Err("profiled".to_owned()));
    }
    let (column, rows) = profiled?;
    let found = type_counts(&column, rows);
    let values = case.value["values"].as_object().ok_or("no values")?;
    let total: f64 = values.values().filter_map(|v| v[0].as_f64()).sum();
    for (name, wanted) in values {
        let count = found(name)? as f64;
        equal(name, count, &wanted[0])?;
        equal(name, count / total, &wanted[1])?;
    }
    Ok(())
}

/// The counts of a profile by Deequ's names.
fn type_counts(column: &ColumnProfile, rows: u64) -> impl Fn(&str) -> Result<u64, String> {
    let nulls = column.nulls;
    let looks = column.looks_like.clone();
    let data_type = column.data_type.clone();
    let total = rows - nulls;
    move |name| {
        let of_type = match data_type.as_str() {
            "tinyint" | "smallint" | "int" | "bigint" => "Integral",
            "float" | "double" => "Fractional",
            "boolean" => "Boolean",
            decimal if decimal.starts_with("decimal") && decimal.ends_with(",0)") => "Integral",
            decimal if decimal.starts_with("decimal") => "Fractional",
            _ => "String",
        };
        Ok(match (name, &looks) {
            ("Unknown", _) => nulls,
            ("Integral", Some(looks)) => looks.integral,
            ("Fractional", Some(looks)) => looks.fractional,
            ("Boolean", Some(looks)) => looks.boolean,
            ("String", Some(looks)) => looks.text,
            (name, None) if name == of_type => total,
            ("Integral" | "Fractional" | "Boolean" | "String", None) => 0,
            (other, _) => return Err(format!("unknown type {other}")),
        })
    }
}

/// `Histogram`: how often each value occurs.
pub(super) async fn histogram(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let most = case.args["maxDetailBins"].as_u64().unwrap_or(1000) as usize;
    let accepted = ProfileOptions::default().with_top(most);
    if case.expected == Expected::Failure {
        let column = unquoted(case.text("column"));
        let is_there = rows.schema().column_with_name(column).is_some();
        return match accepted.is_err() || !is_there {
            true => Ok(()),
            false => Err("accepted".to_owned()),
        };
    }
    accepted.map_err(|e| e.to_string())?;
    let of = FrequenciesOf {
        column: unquoted(case.text("column")).to_owned(),
        most,
    };
    let found = frequencies(case, rows, &of).await?;
    holds_histogram(case, &found)
}

async fn frequencies(
    case: &Case,
    rows: Arc<dyn TableProvider>,
    of: &FrequenciesOf,
) -> Result<Frequencies, String> {
    let session = session();
    let filter = match case.text("where") {
        "" => None,
        sql => {
            let schema = datafusion::common::DFSchema::try_from(rows.schema()).unwrap();
            let sql = super::rule::dialect(sql);
            let parameters = crate::fragment::Parameters::default();
            let condition = crate::fragment::condition(&session, &sql, &schema, &parameters);
            Some(condition.map_err(|trouble| trouble.message)?)
        }
    };
    let rows = session.read_table(rows).map_err(|e| e.to_string())?;
    let counted = count_frequencies(rows, of, filter.as_ref()).await;
    counted.map_err(|trouble| trouble.message)
}

fn holds_histogram(case: &Case, found: &Frequencies) -> Answer {
    let wanted = &case.value;
    let name = |value: &Option<String>| value.clone().unwrap_or_else(|| "NullValue".to_owned());
    let keys: Vec<String> = found.top.iter().map(|f| name(&f.value)).collect();
    let amount = |key: &str| {
        let place = keys.iter().position(|known| known == key);
        place
            .map(|place| found.top[place].amount)
            .ok_or(format!("no value {key}"))
    };
    let bins = found.distinct + u64::from(found.nulls > 0);
    if !wanted["numberOfBins"].is_null() {
        equal("numberOfBins", bins as f64, &wanted["numberOfBins"])?;
    }
    if !wanted["valuesSize"].is_null() {
        equal("valuesSize", keys.len() as f64, &wanted["valuesSize"])?;
    }
    let names = |key: &str| -> Option<Vec<String>> {
        let names = wanted[key].as_array()?.iter();
        Some(
            names
                .filter_map(|n| n.as_str().map(str::to_owned))
                .collect(),
        )
    };
    if let Some(mut wanted) = names("keys") {
        let mut keys = keys.clone();
        keys.sort();
        wanted.sort();
        same("keys", &keys, &wanted)?;
    }
    if let Some(wanted) = names("orderedKeys") {
        same("orderedKeys", &keys, &wanted)?;
    }
    if let Some(wanted) = names("orderedKeysPrefix") {
        let prefix = keys[..wanted.len().min(keys.len())].to_vec();
        same("orderedKeysPrefix", &prefix, &wanted)?;
    }
    let total: f64 = match case.args["computeFrequenciesAsRatio"].as_bool() {
        Some(false) => 1.0,
        _ => found.rows as f64,
    };
    for (key, wanted) in wanted["values"].as_object().into_iter().flatten() {
        equal(key, amount(key)?, &wanted[0])?;
        equal(key, amount(key)? / total, &wanted[1])?;
    }
    for (key, wanted) in wanted["ratios"].as_object().into_iter().flatten() {
        equal(key, amount(key)? / total, wanted)?;
    }
    for (key, wanted) in wanted["absolute"].as_object().into_iter().flatten() {
        equal(key, amount(key)?, wanted)?;
    }
    if !wanted["tailCount"].is_null() {
        let shown: f64 = found.top.iter().map(|f| f.amount).sum();
        equal("tailCount", found.rows as f64 - shown, &wanted["tailCount"])?;
    }
    Ok(())
}

/// `HistogramBinned`: how many numbers lie between edges.
pub(super) async fn binned(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let column = unquoted(case.text("column"));
    let given = case.args["customEdges"].as_array();
    let edges: Vec<f64> = match given {
        Some(edges) => edges.iter().filter_map(Value::as_f64).collect(),
        None => {
            let bins = case.args["binCount"].as_u64().unwrap_or(10) as usize;
            let options = options(case).with_bins(bins).map_err(|e| e.to_string())?;
            let (profiled, _) = profiled(case, Arc::clone(&rows), options).await?;
            let histogram = profiled.numbers.ok_or("no numbers")?.histogram;
            let from = histogram.first().map(|bin| bin.from);
            from.into_iter()
                .chain(histogram.iter().map(|bin| bin.to))
                .collect()
        }
    };
    let wanted = &case.value;
    if edges.is_empty() {
        let (profiled, _) = profiled(case, rows, options(case)).await?;
        equal("numberOfBins", 0.0, &wanted["numberOfBins"])?;
        return equal("nullCount", profiled.nulls as f64, &wanted["nullCount"]);
    }
    let shares = vec![1; edges.len() - 1];
    let mut settings = json!({"edges": edges, "shares": shares, "at_most": 1e9});
    if let Some(filter) = case.args["where"].as_str() {
        settings["where"] = super::rule::dialect(filter).into();
    }
    let rules = json!({ column: [{ "distribution": settings }] });
    let suite = crate::Suite::parse(
        "rules.yaml",
        &json!({"version": 1, "columns": rules}).to_string(),
    );
    let suite = suite.map_err(|problems| problems.to_string())?;
    let Measured::Bins { rows, bins } = measure(&suite, rows).await? else {
        return Err("no bins".to_owned());
    };
    if let Some(wanted) = wanted["edges"].as_array() {
        for (found, wanted) in edges.iter().zip(wanted) {
            equal("edge", *found, wanted)?;
        }
        same("edges", &edges.len(), &wanted.len())?;
    }
    if let Some(wanted) = wanted["frequency"].as_array() {
        let wanted: Vec<u64> = wanted.iter().filter_map(Value::as_u64).collect();
        same("frequency", &bins.counts, &wanted)?;
    }
    if !wanted["numberOfBins"].is_null() {
        equal(
            "numberOfBins",
            bins.counts.len() as f64,
            &wanted["numberOfBins"],
        )?;
    }
    if !wanted["nullCount"].is_null() {
        equal("nullCount", bins.nulls as f64, &wanted["nullCount"])?;
    }
    if !wanted["ratioDenominator"].is_null() {
        equal("ratioDenominator", rows as f64, &wanted["ratioDenominator"])?;
    }
    Ok(())
}

/// What the only check of a suite measures.
async fn measure(suite: &crate::Suite, rows: Arc<dyn TableProvider>) -> Result<Measured, String> {
    let session = session();
    let planner =
        crate::plan::Planner::new(&session, &rows.schema(), suite.parameters.clone(), now());
    let planner = planner.map_err(|trouble| trouble.message)?;
    let (filter, work) = crate::run::plan_check(&suite.checks[0], &planner).await;
    let mut scan = crate::scan::Scan::default();
    let work = work.map_err(|trouble| trouble.message)?;
    scan.add_work(&work, &rows.schema(), filter.as_ref(), false);
    let rows = crate::scan::Rows {
        table: &rows,
        parts: None,
    };
    let measured = scan
        .run(&session, rows, None)
        .await
        .map_err(|t| t.message)?;
    let first = measured
        .measured
        .into_iter()
        .next()
        .ok_or("nothing measured")?;
    first.map_err(|trouble| trouble.message)
}

/// `KLLSketch`: the buckets of the sketch.
pub(super) async fn sketch(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let bins = case.args["numberOfBuckets"].as_u64().unwrap_or(100) as usize;
    let options = options(case).with_bins(bins);
    if case.expected == Expected::Failure {
        let Ok(options) = options else {
            return Ok(());
        };
        return match profiled(case, rows, options).await?.0.numbers {
            None => Ok(()),
            Some(_) => Err("accepted".to_owned()),
        };
    }
    let (column, _) = profiled(case, rows, options.map_err(|e| e.to_string())?).await?;
    let histogram = column.numbers.ok_or("no numbers")?.histogram;
    let buckets = case.value["buckets"].as_array().ok_or("no buckets")?;
    same("buckets", &histogram.len(), &buckets.len())?;
    for (found, wanted) in histogram.iter().zip(buckets) {
        equal("low", found.from, &wanted[0])?;
        equal("high", found.to, &wanted[1])?;
        equal("count", found.rows as f64, &wanted[2])?;
    }
    Ok(())
}

/// `ColumnProfiler`: what a profile says.
pub(super) async fn column_profile(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let (column, rows) = profiled(case, rows, options(case)).await?;
    let wanted = &case.value;
    let types = type_counts(&column, rows);
    let inferred = match &column.looks_like {
        Some(looks) => match looks.inferred {
            Some("integral") => "Integral",
            Some("fractional") => "Fractional",
            Some("boolean") => "Boolean",
            Some(_) => "String",
            None => "Unknown",
        },
        None => ["Integral", "Fractional", "Boolean", "String"]
            .into_iter()
            .find(|name| types(name).is_ok_and(|count| count > 0))
            .unwrap_or("Unknown"),
    };
    for (key, wanted) in wanted.as_object().into_iter().flatten() {
        let numbers = || column.numbers.as_ref().ok_or("no numbers");
        let number = |found: Option<f64>| equal(key, found.unwrap_or(f64::NAN), wanted);
        match key.as_str() {
            "type" => {
                let is_text = wanted == "StringColumnProfile";
                let is_number = wanted == "NumericColumnProfile";
                if is_number != column.numbers.is_some() || is_text && column.numbers.is_some() {
                    return Err(format!("wanted {wanted}"));
                }
            }
            "completeness" => number(column.completeness)?,
            "approximateNumDistinctValues" => number(column.distinct.map(|d| d as f64))?,
            "dataType" => same(key, &json!(inferred), wanted)?,
            // Our types are inferred where the column is text.
            "isDataTypeInferred" => {
                same(key, &json!(column.looks_like.is_some()), wanted)?;
            }
            "typeCounts" => {
                for (name, wanted) in wanted.as_object().into_iter().flatten() {
                    equal(name, types(name)? as f64, wanted)?;
                }
            }
            // The most frequent values are always there, and counted whole while there are few.
            "histogram" if wanted.is_null() => {}
            "histogram" => {
                for (name, wanted) in wanted.as_object().into_iter().flatten() {
                    let rows = match name.as_str() {
                        "NullValue" => Some(column.nulls),
                        name => column.top.iter().find(|t| t.value == *name).map(|t| t.rows),
                    };
                    let wanted = if wanted.is_array() {
                        &wanted[0]
                    } else {
                        wanted
                    };
                    equal(name, rows.ok_or(format!("no value {name}"))? as f64, wanted)?;
                }
            }
            // Deequ's profiler takes a null for an empty text here.
            "minLength" => {
                let lengths = column.lengths.ok_or("no lengths")?;
                let min = if column.nulls > 0 { 0 } else { lengths.min };
                equal(key, min as f64, wanted)?;
            }
            "maxLength" => number(column.lengths.map(|lengths| lengths.max as f64))?,
            "mean" => number(numbers()?.mean)?,
            "maximum" | "max" => number(numbers()?.max)?,
            "minimum" | "min" => number(numbers()?.min)?,
            "range" => number(numbers()?.range)?,
            "sum" => number(numbers()?.sum)?,
            "stdDev" => number(numbers()?.stddev)?,
            "variance" => number(numbers()?.variance)?,
            "skewness" => number(numbers()?.skewness)?,
            "kurtosis" => number(numbers()?.kurtosis)?,
            "zerosCount" => number(Some(numbers()?.zeros as f64))?,
            "interquartileRange" | "iqr" => number(numbers()?.interquartile_range)?,
            other => return Err(format!("nothing is known of {other}")),
        }
    }
    Ok(())
}

/// `Distance`: how far two samples are from each other.
pub(super) fn distance(case: &Case) -> Answer {
    let (observed, expected) = samples(case).ok_or("samples of another form")?;
    let name = case.analyzer.to_lowercase();
    let distance = if name.contains("psi") || name.contains("stability") {
        Distance::Psi
    } else if name.contains("chi") {
        Distance::ChiSquare
    } else {
        Distance::LInfinity
    };
    match distance.between(&observed, &expected) {
        Compared::Distance(found) => equal("distance", found, &case.value),
        other => Err(format!("wanted {}, found {other:?}", case.value)),
    }
}

/// The numbers of both samples, category by category, or value by value in their order.
fn samples(case: &Case) -> Option<(Vec<f64>, Vec<f64>)> {
    let table = &case.table;
    let (one, two) = (table["sample1"].as_object(), table["sample2"].as_object());
    if let (Some(one), Some(two)) = (one, two) {
        let keys: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
        let of = |sample: &serde_json::Map<String, Value>, key: &str| {
            sample.get(key).and_then(Value::as_f64).unwrap_or(0.0)
        };
        let observed = keys.iter().map(|key| of(one, key)).collect();
        let expected = keys.iter().map(|key| of(two, key)).collect();
        return Some((observed, expected));
    }
    // A value of a higher level stands for twice as many.
    let weighted = |sketch: &Value| -> Option<Vec<(f64, f64)>> {
        let mut values = Vec::new();
        for (level, items) in sketch.as_array()?.iter().enumerate() {
            let weight = f64::from(1_u32 << level);
            let items = items.as_array()?.iter().filter_map(Value::as_f64);
            values.extend(items.map(|value| (value, weight)));
        }
        Some(values)
    };
    let (one, two) = (weighted(&table["sketch1"])?, weighted(&table["sketch2"])?);
    let mut keys: Vec<f64> = one.iter().chain(&two).map(|(value, _)| *value).collect();
    keys.sort_by(f64::total_cmp);
    keys.dedup();
    let of = |sample: &[(f64, f64)], key: f64| {
        let weights = sample.iter().filter(|(value, _)| *value == key);
        weights.map(|(_, weight)| weight).sum()
    };
    let observed = keys.iter().map(|key| of(&one, *key)).collect();
    let expected = keys.iter().map(|key| of(&two, *key)).collect();
    Some((observed, expected))
}

/// A table that counts how often it is scanned.
#[derive(Debug)]
struct Counted {
    rows: Arc<dyn TableProvider>,
    scans: AtomicUsize,
}

#[async_trait]
impl TableProvider for Counted {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        self.rows.scan(state, projection, filters, limit).await
    }
}

/// `AnalysisRunner`: how many passes several metrics need. Fewer than Deequ's are better.
pub(super) async fn passes(case: &Case, rows: Arc<dyn TableProvider>) -> Answer {
    let asked = case.args["analyzers"].as_array().ok_or("no analyzers")?;
    let checks: Vec<Value> = asked
        .iter()
        .map(|analyzer| check_of(case, analyzer.as_str().unwrap_or_default()))
        .collect::<Option<_>>()
        .ok_or("an unknown analyzer")?;
    let count = async |checks: &[Value]| {
        let counted = Arc::new(Counted {
            rows: Arc::clone(&rows),
            scans: AtomicUsize::new(0),
        });
        let mut rules = json!({"version": 1, "columns": {}, "table_checks": []});
        for (place, check) in checks.iter().enumerate() {
            add_rules(&mut rules, check, place);
        }
        let suite = parse_any(&rules.to_string()).unwrap();
        let provider = Arc::clone(&counted) as Arc<dyn TableProvider>;
        crate::judge(&suite, &subject(&session(), provider)).await;
        counted.scans.load(Ordering::Relaxed)
    };
    let combined = count(&checks).await;
    let mut separate = 0;
    for check in &checks {
        separate += count(std::slice::from_ref(check)).await;
    }
    let at_most = |what: &str, found: usize| match case.value[what].as_u64() {
        Some(wanted) if found as u64 <= wanted => Ok(()),
        wanted => Err(format!("{what}: wanted {wanted:?}, found {found}")),
    };
    at_most("jobsCombined", combined)?;
    at_most("jobsSeparate", separate)
}

/// The rule file that asks for `Entropy(att1)`, `Distinctness(att1,att2)` or `Mean(att1) where x > 0`.
fn check_of(case: &Case, analyzer: &str) -> Option<Value> {
    let (call, filter) = analyzer.split_once(" where ").unwrap_or((analyzer, ""));
    let (name, rest) = call.split_once('(').unwrap_or((call, ""));
    let columns: Vec<&str> = rest
        .trim_end_matches(')')
        .split(',')
        .map(str::trim)
        .collect();
    let asked = Case {
        kind: "analyzer".to_owned(),
        analyzer: name.to_owned(),
        args: json!({"column": columns.first()?, "columns": columns, "where": filter}),
        ..case.clone()
    };
    serde_json::from_str(&super::rule::of(&asked)?.yaml).ok()
}

/// Adds the checks of a rule file to another, under names of their own.
fn add_rules(rules: &mut Value, other: &Value, place: usize) {
    let named = |check: &Value| {
        let mut check = check.clone();
        let settings = check
            .as_object_mut()
            .and_then(|check| check.values_mut().next());
        if let Some(settings) = settings {
            settings["name"] = format!("number_{place}").into();
        }
        check
    };
    for check in other["table_checks"].as_array().into_iter().flatten() {
        let checks = rules["table_checks"].as_array_mut();
        checks.unwrap().push(named(check));
    }
    for (column, checks) in other["columns"].as_object().into_iter().flatten() {
        let known = &mut rules["columns"][column];
        if known.is_null() {
            *known = json!([]);
        }
        let checks = checks.as_array().into_iter().flatten().map(named);
        known.as_array_mut().unwrap().extend(checks);
    }
}
