//! Tests of the whole: a rule file and rows in, verdicts out.

mod cases;
mod collected;
mod deequ;
mod dictionaries;
mod exact;
mod faults;
mod files;
mod json_schema;
mod ordered;
mod other_tables;
mod parts;
mod profiles;
mod properties;
mod quarantine;
mod sketches;
mod value_counts;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{CheckResult, Subject, Suite, Verdict, judge};

pub(crate) const NOW: &str = "2024-06-01T12:00:00Z";

pub(crate) fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test has no engine")]
pub(crate) fn session() -> SessionContext {
    let config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema("lakegate", "default")
        .with_target_partitions(2);
    SessionContext::new_with_config(config)
}

/// A table of one query, in the schema `silver`.
pub(crate) async fn table(
    session: &SessionContext,
    name: &str,
    sql: &str,
) -> Arc<dyn TableProvider> {
    let rows = session.sql(sql).await.unwrap();
    let schema = Arc::clone(rows.schema().inner());
    let batches = rows.collect().await.unwrap();
    register(session, name, provider(&schema, vec![batches]))
}

pub(crate) fn provider(
    schema: &datafusion::arrow::datatypes::SchemaRef,
    partitions: Vec<Vec<RecordBatch>>,
) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(Arc::clone(schema), partitions).unwrap())
}

pub(crate) fn register(
    session: &SessionContext,
    name: &str,
    provider: Arc<dyn TableProvider>,
) -> Arc<dyn TableProvider> {
    use datafusion::catalog::MemorySchemaProvider;
    let catalog = session.catalog("lakegate").unwrap();
    if catalog.schema("silver").is_none() {
        let schema = Arc::new(MemorySchemaProvider::new());
        catalog.register_schema("silver", schema).unwrap();
    }
    let silver = catalog.schema("silver").unwrap();
    silver.deregister_table(name).unwrap();
    silver
        .register_table(name.to_owned(), Arc::clone(&provider))
        .unwrap();
    provider
}

pub(crate) fn subject(session: &SessionContext, candidate: Arc<dyn TableProvider>) -> Subject {
    Subject {
        session: session.clone(),
        table: "silver.orders".to_owned(),
        candidate,
        parts: None,
        collected: None,
        added: None,
        previous: None,
        baseline: None,
        baseline_parts: None,
        now: now(),
        sample_rows: 5,
    }
}

/// The table that the documentation's examples are about.
pub(crate) async fn orders() -> Subject {
    let session = session();
    table(
        &session,
        "customers",
        "SELECT * FROM (VALUES (10, 'DE', true), (11, 'FR', true), (12, 'DE', false)) \
         AS t (customer_id, country, is_active)",
    )
    .await;
    let candidate = table(
        &session,
        "orders",
        "SELECT order_id, line_no, customer_id, country, email, status, \
                arrow_cast(amount, 'Decimal128(12, 2)') AS amount, discount, \
                arrow_cast(ordered_at, 'Timestamp(Microsecond, Some(\"UTC\"))') AS ordered_at, \
                arrow_cast(ordered_at, 'Timestamp(Microsecond, Some(\"UTC\"))') AS updated_at, \
                CAST(shipped_on AS DATE) AS shipped_on, CAST(delivered_on AS DATE) AS delivered_on \
         FROM (VALUES \
           (1, 1, 10, 'DE', 'a@example.org', 'new', '10.50', 0.1, '2024-05-01T10:00:00', '2024-05-02', '2024-05-03'), \
           (2, 1, 11, 'FR', 'b@example.org', 'paid', '99.99', 0.0, '2024-05-02T10:00:00', '2024-05-03', '2024-05-03'), \
           (3, 2, 10, 'DE', 'c@example.org', 'shipped', '0.00', NULL, '2024-05-03T10:00:00', '2024-05-04', NULL), \
           (4, 3, NULL, 'DE', NULL, 'returned', NULL, 0.5, '2024-05-04T10:00:00', NULL, NULL)) \
         AS t (order_id, line_no, customer_id, country, email, status, amount, discount, ordered_at, shipped_on, delivered_on)",
    )
    .await;
    subject(&session, candidate)
}

/// Judges the rows of a query by some lines of YAML.
pub(crate) async fn judge_sql(sql: &str, yaml: &str) -> Vec<CheckResult> {
    let session = session();
    let candidate = table(&session, "orders", sql).await;
    judge_subject(&subject(&session, candidate), yaml).await
}

/// One case: a column `x` of a query, the check below it, and what comes of it.
async fn check(values: &str, yaml: &str, verdict: Verdict, observed: &str) {
    let sql = format!("SELECT column1 AS x FROM (VALUES {values})");
    let results = judge_sql(&sql, &format!("columns:\n  x:\n    - {yaml}\n")).await;
    let result = &results[0];
    let found = (result.verdict, result.observed.as_str());
    assert_eq!(found, (verdict, observed), "{values} by {yaml}: {result:?}");
}

pub(crate) async fn judge_subject(subject: &Subject, yaml: &str) -> Vec<CheckResult> {
    let suite = parse(yaml);
    judge(&suite, subject).await.checks
}

pub(crate) fn parse(yaml: &str) -> Suite {
    let text = format!("version: 1\ntable: silver.orders\n{yaml}");
    Suite::parse("rules.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}
