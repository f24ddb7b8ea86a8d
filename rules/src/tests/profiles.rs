//! What a profile says of a column.

use super::{session, table};
use crate::{ColumnProfile, Profile, ProfileOptions, profile};

async fn of(sql: &str, options: &ProfileOptions) -> Profile {
    let session = session();
    let rows = table(&session, "orders", sql).await;
    profile(&session, rows, options).await.unwrap()
}

async fn column(values: &str) -> ColumnProfile {
    let sql = format!("SELECT column1 AS x FROM (VALUES {values})");
    of(&sql, &ProfileOptions::default()).await.columns.remove(0)
}

#[tokio::test]
async fn numbers_have_statistics_and_a_histogram() {
    let profile = column("(1), (2), (3), (4), (10), (0), (NULL)").await;
    assert_eq!(
        (profile.nulls, profile.distinct, profile.distinct_is_exact),
        (1, Some(6), true)
    );
    assert_eq!(
        (profile.min.as_deref(), profile.max.as_deref()),
        (Some("0"), Some("10"))
    );
    assert_eq!((profile.lengths, profile.looks_like), (None, None));
    let numbers = profile.numbers.unwrap();
    assert_eq!(
        (numbers.sum, numbers.range, numbers.zeros),
        (Some(20.0), Some(10.0), 1)
    );
    assert_eq!(numbers.rank_error.to_bits(), 0.0_f64.to_bits());
    assert_eq!(numbers.histogram.len(), 20);
    assert_eq!(numbers.histogram.iter().map(|bin| bin.rows).sum::<u64>(), 6);
    assert_eq!(
        numbers.histogram.last().map(|bin| (bin.to, bin.rows)),
        Some((10.0, 1))
    );
    let median = numbers.quantiles.iter().find(|q| q.rank > 0.49).unwrap();
    assert_eq!(median.value.to_bits(), 2.0_f64.to_bits());
}

#[tokio::test]
async fn text_that_is_all_numbers_has_their_statistics() {
    let profile = column("('1'), ('2.5'), (NULL)").await;
    assert_eq!(profile.looks_like.unwrap().inferred, Some("fractional"));
    assert_eq!(profile.numbers.unwrap().sum, Some(3.5));
    let profile = column("('1'), ('x')").await;
    assert_eq!(profile.looks_like.unwrap().inferred, Some("text"));
    assert_eq!(profile.numbers, None);
    assert_eq!(profile.lengths.map(|l| (l.min, l.max)), Some((1, 1)));
}

#[tokio::test]
async fn nothing_infinite_or_missing_is_a_number() {
    let profile = column("('NaN'::double), ('inf'::double), (1.0)").await;
    let numbers = profile.numbers.unwrap();
    assert_eq!(
        (numbers.mean, numbers.stddev, numbers.max),
        (None, None, None)
    );
    let empty = column("(NULL::int)").await;
    assert_eq!((empty.nulls, empty.distinct, empty.min), (1, Some(0), None));
    assert_eq!(empty.numbers.unwrap().histogram, []);
    let nested = column("([1, 2])").await;
    assert_eq!((nested.distinct, nested.top.len()), (None, 0));
}

#[tokio::test]
async fn columns_and_rows_are_chosen() {
    let sql = "SELECT column1 AS a, column2 AS b FROM (VALUES (1, 'x'), (2, 'y'))";
    let options = ProfileOptions::default()
        .with_columns(vec!["b".to_owned()])
        .with_condition("a > 1".to_owned());
    let profile = of(sql, &options).await;
    assert_eq!((profile.rows, profile.columns.len()), (1, 1));
    assert_eq!(profile.columns[0].top[0].value, "y");
    let session = session();
    let rows = table(&session, "orders", sql).await;
    let wrong = ProfileOptions::default().with_columns(vec!["c".to_owned()]);
    let error = super::super::profile(&session, rows, &wrong)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no column `c`"), "{error}");
    assert!(ProfileOptions::default().with_top(0).is_err());
    assert!(ProfileOptions::default().with_bins(1001).is_err());
}

#[tokio::test]
async fn a_page_shows_values_as_text() {
    let profile = column("('<b>'), ('<b>'), ('a')").await;
    let profile = Profile {
        rows: 3,
        columns: vec![profile],
    };
    let page = profile.to_html("t <i>");
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>") && !page.contains("<i>"));
    let text = profile.to_text("t");
    assert!(text.contains("top        <b>"), "{text}");
}

#[tokio::test]
async fn a_condition_that_fails_is_an_error() {
    let session = session();
    let rows = table(
        &session,
        "orders",
        "SELECT column1 AS x FROM (VALUES (0), (1))",
    )
    .await;
    let options = ProfileOptions::default().with_condition("10 / x > 1".to_owned());
    let error = profile(&session, rows, &options).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("zero"), "{error}");
}

#[tokio::test]
async fn long_values_count_by_their_beginning() {
    let profile = column("(repeat('a', 300)), (repeat('a', 299)), ('b')").await;
    assert_eq!(profile.top[0].rows, 2);
    assert_eq!(profile.top[0].value.len(), 256);
    assert_eq!(
        (profile.distinct, profile.distinct_is_exact),
        (Some(3), false)
    );
}

#[tokio::test]
async fn zero_of_either_sign_is_one_value() {
    let profile = column("(0.0::double), ('-0.0'::double), (1.5)").await;
    assert_eq!(profile.distinct, Some(2));
    assert_eq!(
        (profile.top[0].value.as_str(), profile.top[0].rows),
        ("0.0", 2)
    );
}
