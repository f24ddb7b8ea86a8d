//! Keys and times of the modes that find rows again.

use super::publish::{ALL, project};
use super::{Project, expect};
use crate::Outcome;

/// A publish is a request that cannot be carried out, and says why.
async fn refuses(project: &Project, error: &str, hint: &str) {
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Failed);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!(stage.error.as_deref(), Some(error));
    assert_eq!(stage.hint.as_deref(), Some(hint));
    assert_eq!(report.exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_sees_changes_of_each_of_several_tracked_columns() {
    for tracked in ["track: [city, n]", "track: [n, city]", "track: []"] {
        let project = project(&format!("mode: scd2, key: [id], {tracked}")).await;
        project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n3,,30\n");
        project.run().await;
        project.write("data/b.csv", "id,city,n\n1,Ulm,11\n2,Basel,20\n3,,30\n");
        let report = project.run_with("input", "data/b.csv").await;
        expect(&report, "publish_cities", Outcome::Done);
        let current = "SELECT id, city, n FROM silver.cities WHERE is_current ORDER BY id";
        assert_eq!(
            project.rows(current).await,
            ["1,Ulm,11", "2,Basel,20", "3,,30"]
        );
        let ended = "SELECT id, city, n FROM silver.cities WHERE NOT is_current ORDER BY id";
        assert_eq!(project.rows(ended).await, ["1,Ulm,10", "2,Bern,20"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_refuses_rows_that_become_valid_at_no_time() {
    let project = project("mode: scd2, key: [id], track: [city], effective_at: at").await;
    let file = project.root().join("pipelines/p.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let timed = "SELECT id, city, n, CASE WHEN n > 0 THEN to_timestamp(n) END AS at";
    project.write(
        "pipelines/p.yaml",
        &text.replace("SELECT id, city, n", timed),
    );
    expect(&project.run().await, "publish_cities", Outcome::Done);
    project.write("data/b.csv", "id,city,n\n1,Wien,\n2,Basel,21\n");
    refuses(
        &project,
        "view `cities` has rows that become valid at no time: `at` in 1 row",
        "`effective_at` needs a time in every row: filter them in the SQL, `WHERE \"at\" IS NOT NULL`",
    )
    .await;
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_key_is_refused_with_its_column_and_the_number_of_rows() {
    for mode in ["merge", "scd2"] {
        let project = project(&format!("mode: {mode}, key: [id, city]")).await;
        project.run().await;
        project.write("data/b.csv", "id,city,n\n2,,21\n3,,30\n4,Rom,40\n");
        refuses(
            &project,
            "view `cities` has rows with a null in their key: `city` in 2 rows",
            "filter them in the SQL: `WHERE ((\"id\" IS NOT NULL) AND (\"city\" IS NOT NULL))`",
        )
        .await;
        assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_key_that_the_rules_refuse_is_left_to_their_report() {
    let project = project("mode: merge, key: [city], rules: checks/c.yaml").await;
    let rules =
        |check: &str| format!("version: 1\ntable: silver.cities\ncolumns:\n  city: [{check}]\n");
    project.write("checks/c.yaml", &rules("not_null"));
    project.run().await;
    project.write("data/b.csv", "id,city,n\n2,,21\n3,Rom,30\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert!(report.stage("publish_cities").unwrap().report.is_some());
    // Rules that let some nulls pass do not let one into a key.
    for check in [
        "not_null: { at_least: 10% }",
        "not_null: { severity: warn }",
    ] {
        project.write("checks/c.yaml", &rules(check));
        let report = project.run_with("input", "data/b.csv").await;
        expect(&report, "publish_cities", Outcome::Failed);
    }
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
}
