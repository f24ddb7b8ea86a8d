//! What a tired person types: each mistake is named, with the way out, the right exit code, and nothing is written.

use std::io::Write;

use crate::support::{Project, Ran};

const STAGES: &str = "version: 1
pipeline: p
stages:
  - name: raw
    extract: { path: data/in.csv, format: csv }
  - name: typed
    type: { view: raw, schema: schemas/s.yaml, on_error: fail }
  - name: out
    publish: { view: typed, table: silver.out, mode: append }
";

const SCHEMA: &str = "version: 1
columns:
  - { name: id, type: bigint }
  - { name: at, type: timestamp }
  - { name: ratio, type: double }
";

/// A project over one input file.
fn project(input: &[u8]) -> Project {
    let project = Project::of(&[
        ("pipelines/p.yaml", STAGES),
        ("schemas/s.yaml", SCHEMA),
        ("data/readme.txt", ""),
    ]);
    std::fs::write(project.path().join("data/in.csv"), input).unwrap();
    project
}

/// The command fails with this code, says all of this on standard error, and makes no table.
#[track_caller]
fn assert_refused(project: &Project, ran: Ran, code: i32, said: &[&str]) {
    let ran = ran.expect_code(code);
    assert!(
        ran.stderr.starts_with("error:") || ran.stderr.contains("\nerror:"),
        "{}",
        ran.stderr
    );
    for what in said {
        assert!(
            ran.stderr.contains(what),
            "{what:?} is not said:\n{}",
            ran.stderr
        );
    }
    assert!(
        !project
            .path()
            .join("warehouse/silver/out/_delta_log")
            .exists(),
        "a table was made"
    );
}

#[test]
fn damaged_files_are_named_with_their_line() {
    let good = "id,at,ratio\n1,2024-01-01T00:00:00Z,0.5\n";
    let cases: &[(&str, Vec<u8>, i32, &[&str])] = &[
        ("empty", Vec::new(), 2, &["data/in.csv", "empty"]),
        (
            "too few fields",
            b"id,at,ratio\n1,2024-01-01T00:00:00Z\n".to_vec(),
            2,
            &["data/in.csv:2", "hint:"],
        ),
        (
            "too many fields",
            b"id,at,ratio\n1,2024-01-01T00:00:00Z,1,9\n".to_vec(),
            2,
            &["data/in.csv:2", "hint:"],
        ),
        (
            "wrong delimiter",
            good.replace(',', ";").into_bytes(),
            2,
            &["data/in.csv", "hint:"],
        ),
        (
            "invalid utf-8",
            [good.as_bytes(), b"2,\xff\xfe,1\n"].concat(),
            2,
            &["data/in.csv:3", "UTF-8"],
        ),
        (
            "nan",
            good.replace("0.5", "NaN").into_bytes(),
            2,
            &["ratio", "NaN"],
        ),
        (
            "infinity",
            good.replace("0.5", "inf").into_bytes(),
            2,
            &["ratio", "inf"],
        ),
        (
            "out-of-range date",
            good.replace("2024", "999999").into_bytes(),
            2,
            &["at", "999999"],
        ),
        (
            "overflow",
            good.replace("\n1,", "\n99999999999999999999,").into_bytes(),
            2,
            &["id", "99999999999999999999"],
        ),
        (
            "duplicate header",
            b"id,id,ratio\n1,2,3\n".to_vec(),
            2,
            &["data/in.csv", "`id`"],
        ),
        (
            "wrong columns",
            b"id,ratio,when\n1,2,3\n".to_vec(),
            2,
            &["at"],
        ),
    ];
    for (what, input, code, said) in cases {
        let project = project(input);
        eprintln!("case: {what}");
        assert_refused(&project, project.run(&["run", "p"]), *code, said);
    }
}

#[test]
fn truncated_archives_are_named() {
    let text: String = (0..20_000)
        .map(|i| format!("{i},2024-01-01T00:00:00Z,{}.5\n", i * 7919 % 10_007))
        .collect();
    let text = format!("id,at,ratio\n{text}");
    let script = "import gzip,sys,zipfile,pathlib\ntext=sys.stdin.buffer.read()\nfolder=pathlib.Path(sys.argv[1])\nopen(folder/'in.csv.gz','wb').write(gzip.compress(text)[:-4000])\nz=zipfile.ZipFile(folder/'whole.zip','w',zipfile.ZIP_DEFLATED);z.writestr('in.csv',text);z.close()\nopen(folder/'in.zip','wb').write(open(folder/'whole.zip','rb').read()[:-4000])\n";
    let project = project(b"");
    let mut child = std::process::Command::new("python3")
        .args([
            "-c",
            script,
            &project.path().join("data").display().to_string(),
        ])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    for file in ["data/in.csv.gz", "data/in.zip"] {
        project.write("pipelines/p.yaml", &STAGES.replace("data/in.csv", file));
        assert_refused(&project, project.run(&["run", "p"]), 2, &[file]);
    }
    project.write(
        "pipelines/p.yaml",
        &STAGES.replace("data/in.csv", "data/whole.zip"),
    );
    project.run(&["run", "p"]).expect_code(0);
    assert_eq!(project.independent("silver.out")["rows"], 20_000);
}

#[test]
fn missing_things_are_named() {
    let good = b"id,at,ratio\n1,2024-01-01T00:00:00Z,0.5\n";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "missing file",
            "data/in.csv",
            "data/inn.csv",
            &["data/inn.csv"],
        ),
        ("directory", "data/in.csv", "data", &["data", "directory"]),
        ("empty glob", "data/in.csv", "data/*.tsv", &["data/*.tsv"]),
        (
            "unknown view",
            "view: typed",
            "view: tiped",
            &["pipelines/p.yaml:9", "tiped", "`typed`"],
        ),
        (
            "unknown stage kind",
            "extract:",
            "extrakt:",
            &["pipelines/p.yaml:5", "extrakt", "`extract`"],
        ),
        (
            "missing schema file",
            "schemas/s.yaml",
            "schemas/t.yaml",
            &["schemas/t.yaml"],
        ),
        (
            "cycle",
            "view: raw",
            "view: typed",
            &["pipelines/p.yaml", "typed"],
        ),
        (
            "bad table name",
            "silver.out",
            "silver.out.more",
            &["silver.out.more"],
        ),
    ];
    for (what, from, to, said) in cases {
        let project = project(good);
        project.write("pipelines/p.yaml", &STAGES.replace(from, to));
        eprintln!("case: {what}");
        assert_refused(&project, project.run(&["run", "p"]), 2, said);
    }
}

#[test]
fn command_lines_are_checked() {
    let project = project(b"id,at,ratio\n1,2024-01-01T00:00:00Z,0.5\n");
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["run", "q"], 2, &["q", "hint:", "`p`"]),
        (&["run", "p", "--param", "delivery=x"], 2, &["delivery"]),
        (&["run", "p", "--select", "nothing"], 2, &["nothing"]),
        (
            &["query", "SELECT * FROM silver.nothing"],
            2,
            &["silver.nothing"],
        ),
        (&["query", "SELEC 1"], 2, &["SELEC"]),
        (&["query", "DROP TABLE x"], 2, &["hint:"]),
        (
            &[
                "query",
                "SELECT * FROM t FOR SYSTEM_TIME AS OF '2024-01-01'",
            ],
            2,
            &[],
        ),
        (
            &["catalog", "show", "silver.nothing"],
            2,
            &["silver.nothing"],
        ),
        (&["explain", "not_nul"], 2, &["not_nul", "`not_null`"]),
        (&["check", "data/in.csv"], 2, &["hint:"]),
        (
            &["check", "data/none.parquet", "--rules", "x.yaml"],
            2,
            &["x.yaml"],
        ),
    ];
    for (arguments, code, said) in cases {
        eprintln!("case: {arguments:?}");
        assert_refused(&project, project.run(arguments), *code, said);
    }
    let nowhere = tempfile::tempdir().unwrap();
    let ran: Ran =
        crate::support::lakegate(&["run", "p", "-C", &nowhere.path().display().to_string()])
            .output()
            .unwrap()
            .into();
    assert_refused(&project, ran, 2, &["lakegate.yaml", "hint:"]);
}
