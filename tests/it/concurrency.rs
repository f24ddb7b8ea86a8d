//! Several processes on one table.

use std::process::Child;

use crate::orders::orders;
use crate::support::Project;

fn start(project: &Project, delivery: &str) -> Child {
    project
        .command(&[
            "run",
            "orders",
            "--param",
            &format!("delivery=data/{delivery}.csv"),
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn two_runs_at_once_both_succeed() {
    let project = orders();
    let runs = [start(&project, "1"), start(&project, "2")];
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(project.independent("silver.orders")["rows"], 200);
}

#[test]
fn one_batch_run_twice_at_once_is_there_once() {
    let project = orders();
    let runs = [
        start(&project, "1"),
        start(&project, "1"),
        start(&project, "1"),
    ];
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let seen = project.independent("silver.orders");
    assert_eq!((&seen["rows"], &seen["version"]), (&100.into(), &0.into()));
}
