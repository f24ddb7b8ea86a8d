//! What cannot be evaluated is an error, never a panic and never a pass.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Expr, TableType, Volatility, create_udf};
use datafusion::physical_plan::ExecutionPlan;

use super::{judge_sql, judge_subject, now, orders, parse, provider, register, session, subject};
use crate::{Suite, Verdict};

#[tokio::test]
async fn failing_expression_spoils_its_own_check_only() {
    let yaml = "columns:\n  order_id:\n    - not_null: {where: '1 / (order_id - 1) >= 0'}\n    - not_null\n";
    let results = judge_subject(&orders().await, yaml).await;
    assert_eq!(results[0].verdict, Verdict::Error, "{results:?}");
    assert!(
        results[0]
            .message
            .as_deref()
            .unwrap()
            .to_lowercase()
            .contains("divide by zero")
    );
    assert_eq!(results[1].verdict, Verdict::Pass);
}

#[tokio::test]
async fn panic_in_an_expression_is_an_error() {
    let subject = orders().await;
    subject.session.register_udf(create_udf(
        "explode",
        vec![DataType::Int64],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(|_: &[ColumnarValue]| panic!("boom")),
    ));
    let yaml = "columns:\n  order_id:\n    - not_null: {where: explode(order_id)}\n    - unique: {where: explode(order_id)}\n    - not_null\ntable_checks:\n  - sql: {expect: no_rows, query: SELECT explode(order_id) FROM silver.orders}\n";
    let results = judge_subject(&subject, yaml).await;
    for result in [&results[0], &results[1], &results[3]] {
        assert_eq!(result.verdict, Verdict::Error, "{result:?}");
        assert!(
            result.message.as_deref().unwrap().contains("boom"),
            "{result:?}"
        );
    }
    assert_eq!(results[2].verdict, Verdict::Pass);
}

#[derive(Debug)]
struct Broken(SchemaRef);

#[async_trait]
impl TableProvider for Broken {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Execution("the disk is gone".to_owned()))
    }
}

#[tokio::test]
async fn unreadable_rows_are_an_error() {
    let session = session();
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let candidate = register(&session, "orders", Arc::new(Broken(schema)));
    let yaml = "columns:\n  x: [not_null, unique, mean: {at_least: 1}]\ntable_checks:\n  - row_count: {at_least: 0}\n  - sql: {expect: no_rows, query: SELECT x FROM silver.orders}\n";
    for result in judge_subject(&subject(&session, candidate), yaml).await {
        assert_eq!(result.verdict, Verdict::Error, "{result:?}");
        assert!(
            result
                .message
                .as_deref()
                .unwrap()
                .contains("the disk is gone"),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn queries_only_read() {
    for query in [
        "DROP TABLE silver.orders",
        "INSERT INTO silver.orders SELECT * FROM silver.orders",
        "SELECT 1; SELECT 2",
        "COPY silver.orders TO 'x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN SELECT 1",
        "",
    ] {
        let text = format!(
            "version: 1\ntable_checks:\n  - sql: {{expect: no_rows, query: \"{query}\"}}\n"
        );
        Suite::parse("r.yaml", &text).unwrap_err();
    }
}

/// Judges on a thread with the stack that a worker of the program has.
fn judge_on_a_worker(yaml: String) -> Vec<crate::CheckResult> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(64 << 20)
        .build()
        .unwrap();
    let judged = async move { judge_subject(&orders().await, &yaml).await };
    runtime.block_on(runtime.spawn(judged)).unwrap()
}

#[test]
fn long_chains_of_conditions_are_judged_or_refused_and_never_overflow_the_stack() {
    let chain = |terms: usize| vec!["order_id = 1"; terms].join(" OR ");
    let yaml = |terms: usize| {
        let chain = chain(terms);
        format!(
            "columns:\n  order_id:\n    - not_null: {{where: {chain}}}\n    - unique: {{where: {chain}}}\ntable_checks:\n  - sql: {{expect: no_rows, query: SELECT order_id FROM silver.orders WHERE NOT ({chain}) AND false}}\n"
        )
    };
    let condition = |terms: usize| {
        let chain = chain(terms);
        format!("columns:\n  order_id: [not_null: {{where: {chain}}}]\n")
    };
    // Planning takes longer than the chain is long, so only one check has the longest that is read.
    let longest = condition(1450);
    for result in [judge_on_a_worker(yaml(300)), judge_on_a_worker(longest)].concat() {
        assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
    }
    let refused = Suite::parse("r.yaml", &format!("version: 1\n{}", yaml(20_000))).unwrap_err();
    assert!(refused.to_string().contains("levels deep"), "{refused}");
    let results = judge_on_a_worker(condition(20_000));
    assert_eq!(results[0].verdict, Verdict::Error);
    assert!(
        results[0]
            .message
            .as_deref()
            .unwrap()
            .contains("levels deep"),
        "{results:?}"
    );
}

#[tokio::test]
async fn odd_column_names_work_everywhere() {
    let names = [
        "a.b",
        "with space",
        "quo\"te",
        "größe",
        "Upper",
        "select",
        "'",
    ];
    let fields: Vec<Field> = names
        .iter()
        .map(|n| Field::new(*n, DataType::Utf8, true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let column = || Arc::new(StringArray::from(vec![Some("x"), Some("x"), None])) as ArrayRef;
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        names.iter().map(|_| column()).collect(),
    )
    .unwrap();
    let session = session();
    let candidate = register(&session, "orders", provider(&schema, vec![vec![batch]]));
    let subject = subject(&session, candidate);
    for name in names {
        let quoted = format!("'{}'", name.replace('\'', "''"));
        let yaml = format!(
            "key: [{quoted}]\ncolumns:\n  {quoted}: [not_null, unique, {{one_of: [y]}}, {{matches: y}}, {{length: [2, 3]}}, \
             {{min: {{equals: y}}}}, {{distinct: {{equals: 5}}}}, {{exists_in: {{table: silver.orders, table_where: 'false'}}}}, \
             {{compare: {{operator: '<>', column: {quoted}}}}}]\ntable_checks:\n  - unique_key: {{columns: [{quoted}], bad_rows: quarantine}}\n"
        );
        let suite = parse(&yaml);
        let problems = suite
            .validate(&subject.session, &subject.candidate.schema())
            .await;
        assert!(problems.is_empty(), "{problems}");
        let report = crate::judge(&suite, &subject).await;
        for result in &report.checks {
            assert_eq!(result.verdict, Verdict::Fail, "{name}: {result:?}");
            if result.bad_rows.is_some() {
                assert!(!result.samples.is_empty(), "{name}: {result:?}");
                assert_eq!(result.samples[0][0].0, name);
            }
        }
        let rows = session.read_table(Arc::clone(&subject.candidate)).unwrap();
        let marked = crate::mark(&suite, &session, rows, now()).await.unwrap();
        assert_eq!(marked.schema().fields().len(), names.len() + 1);
        marked.collect().await.unwrap();
    }
}

#[tokio::test]
async fn added_rows_are_judged_alone() {
    let mut subject = orders().await;
    let yaml = "columns:\n  order_id: [{unique: {scope: added}}, {not_null: {scope: added}}]\ntable_checks:\n  - row_count: {scope: added, equals: 2}\n";
    let results = judge_subject(&subject, yaml).await;
    assert!(results.iter().all(|r| r.verdict == Verdict::Pass));
    assert_eq!(results[0].observed, "no added rows known");
    assert_eq!(results[0].message, None);
    let schema = Arc::new(Schema::new(vec![Field::new(
        "order_id",
        DataType::Int64,
        true,
    )]));
    let column = Arc::new(Int64Array::from(vec![Some(7), None])) as ArrayRef;
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
    subject.added = Some(provider(&schema, vec![vec![batch]]));
    let results = judge_subject(&subject, yaml).await;
    let verdicts: Vec<_> = results.iter().map(|r| r.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::Pass, Verdict::Fail, Verdict::Pass],
        "{results:?}"
    );
}

#[tokio::test]
async fn added_rows_are_judged_in_their_own_types() {
    use datafusion::arrow::array::TimestampNanosecondArray;
    use datafusion::arrow::datatypes::TimeUnit;

    let mut subject = orders().await;
    let naive = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let schema = Arc::new(Schema::new(vec![Field::new("ordered_at", naive, true)]));
    let nanoseconds = [1_714_557_600_000_000_000, 4_000_000_000_000_000_000];
    let column = Arc::new(TimestampNanosecondArray::from(nanoseconds.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
    subject.added = Some(provider(&schema, vec![vec![batch]]));
    let yaml = "columns:\n  ordered_at: [{between: {min: 2024-01-01, max: 2025-01-01, scope: added}}]\n  status: [{not_null: {scope: added}}]\n";
    let results = judge_subject(&subject, yaml).await;
    assert_eq!(results[0].bad_rows, Some(1), "{results:?}");
    assert_eq!(results[1].verdict, Verdict::Error, "{results:?}");
}

#[tokio::test]
async fn two_columns_of_one_name_are_an_error() {
    let session = session();
    let fields = vec![Field::new("x", DataType::Int64, true); 2];
    let schema = Arc::new(Schema::new(fields));
    let candidate = register(&session, "orders", Arc::new(Broken(schema)));
    let results = judge_subject(&subject(&session, candidate), "columns:\n  x: [not_null]\n").await;
    assert_eq!(results[0].verdict, Verdict::Error, "{results:?}");
}

#[tokio::test]
async fn empty_table_has_the_documented_verdicts() {
    let sql = "SELECT 1 AS x, 'a' AS s WHERE false";
    let yaml = "columns:\n  x: [not_null, unique, {completeness: {at_least: 99%}}, {between: [1, 2]}, {distinct: {equals: 0}}, {distinct: {at_least: 90%}}]\n  s: [{one_of: [a]}, {matches: a}, {exists_in: {table: silver.orders}}]\ntable_checks:\n  - unique_key: [x, s]\n  - row_count: {equals: 0}\n";
    for result in judge_sql(sql, yaml).await {
        assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
    }
    let yaml = "columns:\n  x: [{min: {at_least: 0}}, {max: {at_least: 0}}, {mean: {at_least: 0}}, {sum: {at_least: 0}}, {stddev: {at_least: 0}}]\n";
    for result in judge_sql(sql, yaml).await {
        assert_eq!(result.verdict, Verdict::Error, "{result:?}");
        assert!(
            result
                .message
                .as_deref()
                .unwrap()
                .starts_with("no rows to compute")
        );
    }
}
