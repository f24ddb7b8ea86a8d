//! Each partition of a plan over parts reads its own file and no other, and all of it.

use datafusion::arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::*;
use crate::fixture::{Fixture, commit_deletion_vector, rows, session};

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// The values of a partition, which is the only one that runs.
async fn values(session: &SessionContext, scan: &FileScan, partition: usize) -> Vec<i64> {
    let stream = scan.plan.execute(partition, session.task_ctx()).unwrap();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let columns = batches
        .iter()
        .map(|rows| rows.column(0).as_primitive::<Int64Type>().values());
    columns.flat_map(|values| values.to_vec()).collect()
}

async fn with_files(files: i64, rows_each: i64) -> (Fixture, FileParts) {
    let fixture = Fixture::new().await;
    for file in 0..files {
        let first = file * rows_each;
        let batch = rows(vec![
            (
                "t",
                Arc::new(StringArray::from_iter_values(
                    (0..rows_each).map(|i| i.to_string()),
                )),
            ),
            ("n", ints(first..first + rows_each)),
        ]);
        fixture.append("s.t", &[], batch).await;
    }
    let parts = fixture.snapshot("s.t").await.parts().unwrap().unwrap();
    (fixture, parts)
}

#[tokio::test]
async fn partition_reads_its_own_file_and_no_other() {
    let (_fixture, parts) = with_files(5, 3).await;
    let session = session();
    let scan = parts.scan(&session.state(), &[1], &[3, 1, 4]).unwrap();
    assert_eq!(scan.files, [3, 1, 4]);
    for (partition, file) in [3, 1, 4].into_iter().enumerate() {
        let rows = parts.rows(file).unwrap();
        let found = values(&session, &scan, partition).await;
        assert_eq!(found.len() as u64, rows, "{found:?}");
        let whole = parts.scan(&session.state(), &[1], &[file]).unwrap();
        let whole = collect(whole.plan, session.task_ctx()).await.unwrap();
        let whole = whole[0]
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec();
        assert_eq!(found, whole);
    }
}

#[tokio::test]
async fn pieces_of_a_file_are_the_file() {
    let (_fixture, parts) = with_files(1, 1000).await;
    let session = session();
    let set = session.state_ref();
    set.write()
        .config_mut()
        .options_mut()
        .optimizer
        .repartition_file_min_size = 1;
    set.write()
        .config_mut()
        .options_mut()
        .execution
        .target_partitions = 7;
    let scan = parts.scan(&session.state(), &[1], &[0]).unwrap();
    assert_eq!(scan.files, [0; 7]);
    let mut found = Vec::new();
    for partition in 0..7 {
        found.extend(values(&session, &scan, partition).await);
    }
    found.sort_unstable();
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn table_with_deletion_vectors_has_no_parts() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("n", ints(0..40))]))
        .await;
    let folder = fixture.location("s.t").to_file_path().unwrap();
    commit_deletion_vector(&folder);
    let snapshot = fixture.snapshot("s.t").await;
    assert_eq!(snapshot.version, 1);
    assert!(snapshot.parts().unwrap().is_none());
}

#[tokio::test]
async fn log_is_believed_where_it_is_exact() {
    let fixture = Fixture::new().await;
    let time = |zone: Option<&str>| -> ArrayRef {
        let times = TimestampMicrosecondArray::from(vec![Some(1_000_123), None]);
        Arc::new(times.with_timezone_opt(zone))
    };
    let decimals = Decimal128Array::from(vec![Some(25), None]);
    let batch = rows(vec![
        ("n", Arc::new(Int64Array::from(vec![Some(-3), None]))),
        ("d", Arc::new(Date32Array::from(vec![Some(19_000), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(0.5), None]))),
        ("t", Arc::new(StringArray::from(vec![Some("x"), None]))),
        ("at", time(Some("UTC"))),
        (
            "m",
            Arc::new(decimals.with_precision_and_scale(10, 2).unwrap()),
        ),
        ("p", Arc::new(StringArray::from(vec![Some("a"), Some("a")]))),
        ("q", Arc::new(Float64Array::from(vec![None, None]))),
    ]);
    fixture.append("s.t", &["p", "q"], batch).await;
    let parts = fixture.snapshot("s.t").await.parts().unwrap().unwrap();
    assert_eq!(parts.rows(0), Some(2));
    for (column, nulls, bound) in [
        ("n", 1, Some(ScalarValue::Int64(Some(-3)))),
        ("d", 1, Some(ScalarValue::Date32(Some(19_000)))),
        ("f", 1, None),
        ("t", 1, None),
        ("at", 1, None),
        ("m", 1, None),
        ("p", 0, Some(ScalarValue::Utf8(Some("a".to_owned())))),
        ("q", 2, None),
    ] {
        assert_eq!(parts.nulls(0, column), Some(nulls), "{column}");
        for side in [Side::Lower, Side::Upper] {
            assert_eq!(parts.bound(0, column, side), bound, "{column}");
        }
    }
    assert_eq!(parts.nulls(0, "other"), None);
}

/// Older versions of delta-rs wrote the nulls inside lists as those of the column.
#[tokio::test]
async fn null_count_of_a_list_column_is_not_believed() {
    let fixture = Fixture::new().await;
    let lists = [Some(vec![None, Some(1), None]), None];
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let batch = rows(vec![("l", Arc::new(lists)), ("n", ints([1, 2]))]);
    fixture.append("s.t", &[], batch).await;
    let stats = r#"{"numRecords":2,"nullCount":{"l":3,"n":0}}"#;
    let parts = with_statistics(&fixture, stats).await;
    assert_eq!(parts.nulls(0, "n"), Some(0));
    assert_eq!(parts.nulls(0, "l"), None);
}

/// The only file of the table with other statistics.
async fn with_statistics(fixture: &Fixture, stats: &str) -> FileParts {
    let snapshot = fixture.snapshot("s.t").await;
    let mut files = snapshot.files.to_vec();
    files[0].stats = Some(stats.into());
    let other = Arc::new(TableSnapshot {
        files: files.into(),
        ..TableSnapshot::clone(&snapshot)
    });
    other.parts().unwrap().unwrap()
}

#[tokio::test]
async fn bounds_that_are_wide_are_not_believed() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("n", ints([1, 2]))]))
        .await;
    let stats = r#"{"numRecords":2,"tightBounds":false,"minValues":{"n":1},"maxValues":{"n":2},"nullCount":{"n":0}}"#;
    let parts = with_statistics(&fixture, stats).await;
    assert_eq!(parts.rows(0), Some(2));
    assert_eq!(parts.nulls(0, "n"), None);
    assert_eq!(parts.bound(0, "n", Side::Upper), None);
}
