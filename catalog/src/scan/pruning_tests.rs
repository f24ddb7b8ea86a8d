//! A pruned scan returns the rows that a filter over all rows returns, whatever the values.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::prelude::{Expr, col, lit};
use deltalake::protocol::SaveMode;
use proptest::prelude::*;

use crate::fixture::{Fixture, rows, session, write};

/// Columns that filters are over.
const COLUMNS: [&str; 8] = ["i", "f", "g", "t", "d", "e", "s", "x"];

#[derive(Debug, Clone)]
struct Record {
    i: Option<i64>,
    f: Option<f64>,
    t: Option<i64>,
    d: Option<i128>,
    e: Option<i128>,
    s: Option<String>,
    x: Option<i32>,
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(-f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(-0.0),
        (-50i32..50).prop_map(f64::from),
        -1e3..1e3,
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,2}",
        // Strings that writers cut, alike up to where they cut and beyond.
        (30usize..140, "[a-c]{0,3}").prop_map(|(length, end)| "p".repeat(length) + &end),
        (5usize..40, "[é日\u{10ffff}]{0,2}")
            .prop_map(|(length, end)| "\u{10ffff}".repeat(length) + &end),
    ]
}

fn decimal(limit: i128) -> impl Strategy<Value = i128> {
    prop_oneof![-1000i128..1000, (-limit..=limit), Just(limit), Just(-limit)]
}

fn record() -> impl Strategy<Value = Record> {
    let maybe = proptest::option::weighted::<BoxedStrategy<i64>>;
    (
        maybe(0.8, prop_oneof![-100i64..100, any::<i64>()].boxed()),
        proptest::option::weighted(0.8, float()),
        maybe(
            0.8,
            prop_oneof![
                -5_000_000i64..5_000_000,
                -60_000_000_000_000_000..200_000_000_000_000_000i64
            ]
            .boxed(),
        ),
        proptest::option::weighted(0.8, decimal(10i128.pow(20) - 1)),
        proptest::option::weighted(0.8, decimal(10i128.pow(38) - 1)),
        proptest::option::weighted(0.8, text()),
        proptest::option::weighted(0.8, -40_000i32..40_000),
    )
        .prop_map(|(i, f, t, d, e, s, x)| Record {
            i,
            f,
            t,
            d,
            e,
            s,
            x,
        })
}

fn batch(first: i64, records: &[Record]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..records.len()).map(|n| first + n as i64),
    ));
    let f: Float64Array = records.iter().map(|r| r.f).collect();
    #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
    let g: Float32Array = records.iter().map(|r| r.f.map(|f| f as f32)).collect();
    let t: TimestampMicrosecondArray = records.iter().map(|r| r.t).collect();
    let d: Decimal128Array = records.iter().map(|r| r.d).collect();
    let e: Decimal128Array = records.iter().map(|r| r.e).collect();
    rows(vec![
        ("id", ids),
        (
            "i",
            Arc::new(records.iter().map(|r| r.i).collect::<Int64Array>()),
        ),
        ("f", Arc::new(f)),
        ("g", Arc::new(g)),
        ("t", Arc::new(t.with_timezone("UTC"))),
        ("d", Arc::new(d.with_precision_and_scale(20, 4).unwrap())),
        ("e", Arc::new(e.with_precision_and_scale(38, 0).unwrap())),
        (
            "s",
            Arc::new(records.iter().map(|r| r.s.clone()).collect::<StringArray>()),
        ),
        (
            "x",
            Arc::new(records.iter().map(|r| r.x).collect::<Date32Array>()),
        ),
    ])
}

/// A value of one of the columns, as a filter may hold it.
fn literal(column: &str, record: &Record) -> Expr {
    #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
    lit(match column {
        "i" => ScalarValue::Int64(record.i),
        "f" => ScalarValue::Float64(record.f),
        "g" => ScalarValue::Float32(record.f.map(|f| f as f32)),
        "t" => ScalarValue::TimestampMicrosecond(record.t, Some("UTC".into())),
        "d" => ScalarValue::Decimal128(record.d, 20, 4),
        "e" => ScalarValue::Decimal128(record.e, 38, 0),
        "s" => ScalarValue::Utf8(record.s.clone()),
        _ => ScalarValue::Date32(record.x),
    })
}

/// One comparison: which column, which operator, and which record's value it is compared with.
type Comparison = (usize, usize, usize);

fn comparison((column, operator, record): Comparison, records: &[Record]) -> Expr {
    let name = COLUMNS[column];
    let value = literal(name, &records[record % records.len()]);
    let other = literal(name, &records[(record / 2) % records.len()]);
    match operator {
        0 => col(name).eq(value),
        1 => col(name).not_eq(value),
        2 => col(name).lt(value),
        3 => col(name).lt_eq(value),
        4 => col(name).gt(value),
        5 => col(name).gt_eq(value),
        6 => col(name).is_null(),
        7 => col(name).is_not_null(),
        8 => col(name).in_list(vec![value, other], false),
        9 => col(name).in_list(vec![value, other], true),
        _ => col(name).between(value, other),
    }
}

async fn ids(provider: Arc<dyn TableProvider>, filter: Expr, pushdown: bool) -> Vec<i64> {
    let session = session();
    session
        .state_ref()
        .write()
        .config_mut()
        .options_mut()
        .execution
        .parquet
        .pushdown_filters = pushdown;
    let frame = session
        .read_table(provider)
        .unwrap()
        .filter(filter)
        .unwrap();
    let batches = frame
        .select_columns(&["id"])
        .unwrap()
        .collect()
        .await
        .unwrap();
    let column = |batch: &RecordBatch| {
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    let mut ids: Vec<i64> = batches.iter().flat_map(column).collect();
    ids.sort_unstable();
    ids
}

async fn check(
    files: Vec<Vec<Record>>,
    filters: Vec<(Comparison, usize, Comparison)>,
    pushdown: bool,
) {
    let fixture = Fixture::new().await;
    let mut batches = Vec::new();
    for records in &files {
        let batch = batch(batches.len() as i64 * 100, records);
        write(
            &fixture.location("s.t"),
            &[],
            vec![batch.clone()],
            SaveMode::Append,
        )
        .await;
        batches.push(batch);
    }
    let name = "s.t".parse().unwrap();
    fixture
        .catalog
        .register(&name, &fixture.location("s.t"))
        .await
        .unwrap();
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    let all: Arc<dyn TableProvider> =
        Arc::new(MemTable::try_new(batches[0].schema(), vec![batches]).unwrap());
    let records: Vec<Record> = files.concat();
    for (first, how, second) in filters {
        let (first, second) = (comparison(first, &records), comparison(second, &records));
        let filter = match how {
            0 => first.and(second),
            1 => first.or(second),
            2 => Expr::Not(Box::new(first)),
            _ => first,
        };
        let expected = ids(Arc::clone(&all), filter.clone(), false).await;
        let found = ids(Arc::clone(&scan), filter.clone(), pushdown).await;
        assert_eq!(found, expected, "{filter}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_scan_returns_what_a_filter_over_all_rows_returns(
        files in prop::collection::vec(prop::collection::vec(record(), 1..4), 1..4),
        filters in prop::collection::vec(
            ((0..8usize, 0..11usize, 0..16usize), 0..6usize, (0..8usize, 0..11usize, 0..16usize)), 12),
        pushdown in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(files, filters, pushdown));
    }
}

#[tokio::test]
async fn the_greatest_number_is_found_although_bounds_leave_nan_out() {
    let fixture = Fixture::new().await;
    for values in [[1.0, 2.0], [5.0, 6.0], [3.0, f64::NAN]] {
        let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        fixture.append("s.t", &[], rows(vec![("f", column)])).await;
    }
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    for (sql, expected) in [
        ("SELECT f FROM t ORDER BY f DESC LIMIT 1", "NaN"),
        ("SELECT count(*) AS n FROM t WHERE f > 5.5", "2"),
        ("SELECT count(*) AS n FROM t WHERE f = 6.0", "1"),
    ] {
        let text = crate::fixture::query(Arc::clone(&scan), sql).await;
        assert!(
            text.lines().nth(3).unwrap().contains(expected),
            "{sql}: {text}"
        );
    }
    let plan = crate::fixture::plan(scan, "SELECT f FROM t WHERE f = 6.0").await;
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}

#[tokio::test]
async fn nan_is_found_in_a_page_whose_bounds_leave_it_out() {
    let fixture = Fixture::new().await;
    // A page holds 20 000 rows at most.
    let number = |row| {
        if row == 30_000 {
            f64::NAN
        } else {
            f64::from(row)
        }
    };
    let column: ArrayRef = Arc::new(Float64Array::from_iter_values((0..50_000).map(number)));
    fixture.append("s.t", &[], rows(vec![("f", column)])).await;
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    for filter in ["f > 1e9", "f = 'NaN'", "f > 49998.5 AND f <> 49999"] {
        let sql = format!("SELECT count(*) AS n FROM t WHERE {filter}");
        let text = crate::fixture::query(Arc::clone(&scan), &sql).await;
        assert!(
            text.lines().nth(3).unwrap().contains("| 1 "),
            "{sql}: {text}"
        );
    }
}

#[tokio::test]
async fn nan_is_found_inside_structs_and_lists() {
    let fixture = Fixture::new().await;
    let session = session();
    let sql = "SELECT named_struct('f', column1) AS s, [column1] AS l, map(['k'], [column1]) AS m FROM (VALUES (1.0), (2.0), (arrow_cast('NaN', 'Float64')))";
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let location = fixture.location("s.t");
    write(&location, &[], batches, SaveMode::Append).await;
    let name = "s.t".parse().unwrap();
    fixture.catalog.register(&name, &location).await.unwrap();
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    for filter in [
        "s['f'] > 100",
        "s['f'] = 'NaN'",
        "l[1] > 100",
        "l = ['NaN']",
        "m['k'] > 100",
    ] {
        let sql = format!("SELECT count(*) AS n FROM t WHERE {filter}");
        let text = crate::fixture::query(Arc::clone(&scan), &sql).await;
        assert!(
            text.lines().nth(3).unwrap().contains("| 1 "),
            "{sql}: {text}"
        );
    }
}
