//! CSV: what is read, and what is refused with which words.

use proptest::prelude::*;

use crate::test_support::{Project, rows, spec};

/// Reads `content` as `a.csv` with some options.
fn check<const N: usize>(content: impl AsRef<[u8]>, options: &str, expected: &[[&str; N]]) {
    let project = Project::with("a.csv", content);
    let read = project.rows(&format!("{{ format: csv, path: a.csv, {options} }}"));
    let read = read.unwrap_or_else(|error| panic!("{options}: {error}"));
    assert_eq!(read, rows(expected), "{options}");
}

/// The message and hint for `content`.
fn fault(content: impl AsRef<[u8]>, options: &str) -> String {
    let project = Project::with("a.csv", content);
    project.fault(&format!("{{ format: csv, path: a.csv, {options} }}"))
}

#[test]
fn plain_files_are_read_as_text() {
    check("a,b\n1,x\n2,y\n", "", &[["1", "x"], ["2", "y"]]);
    check("a,b\n1,x", "", &[["1", "x"]]);
    check("a,b\r\n1,x\r\n", "", &[["1", "x"]]);
    check("\u{feff}a,b\n1,x\n", "", &[["1", "x"]]);
    check("a,b\n", "", &[] as &[[&str; 2]]);
    check("a;b\n1,5;x\n", "delimiter: ';'", &[["1,5", "x"]]);
    check("a\tb\n1\tx\n", "delimiter: tab", &[["1", "x"]]);
    check("1,x\n", "header: false, columns: [a, b]", &[["1", "x"]]);
    check("# hello, \"\na,b\n#\n1,x\n", "comment: '#'", &[["1", "x"]]);
}

#[test]
fn quotes_follow_rfc_4180() {
    check("a,b\n\"1,\n\"\"2\"\"\",x\n", "", &[["1,\n\"2\"", "x"]]);
    check("a,b\n'1,2',\"\n", "quote: \"'\"", &[["1,2", "\""]]);
    check("a,b\n\"1\",\"\n", "quote: none", &[["\"1\"", "\""]]);
    check("a,b\n\"1\\\"2\",x\\\n", "escape: '\\'", &[["1\"2", "x\\"]]);
    check("a,b\n5\" pipe,x\n", "", &[["5\" pipe", "x"]]);
}

#[test]
fn nothing_is_null_and_quoted_nothing_is_empty() {
    check("a,b\n,\"\"\n", "", &[["∅", ""]]);
    check("a,b\n,\"\"\n", "empty_fields: text", &[["", ""]]);
    check("a\n\"\"\n", "", &[[""]]);
}

#[test]
fn columns_are_in_the_order_of_the_first_file_or_of_the_option() {
    let project = Project::with("1.csv", "a,b\n1,2\n");
    project.write("2.csv", "b,a\n4,3\n");
    let sorted = |yaml: &str| {
        let mut read = project.rows(yaml).unwrap();
        read.sort();
        read
    };
    let read = sorted("{ format: csv, path: '*.csv' }");
    assert_eq!(read, rows(&[["1", "2"], ["3", "4"]]));
    let read = sorted("{ format: csv, path: '*.csv', columns: [b, a] }");
    assert_eq!(read, rows(&[["2", "1"], ["4", "3"]]));
}

#[test]
fn tolerance_is_opt_in() {
    let ragged = "a,b\n1\n2,x,y\n";
    check(
        ragged,
        "too_few_fields: null, too_many_fields: drop",
        &[["1", "∅"], ["2", "x"]],
    );
    check("\na,b\n\n1,x\n\n", "blank_lines: skip", &[["1", "x"]]);
}

#[test]
fn source_columns_name_file_and_line() {
    check(
        "a\n\"x\n\"\ny\n",
        "source_columns: true",
        &[["x\n", "a.csv", "2"], ["y", "a.csv", "4"]],
    );
}

#[test]
fn malformed_files_are_refused_at_their_line() {
    let cases: &[(&[u8], &str, &str)] = &[
        (
            b"a,b\n1,x\n2\n",
            "",
            "a.csv:3: the record has 1 field, wanted 2\nhint: check `delimiter` and quotes; `too_few_fields: null`",
        ),
        (
            b"a,b\n\"\n\",x\n2,x,y\n",
            "",
            "a.csv:4: the record has 3 fields, wanted 2\nhint: check `delimiter` and quotes; `too_many_fields: drop`",
        ),
        (
            b"a,b\n\n1,x\n",
            "",
            "a.csv:2: the line is blank\nhint: `blank_lines: skip`",
        ),
        (
            b"a;b;c\n1;2;3\n",
            "",
            "a.csv:1: the header is one column, `a;b;c`\nhint: the delimiter looks like \";\": set `delimiter: \";\"`",
        ),
        (
            b"a\tb\n1\t2\n",
            "",
            "a.csv:1: the header is one column, `a\\tb`\nhint: the delimiter looks like tab: set `delimiter: tab`",
        ),
        (
            b"a,b\n1,x\n2,caf\xe9\n",
            "",
            "a.csv:3: column `b` is not UTF-8: byte 0xE9\nhint: convert the file",
        ),
        (
            b"a,caf\xe9\n",
            "",
            "a.csv:1: the name of column 2 is not UTF-8: byte 0xE9",
        ),
        (
            b"\xff\xfea\x00",
            "",
            "`a.csv` is UTF-16, not UTF-8\nhint: convert it",
        ),
        (
            b"a,b,a\n",
            "",
            "a.csv:1: columns 1 and 3 are both named `a`\nhint: rename one",
        ),
        (b"a,,b\n", "", "a.csv:1: column 2 has no name\nhint: "),
        (
            b"a,b\n1,\"x\n2,y\n",
            "",
            "a.csv:2: a quoted field opens here and is not closed before the file ends\nhint: the file may be cut off",
        ),
        (
            b"a,b\n\"1\"2,x\n",
            "",
            "a.csv:2: text stands behind the closing quote of field 1\nhint: ",
        ),
        (
            b"a,b\r1,x\r",
            "",
            "a.csv:1: a carriage return stands in field 2 outside quotes\nhint: lines end in LF or CRLF",
        ),
        (b"", "", "`a.csv` is empty\nhint: "),
        (b"\xef\xbb\xbf", "", "`a.csv` has no header line\nhint: "),
        (
            b"a,b\n1,2\n",
            "columns: [a, c]",
            "a.csv:1: the header differs from `columns`: it lacks `c`, and it has `b` too",
        ),
        (
            b"a,b\n1,0123456789\n",
            "max_line_bytes: 8",
            "a.csv:2: the record is longer than 8 bytes\nhint: check `delimiter` and line ends",
        ),
        (
            b"a,_line\n",
            "source_columns: true",
            "`a.csv` has a column `_line`, which `source_columns` adds\nhint: ",
        ),
    ];
    for (content, options, expected) in cases {
        let fault = fault(content, options);
        assert!(fault.starts_with(expected), "{fault}\n!=\n{expected}");
    }
}

#[test]
fn an_open_quote_does_not_swallow_the_file() {
    let content = format!("a,b\n1,\"x\n{}", "2,y\n".repeat(100_000));
    let fault = fault(content, "max_line_bytes: 1KiB");
    assert!(
        fault.starts_with(
            "a.csv:2: the record is longer than 1024 bytes\nhint: a quoted field opens in line 2"
        ),
        "{fault}"
    );
}

#[test]
fn files_whose_headers_differ_are_refused_by_name() {
    let project = Project::with("1.csv", "a,b\n1,2\n");
    project.write("2.csv", "a,c\n1,2\n");
    let fault = project.fault("{ format: csv, path: '*.csv' }");
    let expected =
        "2.csv:1: the header differs from the first file: it lacks `b`, and it has `c` too";
    assert!(fault.starts_with(expected), "{fault}");
}

#[test]
fn odd_column_names_are_kept() {
    let names = "a.b,c d,\"e\"\"f\",größe,SELECT\n1,2,3,4,5\n";
    let project = Project::with("a.csv", names);
    let table = project.provider("{ format: csv, path: a.csv }").unwrap();
    let schema = table.schema();
    let found: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(found, ["a.b", "c d", "e\"f", "größe", "SELECT"]);
    assert_eq!(
        project.table_rows(table).unwrap(),
        rows(&[["1", "2", "3", "4", "5"]])
    );
}

#[test]
fn options_are_checked_where_they_stand() {
    let cases = [
        (
            "format: csv\nheader: false\npath: a",
            "p.yaml:1:1: `header: false` needs `columns`",
        ),
        (
            "format: csv\npath: a\ndelimiter: ';;'",
            "p.yaml:3:12: `delimiter` must be one ASCII character",
        ),
        (
            "format: csv\npath: a\nquote: ','",
            "p.yaml:3:8: `delimiter` and `quote` are both ','",
        ),
        (
            "format: csv\npath: a\nblank_lines: skp",
            "p.yaml:3:14: `blank_lines` must be one of `error`, `skip`",
        ),
        (
            "format: csv\npath: a\nencoding: latin-1",
            "p.yaml:3:11: `encoding` must be `utf-8`",
        ),
        (
            "format: csv\npath: a\nmax_line_bytes: 2GiB",
            "p.yaml:3:17: `max_line_bytes` must be at most 1GiB",
        ),
        (
            "format: csv\npath: a\ncolumns: [a, a]",
            "p.yaml:3:14: `a` is in `columns` twice",
        ),
        (
            "format: csv\npath: a\ndelimeter: ';'",
            "p.yaml:3:1: unknown key `delimeter` in `extract`\nhint: did you mean `delimiter`?",
        ),
        ("format: csv\npath: ${x\n", "p.yaml:2:7: `${` is not closed"),
        (
            "format: csv\npath: a\nmax_ratio: 0",
            "p.yaml:3:12: `max_ratio` must be above 0",
        ),
        (
            "format: cvs\npath: a",
            "p.yaml:1:9: `format` must be one of `csv`",
        ),
        (
            "format: csv\n",
            "p.yaml:1:1: `extract` needs the key `path`",
        ),
    ];
    for (yaml, expected) in cases {
        let problems = spec(yaml).unwrap_err().to_string();
        assert!(problems.starts_with(expected), "{problems}\n!=\n{expected}");
    }
}

/// Reads are cut at every place: a reader that gives a few bytes at a time must make no difference.
struct Crumbs<'a>(&'a [u8], usize);

impl std::io::Read for Crumbs<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(bytes);
        buffer[..bytes].copy_from_slice(now);
        self.0 = later;
        Ok(bytes)
    }
}

fn field() -> impl Strategy<Value = String> {
    "[a,\"\n\r ;é\\\\#]{0,6}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        records in prop::collection::vec(prop::collection::vec(field(), 3), 0..20),
        crumb in 1_usize..9,
    ) {
        let mut writer = ::csv::WriterBuilder::new().quote_style(::csv::QuoteStyle::Always).from_writer(Vec::new());
        for record in &records {
            writer.write_record(record).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let dialect = super::options::CsvOptions::default().dialect;
        let mut input = Crumbs(&bytes, crumb);
        let mut found = Vec::new();
        let mut read = super::Records::new(&mut input, "a.csv", &dialect).unwrap();
        while read.next().unwrap() == super::Found::Record {
            let mut record = Vec::new();
            for i in 0..read.len() {
                record.push(String::from_utf8(read.field(i).to_vec()).unwrap());
            }
            found.push(record);
        }
        prop_assert_eq!(found, records);
    }

    #[test]
    fn any_bytes_give_rows_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let dialect = super::options::CsvOptions::default().dialect;
        let mut input = bytes.as_slice();
        let Ok(mut read) = super::Records::new(&mut input, "a.csv", &dialect) else {
            return Ok(());
        };
        let mut line = 0;
        while let Ok(super::Found::Record | super::Found::Blank) = read.next() {
            prop_assert!(read.line() > line);
            line = read.line();
        }
    }
}
