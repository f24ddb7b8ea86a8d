//! Spooled views: read many times, counted, and gone when nobody needs them.

use std::fs;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::physical_plan::EmptyRecordBatchStream;

use super::*;
use crate::input_error::InputErrorKind;
use crate::test_support::{Project, rows};

fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        numbers.clone().map(|number| number.to_string()),
    ));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_from_iter([("n", numbers), ("s", texts)]).unwrap()
}

fn folders(project: &Project) -> usize {
    fs::read_dir(project.root().join("scratch"))
        .unwrap()
        .count()
}

#[test]
fn a_view_is_read_many_times_and_goes_with_its_last_reader() {
    let project = Project::new();
    let spooled = project.block_on(async {
        let scratch = Scratch::new(&project.root().join("scratch")).unwrap();
        let mut writer = scratch.writer("v", batch(0..1).schema()).unwrap();
        for i in 0..300 {
            writer.write(batch(i * 8192..(i + 1) * 8192)).await.unwrap();
        }
        writer.finish().await.unwrap()
    });
    assert_eq!(spooled.rows, 300 * 8192);
    assert!(spooled.bytes > 1_000_000);
    assert_eq!(folders(&project), 1);
    let context = crate::test_support::session();
    context.register_table("v", spooled.provider).unwrap();
    for _ in 0..2 {
        let query = "SELECT count(*), sum(n), max(length(s)) FROM v";
        let batches = project.block_on(async { context.sql(query).await.unwrap().collect().await });
        let found = crate::test_support::to_rows(&batches.unwrap());
        assert_eq!(found, rows(&[["2457600", "3019897651200", "7"]]));
    }
    drop(context);
    assert_eq!(folders(&project), 0);
}

#[test]
fn an_empty_view_has_its_columns() {
    let project = Project::new();
    let spooled = project.block_on(async {
        let scratch = Scratch::new(&project.root().join("scratch")).unwrap();
        let stream = EmptyRecordBatchStream::new(batch(0..1).schema());
        scratch.spool("v", Box::pin(stream)).await.unwrap()
    });
    assert_eq!((spooled.rows, spooled.bytes), (0, 0));
    assert_eq!(spooled.provider.schema(), batch(0..1).schema());
    assert!(project.table_rows(spooled.provider).unwrap().is_empty());
}

#[test]
fn folders_of_the_dead_are_cleared_and_those_of_the_living_are_not() {
    let project = Project::new();
    let parent = project.root().join("scratch");
    let living = Scratch::new(&parent).unwrap();
    // A process that was killed leaves its folder, and its lock file without a lock.
    fs::create_dir(parent.join("run-dead")).unwrap();
    fs::write(parent.join("run-dead/lock"), "").unwrap();
    fs::write(parent.join("run-dead/0.0.arrow"), "rows").unwrap();
    fs::create_dir(parent.join("somebody-elses")).unwrap();
    let second = Scratch::new(&parent).unwrap();
    assert!(!parent.join("run-dead").exists());
    assert!(parent.join("somebody-elses").exists());
    assert!(living.folder.path.exists() && second.folder.path.exists());
    drop((living, second));
    assert_eq!(folders(&project), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let project = Project::with("scratch", "a file");
    let error = Scratch::new(&project.root().join("scratch")).unwrap_err();
    assert_eq!(error.kind, InputErrorKind::Failed);
    assert!(
        error.to_string().starts_with("the scratch folder `"),
        "{error}"
    );
    assert!(error.hint.is_some());
}

#[test]
fn a_disk_that_fails_stops_the_writer_and_names_the_view() {
    let project = Project::new();
    let error = project.block_on(async {
        let scratch = Scratch::new(&project.root().join("scratch")).unwrap();
        let mut writer = scratch.writer("raw", batch(0..1).schema()).unwrap();
        fs::remove_dir_all(&scratch.folder.path).unwrap();
        loop {
            if let Err(error) = writer.write(batch(0..8192)).await {
                break error;
            }
        }
    });
    assert!(
        error
            .to_string()
            .starts_with("view `raw` cannot be kept in `"),
        "{error}"
    );
}
