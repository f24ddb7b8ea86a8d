//! Finding and unpacking: what is read, and what is refused with which words.

use std::io::Write;

use super::*;
use crate::test_support::{Project, gz, rows, shown, zip, zst};

const CSV: &[u8] = b"a,b\n1,x\n";

fn names(project: &Project, path: &str) -> Vec<String> {
    let files = find(project.root(), path, &FileOptions::default()).unwrap();
    files.iter().map(|file| file.name().to_owned()).collect()
}

fn fault(project: &Project, path: &str, options: &FileOptions) -> String {
    let read = find(project.root(), path, options).and_then(|files| {
        for file in files {
            file.read(options, |input| {
                let copied = std::io::copy(input, &mut std::io::sink());
                copied.map_err(|error| read_error(file.name(), error))
            })?;
        }
        Ok(())
    });
    shown(&read.unwrap_err())
}

#[test]
fn globs_find_files_in_the_order_of_their_names() {
    let project = Project::new();
    for path in [
        "d/b.csv",
        "d/a.csv",
        "d/e/c.csv",
        "d/.hidden.csv",
        "d/x.txt",
        "d/[1].csv",
    ] {
        project.write(path, CSV);
    }
    assert_eq!(
        names(&project, "d/*.csv"),
        ["d/[1].csv", "d/a.csv", "d/b.csv"]
    );
    assert_eq!(
        names(&project, "d/**/*.csv"),
        ["d/[1].csv", "d/a.csv", "d/b.csv", "d/e/c.csv"]
    );
    assert_eq!(names(&project, "d/{a,b}.csv"), ["d/a.csv", "d/b.csv"]);
    assert_eq!(names(&project, "./d/?.csv"), ["./d/a.csv", "./d/b.csv"]);
    assert_eq!(names(&project, "d//./?.csv"), ["d/a.csv", "d/b.csv"]);
    assert_eq!(names(&project, "d/[1].csv"), ["d/[1].csv"]);
    let absolute = project.root().join("d/e/*.csv");
    assert_eq!(names(&project, absolute.to_str().unwrap()).len(), 1);
}

#[test]
fn paths_without_a_file_are_refused_by_name() {
    let project = Project::with("d/a.csv", CSV);
    project.write("empty.csv", "");
    let cases = [
        (
            "nope.csv",
            "`nope.csv` does not exist\nhint: check the path; it is relative to the project folder",
        ),
        (
            "d",
            "`d` is a directory, not a file\nhint: to read the files in it, write `d/*`",
        ),
        (
            "d/*.json",
            "no file matches `d/*.json`\nhint: `*` stays inside one folder",
        ),
        (
            "e/*.csv",
            "no file matches `e/*.csv`\nhint: the folder `e` does not exist",
        ),
        ("d/[", "`d/[` is not a glob"),
        ("", "the path is empty"),
        (
            "s3://bucket/a.csv",
            "`s3://bucket/a.csv` is not a path: files are read from disk, not from `s3`\nhint: ",
        ),
        ("empty.csv", "`empty.csv` is empty\nhint: "),
        ("/dev/null", "`/dev/null` is not a regular file\nhint: "),
    ];
    for (path, expected) in cases {
        let fault = fault(&project, path, &FileOptions::default());
        assert!(
            fault.starts_with(expected),
            "{path}: {fault}\n!=\n{expected}"
        );
    }
}

#[test]
fn packed_files_are_read_like_plain_ones() {
    let project = Project::new();
    project.write("a.csv.gz", gz(CSV));
    project.write("two.csv.gz", [gz(b"a,b\n"), gz(b"1,x\n")].concat());
    project.write("a.csv.zst", zst(CSV));
    project.write(
        "a.zip",
        zip(&[
            ("x/a.csv", CSV),
            ("__MACOSX/a.csv", b"junk"),
            (".DS_Store", b"junk"),
        ]),
    );
    project.write("plain.bin", gz(CSV));
    for path in ["a.csv.gz", "two.csv.gz", "a.csv.zst", "a.zip"] {
        let read = project.rows(&format!("{{ format: csv, path: {path} }}"));
        assert_eq!(read.unwrap(), rows(&[["1", "x"]]), "{path}");
    }
    let read = project.rows("{ format: csv, path: plain.bin, compression: gz }");
    assert_eq!(read.unwrap(), rows(&[["1", "x"]]));
    assert_eq!(names(&project, "a.zip"), ["a.zip/x/a.csv"]);
}

#[test]
fn members_are_chosen_by_glob() {
    let project = Project::with(
        "a.zip",
        zip(&[("b.csv", CSV), ("a.csv", CSV), ("readme.txt", b"hello")]),
    );
    let read = project.rows("{ format: csv, path: a.zip, members: '*.csv', source_columns: true }");
    let expected = rows(&[
        ["1", "x", "a.zip/a.csv", "2"],
        ["1", "x", "a.zip/b.csv", "2"],
    ]);
    let mut read = read.unwrap();
    read.sort();
    assert_eq!(read, expected);
    let fault = project.fault("{ format: csv, path: a.zip, members: '*.tsv' }");
    assert_eq!(fault, "`a.zip` has no member that matches `*.tsv`");
}

#[test]
fn damaged_files_are_refused_by_name() {
    let long: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let cut = |packed: Vec<u8>| packed[..packed.len() / 2].to_vec();
    let project = Project::new();
    project.write("cut.gz", cut(gz(&long)));
    project.write("cut.zst", cut(zst(&long)));
    project.write("cut.zip", cut(zip(&[("a.csv", &long)])));
    let plain = "a,b\n1,2\n".repeat(100);
    for path in ["not.gz", "not.zst", "not.zip"] {
        project.write(path, &plain);
    }
    let mut flipped = zip(&[("a.csv", &long)]);
    flipped[1000] ^= 0xff;
    project.write("flipped.zip", flipped);
    project.write("nothing.gz", gz(b""));
    project.write("nothing.zip", zip(&[("a.csv", b"")]));
    project.write("no_members.zip", zip(&[]));
    project.write("twice.zip", zip(&[("a.csv.gz", &gz(&long))]));
    project.write(
        "behind.gz",
        [gz(&long), b"and something behind it".to_vec()].concat(),
    );
    let cases = [
        ("cut.gz", "`cut.gz` is cut off"),
        ("cut.zst", "`cut.zst` is cut off"),
        ("cut.zip", "`cut.zip` is not a whole zip archive"),
        (
            "not.gz",
            "`not.gz` is damaged, or not packed as its name says",
        ),
        (
            "not.zst",
            "`not.zst` is damaged, or not packed as its name says",
        ),
        ("not.zip", "`not.zip` is not a whole zip archive"),
        ("flipped.zip", "`flipped.zip/a.csv` is damaged"),
        ("nothing.gz", "`nothing.gz` is empty"),
        ("nothing.zip", "`nothing.zip/a.csv` is empty"),
        ("no_members.zip", "`no_members.zip` has no files in it"),
        ("twice.zip", "`twice.zip/a.csv.gz` is packed a second time"),
        (
            "behind.gz",
            "`behind.gz` is damaged behind the first 800000 unpacked bytes, or has something behind",
        ),
    ];
    for (path, expected) in cases {
        let fault = fault(&project, path, &FileOptions::default());
        assert!(
            fault.starts_with(expected),
            "{path}: {fault}\n!=\n{expected}"
        );
    }
}

#[test]
fn archives_that_point_out_of_themselves_are_refused() {
    let project = Project::new();
    let name = FileOptions::default();
    for (i, member) in [
        "../up.csv",
        "/etc/passwd",
        "a/../../b.csv",
        "c:\\x.csv",
        "..\\x.csv",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("{i}.zip");
        project.write(&path, zip(&[("good.csv", CSV), (member, CSV)]));
        let fault = fault(&project, &path, &name);
        let expected =
            format!("`{path}` is not safe to read: it has a member that points out of it: `");
        assert!(fault.starts_with(&expected), "{member}: {fault}");
    }
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default();
    writer
        .add_symlink("link.csv", "/etc/passwd", options)
        .unwrap();
    project.write("link.zip", writer.finish().unwrap().into_inner());
    let fault = fault(&project, "link.zip", &name);
    assert!(
        fault.starts_with("`link.zip` is not safe to read: it has a symbolic link: `link.csv`"),
        "{fault}"
    );
}

#[test]
fn bombs_are_stopped_at_the_limits() {
    let zeros = vec![b'0'; 4 * 1024 * 1024];
    let project = Project::new();
    project.write("a.gz", gz(&zeros));
    project.write("a.zst", zst(&zeros));
    project.write("a.zip", zip(&[("a.csv", &zeros)]));
    let small = FileOptions {
        max_expanded_bytes: 1024 * 1024,
        ..FileOptions::default()
    };
    for path in ["a.gz", "a.zst", "a.zip"] {
        let fault = fault(&project, path, &small);
        let expected = "unpacks to more than 1048576 bytes\nhint: when the file can be trusted, raise `max_expanded_bytes`";
        assert!(fault.contains(expected), "{path}: {fault}");
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..17 {
        bomb.write_all(&zeros).unwrap();
    }
    project.write("bomb.gz", bomb.finish().unwrap());
    let fault = fault(&project, "bomb.gz", &FileOptions::default());
    assert!(
        fault.starts_with("`bomb.gz` unpacks to more than 250 times its"),
        "{fault}"
    );
    assert!(
        fault.ends_with("hint: when the file can be trusted, raise `max_ratio`"),
        "{fault}"
    );
}

#[test]
fn a_lying_size_does_not_get_past_the_limit() {
    let mut archive = zip(&[("a.csv", &vec![b'0'; 4 * 1024 * 1024])]);
    // The uncompressed size in the central directory, which comes last, is made small.
    let directory = archive
        .windows(4)
        .rposition(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    archive[directory + 24..directory + 28].copy_from_slice(&100_u32.to_le_bytes());
    let project = Project::with("a.zip", archive);
    let options = FileOptions {
        max_expanded_bytes: 1024 * 1024,
        ..FileOptions::default()
    };
    let fault = fault(&project, "a.zip", &options);
    assert!(fault.starts_with("`a.zip"), "{fault}");
}

#[test]
fn a_file_that_changes_under_the_run_is_refused() {
    let project = Project::with("a.csv", CSV);
    let table = project.provider("{ format: csv, path: a.csv }").unwrap();
    project.write("a.csv", "a,b\n1,x\n2,y\n");
    let error = project.table_rows(table).unwrap_err();
    assert!(shown(&error).starts_with("`a.csv` changed while the run was reading it\nhint: "));
}

#[test]
fn content_decides_the_hash_and_names_do_not() {
    let project = Project::with("a.csv", CSV);
    project.write("b.csv", "a,b\n2,y\n");
    project.write("c.csv", CSV);
    project.write("d.csv", "a,b\n2,z\n");
    let hash = |paths: &[&str]| {
        let options = FileOptions::default();
        let files = paths
            .iter()
            .flat_map(|path| find(project.root(), path, &options).unwrap());
        content_sha256(&files.collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(hash(&["a.csv", "b.csv"]), hash(&["b.csv", "c.csv"]));
    assert_ne!(hash(&["a.csv", "b.csv"]), hash(&["a.csv", "d.csv"]));
    assert_ne!(hash(&["a.csv"]), hash(&["a.csv", "c.csv"]));
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_an_error_of_storage() {
    let error = read_error(
        "a.csv",
        std::io::Error::from(std::io::ErrorKind::PermissionDenied),
    );
    assert_eq!(error.kind, crate::input_error::InputErrorKind::Failed);
    assert!(
        shown(&error).starts_with(
            "`a.csv` cannot be read: permission denied\nhint: give this user the right"
        ),
        "{}",
        shown(&error)
    );
}
