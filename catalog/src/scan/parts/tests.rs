//! Each piece is of its own file and no other, and the pieces of a file are all of it.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;

use super::*;
use crate::fixture::{Fixture, commit_deletion_vector, rows, session};

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Some columns of a piece, those that can as dictionaries.
async fn read(
    session: &SessionContext,
    parts: &FileParts,
    columns: &[usize],
    piece: FilePiece,
) -> Vec<RecordBatch> {
    let state = session.state();
    let plan = parts.scan(&state, columns, columns, piece).await.unwrap();
    collect(plan, session.task_ctx()).await.unwrap()
}

/// The numbers of a piece.
async fn values(session: &SessionContext, parts: &FileParts, piece: FilePiece) -> Vec<i64> {
    let batches = read(session, parts, &[1], piece).await;
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
async fn piece_is_of_its_own_file_and_no_other() {
    let (_fixture, parts) = with_files(5, 3).await;
    let session = session();
    let pieces = parts.pieces(&session.state(), &[3, 1, 4]);
    let files: Vec<_> = pieces.iter().map(|piece| piece.file).collect();
    assert_eq!(files, [3, 1, 4]);
    for piece in pieces {
        let found = values(&session, &parts, piece).await;
        let Some(ScalarValue::Int64(Some(first))) = parts.bound(piece.file, "n", Side::Lower)
        else {
            panic!("the file has no bound");
        };
        assert_eq!(found, (first..first + 3).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn text_comes_as_the_file_has_it() {
    let fixture = Fixture::new().await;
    let n = 40_000;
    let text = |value: &dyn Fn(i64) -> String| -> ArrayRef {
        let values = (0..n).map(|i| (i % 7 > 0).then(|| value(i)));
        Arc::new(StringArray::from_iter(values))
    };
    // The dictionary of the one outgrows its page.
    let (few, many) = (
        |i: i64| format!("value {}", i % 3),
        |i: i64| format!("{i:099}"),
    );
    let batch = rows(vec![
        ("n", ints(0..n)),
        ("few", text(&few)),
        ("many", text(&many)),
        (
            "p",
            Arc::new(StringArray::from_iter_values((0..n).map(|_| "one"))),
        ),
    ]);
    fixture.append("s.t", &["p"], batch.clone()).await;
    let parts = fixture.snapshot("s.t").await.parts().unwrap().unwrap();
    let session = session();
    let piece = parts.pieces(&session.state(), &[0])[0];
    let found = read(&session, &parts, &[1, 3, 0, 2], piece).await;
    let found = concat_batches(&found[0].schema(), &found).unwrap();
    let types: Vec<_> = found
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    assert_eq!(
        types,
        [
            dictionary_type(),
            DataType::Utf8,
            DataType::Int64,
            DataType::Utf8View
        ]
    );
    for (column, index) in [("few", 0), ("p", 1), ("n", 2), ("many", 3)] {
        let wanted = batch.column_by_name(column).unwrap();
        let plain = cast(found.column(index), wanted.data_type()).unwrap();
        assert_eq!(&plain, wanted, "{column}");
    }
    // Nobody else sees dictionaries, although the footer is remembered.
    let plan = parts
        .scan(&session.state(), &[1], &[], piece)
        .await
        .unwrap();
    assert_eq!(*plan.schema().field(0).data_type(), DataType::Utf8);
    let plain = collect(plan, session.task_ctx()).await.unwrap();
    assert_eq!(*plain[0].column(0).data_type(), DataType::Utf8);
}

#[tokio::test]
async fn text_column_that_a_file_lacks_is_null() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("n", ints([1]))]))
        .await;
    let t: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    fixture
        .append("s.t", &[], rows(vec![("n", ints([2])), ("t", t)]))
        .await;
    let parts = fixture.snapshot("s.t").await.parts().unwrap().unwrap();
    let session = session();
    let mut nulls = Vec::new();
    for piece in parts.pieces(&session.state(), &[0, 1]) {
        let found = read(&session, &parts, &[1], piece).await;
        nulls.push(found[0].column(0).null_count());
    }
    nulls.sort_unstable();
    assert_eq!(nulls, [0, 1]);
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
    let pieces = parts.pieces(&session.state(), &[0]);
    assert_eq!(pieces.len(), 7 * PIECES_A_PARTITION);
    let mut found = Vec::new();
    for piece in pieces {
        assert_eq!(piece.file, 0);
        found.extend(values(&session, &parts, piece).await);
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
