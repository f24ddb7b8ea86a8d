//! Every kind is registered, and its documented example is a check that runs.

use super::*;
use crate::describe::documentation;
use crate::tests::orders;
use crate::{Suite, Verdict, judge};

/// The YAML blocks of a kind's documentation.
fn examples(kind: &dyn CheckKind) -> Vec<String> {
    let docs = documentation(kind);
    let blocks = docs.split("```yaml\n").skip(1);
    blocks
        .filter_map(|block| block.split_once("```"))
        .map(|(yaml, _)| yaml.to_owned())
        .collect()
}

#[test]
fn every_file_is_registered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/checks");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| !["mod", "tests"].contains(&name.as_str()))
        .collect();
    files.sort();
    let registered: Vec<_> = kinds().map(str::to_owned).collect();
    assert_eq!(files, registered);
    for kind in KINDS {
        let file = std::fs::read_to_string(format!("{folder}/{}.rs", kind.name())).unwrap();
        assert_eq!(file, kind.source(), "{}", kind.name());
    }
}

#[tokio::test]
async fn every_documented_example_runs() {
    for kind in KINDS {
        let examples = examples(*kind);
        assert!(!examples.is_empty(), "`{}` has no example", kind.name());
        for example in examples {
            let text = format!("version: 1\ntable: silver.orders\nkey: [order_id]\n{example}");
            let suite = Suite::parse("example.yaml", &text)
                .unwrap_or_else(|problems| panic!("{}: {problems}", kind.name()));
            assert!(suite.checks.iter().any(|c| c.kind == kind.name()), "{text}");
            let subject = orders().await;
            let schema = subject.candidate.schema();
            let problems = suite.validate(&subject.session, &schema).await;
            assert!(problems.is_empty(), "{}: {problems}", kind.name());
            for result in judge(&suite, &subject).await.checks {
                assert!(
                    result.verdict <= Verdict::Warn,
                    "{}: {result:?}",
                    kind.name()
                );
            }
        }
    }
}

#[test]
fn every_setting_is_documented() {
    for kind in KINDS {
        let text = crate::explain(kind.name()).unwrap();
        for key in crate::settings::known_keys(*kind) {
            if kind.place() != Place::Section {
                assert!(text.contains(&format!("`{key}")), "{} {key}", kind.name());
            }
        }
    }
    assert_eq!(crate::explain("completness"), None);
}

#[test]
fn reference_and_schema_know_every_kind() {
    let reference = crate::reference_markdown();
    let schema = crate::json_schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    for kind in KINDS {
        assert!(reference.contains(&format!("\n## {}\n", kind.name())));
        let in_lists = ["column_check", "table_check"].iter().any(|list| {
            let properties = &schema["definitions"][list]["oneOf"][1]["properties"];
            properties.get(kind.name()).is_some()
        });
        assert_eq!(in_lists, kind.place() != Place::Section, "{}", kind.name());
    }
}

#[test]
fn a_check_that_cannot_be_read_is_a_problem() {
    // Neither a check without settings nor one with wrong ones goes away without a word.
    for kind in KINDS {
        for settings in [
            "",
            ": {}",
            ": {at_least: 1}",
            ": {at_most: 0}",
            ": {at_least: 100%}",
            ": x",
            ": []",
        ] {
            for place in ["table_checks:\n  - ", "columns:\n  x:\n    - "] {
                let text = format!("version: 1\n{place}{}{settings}\n", kind.name());
                match Suite::parse("rules.yaml", &text) {
                    Ok(suite) => assert_eq!(suite.checks.len(), 1, "{text}"),
                    Err(problems) => {
                        let problems = problems.to_string();
                        assert!(!problems.contains("has no checks"), "{text}{problems}");
                        assert!(!problems.contains("cannot be read"), "{text}{problems}");
                    }
                }
            }
        }
    }
}
