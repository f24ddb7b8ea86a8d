//! Files that are judged outside of any pipeline.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use lakegate_rules::{Report, Suite, Verdict};

use super::Project;
use crate::check_file;

async fn check(project: &Project, file: &str, columns: &str) -> Report {
    let rules = format!("version: 1\ncolumns:\n{columns}");
    let suite = Suite::parse("rules.yaml", &rules).unwrap();
    let path = project.root().join(file);
    check_file(&project.lakegate, &path, &suite).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_read_as_pipelines_read_it_and_typed_by_its_first_rows() {
    let project = Project::new().await;
    let text = "id,day,note\n1,2013-01-01,\"two\nlines\"\n2,2013-01-02,x\n\n";
    project.write("x [1].csv", text);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    std::fs::write(project.root().join("x.csv.gz"), packed.finish().unwrap()).unwrap();
    project.write("x.tsv", &text.replace(',', "\t"));
    project.write(
        "x.jsonl",
        "{\"id\": 1, \"day\": \"2013-01-01\", \"note\": \"a\"}\n{\"id\": 2, \"day\": \"2013-01-02\"}\n",
    );
    let rules =
        "  id: [not_null, { sum: { equals: 3 } }]\n  day: [{ max: { equals: 2013-01-02 } }]\n";
    for file in ["x [1].csv", "x.csv.gz", "x.tsv", "x.jsonl"] {
        let report = check(&project, file, rules).await;
        assert_eq!(report.verdict(), Verdict::Pass, "{file}: {report:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_behind_the_first_rows_that_does_not_type_is_named_with_its_line() {
    let project = Project::new().await;
    let rows: String = (0..2000).map(|n| format!("{n}\n")).collect();
    project.write("x.csv", &format!("id\n{rows}many\n"));
    let report = check(&project, "x.csv", "  id: [not_null]\n").await;
    assert_eq!(report.verdict(), Verdict::Error);
    let message = report.checks[0].message.clone().unwrap();
    assert!(
        message.contains("x.csv:2002: column `id`: `many`"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nan_between_equal_bounds_is_seen() {
    let project = Project::new().await;
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 1.0]));
    let batch = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
    let file = std::fs::File::create(project.root().join("x.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let report = check(&project, "x.parquet", "  x: [{ between: [0, 3] }]\n").await;
    assert_eq!(report.checks[0].bad_rows, Some(1), "{report:#?}");
}
