//! Parquet: types stay, and files that differ are refused by name.

use std::fs::File;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;

use crate::test_support::{Project, rows};

fn write(project: &Project, path: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(project.root().join(path)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn files_are_read_with_their_types_whatever_their_names_and_column_order() {
    let project = Project::new();
    write(
        &project,
        "1 %20[x].parquet",
        vec![("n", numbers(&[1])), ("s", texts(&["x"]))],
    );
    write(
        &project,
        "2.parquet",
        vec![("s", texts(&["y"])), ("n", numbers(&[2]))],
    );
    let table = project
        .provider("{ format: parquet, path: '*.parquet' }")
        .unwrap();
    assert_eq!(*table.schema().field(0).data_type(), DataType::Int64);
    let mut read = project.table_rows(table).unwrap();
    read.sort();
    assert_eq!(read, rows(&[["1", "x"], ["2", "y"]]));
}

#[test]
fn files_that_differ_or_are_no_parquet_are_refused_by_name() {
    let project = Project::new();
    write(&project, "a1.parquet", vec![("n", numbers(&[1]))]);
    write(
        &project,
        "a2.parquet",
        vec![("n", Arc::new(Int32Array::from(vec![1])))],
    );
    write(
        &project,
        "b1.parquet",
        vec![("n", numbers(&[1])), ("m", numbers(&[1]))],
    );
    write(&project, "b2.parquet", vec![("n", numbers(&[1]))]);
    project.write("c.parquet", "PAR1 but not for long");
    let whole = std::fs::read(project.root().join("b1.parquet")).unwrap();
    project.write("d.parquet", &whole[..whole.len() - 20]);
    let cases = [
        (
            "a*",
            "`a2.parquet` differs from `a1.parquet`: column `n` is Int32, not Int64\nhint: ",
        ),
        (
            "b*",
            "`b2.parquet` differs from `b1.parquet`: it lacks column `m`",
        ),
        ("[ab]*", "`a2.parquet` differs from `a1.parquet`"),
        ("c*", "`c.parquet` is not a whole Parquet file"),
        ("d*", "`d.parquet` is not a whole Parquet file"),
    ];
    for (path, expected) in cases {
        let fault = project.fault(&format!("{{ format: parquet, path: '{path}.parquet' }}"));
        assert!(fault.starts_with(expected), "{fault}\n!=\n{expected}");
    }
}

#[test]
fn file_that_changes_between_its_digest_and_its_reading_is_refused() {
    let project = Project::new();
    write(&project, "a.parquet", vec![("n", numbers(&[1]))]);
    let extract = project
        .open("{ format: parquet, path: a.parquet }")
        .unwrap();
    let rows = project.block_on(extract.provider()).unwrap();
    write(&project, "a.parquet", vec![("n", numbers(&[1, 2, 3]))]);
    let expected = "`a.parquet` changed while the run was reading it";
    let error = project.table_rows(rows).unwrap_err();
    assert!(error.to_string().starts_with(expected), "{error}");
    let error = project.block_on(extract.provider()).unwrap_err();
    assert!(error.to_string().starts_with(expected), "{error}");
}
