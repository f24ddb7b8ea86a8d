//! The main job, read back by an independent reader.

use serde_json::Value;

use crate::support::{Project, lakegate, python};

#[test]
fn demo_shows_what_the_readme_says_and_independent_readers_agree() {
    let folder = Project::empty();
    let project = folder.path().join("flights");
    let demo: crate::support::Ran = lakegate(&["demo", &project.display().to_string()])
        .output()
        .unwrap()
        .into();
    let demo = demo.expect_code(0);
    let shown = &demo.stdout;
    for expected in [
        "silver.flights",
        "gold.daily_delays",
        "unique_key",
        "carrier/not_null",
        "distance/between",
        "4324",
        "680",
        "51955",
    ] {
        assert!(
            shown.replace(',', "").contains(expected),
            "the demo does not show {expected}:\n{shown}"
        );
    }

    let read = |table: &str| {
        python(
            "read_table.py",
            &[&project.join("warehouse").join(table).display().to_string()],
        )
    };
    let flights = read("silver/flights");
    assert_eq!(flights["rows"], 51_955);
    assert_eq!(
        flights["version"], 1,
        "January, then the true February; the refused delivery has no version"
    );
    let columns: Vec<&str> = flights["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(columns[..4], ["year", "month", "day", "dep_time"]);
    for (table, rows) in [
        ("silver/airlines", 16),
        ("silver/airports", 1_458),
        ("silver/planes", 3_322),
        ("gold/daily_delays", (31 + 28) * 3),
    ] {
        assert_eq!(read(table)["rows"], rows, "{table}");
    }
    for entry in flights["history"].as_array().unwrap() {
        let lakegate = match &entry["lakegate"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            other => other.clone(),
        };
        assert_eq!(
            lakegate["verdict"], "warn",
            "tail numbers and airports are known to be wrong: {entry}"
        );
        assert_eq!(
            lakegate["rules_sha256"],
            flights["properties"]["lakegate.rules"]
        );
        assert!(lakegate["run"].is_string());
    }

    // The files of the refused delivery are gone: what is in the folder is what some version needs.
    let mut on_disk = Vec::new();
    crate::support::parquet_files(&project.join("warehouse/silver/flights"), &mut on_disk);
    let history = python(
        "files_of_all_versions.py",
        &[&project
            .join("warehouse/silver/flights")
            .display()
            .to_string()],
    );
    let mut known: Vec<String> = history
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    known.sort();
    on_disk.sort();
    assert_eq!(on_disk, known);
}
