//! What all extractors share: parameters, digests, schemas.

use std::path::PathBuf;

use crate::test_support::{Project, rows, spec};

#[test]
fn parameters_stand_in_paths_and_have_places() {
    let project = Project::with("data/2013-01.csv", "a\n1\n");
    let spec = spec("format: csv\npath: data/${ year }-${month}.csv").unwrap();
    let names: Vec<String> = spec
        .parameters()
        .into_iter()
        .map(|(name, span)| format!("{name}@{span}"))
        .collect();
    assert_eq!(names, ["year@2:7", "month@2:7"]);
    let value = |name: &str| match name {
        "year" => Some("2013".to_owned()),
        "month" => Some("01".to_owned()),
        _ => None,
    };
    let resolved = spec.resolve(project.root(), &value).unwrap();
    let open = project.block_on(resolved.open(&project.catalog())).unwrap();
    assert_eq!(open.files()[0].name(), "data/2013-01.csv");
    assert_eq!(open.bytes(), Some(4));
    let error = spec.resolve(project.root(), &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "parameter `year` has no value");
    assert_eq!(error.place.unwrap().to_string(), "2:7");
}

#[test]
fn declared_columns_need_no_file() {
    let names = |yaml: &str| {
        let schema = spec(yaml).unwrap().declared_schema()?;
        let names = schema.fields().iter().map(|field| field.name().clone());
        Some(names.collect::<Vec<_>>())
    };
    assert_eq!(
        names("{ format: csv, path: x, columns: [a, b] }").unwrap(),
        ["a", "b"]
    );
    assert_eq!(
        names("{ format: json_lines, path: x, columns: [a], source_columns: true }").unwrap(),
        ["a", "_file", "_line"]
    );
    assert_eq!(names("{ format: csv, path: x }"), None);
}

#[test]
fn the_digest_is_that_of_content_and_options() {
    let project = Project::with("a.csv", "a,b\n1,x\n");
    project.write("b.csv", "a,b\n1,x\n");
    project.write("c.csv", "a,b\n1,y\n");
    let digest = |options: &str| {
        let open = project
            .open(&format!("{{ format: csv, {options} }}"))
            .unwrap();
        project.block_on(open.digest()).unwrap()
    };
    let first = digest("path: a.csv");
    assert_eq!(first, digest("path: a.csv"));
    assert_eq!(first, digest("path: b.csv, delimiter: ','"));
    assert_ne!(first, digest("path: c.csv"));
    assert_ne!(first, digest("path: a.csv, empty_fields: text"));
    let named = "path: a.csv, source_columns: true";
    assert_ne!(digest(named), digest("path: b.csv, source_columns: true"));
}

#[test]
fn several_paths_give_each_file_once() {
    let project = Project::with("a.csv", "a\n1\n");
    project.write("b.csv", "a\n2\n");
    project.write("x/c.txt", "");
    let read = project.rows("{ format: csv, path: [a.csv, '*.csv', ./a.csv, x/../b.csv] }");
    let mut read = read.unwrap();
    read.sort();
    assert_eq!(read, rows(&[["1"], ["2"]]));
}

#[test]
fn more_files_than_cores_are_all_read_and_columns_can_be_left_out() {
    let project = Project::new();
    for i in 0..50 {
        project.write(&format!("{i}.csv"), format!("a,b,c\n{i},x,{i}\n"));
    }
    let table = project.provider("{ format: csv, path: '*.csv' }").unwrap();
    let context = crate::test_support::session();
    context.register_table("t", table).unwrap();
    let batches = project.block_on(async {
        let frame = context
            .sql("SELECT count(*), sum(CAST(c AS INT)) FROM t")
            .await
            .unwrap();
        frame.collect().await.unwrap()
    });
    assert_eq!(
        crate::test_support::to_rows(&batches),
        rows(&[["50", "1225"]])
    );
    let batches = project.block_on(async {
        let frame = context.sql("SELECT count(*) FROM t").await.unwrap();
        frame.collect().await.unwrap()
    });
    assert_eq!(crate::test_support::to_rows(&batches), rows(&[["50"]]));
}

/// The example's deliveries, as the pipeline reads them.
#[test]
fn the_flights_example_types_without_a_fault() {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/flights");
    let project = Project::new();
    for (path, schema, expected) in [
        ("data/flights-2013-01.zip", "schemas/flights.yaml", 27_004),
        ("data/flights-2013-02.zip", "schemas/flights.yaml", 24_951),
        ("data/airlines.csv", "schemas/airlines.yaml", 16),
        ("data/planes.csv", "schemas/planes.yaml", 3_322),
    ] {
        let path = example.join(path).display().to_string();
        let raw = project
            .provider(&format!("{{ format: csv, path: '{path}' }}"))
            .unwrap();
        let schema = std::fs::read_to_string(example.join(schema)).unwrap();
        let typing = project.typing(&raw, &schema, "fail").unwrap();
        let counter = std::sync::Arc::default();
        let typed = typing.table(raw, std::sync::Arc::clone(&counter));
        let rows: usize = project
            .batches(typed)
            .unwrap()
            .iter()
            .map(|batch| batch.num_rows())
            .sum();
        assert_eq!(rows, expected, "{path}");
        assert_eq!(counter.total().rows, expected as u64);
        assert_eq!(counter.total().bad_rows, 0);
    }
}

/// The YAML in the documentation at the top of a file.
pub(crate) fn documented_yaml(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let yaml = lines.iter().skip_while(|line| **line != "```yaml").skip(1);
    let yaml: Vec<&str> = yaml.take_while(|line| **line != "```").copied().collect();
    yaml.join("\n")
}

#[test]
fn each_format_is_a_file_whose_documented_example_has_every_key() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/extract");
    let not_formats = [
        "mod.rs",
        "open.rs",
        "settings.rs",
        "tests.rs",
        "text_table.rs",
    ];
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs") && !not_formats.contains(&name.as_str()))
        .collect();
    files.sort();
    let mut formats: Vec<String> = super::FORMATS
        .iter()
        .map(|(name, _)| format!("{name}.rs"))
        .collect();
    formats.sort();
    assert_eq!(
        files, formats,
        "a format is one file and one name in `FORMATS`"
    );
    let own_keys = |file: &str| match file {
        "csv.rs" => [super::settings::PACKING_KEYS, super::csv::options::KEYS].concat(),
        "json_lines.rs" => super::json_lines::KEYS.to_vec(),
        "delta.rs" => vec!["table", "version"],
        _ => Vec::new(),
    };
    for file in files {
        let source = std::fs::read_to_string(folder.join(&file)).unwrap();
        let example = documented_yaml(&source);
        let node = lakegate_rules::yaml::parse(&file, &example).unwrap();
        let extract = &node.as_map().unwrap()[0];
        assert_eq!(extract.key, "extract", "{file}");
        let mut problems = lakegate_rules::yaml::Problems::default();
        let spec = super::ExtractSpec::parse(&extract.value, &mut problems);
        assert!(problems.is_empty() && spec.is_some(), "{problems}");
        let shown: Vec<&str> = extract
            .value
            .as_map()
            .unwrap()
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        for key in own_keys(&file) {
            assert!(shown.contains(&key), "{file}: the example lacks `{key}`");
        }
    }
}
