//! The pages about clients: their code runs.

use std::path::Path;
use std::process::Command;

use crate::orders::orders;
use crate::support::{Project, Ran, installed};

/// The one block of code in this language on a page about clients.
pub(super) fn block(page: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/clients")
        .join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    let start = format!("{language}\n");
    let blocks: Vec<_> = blocks
        .filter_map(|block| block.strip_prefix(&start))
        .collect();
    assert_eq!(blocks.len(), 1, "{page}");
    blocks[0].to_owned()
}

#[test]
fn program_of_the_page_about_jdbc_runs() {
    let Some(driver) = installed("LAKEGATE_TEST_JDBC", "the JDBC driver") else {
        return;
    };
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let program = block("jdbc.md", "java");
    let door = "127.0.0.1:32010";
    assert!(program.contains(door), "{program}");
    let folder = Project::empty();
    folder.write("Main.java", &program.replace(door, &server.flight));
    // As the page says.
    let ran: Ran = Command::new("java")
        .arg("--add-opens=java.base/java.nio=ALL-UNNAMED")
        .arg("-cp")
        .arg(driver)
        .arg(folder.path().join("Main.java"))
        .output()
        .unwrap()
        .into();
    let ran = ran.expect_code(0);
    assert_eq!(ran.stdout, "15\n", "{}", ran.stderr);
}
