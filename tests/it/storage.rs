//! Storage that is full, read-only, or gone.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::orders::orders;
use crate::support::{Project, Ran, binary};

/// A delivery whose files are larger than the limit that the test sets.
fn large_delivery(project: &Project) {
    let mut text = String::from("id,customer,amount,day\n");
    let mut state = 1_u64;
    for id in 1_000..60_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!(
            "{id},{state:x}{:x},{}.50,2024-02-01\n",
            state.rotate_left(17),
            id % 13
        ));
    }
    project.write("data/large.csv", &text);
}

#[test]
fn full_disk_is_named_and_leaves_the_table() {
    let project = orders();
    project.deliver("1").expect_code(0);
    large_delivery(&project);
    // A limit on the size of one file stands in for a full disk: writes beyond it fail.
    let script = format!(
        "trap '' XFSZ; ulimit -f 700; exec '{}' -C '{}' run orders --param delivery=data/large.csv",
        binary().display(),
        project.path().display()
    );
    let ran: Ran = std::process::Command::new("bash")
        .args(["-c", &script])
        .output()
        .unwrap()
        .into();
    let ran = ran.expect_code(3);
    assert!(ran.stderr.contains("error:"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("File too large") || ran.stderr.contains("full"),
        "{}",
        ran.stderr
    );
    let seen = project.independent("silver.orders");
    assert_eq!((&seen["rows"], &seen["version"]), (&100.into(), &0.into()));
    project.deliver("large").expect_code(0);
    assert_eq!(project.independent("silver.orders")["rows"], 100 + 59_000);
}

#[test]
fn read_only_folder_is_named() {
    let project = orders();
    std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(&["run", "orders"]);
    if is_root() {
        // Nothing is read-only for root: the command runs as nobody, from a copy of the binary that nobody may read.
        let copy = project.path().join("lakegate");
        std::fs::copy(binary(), &copy).unwrap();
        let mut as_nobody = std::process::Command::new(copy);
        as_nobody
            .args(["-C", &project.path().display().to_string(), "run", "orders"])
            .uid(65_534)
            .gid(65_534);
        command = as_nobody;
    } else {
        std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let ran: Ran = command.output().unwrap().into();
    std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = ran.expect_code(3);
    assert!(
        ran.stderr.contains(".lakegate"),
        "the folder is not named:\n{}",
        ran.stderr
    );
    assert!(!project.path().join("warehouse").exists());
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
        .unwrap_or(false)
}

#[test]
fn table_deleted_under_us_is_named() {
    let project = orders();
    project.deliver("1").expect_code(0);
    std::fs::remove_dir_all(project.table_folder("silver.orders")).unwrap();
    let ran = project.run(&["query", "SELECT count(*) FROM silver.orders"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("silver.orders"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    let ran = project.deliver("2");
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("silver.orders"), "{}", ran.stderr);
    assert!(
        !project
            .table_folder("silver.orders")
            .join("_delta_log")
            .exists(),
        "the table came back empty"
    );
}

#[test]
fn table_replaced_under_us_is_read_as_it_is() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let other = orders();
    other.deliver("2").expect_code(0);
    let folder = project.table_folder("silver.orders");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(other.table_folder("silver.orders"), &folder).unwrap();
    assert_eq!(
        project.query("SELECT min(id) AS id FROM silver.orders")[0]["id"],
        101
    );
    project.deliver("1").expect_code(0);
    assert_eq!(
        project.query("SELECT count(*) AS n FROM silver.orders")[0]["n"],
        200
    );
}
