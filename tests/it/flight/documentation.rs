//! The pages about clients: their code runs, on the project that they begin with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{Project, Ran, installed, lakegate, python, python_at};

/// What each page begins with.
const START: &str = "lakegate init shop && cd shop && lakegate run orders && lakegate serve\n";

/// The page whose Python needs packages of its own.
const ALCHEMY: &str = "sqlalchemy.md";

/// The folder of the pages.
fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients")
}

/// The blocks of code in this language on a page about clients, in their order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(pages().join(page)).unwrap();
    let start = format!("{language}\n");
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(&start))
        .map(str::to_owned)
        .collect()
}

/// The one block of code in this language.
pub(super) fn block(page: &str, language: &str) -> String {
    let blocks = blocks(page, language);
    assert_eq!(blocks.len(), 1, "{page}");
    blocks[0].clone()
}

/// The project that a page begins with.
pub(super) fn project_of(page: &str) -> Project {
    assert_eq!(blocks(page, "sh")[0], START, "{page}");
    let project = Project::empty();
    let folder = project.path().display().to_string();
    let made: Ran = lakegate(&["init", &folder]).output().unwrap().into();
    made.expect_code(0);
    project.run(&["run", "orders"]).expect_code(0);
    project
}

#[test]
fn python_of_the_pages_runs() {
    let mut ran = 0;
    for entry in std::fs::read_dir(pages()).unwrap() {
        let page = entry.unwrap().file_name().into_string().unwrap();
        if page == ALCHEMY || blocks(&page, "python").is_empty() {
            continue;
        }
        let project = project_of(&page);
        let server = project.serve(&[]);
        let passed = python("page.py", &[&page, &server.flight]);
        assert_eq!(passed, json!({ "passed": 1 }), "{page}");
        server.stop().expect_code(0);
        ran += 1;
    }
    assert!(ran > 2, "{ran} pages");
}

#[test]
fn python_of_the_page_about_sqlalchemy_runs() {
    let Some(python) = installed("LAKEGATE_TEST_ALCHEMY", "SQLAlchemy 2") else {
        return;
    };
    let project = project_of(ALCHEMY);
    let server = project.serve(&[]);
    let passed = python_at(&python, "page.py", &[ALCHEMY, &server.flight]);
    assert_eq!(passed, json!({ "passed": 1 }));
    server.stop().expect_code(0);
}

#[test]
fn program_of_the_page_about_jdbc_runs() {
    let Some(driver) = installed("LAKEGATE_TEST_JDBC", "the JDBC driver") else {
        return;
    };
    let project = project_of("jdbc.md");
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
    assert_eq!(ran.stdout, "2\n", "{}", ran.stderr);
}
