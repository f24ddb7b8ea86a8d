//! A run that is killed at any step leaves no half of anything, and running it again finishes it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::orders::orders;
use crate::support::Project;

/// Where the process stops, and the version of `silver.orders` that readers see right after.
const STOPS: &[(&str, &str, i64)] = &[
    ("before the data files", "publish.before_write=return", 0),
    ("between the data files", "write.data_file=1*off->return", 0),
    ("before the verdict", "gate.before_judge=return", 0),
    ("before the commit", "gate.before_commit=return", 0),
    ("after the commit", "gate.after_commit=return", 1),
    ("before the registration", "write.before_register=return", 1),
    ("after the registration", "publish.after_register=return", 1),
    ("before the run record", "run.before_record=return", 1),
];

#[derive(Debug, PartialEq)]
struct State {
    orders: Vec<Value>,
    totals: Vec<Value>,
    versions: [Value; 2],
}

fn state(project: &Project) -> State {
    State {
        orders: project.query("SELECT id, customer, CAST(amount AS string) AS amount, day FROM silver.orders ORDER BY id"),
        totals: project.query("SELECT day, orders, CAST(amount AS string) AS amount FROM gold.totals ORDER BY day"),
        versions: ["silver.orders", "gold.totals"].map(|table| project.independent(table)["version"].clone()),
    }
}

/// Every file that the newest version names is there, and after a vacuum nothing else is.
fn assert_no_file_is_lost_or_left(project: &Project, stop: &str) {
    for table in ["silver.orders", "gold.totals"] {
        project
            .run(&["catalog", "vacuum", table, "--retention", "0s"])
            .expect_code(0);
        let live: BTreeSet<String> = project.independent(table)["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| {
                file.as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let mut found = Vec::new();
        crate::support::parquet_files(&project.table_folder(table), &mut found);
        let found: BTreeSet<String> = found.into_iter().collect();
        assert_eq!(found, live, "{table}, killed {stop}");
    }
}

#[test]
fn killed_run_is_finished_by_running_it_again() {
    let clean = orders();
    clean.deliver("1").expect_code(0);
    clean.deliver("2").expect_code(0);
    let wanted = state(&clean);
    for (stop, failpoint, version) in STOPS {
        let project = orders();
        project.deliver("1").expect_code(0);
        let killed = project
            .command(&["run", "orders", "--param", "delivery=data/2.csv"])
            .env("FAILPOINTS", failpoint)
            .output()
            .unwrap();
        assert_eq!(
            killed.status.code(),
            None,
            "the run was not killed {stop}:\n{}",
            String::from_utf8_lossy(&killed.stderr)
        );
        let seen = project.independent("silver.orders");
        assert_eq!(seen["version"], *version, "killed {stop}");
        assert_eq!(
            seen["rows"],
            if *version == 0 { 100 } else { 200 },
            "killed {stop}"
        );

        project.deliver("2").expect_code(0);
        assert_eq!(state(&project), wanted, "killed {stop}");
        assert_no_file_is_lost_or_left(&project, stop);
    }
}

#[test]
fn killed_first_run_is_finished_by_running_it_again() {
    let clean = orders();
    clean.deliver("1").expect_code(0);
    let wanted = state(&clean);
    for (stop, failpoint, _) in STOPS {
        let project = orders();
        let killed = project
            .command(&["run", "orders"])
            .env("FAILPOINTS", failpoint)
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "the run was not killed {stop}");
        project.deliver("1").expect_code(0);
        assert_eq!(state(&project), wanted, "killed {stop}");
    }
}

#[test]
fn batch_that_is_run_again_changes_nothing() {
    let project = orders();
    project.deliver("1").expect_code(0);
    project.deliver("2").expect_code(0);
    let before = state(&project);
    project.deliver("1").expect_code(0);
    project.deliver("2").expect_code(0);
    assert_eq!(state(&project).orders, before.orders);
    assert_eq!(state(&project).versions[0], before.versions[0]);
    let forced = project.run(&[
        "run",
        "orders",
        "--param",
        "delivery=data/2.csv",
        "--reprocess",
    ]);
    forced.expect_code(1);
    assert_eq!(
        state(&project).orders,
        before.orders,
        "the forced batch repeats keys, which the rules refuse"
    );
}

#[test]
fn refused_run_changes_nothing() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let before = state(&project);
    let files = project.independent("silver.orders")["files"].clone();
    let refused = project.deliver("bad").expect_code(1);
    for shown in [
        "unique_key",
        "customer/not_null",
        "amount/between",
        "silver.orders",
    ] {
        assert!(
            format!("{}{}", refused.stdout, refused.stderr).contains(shown),
            "{shown} is not shown:\n{}\n{}",
            refused.stdout,
            refused.stderr
        );
    }
    assert_eq!(state(&project), before);
    assert_eq!(project.independent("silver.orders")["files"], files);
    assert_no_file_is_lost_or_left(&project, "not at all");
}
