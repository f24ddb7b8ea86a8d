//! Sketches are as near as their documentation says.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};

use super::{judge_subject, provider, session, subject};

/// So many rows in four partitions, each with a number of its own, in an order that looks random.
async fn metrics(rows: i64, yaml: &str) -> Vec<f64> {
    let values = (0..rows).map(|row| row.wrapping_mul(48_271) % rows);
    let values: Vec<i64> = values.collect();
    let part = |values: &[i64]| {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("x", column)]).unwrap()
    };
    let parts: Vec<_> = values
        .chunks(values.len().div_ceil(4))
        .map(|p| vec![part(p)])
        .collect();
    let schema = parts[0][0].schema();
    let session = session();
    let subject = subject(&session, provider(&schema, parts));
    let checks = judge_subject(&subject, yaml).await;
    checks.iter().map(|check| check.metric.unwrap()).collect()
}

#[tokio::test]
async fn ranks_of_quantiles_are_within_their_error() {
    let rows = 100_003;
    let ranks: Vec<f64> = (1..100).map(|percent| f64::from(percent) / 100.0).collect();
    let checks = ranks.iter().map(|rank| {
        format!(
            "    - quantile: {{name: q{}, at: {rank}, at_least: 0}}\n",
            (rank * 100.0) as u32
        )
    });
    let yaml = format!("columns:\n  x:\n{}", checks.collect::<String>());
    let found = metrics(rows, &yaml).await;
    let error = |(rank, found): (&f64, &f64)| (found / rows as f64 - rank).abs();
    let errors: Vec<f64> = ranks.iter().zip(&found).map(error).collect();
    // Each is within half a percent 99 times in 100; twice that is all but impossible.
    let outside = errors.iter().filter(|error| **error > 0.005).count();
    assert!(outside <= 20, "{errors:?}");
    assert!(errors.iter().all(|error| *error <= 0.01), "{errors:?}");
}

#[tokio::test]
async fn numbers_of_distinct_values_are_within_their_error() {
    for rows in [1, 10, 1_000, 30_011, 300_007] {
        let found = metrics(
            rows,
            "columns:\n  x:\n    - approx_distinct: {at_least: 0}\n",
        )
        .await;
        let error = (found[0] / rows as f64 - 1.0).abs();
        // Four standard errors; the values are always the same, so this never fails by chance.
        assert!(error <= 4.0 * 0.0163, "{rows}: {found:?}");
    }
}
