use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
};

use crate::fixture::{Fixture, commit_deletion_vector, plan, query, rows};

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The rows of a printed answer, without its frame and header.
fn cells(answer: &str) -> Vec<Vec<String>> {
    answer
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

#[tokio::test]
async fn columns_stand_in_the_table_s_order_although_one_is_a_partition() {
    let fixture = Fixture::new().await;
    let batch = rows(vec![
        ("a", ints(&[Some(1), Some(2)])),
        ("p", texts(&[Some("x"), Some("y")])),
        ("b", ints(&[Some(10), None])),
    ]);
    fixture.append("s.t", &["p"], batch).await;
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    let names: Vec<_> = scan
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["a", "p", "b"]);
    let answer = query(Arc::clone(&scan), "SELECT * FROM t ORDER BY a").await;
    assert_eq!(cells(&answer), [["1", "x", "10"], ["2", "y", ""]]);
    let answer = query(Arc::clone(&scan), "SELECT b, p FROM t WHERE p = 'x'").await;
    assert_eq!(cells(&answer), [["10", "x"]]);
    let answer = query(scan, "SELECT p FROM t WHERE a = 2").await;
    assert_eq!(cells(&answer), [["y"]]);
}

#[tokio::test]
async fn count_needs_no_scan_when_every_file_tells_its_rows() {
    let fixture = Fixture::new().await;
    for value in 0..3 {
        fixture
            .append("s.t", &[], rows(vec![("a", ints(&[Some(value), None]))]))
            .await;
    }
    let snapshot = fixture.snapshot("s.t").await;
    assert_eq!(snapshot.row_count(), Some(6));
    let text = plan(snapshot.scan().unwrap(), "SELECT count(*) FROM t").await;
    assert!(!text.contains("DataSourceExec"), "{text}");
    assert_eq!(
        cells(&query(snapshot.scan().unwrap(), "SELECT count(*) FROM t").await),
        [["6"]]
    );
    // What Delta's statistics only bound is computed.
    let text = plan(snapshot.scan().unwrap(), "SELECT max(a), count(a) FROM t").await;
    assert!(text.contains("DataSourceExec"), "{text}");
    assert_eq!(
        cells(&query(snapshot.scan().unwrap(), "SELECT max(a), count(a) FROM t").await),
        [["2", "3"]]
    );
}

#[tokio::test]
async fn partition_values_of_any_text_and_nulls_are_read_and_pruned() {
    let fixture = Fixture::new().await;
    let odd: Vec<Option<&str>> = vec![
        Some("plain"),
        Some("with space"),
        Some("a/b"),
        Some("a=b"),
        Some("100%"),
        Some("%20"),
        Some("größe"),
        Some("quote's \\"),
        Some("?#&:"),
        Some("__HIVE_DEFAULT_PARTITION__x"),
        Some("日本"),
        None,
    ];
    let numbers: Vec<Option<i64>> = (0..12).map(Some).collect();
    fixture
        .append(
            "s.t",
            &["p"],
            rows(vec![("p", texts(&odd)), ("a", ints(&numbers))]),
        )
        .await;
    let snapshot = fixture.snapshot("s.t").await;
    assert_eq!(snapshot.files.len(), odd.len());
    let scan = snapshot.scan().unwrap();
    let answer = cells(&query(Arc::clone(&scan), "SELECT a, p FROM t ORDER BY a").await);
    for (index, value) in odd.iter().enumerate() {
        assert_eq!(
            answer[index],
            [index.to_string(), value.unwrap_or_default().to_owned()]
        );
        let Some(value) = value else { continue };
        let sql = format!("SELECT a FROM t WHERE p = '{}'", value.replace('\'', "''"));
        assert_eq!(
            cells(&query(Arc::clone(&scan), &sql).await),
            [[index.to_string()]],
            "{sql}"
        );
        let text = plan(Arc::clone(&scan), &sql).await;
        assert_eq!(text.matches(".parquet").count(), 1, "{text}");
        assert!(!text.contains("FilterExec"), "{text}");
    }
    let answer = query(Arc::clone(&scan), "SELECT a FROM t WHERE p IS NULL").await;
    assert_eq!(cells(&answer), [["11"]]);
    let answer = query(
        Arc::clone(&scan),
        "SELECT count(*), count(p), count(DISTINCT p) FROM t",
    )
    .await;
    assert_eq!(cells(&answer), [["12", "11", "11"]]);
    let answer = query(
        Arc::clone(&scan),
        "SELECT count(*) FROM t WHERE p IS NULL OR a = 3",
    )
    .await;
    assert_eq!(cells(&answer), [["2"]]);
    let answer = query(scan, "SELECT count(*) FROM t WHERE p <> 'plain'").await;
    assert_eq!(cells(&answer), [["10"]]);
}

#[tokio::test]
async fn typed_partition_columns_have_their_type() {
    let fixture = Fixture::new().await;
    let batch = rows(vec![
        (
            "d",
            Arc::new(Date32Array::from(vec![Some(19_000), None, Some(-1)])),
        ),
        (
            "n",
            Arc::new(Int32Array::from(vec![Some(-5), Some(7), None])),
        ),
        (
            "f",
            Arc::new(Float64Array::from(vec![Some(0.5), Some(-2.5e8), None])),
        ),
        ("a", ints(&[Some(1), Some(2), Some(3)])),
    ]);
    fixture.append("s.t", &["d", "n", "f"], batch).await;
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    let answer = query(Arc::clone(&scan), "SELECT a, d, n, f FROM t ORDER BY a").await;
    assert_eq!(
        cells(&answer),
        [
            ["1", "2022-01-08", "-5", "0.5"],
            ["2", "", "7", "-250000000.0"],
            ["3", "1969-12-31", "", ""]
        ]
    );
    let answer = query(
        Arc::clone(&scan),
        "SELECT a FROM t WHERE n < 0 OR d < DATE '1970-01-01' ORDER BY a",
    )
    .await;
    assert_eq!(cells(&answer), [["1"], ["3"]]);
    let answer = query(scan, "SELECT max(n), min(d) FROM t").await;
    assert_eq!(cells(&answer), [["7", "1969-12-31"]]);
}

#[tokio::test]
async fn a_column_that_old_files_lack_reads_as_null() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("a", ints(&[Some(1), Some(2)]))]))
        .await;
    fixture
        .append(
            "s.t",
            &[],
            rows(vec![("a", ints(&[Some(3)])), ("b", texts(&[Some("new")]))]),
        )
        .await;
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    let answer = query(Arc::clone(&scan), "SELECT a, b FROM t ORDER BY a").await;
    assert_eq!(cells(&answer), [["1", ""], ["2", ""], ["3", "new"]]);
    for (filter, expected) in [
        ("b = 'new'", 1),
        ("b IS NULL", 2),
        ("b IS NOT NULL", 1),
        ("b IS DISTINCT FROM 'new'", 2),
    ] {
        let answer = query(
            Arc::clone(&scan),
            &format!("SELECT count(*) FROM t WHERE {filter}"),
        )
        .await;
        assert_eq!(cells(&answer), [[expected.to_string()]], "{filter}");
    }
}

#[tokio::test]
async fn files_that_cannot_hold_a_match_are_left_out() {
    let fixture = Fixture::new().await;
    for start in [0, 100, 200] {
        let numbers: Vec<_> = (start..start + 10).map(Some).collect();
        let words: Vec<_> = (start..start + 10)
            .map(|n| format!("word {n:03}"))
            .collect();
        let words: ArrayRef = Arc::new(StringArray::from(words));
        fixture
            .append("s.t", &[], rows(vec![("a", ints(&numbers)), ("w", words)]))
            .await;
    }
    let scan = fixture.snapshot("s.t").await.scan().unwrap();
    for (filter, files, count) in [
        ("a = 105", 1, 1),
        ("a > 104", 2, 15),
        ("a IN (3, 203)", 2, 2),
        ("w = 'word 105'", 1, 1),
        ("w LIKE 'word 2%'", 1, 10),
        ("a IS NULL", 0, 0),
        ("a + 1 > 0", 3, 30),
    ] {
        let text = plan(
            Arc::clone(&scan),
            &format!("SELECT a FROM t WHERE {filter}"),
        )
        .await;
        assert_eq!(text.matches(".parquet").count(), files, "{filter}: {text}");
        let answer = query(
            Arc::clone(&scan),
            &format!("SELECT count(*) FROM t WHERE {filter}"),
        )
        .await;
        assert_eq!(cells(&answer), [[count.to_string()]], "{filter}");
    }
}

#[tokio::test]
async fn plans_name_real_locations() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("a", ints(&[Some(1)]))]))
        .await;
    let text = plan(
        fixture.snapshot("s.t").await.scan().unwrap(),
        "SELECT a FROM t",
    )
    .await;
    assert!(
        text.contains("warehouse/s/t/part-") && !text.contains("delta-rs"),
        "{text}"
    );
}

#[tokio::test]
async fn insert_is_refused_by_name() {
    let fixture = Fixture::new().await;
    fixture
        .append("s.t", &[], rows(vec![("a", ints(&[Some(1)]))]))
        .await;
    let session = crate::fixture::session();
    session
        .register_table("t", fixture.snapshot("s.t").await.scan().unwrap())
        .unwrap();
    let result = session
        .sql("INSERT INTO t VALUES (2)")
        .await
        .unwrap()
        .collect()
        .await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains("INSERT INTO `s.t`"), "{message}");
}

#[tokio::test]
async fn deleted_rows_of_a_deletion_vector_stay_deleted() {
    let fixture = Fixture::new().await;
    let numbers: Vec<_> = (0..30).map(Some).collect();
    let version = fixture
        .append("s.t", &[], rows(vec![("a", ints(&numbers))]))
        .await;
    assert_eq!(version, 0);
    commit_deletion_vector(&fixture.location("s.t").to_file_path().unwrap());
    let snapshot = fixture.snapshot("s.t").await;
    assert_eq!(snapshot.version, 1);
    assert_eq!(
        snapshot.row_count(),
        None,
        "numRecords counts deleted rows too"
    );
    let sql = "SELECT count(*), sum(a), count(*) FILTER (WHERE a IN (3, 29)) FROM t";
    let answer = query(snapshot.scan().unwrap(), sql).await;
    assert_eq!(cells(&answer), [["24", "363", "0"]]);
    // The version before has no vector.
    let name = "s.t".parse().unwrap();
    let before = fixture
        .catalog
        .snapshot(&name, crate::At::Version(0))
        .await
        .unwrap();
    assert_eq!(before.row_count(), Some(30));
    // A candidate over such a table must not be read as if nothing were deleted.
    let candidate = Arc::new(crate::TableSnapshot {
        files: before.files.clone(),
        ..(*snapshot).clone()
    });
    let error = candidate.scan().unwrap_err().to_string();
    assert!(
        error.contains("`s.t`") && error.contains("deletion vectors"),
        "{error}"
    );
    let text = format!("{:?}", snapshot.scan().unwrap());
    assert!(text.contains("DeltalakeScan"), "{text}");
}
