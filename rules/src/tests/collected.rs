//! Rows that were measured while they were written: judged as if they had been read, without being read.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use super::properties::{Row, YAML, batch, row};
use super::{parse, provider, session, subject};
use crate::{CheckResult, Collected, Collector, Subject, Verdict, judge};

/// Measures parts of rows, each in batches of its own.
async fn collected(
    session: &SessionContext,
    yaml: &str,
    parts: &[Vec<RecordBatch>],
    schema: &SchemaRef,
) -> Arc<Collector> {
    let collector = Collector::new(&parse(yaml), session, schema).await;
    let collector = Arc::new(collector.unwrap().unwrap());
    for part in parts {
        let mut collecting = Arc::clone(&collector).begin();
        part.iter().for_each(|rows| collecting.observe(rows));
        collecting.finish();
    }
    collector
}

async fn judged(subject: &Subject, yaml: &str) -> Vec<CheckResult> {
    let mut checks = judge(&parse(yaml), subject).await.checks;
    for check in &mut checks {
        check.elapsed_ms = 0;
        check.source.clear();
        // Sums of floating-point numbers depend on the order a little.
        check.metric = check.metric.map(|metric| (metric * 1e9).round() / 1e9);
        check.distance = None;
        if let Ok(number) = check.observed.parse::<f64>() {
            check.observed = format!("{number:.9}");
        }
    }
    checks
}

/// The results over some rows, of which those before `cut` were measured beforehand, in two parts.
async fn results(
    rows: &[Row],
    cut: usize,
    parted_at: usize,
) -> (Vec<CheckResult>, Vec<CheckResult>) {
    let session = session();
    let schema = batch(&[]).schema();
    let all = |rows: &[Row]| provider(&schema, vec![vec![batch(rows)]]);
    let mut subject = subject(&session, all(rows));
    let read = judged(&subject, YAML).await;
    let parts = [
        vec![batch(&rows[..parted_at])],
        vec![batch(&rows[parted_at..cut]), batch(&[])],
    ];
    subject.collected = Some(Collected {
        collector: collected(&session, YAML, &parts, &schema).await,
        rest: (cut < rows.len()).then(|| all(&rows[cut..])),
        rest_parts: None,
        part: None,
    });
    (read, judged(&subject, YAML).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn collected_rows_are_judged_as_if_they_were_read(
        rows in proptest::collection::vec(row(), 0..40),
        cut in 0usize..41,
        parted_at in 0usize..41,
    ) {
        let cut = cut.min(rows.len());
        let parted_at = parted_at.min(cut);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (read, collected) = runtime.block_on(results(&rows, cut, parted_at));
        prop_assert_eq!(read, collected);
    }
}

const SCAN_ONLY: &str = "columns: {n: [not_null, {max: {at_most: 3}}, {between: [1, 3]}]}\n";

/// Twice the rows 1 and 2, and a candidate that seems to have none: what is found is what was collected.
async fn collected_over_nothing(schema: &SchemaRef, candidate: Arc<dyn TableProvider>) -> Subject {
    let session = session();
    let rows = batch(&[(Some(1), None, None), (Some(2), None, None)]);
    let parts = [vec![rows.clone()], vec![rows]];
    let mut subject = subject(&session, candidate);
    subject.collected = Some(Collected {
        collector: collected(&session, SCAN_ONLY, &parts, schema).await,
        rest: None,
        rest_parts: None,
        part: None,
    });
    subject
}

fn no_rows(schema: &SchemaRef) -> Arc<dyn TableProvider> {
    Arc::new(EmptyTable::new(Arc::clone(schema)))
}

#[tokio::test]
async fn collected_rows_are_not_read_again() {
    let schema = batch(&[]).schema();
    let subject = collected_over_nothing(&schema, no_rows(&schema)).await;
    let report = judge(&parse(SCAN_ONLY), &subject).await;
    assert_eq!(report.rows, Some(4));
    assert_eq!(report.checks[0].rows, Some(4), "{:?}", report.checks[0]);
    assert_eq!(report.checks[1].observed, "2");
    assert_eq!(report.checks[1].verdict, Verdict::Pass);
    assert_eq!(report.checks[2].rows, Some(4), "{:?}", report.checks[2]);
}

#[tokio::test]
async fn what_was_not_collected_is_read() {
    let schema = batch(&[]).schema();
    let candidate = provider(&schema, vec![vec![batch(&[(Some(7), None, None)])]]);
    let subject = collected_over_nothing(&schema, candidate).await;
    let more = "columns: {n: [not_null, {min: {at_least: 3}}]}\n";
    let report = judge(&parse(more), &subject).await;
    assert_eq!(report.checks[0].rows, Some(4), "{:?}", report.checks[0]);
    assert_eq!(report.checks[1].observed, "7");
}

#[tokio::test]
async fn rows_with_other_columns_do_not_count_as_collected() {
    let schema = batch(&[]).schema();
    let narrow = Field::new("n", DataType::Int32, true);
    let others = schema.fields().iter().skip(1).map(|f| f.as_ref().clone());
    let fields: Vec<Field> = std::iter::once(narrow).chain(others).collect();
    let other: SchemaRef = Arc::new(Schema::new(fields));
    let subject = collected_over_nothing(&schema, no_rows(&other)).await;
    let report = judge(&parse(SCAN_ONLY), &subject).await;
    assert_eq!(report.rows, Some(0));
}

#[tokio::test]
async fn time_of_the_commit_is_not_collected() {
    let checks = "table_checks: [row_count: {at_least: 1, where: \":commit_time > TIMESTAMP '2020-01-01'\"}]\n";
    let session = session();
    let schema = batch(&[]).schema();
    let collector = Collector::new(&parse(checks), &session, &schema).await;
    assert!(collector.unwrap().is_none());
    let checks = "columns: {n: [{between: {max: \":commit_time\"}}]}\n";
    let collector = Collector::new(&parse(checks), &session, &moments()).await;
    assert!(collector.unwrap().is_none());
}

fn moments() -> SchemaRef {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![Field::new("n", micros, true)]))
}

#[tokio::test]
async fn values_under_a_null_struct_are_not_collected() {
    let session = session();
    let field = Field::new("city", DataType::Utf8, true);
    let structs = DataType::Struct(vec![field].into());
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("address", structs, true),
    ]));
    for of_address in [
        "table_checks: [{row_count: {at_most: 0, where: \"address['city'] IS NULL\"}}]\n",
        "columns: {n: [{min: {at_least: 0, where: \"address['city'] = 'Bern'\"}}]}\n",
        "columns: {address: [not_null]}\n",
    ] {
        let collector = Collector::new(&parse(of_address), &session, &schema).await;
        assert!(collector.unwrap().is_none(), "{of_address}");
    }
}
