//! JSON lines: what is read, and what is refused with which words.

use crate::test_support::{Project, rows};

fn check<const N: usize>(content: &str, options: &str, expected: &[[&str; N]]) {
    let project = Project::with("a.jsonl", content);
    let read = project.rows(&format!(
        "{{ format: json_lines, path: a.jsonl, {options} }}"
    ));
    assert_eq!(read.unwrap(), rows(expected), "{content}");
}

#[test]
fn values_are_text_as_they_are_spelled() {
    check(
        "{\"n\": 1.10, \"s\": \"a\\n\\u00e9\", \"b\": true, \"o\": {\"x\": [1, \"}\"]}, \"z\": null}\n{ \"s\" : \"\" }\n",
        "",
        &[
            ["1.10", "a\né", "true", "{\"x\": [1, \"}\"]}", "∅"],
            ["∅", "", "∅", "∅", "∅"],
        ],
    );
    check(
        "{\"n\": 123456789012345678901234567890}\r\n",
        "",
        &[["123456789012345678901234567890"]],
    );
    check(
        "{\"a\": 1, \"b\": 2}\n",
        "columns: [b], unknown_keys: drop",
        &[["2"]],
    );
    check(
        "{}\n \t\n{\"a\": 1}\n\n",
        "blank_lines: skip",
        &[["∅"], ["1"]],
    );
}

#[test]
fn malformed_lines_are_refused_at_their_line() {
    let cases = [
        (
            "{\"a\": 1}\n{\"a\": 1",
            "a.jsonl:2: the object is not closed",
        ),
        (
            "{\"a\": 1}\n[1]\n",
            "a.jsonl:2: the line is not a JSON object",
        ),
        (
            "{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n",
            "a.jsonl:2: key `a` is in the object twice",
        ),
        (
            "{\"a\": 1}\n{\"a\": 1} x\n",
            "a.jsonl:2: something stands behind the object",
        ),
        (
            "{\"a\": 1}\n{\"a\": nope}\n",
            "a.jsonl:2: the line is not JSON: ",
        ),
        (
            "{\"a\": 1}\n\n",
            "a.jsonl:2: the line is blank\nhint: `blank_lines: skip`",
        ),
        ("{a: 1}\n", "a.jsonl:1: the line is not JSON"),
        (
            "{}\n",
            "`a.jsonl` has no object with a key among its first 1000\nhint: name the columns",
        ),
    ];
    for (content, expected) in cases {
        let project = Project::with("a.jsonl", content);
        let fault = project.fault("{ format: json_lines, path: a.jsonl }");
        assert!(fault.starts_with(expected), "{fault}\n!=\n{expected}");
    }
}

#[test]
fn late_and_undeclared_keys_are_refused_unless_dropped() {
    let content = format!("{}{{\"b\": 1}}\n", "{\"a\": 1}\n".repeat(1000));
    let project = Project::with("a.jsonl", &content);
    let fault = project.fault("{ format: json_lines, path: a.jsonl }");
    let expected = "a.jsonl:1001: key `b` is not one of the columns\nhint: the columns are the keys of the first 1000 objects";
    assert!(fault.starts_with(expected), "{fault}");
    let fault = project.fault("{ format: json_lines, path: a.jsonl, columns: [b] }");
    assert!(
        fault
            .starts_with("a.jsonl:1: key `a` is not one of the columns\nhint: add it to `columns`"),
        "{fault}"
    );
    let read =
        project.rows("{ format: json_lines, path: a.jsonl, columns: [b], unknown_keys: drop }");
    assert_eq!(read.unwrap().len(), 1001);
}
