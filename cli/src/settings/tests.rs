use super::project_file::ProjectFile;
use super::*;

const FILE: &str = "version: 1\nproject: p\nmemory_limit: 1GiB\nsamples: { rows: 7, keep: 2d }\n";

fn settings(
    text: &str,
    flags: &SettingFlags,
    variables: &[(&str, &str)],
) -> Result<Settings, CliError> {
    let environment = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let file = ProjectFile::read(text)?;
    Settings::resolve(Path::new("/p"), &file, flags, &environment)
}

#[test]
fn stronger_origins_win() {
    let none = SettingFlags::default();
    let flags = SettingFlags {
        memory_limit: Some(3),
        ..SettingFlags::default()
    };
    let variables = [(MEMORY_LIMIT, "2B")];
    let limit = |text, flags, variables| {
        let setting = settings(text, flags, variables).unwrap().memory_limit;
        (setting.value, setting.origin.to_string())
    };
    assert_eq!(
        limit("version: 1\nproject: p", &none, &[]),
        (None, "default".to_owned())
    );
    assert_eq!(
        limit(FILE, &none, &[]),
        (Some(1 << 30), "lakegate.yaml:3:15".to_owned())
    );
    assert_eq!(
        limit(FILE, &none, &variables),
        (
            Some(2),
            "environment variable LAKEGATE_MEMORY_LIMIT".to_owned()
        )
    );
    assert_eq!(
        limit(FILE, &flags, &variables),
        (Some(3), "flag --memory-limit".to_owned())
    );
}

#[test]
fn paths_of_the_file_are_relative_to_the_project() {
    let text = "version: 1\nproject: p\nwarehouse: ../w h\ncatalog: { embedded: state/c.db }";
    let settings = settings(text, &SettingFlags::default(), &[]).unwrap();
    assert_eq!(settings.warehouse.value.as_str(), "file:///w%20h/");
    assert_eq!(settings.catalog.value, Path::new("/p/state/c.db"));
}

#[test]
fn every_mistake_of_the_file_is_reported() {
    let text = "version: 2\nwarehose: x\nsamples: { rows: -1, keep: 3, kep: 1 }\ncatalog: x\n";
    let error = ProjectFile::read(text).unwrap_err();
    assert_eq!(error.len(), 7, "{error}");
}

#[test]
fn mistakes_in_variables_and_flags_are_named() {
    for (variable, value) in [
        (MEMORY_LIMIT, "much"),
        (SAMPLE_ROWS, "-1"),
        (SAMPLE_KEEP, "3"),
        (WAREHOUSE, "s3://bucket/x"),
    ] {
        let error = settings(FILE, &SettingFlags::default(), &[(variable, value)]).unwrap_err();
        assert!(error.messages[0].text.contains(variable), "{error:?}");
        assert_eq!(error.exit_code, 2);
    }
}

#[test]
fn a_project_file_that_is_wrong_does_not_hide_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nproject: p\nwarehouse: s3://bucket\n";
    std::fs::write(folder.path().join(PROJECT_FILE), text).unwrap();
    let flags = SettingFlags::default();
    let mut problems = Problems::default();
    let read = Settings::read_anyway(folder.path(), &flags, &|_| None, &mut problems);
    assert!(
        read.unwrap()
            .unwrap()
            .warehouse
            .value
            .path()
            .ends_with("/warehouse/")
    );
    let text = problems.to_string();
    assert!(
        text.starts_with("lakegate.yaml:3:12: `warehouse` must be"),
        "{text}"
    );
    assert!(Settings::read(folder.path(), &flags, &|_| None).is_err());
}

#[test]
fn secrets_of_a_url_are_not_shown() {
    for (text, shown) in [
        (
            "https://ada:hunter2@example.org/lake?sig=hunter2",
            "https://example.org/lake?...",
        ),
        ("s3://ada:hunter2@bucket", "s3://bucket"),
        ("file:///lake/a@b", "file:///lake/a@b"),
        ("lake@home", "lake@home"),
    ] {
        assert_eq!(without_secrets(text), shown);
    }
    let flags = SettingFlags {
        warehouse: Some("s3://ada:hunter2@bucket".to_owned()),
        ..SettingFlags::default()
    };
    let error = Settings::without_project(Path::new("/p"), &flags, &|_| None).unwrap_err();
    assert!(!error.messages[0].text.contains("hunter2"));
}
