//! Typing: what becomes of values that are none, and how columns are matched.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;

use super::*;
use crate::extract::with_places;
use crate::scratch::Scratch;
use crate::test_support::{Project, Rows, rows, session, shown};

mod values;

/// A view with one column `x` of these texts; `∅` is null.
fn view(texts: &[&str]) -> Arc<dyn TableProvider> {
    let array =
        StringViewArray::from_iter(texts.iter().map(|text| (*text != "∅").then_some(*text)));
    let array: ArrayRef = Arc::new(array);
    let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn schema(column: &str) -> String {
    format!("version: 1\ncolumns: [{{ name: x, {column} }}]")
}

const CSV: &str = "id,day,note\n1,2013-01-01,x\ntwo,2013-02-30,\"y\"\n3,2013-01-03,z\n";
const SCHEMA: &str = "\
version: 1
columns:
  - { name: id, type: int, nullable: false }
  - { name: day, type: date }
  - { name: note, type: string }
";

/// A typing of rows that say where they stand, and these rows.
fn placed(
    project: &Project,
    raw: &Arc<dyn TableProvider>,
    on_error: &str,
) -> (Typing, Arc<dyn TableProvider>) {
    let typing = project.typing(raw, SCHEMA, on_error).unwrap();
    (typing.with_places(), with_places(raw).unwrap())
}

fn csv_view(project: &Project) -> Arc<dyn TableProvider> {
    project.write("d/a.csv", CSV);
    project.provider("{ format: csv, path: d/a.csv }").unwrap()
}

#[test]
fn fail_names_file_line_column_value_reason_and_stage() {
    let project = Project::new();
    let raw = csv_view(&project);
    let (typing, raw) = placed(&project, &raw, "fail");
    assert!(!typing.output_schema().field(0).is_nullable());
    let error = project
        .table_rows(typing.table(raw, Arc::default()))
        .unwrap_err();
    let expected = "d/a.csv:3: column `id`: `two` is not a whole number (stage `typed`)\nhint: correct the delivery or `s.yaml`";
    assert!(shown(&error).starts_with(expected), "{}", shown(&error));
}

#[test]
fn fail_names_the_row_of_a_view_that_has_no_file() {
    let project = Project::new();
    let input = view(&["1", "2", "x"]);
    let typing = project
        .typing(&input, &schema("type: int"), "fail")
        .unwrap();
    let error = project
        .table_rows(typing.table(input, Arc::default()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("row 3: column `x`: `x` is not a whole number"),
        "{error}"
    );
}

fn expected_counts() -> TypingCounts {
    let example = |column: &str, value: &str, reason: &str| BadValue {
        place: "d/a.csv:3".into(),
        column: column.into(),
        value: Some(value.into()),
        reason: reason.into(),
    };
    TypingCounts {
        rows: 3,
        bad_rows: 1,
        bad_values: ["id", "day"]
            .map(|column| BadColumn {
                column: column.into(),
                values: 1,
            })
            .into(),
        examples: vec![
            example("id", "two", "is not a whole number"),
            example(
                "day",
                "2013-02-30",
                "is not a date that exists between the years 1 and 9999",
            ),
        ],
    }
}

const ERRORS: &str = "[{column: id, value: two, reason: is not a whole number}, {column: day, value: 2013-02-30, reason: is not a date that exists between the years 1 and 9999}]";

#[test]
fn null_keeps_the_row_and_says_why() {
    let project = Project::new();
    let raw = csv_view(&project);
    let (typing, raw) = placed(&project, &raw, "null");
    let counter = Arc::new(TypingCounter::default());
    let table = typing.table(raw, Arc::clone(&counter));
    let expected = rows(&[
        ["1", "2013-01-01", "x", "[]"],
        ["∅", "∅", "y", ERRORS],
        ["3", "2013-01-03", "z", "[]"],
    ]);
    // A second scan gives the same rows, and does not count twice.
    for _ in 0..2 {
        assert_eq!(project.table_rows(Arc::clone(&table)).unwrap(), expected);
        assert_eq!(counter.total(), expected_counts());
    }
}

#[test]
fn quarantine_takes_rows_out_and_keeps_their_text_and_place() {
    let project = Project::new();
    let raw = csv_view(&project);
    project.write("d/b.csv", CSV);
    let both = project
        .provider("{ format: csv, path: 'd/*.csv' }")
        .unwrap();
    let (typing, _) = placed(&project, &raw, "quarantine");
    let both = with_places(&both).unwrap();
    let (counts, good, bad) = project.block_on(async {
        let scratch = Scratch::new(project.root()).unwrap();
        let mut good = scratch.writer("typed", typing.output_schema()).unwrap();
        let mut bad = scratch.writer("bad", typing.bad_schema()).unwrap();
        let state = session().state();
        let counts = typing
            .spool(&state, both, &mut good, Some(&mut bad))
            .await
            .unwrap();
        (
            counts,
            good.finish().await.unwrap(),
            bad.finish().await.unwrap(),
        )
    });
    assert_eq!((counts.rows, counts.bad_rows), (6, 2));
    let bad_values: Vec<_> = counts
        .bad_values
        .iter()
        .map(|bad| (bad.column.as_str(), bad.values))
        .collect();
    assert_eq!(bad_values, [("id", 2), ("day", 2)]);
    assert_eq!((good.rows, bad.rows), (4, 2));
    let good = project.table_rows(good.provider).unwrap();
    assert_eq!(
        good[..2],
        rows(&[["1", "2013-01-01", "x"], ["3", "2013-01-03", "z"]])
    );
    let mut bad: Rows = project.table_rows(bad.provider).unwrap();
    bad.sort();
    let expected = rows(&[
        ["two", "2013-02-30", "y", "d/a.csv", "3", ERRORS],
        ["two", "2013-02-30", "y", "d/b.csv", "3", ERRORS],
    ]);
    assert_eq!(bad, expected);
}

#[test]
fn spooling_stops_at_a_fault_of_the_file() {
    let project = Project::with("a.csv", "id,day,note\n1,2013-01-01\n");
    let raw = project.provider("{ format: csv, path: a.csv }").unwrap();
    let typing = project.typing(&raw, SCHEMA, "fail").unwrap();
    let error = project.block_on(async {
        let scratch = Scratch::new(project.root()).unwrap();
        let mut good = scratch.writer("typed", typing.output_schema()).unwrap();
        typing
            .spool(&session().state(), raw, &mut good, None)
            .await
            .unwrap_err()
    });
    assert!(
        error
            .to_string()
            .starts_with("a.csv:2: the record has 2 fields, wanted 3"),
        "{error}"
    );
    assert!(error.hint.is_some());
}

#[test]
fn columns_are_matched_by_name() {
    let project = Project::with("a.csv", "b,a,c\n2,1,3\n");
    let raw = project.provider("{ format: csv, path: a.csv }").unwrap();
    let renamed = |other: &str| {
        format!(
            "version: 1\nother_columns: {other}\ncolumns: [{{ name: x, from: a, type: int }}, {{ name: b, type: int }}]"
        )
    };
    let typing = project.typing(&raw, &renamed("keep"), "fail").unwrap();
    let table = typing.table(Arc::clone(&raw), Arc::default());
    assert_eq!(project.table_rows(table).unwrap(), rows(&[["1", "2", "3"]]));
    let typing = project.typing(&raw, &renamed("drop"), "fail").unwrap();
    assert_eq!(typing.output_schema().fields().len(), 2);
    let problems = project.typing(&raw, &renamed("error"), "fail").unwrap_err();
    let expected = "s.yaml: column `c` of view `raw` is not listed\nhint: list it, or set `other_columns: keep` or `drop`";
    assert_eq!(problems.to_string(), expected);
    let misspelt = "version: 1\nother_columns: drop\ncolumns:\n- { name: aa, type: int }";
    let problems = project.typing(&raw, misspelt, "fail").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "s.yaml:4:11: view `raw` has no column `aa`\nhint: did you mean `a`?"
    );
}

#[test]
fn source_columns_pass_through_and_typed_columns_stay() {
    let project = Project::with("a.csv", "x\n1\n");
    let raw = project
        .provider("{ format: csv, path: a.csv, source_columns: true }")
        .unwrap();
    let typing = project.typing(&raw, &schema("type: int"), "fail").unwrap();
    let table = typing.table(raw, Arc::default());
    assert_eq!(
        project.table_rows(table).unwrap(),
        rows(&[["1", "a.csv", "2"]])
    );

    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
    let input: Arc<dyn TableProvider> =
        Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap());
    let typing = project
        .typing(&input, &schema("type: bigint"), "fail")
        .unwrap();
    let table = typing.table(Arc::clone(&input), Arc::default());
    assert_eq!(project.table_rows(table).unwrap(), rows(&[["1"], ["∅"]]));
    let strict = project
        .typing(&input, &schema("type: bigint, nullable: false"), "fail")
        .unwrap();
    let error = project
        .table_rows(strict.table(Arc::clone(&input), Arc::default()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("row 2: column `x`: the value is null"),
        "{error}"
    );
    let problems = project
        .typing(&input, &schema("type: int"), "fail")
        .unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("column `x` is Int64, neither text nor Int32"),
        "{problems}"
    );
}

#[test]
fn the_outcome_does_not_depend_on_the_columns_that_are_asked_for() {
    let project = Project::new();
    let raw = csv_view(&project);
    let typing = project.typing(&raw, SCHEMA, "fail").unwrap();
    let context = session();
    context
        .register_table("typed", typing.table(raw, Arc::default()))
        .unwrap();
    let outcome = project.block_on(async {
        context
            .sql("SELECT count(note) FROM typed")
            .await
            .unwrap()
            .collect()
            .await
    });
    assert!(crate::input_error::InputError::find(&outcome.unwrap_err()).is_some());
}
