//! What a run says of the gate's verdicts.

use lakegate_rules::Verdict;

use super::expect;
use super::publish::{ALL, project};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn accepted_as_no_worse_is_no_failure_and_names_its_baseline() {
    let project = project("mode: overwrite").await;
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,\n3,Rom,\n");
    project.run().await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    let ruled = text.replace("mode: overwrite", "mode: overwrite, rules: checks/c.yaml");
    project.write("pipelines/p.yaml", &ruled);
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ngate: no_worse\ncolumns:\n  n: [not_null]\n",
    );
    project.write("data/b.csv", "id,city,n\n1,Ulm,10\n2,Bern,\n3,Rom,30\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Done);
    assert_eq!(report.exit_code(), 0);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!(stage.verdict.as_deref(), Some("no_worse"));
    assert_eq!(stage.checks_verdict(), Some(Verdict::NoWorse));
    let check = &stage.report.as_ref().unwrap().checks[0];
    assert_eq!(
        check.message.as_deref(),
        Some("2 bad rows before (version 0), 1 now")
    );

    project.write("data/b.csv", "id,city,n\n1,,\n2,Bern,\n3,Rom,\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert_eq!(report.exit_code(), 1);
    let error = report.stage("publish_cities").unwrap().error.as_deref();
    assert!(
        error
            .unwrap()
            .contains("1 bad row before (version 1), 3 now"),
        "{error:?}"
    );
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,", "3,Rom,30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_says_the_rows_that_it_read_and_those_of_the_table() {
    let project = project("mode: merge, key: id").await;
    project.run().await;
    let report = project.run_with("input", "data/b.csv").await;
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!((stage.rows, stage.table_rows), (Some(2), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reads_the_candidate_under_the_name_in_the_rules_whatever_the_writer_calls_it() {
    let project = project("mode: append").await;
    project.run().await;
    let rules = "version: 1\ntable: silver.cities\ntable_checks:\n  - sql: { name: few, expect: no_rows, \
                 query: SELECT 1 FROM silver.cities HAVING count(*) > 3 }\n";
    project.write("checks/c.yaml", rules);
    let suite = lakegate_rules::Suite::parse("checks/c.yaml", rules).unwrap();
    let catalog = &project.lakegate.catalog;
    let (old, new) = (
        "silver.cities".parse().unwrap(),
        "other.alias".parse().unwrap(),
    );
    catalog
        .apply_rules(&old, crate::publish::rules_text(&suite))
        .await
        .unwrap();
    // The rules know the table by its first name, which means another table by now.
    let location = catalog.entry(&old).await.unwrap().location;
    catalog.drop_table(&old, false).await.unwrap();
    catalog.register(&new, &location).await.unwrap();
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    project.write(
        "pipelines/p.yaml",
        &text.replace("silver.cities", "other.alias"),
    );
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
}
