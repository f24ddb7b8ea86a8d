//! Manners of the command line: exit codes, formats, pipes, hints.

use std::process::Stdio;

use serde_json::Value;

use crate::orders::orders;
use crate::support::{Project, Ran, lakegate};

fn ran(arguments: &[&str]) -> Ran {
    lakegate(arguments).output().unwrap().into()
}

#[test]
fn init_makes_projects_that_are_valid_and_touches_nothing_else() {
    let folder = Project::empty();
    for example in ["starter", "flights"] {
        let project = folder.path().join(example).display().to_string();
        ran(&["init", "--example", example, &project]).expect_code(0);
        ran(&["validate", "-C", &project]).expect_code(0);
        for command in [&["init"][..], &["demo"]] {
            let again = ran(&[command, &[project.as_str()]].concat()).expect_code(2);
            assert!(
                again.stderr.contains("is not empty\nhint: "),
                "{}",
                again.stderr
            );
        }
    }
}

#[test]
fn starter_project_runs() {
    let folder = Project::empty();
    let project = folder.path().join("p").display().to_string();
    ran(&["init", &project]).expect_code(0);
    let run = ran(&["run", "orders", "-C", &project]).expect_code(0);
    assert!(
        run.stdout
            .contains("published version 0, 6 rows read, table has 6 rows"),
        "{}",
        run.stdout
    );
    let again = ran(&["run", "orders", "-C", &project]).expect_code(0);
    assert!(
        again
            .stdout
            .contains("holds this input already (version 0)"),
        "{}",
        again.stdout
    );
}

#[test]
fn settings_say_where_each_value_comes_from() {
    let project = Project::empty();
    project.write(
        "lakegate.yaml",
        "version: 1\nproject: p\nsamples: { rows: 3, keep: 1d }\n",
    );
    let settings: Ran = project
        .command(&["settings", "--format", "json", "--sample-keep", "2d"])
        .env("LAKEGATE_SAMPLE_ROWS", "4")
        .env("LAKEGATE_MEMORY_LIMITS", "1GiB")
        .output()
        .unwrap()
        .into();
    let settings = settings.expect_code(0);
    let shown = settings.json();
    for (name, value, origin) in [
        (
            "samples.rows",
            "4",
            "environment variable LAKEGATE_SAMPLE_ROWS",
        ),
        ("samples.keep", "2days", "flag --sample-keep"),
        ("project", "p", "lakegate.yaml:2:10"),
        ("memory_limit", "60% of the machine", "default"),
    ] {
        assert_eq!(shown[name]["value"], value, "{name}");
        assert_eq!(shown[name]["origin"], origin, "{name}");
    }
    let warning: Value = serde_json::from_str(settings.stderr.trim()).unwrap();
    assert_eq!(warning["event"], "warning");
    assert!(
        warning["hint"]
            .as_str()
            .unwrap()
            .contains("LAKEGATE_MEMORY_LIMIT`")
    );
}

#[test]
fn every_mistake_of_the_project_file_is_reported_with_those_of_the_rest() {
    let project = Project::of(&[("checks/a.yaml", "version: 1\ntable: a\ntable_cheks: []\n")]);
    project.write(
        "lakegate.yaml",
        "version: 1\nproject: p\nsampels: { rows: 3 }\n",
    );
    let found = project
        .run(&["validate", "--format", "json"])
        .expect_code(2);
    let problems = found.json()["problems"].clone();
    let places: Vec<_> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["file"].as_str().unwrap(), p["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        places,
        [("lakegate.yaml", 3), ("checks/a.yaml", 3)],
        "{problems}"
    );
}

#[test]
fn errors_are_json_lines_when_results_are_json() {
    let project = Project::of(&[]);
    let failed = project
        .run(&["query", "SELECT * FROM silver.nothing", "--format", "json"])
        .expect_code(2);
    assert_eq!(failed.stdout, "");
    let error: Value = serde_json::from_str(&failed.stderr).unwrap();
    assert_eq!(error["event"], "error");
    assert_eq!(error["exit_code"], 2);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("silver.nothing")
    );
    assert!(error["hint"].is_string());
}

#[test]
fn rows_are_printed_as_asked() {
    let project = Project::of(&[]);
    let sql = "SELECT 1 AS n, 'a,\"b' AS t, NULL AS nothing, DATE '2013-02-01' AS d";
    for (format, expected) in [
        ("csv", "n,t,nothing,d\n1,\"a,\"\"b\",,2013-02-01\n"),
        (
            "json",
            "[{\"n\":1,\"t\":\"a,\\\"b\",\"nothing\":null,\"d\":\"2013-02-01\"}]\n",
        ),
        (
            "json-lines",
            "{\"n\":1,\"t\":\"a,\\\"b\",\"nothing\":null,\"d\":\"2013-02-01\"}\n",
        ),
    ] {
        let shown = project
            .run(&["query", sql, "--output", format])
            .expect_code(0);
        assert_eq!(shown.stdout, expected, "{format}");
        assert_eq!(shown.stderr, "", "{format}");
    }
    let table = project.run(&["query", sql]).expect_code(0);
    assert!(
        table
            .stdout
            .contains("│ 1 ┆ a,\"b ┆ null    ┆ 2013-02-01 │"),
        "{}",
        table.stdout
    );
    assert_eq!(table.stderr, "1 row\n");
    for (format, expected) in [("csv", "n\n"), ("json", "[]\n"), ("json-lines", "")] {
        let none = project.run(&["query", "SELECT 1 AS n WHERE false", "--output", format]);
        assert_eq!(none.expect_code(0).stdout, expected, "{format}");
    }
    let list = project
        .run(&["query", "SELECT [1] AS l", "--output", "csv"])
        .expect_code(2);
    assert!(list.stderr.contains("hint: "), "{}", list.stderr);
}

#[test]
fn the_longest_chain_of_operators_that_is_read_is_answered() {
    let project = Project::of(&[]);
    let query = |terms: usize| {
        let chain = vec!["x"; terms].join(" OR ");
        let sql = format!("SELECT {chain} FROM (VALUES (true)) AS t(x)");
        project.run(&["query", &sql, "--output", "csv"])
    };
    let longest = query(2990).expect_code(0);
    assert_eq!(longest.stdout.lines().last(), Some("true"));
    let refused = query(3010).expect_code(2);
    assert!(refused.stderr.contains("levels deep"), "{}", refused.stderr);
}

#[test]
fn a_reader_that_goes_away_ends_the_query_quietly() {
    let project = Project::of(&[]);
    let sql = "SELECT value FROM generate_series(1, 1000000000)";
    let mut child = project
        .command(&["query", sql, "--output", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ended.expect_code(0).stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let project = Project::of(&[]);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ended: Ran = project
        .command(&["query", "SELECT 1", "--output", "csv"])
        .stdout(full)
        .output()
        .unwrap()
        .into();
    let ended = ended.expect_code(3);
    assert!(
        ended.stderr.contains("error: cannot print the result"),
        "{}",
        ended.stderr
    );
}

#[cfg(unix)]
#[test]
fn signals_stop_with_the_exit_code_that_shells_expect() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        stop_with(signal, code);
    }
}

#[cfg(unix)]
fn stop_with(signal: &str, code: i32) {
    use std::io::Read;

    let project = Project::of(&[]);
    let sql = "SELECT value FROM generate_series(1, 1000000000)";
    let mut child = project
        .command(&["query", sql, "--output", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first row says that the query runs.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    let interrupted = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let drained = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let ended: Ran = child.wait_with_output().unwrap().into();
    drained.join().unwrap().unwrap();
    assert_eq!(ended.code, Some(code));
    assert!(
        ended.stderr.starts_with("error: interrupted\nhint: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn junit_is_written_and_warnings_fail_when_asked() {
    let project = orders();
    project.write(
        "checks/orders.yaml",
        "version: 1\ntable: silver.orders\nkey: [id]\ncolumns:\n  amount:\n    - max: { at_most: 1, severity: warn }\n",
    );
    let warned = project
        .run(&["run", "orders", "--junit", "report.xml"])
        .expect_code(0);
    assert!(warned.stdout.contains("verdict: warn"), "{}", warned.stdout);
    let xml = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(xml.contains("<testsuite name=\"silver.orders\""), "{xml}");
    assert!(xml.contains("name=\"amount/max\""), "{xml}");
    let folder = Project::empty();
    folder.write("lakegate.yaml", "version: 1\nproject: p\n");
    let nowhere = folder
        .run(&["run", "no_pipeline", "--junit", "no/folder.xml"])
        .expect_code(3);
    assert!(
        nowhere.stderr.contains("cannot write `no/folder.xml`"),
        "{}",
        nowhere.stderr
    );
    for (fail_on, code) in [("fail", 0), ("warn", 1)] {
        project
            .run(&["check", "silver.orders", "--fail-on", fail_on])
            .expect_code(code);
    }
}

#[test]
fn junit_names_stages_that_failed_before_any_check() {
    let project = orders();
    std::fs::remove_dir_all(project.path().join("data")).unwrap();
    project
        .run(&["run", "orders", "--junit", "report.xml"])
        .expect_code(2);
    let xml = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    for part in [
        "<testsuite name=\"orders\"",
        "errors=\"1\"",
        "<testcase name=\"publish_orders\" classname=\"orders\">",
        "<skipped message=\"stage `publish_orders` did not succeed\"/>",
        "<skipped message=\"did not begin\"/>",
        "<error message=\"pipelines/orders.yaml:7:22: `data/1.csv` does not exist\">",
    ] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
}

#[test]
fn junit_of_a_run_that_had_nothing_to_do_has_no_stages() {
    let project = orders();
    project.run(&["run", "orders"]).expect_code(0);
    project
        .run(&["run", "orders", "--junit", "report.xml"])
        .expect_code(0);
    let xml = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(!xml.contains("skipped message"), "{xml}");
}

#[test]
fn waived_check_lets_a_commit_pass_and_is_named_in_it() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let refused = project.deliver("bad").expect_code(1);
    assert!(
        refused.stdout.contains("refused: the table is as it was"),
        "{}",
        refused.stdout
    );
    let waive = |check: &str, until: &str, reason: &str| {
        project.run(&[
            "waive",
            "silver.orders",
            check,
            "--until",
            until,
            "--reason",
            reason,
            "--by",
            "ada",
        ])
    };
    let unknown = waive("unique_kye", "2999-12-31", "x").expect_code(2);
    assert!(
        unknown.stderr.contains("hint: did you mean `unique_key`?"),
        "{}",
        unknown.stderr
    );
    let past = waive("unique_key", "2001-01-01", "x").expect_code(2);
    assert!(past.stderr.contains("is past"), "{}", past.stderr);
    waive("unique_key", "2999-12-31", " ").expect_code(2);
    project.deliver("bad").expect_code(1);

    for check in ["unique_key", "customer/not_null", "amount/between"] {
        waive(check, "2999-12-31", "the source repairs it").expect_code(0);
    }
    let passed = project.deliver("bad").expect_code(0);
    assert!(
        passed.stdout.contains("waived by ada until 3000-01-01"),
        "{}",
        passed.stdout
    );
    let history = project
        .run(&["catalog", "history", "silver.orders", "--format", "json"])
        .json();
    assert_eq!(history[0]["lakegate"]["verdict"], "waived", "{history}");
}

#[test]
fn plain_files_are_judged_without_a_project() {
    let folder = Project::empty();
    folder.write("orders.csv", "id,amount\n1,5\n2,\n");
    folder.write(
        "rules.yaml",
        "version: 1\ncolumns:\n  amount: [not_null]\n  id: [unique]\n",
    );
    let report = folder
        .run(&[
            "check",
            "orders.csv",
            "--rules",
            "rules.yaml",
            "--format",
            "json",
        ])
        .expect_code(1)
        .json();
    let verdicts: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["id"].as_str().unwrap(), c["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(
        verdicts,
        [("amount/not_null", "fail"), ("id/unique", "pass")]
    );
    let without = folder.run(&["check", "orders.csv"]).expect_code(2);
    assert!(without.stderr.contains("--rules"), "{}", without.stderr);
    let missing = folder
        .run(&["check", "nothing.csv", "--rules", "rules.yaml"])
        .expect_code(2);
    assert!(missing.stderr.contains("nothing.csv"), "{}", missing.stderr);
}

#[test]
fn files_and_tables_are_profiled() {
    let folder = Project::empty();
    folder.write(
        "orders.csv",
        "id,amount,status\n1,1.5,new\n2,2.5,new\n3,,paid\n",
    );
    let text = folder
        .run(&["profile", "orders.csv", "--html", "orders.html"])
        .expect_code(0)
        .stdout;
    assert!(
        text.starts_with("orders.csv: 3 rows, 3 columns\n"),
        "{text}"
    );
    assert!(text.contains("2 (66.67%), 1 null, 2 distinct"), "{text}");
    let page = std::fs::read_to_string(folder.path().join("orders.html")).unwrap();
    assert!(
        page.contains("<h1>orders.csv</h1>") && page.contains("<svg"),
        "{page}"
    );

    let arguments = [
        "profile",
        "orders.csv",
        "--columns",
        "status",
        "--where",
        "id < 3",
    ];
    let json = folder
        .run(&[&arguments[..], &["--format", "json"]].concat())
        .expect_code(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["profile"]["rows"], 2);
    assert_eq!(json["profile"]["columns"].as_array().unwrap().len(), 1);
    assert_eq!(json["profile"]["columns"][0]["top"][0]["value"], "new");

    for (arguments, message) in [
        (&["--columns", "amuont"][..], "did you mean `amount`"),
        (&["--where", "amuont > 1"], "amuont"),
        (&["--top", "0"], "from 1 to 1000"),
        (&["--html", "no/such/folder.html"], "cannot be written"),
    ] {
        let wrong = folder
            .run(&[&["profile", "orders.csv"], arguments].concat())
            .expect_code(2);
        assert!(wrong.stderr.contains(message), "{}", wrong.stderr);
    }

    let project = orders();
    project.run(&["run", "orders"]).expect_code(0);
    let table = project.run(&["profile", "silver.orders"]).expect_code(0);
    assert!(
        table.stdout.starts_with("silver.orders, version 0: "),
        "{}",
        table.stdout
    );
    project.run(&["profile", "silver.none"]).expect_code(2);
}

#[test]
fn catalog_shows_and_maintains_tables() {
    let project = orders();
    project.deliver("1").expect_code(0);
    project.deliver("2").expect_code(0);
    let rows = |sql: &str, more: &[&str]| {
        let arguments = [&["query", sql, "--format", "json"], more].concat();
        project.run(&arguments).expect_code(0).json()[0]["n"].clone()
    };
    let count = "SELECT count(*) AS n FROM silver.orders";
    assert_eq!(rows(count, &[]), 200);
    assert_eq!(rows(count, &["--version", "0"]), 100);

    let show = project
        .run(&["catalog", "show", "silver.orders", "--format", "json"])
        .expect_code(0)
        .json();
    assert_eq!(
        (&show["version"], &show["rows"]),
        (&Value::from(1), &Value::from(200))
    );
    assert_eq!(show["partition_columns"], serde_json::json!(["day"]));
    assert_eq!(show["columns"][2]["type"], "decimal(12,2)");
    let text = project
        .run(&["catalog", "show", "silver.orders"])
        .expect_code(0);
    assert!(text.stdout.contains("rows      200\n"), "{}", text.stdout);

    let restored = project
        .run(&[
            "catalog",
            "restore",
            "silver.orders",
            "--version",
            "0",
            "--format",
            "json",
        ])
        .expect_code(0)
        .json();
    assert_eq!(
        (&restored["version"], &restored["rows"]),
        (&Value::from(2), &Value::from(100))
    );
    project
        .run(&["catalog", "restore", "silver.orders"])
        .expect_code(2);
    project
        .run(&["catalog", "optimize", "silver.orders"])
        .expect_code(0);
    assert_eq!(rows(count, &[]), 100);

    project
        .run(&["catalog", "drop", "silver.orders"])
        .expect_code(0);
    let gone = project
        .run(&["catalog", "show", "silver.orders"])
        .expect_code(2);
    assert!(gone.stderr.contains("silver.orders"), "{}", gone.stderr);
    project
        .run(&[
            "catalog",
            "register",
            "silver.orders",
            "warehouse/silver/orders",
        ])
        .expect_code(0);
    assert_eq!(rows(count, &[]), 100);
    project
        .run(&["catalog", "drop", "silver.orders", "--purge"])
        .expect_code(0);
    assert!(!project.table_folder("silver.orders").exists());
}

#[test]
fn rules_are_applied_only_when_the_table_passes_them() {
    let project = orders();
    project.deliver("1").expect_code(0);
    project.write(
        "checks/strict.yaml",
        "version: 1\ntable: silver.orders\nkey: [id]\ncolumns:\n  amount:\n    - max: { at_most: 1 }\n",
    );
    let refused = project.run(&["apply", "checks/strict.yaml"]).expect_code(1);
    assert!(refused.stdout.contains("amount/max"), "{}", refused.stdout);
    project.deliver("2").expect_code(0);
    project.write(
        "checks/loose.yaml",
        "version: 1\ntable: silver.orders\ncolumns:\n  id: [not_null]\n",
    );
    let applied = project.run(&["apply", "checks/loose.yaml"]).expect_code(0);
    assert!(
        applied
            .stdout
            .contains("is judged by checks/loose.yaml since version 2"),
        "{}",
        applied.stdout
    );
    let again = project.run(&["apply", "checks/loose.yaml"]).expect_code(0);
    assert!(again.stdout.contains("already"), "{}", again.stdout);
}

#[test]
fn explain_knows_every_check() {
    let kinds = ran(&["explain"]).expect_code(0).stdout;
    assert!(kinds.lines().any(|kind| kind == "unique_key"), "{kinds}");
    for kind in kinds.lines() {
        let text = ran(&["explain", kind]).expect_code(0).stdout;
        assert!(text.contains("```yaml"), "{kind} has no example");
    }
    let unknown = ran(&["explain", "completness"]).expect_code(2);
    assert!(
        unknown
            .stderr
            .contains("hint: did you mean `completeness`?"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn plan_draws_what_waits_for_what() {
    let project = orders();
    let diagram = project
        .run(&["plan", "orders", "--mermaid"])
        .expect_code(0)
        .stdout;
    assert!(diagram.starts_with("flowchart LR\n"), "{diagram}");
    for edge in [
        "stage_raw --> stage_typed",
        "stage_delivery -- passes --> stage_publish_orders",
        "stage_publish_orders -.-> stage_totals",
    ] {
        assert!(
            diagram.contains(&format!("    {edge}\n")),
            "{edge} is not in {diagram}"
        );
    }
    let text = project.run(&["plan", "orders"]).expect_code(0).stdout;
    assert!(text.contains("must be let through by delivery"), "{text}");
    let unknown = project.run(&["plan", "order"]).expect_code(2);
    assert!(unknown.stderr.contains("hint: "), "{}", unknown.stderr);
}

#[test]
fn check_explains_where_metrics_come_from() {
    let project = orders();
    project.run(&["run", "orders"]).expect_code(0);
    let rules = "version: 1\ntable: silver.orders\ntable_checks:\n  - row_count: { at_least: 1 }\n  - unique_key: [id, day]\n  - sql: { name: any, expect: \"true\", query: SELECT count(*) > 0 FROM silver.orders }\n\
                 columns:\n  id: [unique, { mean: { at_least: 0 } }]\n";
    project.write("r.yaml", rules);
    let check = |more: &[&str]| {
        let arguments = ["check", "silver.orders", "--rules", "r.yaml"];
        project.run(&[&arguments[..], more].concat()).expect_code(0)
    };
    let plain = check(&[]);
    assert!(!plain.stdout.contains("files read"), "{}", plain.stdout);
    assert_eq!(check(&["--format", "json"]).json().get("files"), None);
    let explained = check(&["--explain"]).stdout;
    for line in [
        "where the metrics come from:\n",
        "  id/unique   stored states (2 files)\n",
        "  id/mean     stored states (2 files)\n",
        "  row_count   log statistics\n",
        "  unique_key  grouping (all files)\n",
        "  sql/any     query\n",
        "files read: 2 of 2\n",
    ] {
        assert!(explained.contains(line), "{line}{explained}");
    }
    let report = check(&["--explain", "--format", "json"]).json();
    assert_eq!(report["files"], serde_json::json!({"read": 2, "of": 2}));
    let source = |id: &str| {
        let mut checks = report["checks"].as_array().unwrap().iter();
        checks.find(|check| check["id"] == id).unwrap()["source"].clone()
    };
    let stored = serde_json::json!([{"from": "stored_states", "files": 2}]);
    assert_eq!(source("id/mean"), stored);
    assert_eq!(source("sql/any"), serde_json::json!([{"from": "query"}]));
}

#[test]
fn table_that_cannot_keep_states_is_checked_with_one_warning() {
    let project = orders();
    project.run(&["run", "orders"]).expect_code(0);
    project.write(
        "r.yaml",
        "version: 1\ntable: silver.orders\ncolumns: { id: [{ mean: { at_least: 0 } }] }\n",
    );
    let folder = project.table_folder("silver.orders").join("_lakegate");
    std::fs::create_dir_all(&folder).unwrap();
    // Where there was a folder, as of a gate before.
    let _gone = std::fs::remove_dir_all(folder.join("states"));
    std::fs::write(folder.join("states"), "a file").unwrap();
    let check = project.run(&["check", "silver.orders", "--rules", "r.yaml", "--explain"]);
    let check = check.expect_code(0);
    assert!(check.stdout.contains("scan (2 files)"), "{}", check.stdout);
    assert_eq!(check.stderr.matches("WARN").count(), 1, "{}", check.stderr);
    assert!(
        check.stderr.contains("states could not be stored"),
        "{}",
        check.stderr
    );
}
