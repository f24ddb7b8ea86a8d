//! `validate` reports every mistake of a project at once, each at its place.

use crate::support::Project;

#[test]
fn ten_mistakes_are_reported_at_their_places() {
    let project = Project::of(&[
        (
            "pipelines/orders.yaml",
            "version: 1
pipeline: orders
parameters:
  day: { type: datum }
stages:
  - name: raw
    extract: { path: data/orders.csv, format: csv, delimeter: ';' }
  - name: typed
    type: { view: raw, schema: schemas/orders.yaml, on_error: explode }
  - name: cleaned
    sql: { query: 'SELECT id, amuont FROM typed' }
  - name: joined
    sql: { query: 'SELECT * FROM custommers' }
  - name: published
    publish: { view: cleand, table: silver.orders, mode: apend, rules: checks/orders.yaml }
",
        ),
        (
            "schemas/orders.yaml",
            "version: 1
columns:
  - { name: id, type: bigint }
  - { name: amount, type: dezimal }
",
        ),
        (
            "checks/orders.yaml",
            "version: 1
table: silver.orders
columns:
  id: [not_nul]
  amount:
    - between: { min: 0, mox: 10 }
table_checks:
  - row_count: { at_least: many }
",
        ),
        ("data/orders.csv", "id,amount\n1,2\n"),
    ]);
    let ran = project.run(&["validate"]).expect_code(2);
    for (place, what) in [
        ("pipelines/orders.yaml:4:", "datum"),
        ("pipelines/orders.yaml:7:", "delimeter"),
        ("pipelines/orders.yaml:9:", "explode"),
        ("pipelines/orders.yaml:11:", "amuont"),
        ("pipelines/orders.yaml:13:", "custommers"),
        ("pipelines/orders.yaml:15:", "cleand"),
        ("pipelines/orders.yaml:15:", "apend"),
        ("schemas/orders.yaml:4:", "dezimal"),
        ("checks/orders.yaml:4:", "not_nul"),
        ("checks/orders.yaml:6:", "mox"),
        ("checks/orders.yaml:8:", "many"),
    ] {
        assert!(
            ran.stderr
                .lines()
                .any(|line| line.contains(place) && line.contains(what)),
            "{what} at {place} is not reported:\n{}",
            ran.stderr
        );
    }
    for hint in [
        "`delimiter`",
        "`not_null`",
        "`append`",
        "`cleaned`",
        "`max`",
    ] {
        assert!(
            ran.stderr
                .lines()
                .any(|line| line.starts_with("hint:") && line.contains(hint)),
            "no hint names {hint}:\n{}",
            ran.stderr
        );
    }
    assert!(
        !project.path().join("warehouse").exists(),
        "validate wrote something"
    );
}
