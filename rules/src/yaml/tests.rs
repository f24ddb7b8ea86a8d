use super::*;

fn problems(text: &str) -> String {
    parse("f.yaml", text).unwrap_err().to_string()
}

/// Reads a text with one kind of getter and returns the problems that it reports.
fn reading<T>(
    text: &str,
    read: impl Fn(&Fields<'_>, &mut Problems) -> Option<T>,
) -> (Option<T>, String) {
    let node = parse("f.yaml", text).unwrap();
    let mut problems = Problems::default();
    let fields = Fields::new(&node, "the file", &["k"], &mut problems);
    let value = read(&fields, &mut problems);
    (value, problems.to_string())
}

#[test]
fn nodes_know_where_they_stand() {
    let node = parse("f.yaml", "a: 1\nb:\n  - x\n  - {c: 'd'}\n").unwrap();
    let entries = node.as_map().unwrap();
    assert_eq!(entries[0].key_span, Span { line: 1, column: 1 });
    assert_eq!(entries[0].value.span, Span { line: 1, column: 4 });
    let items = entries[1].value.as_list().unwrap();
    assert_eq!(items[1].span, Span { line: 4, column: 5 });
    let inner = &items[1].as_map().unwrap()[0];
    assert_eq!(inner.key_span, Span { line: 4, column: 6 });
    assert_eq!(inner.value.span, Span { line: 4, column: 9 });
    assert!(!inner.value.as_scalar().unwrap().plain);
}

#[test]
fn every_duplicate_key_is_reported() {
    assert_eq!(
        problems("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n"),
        "f.yaml:3:1: duplicate key `a`; it is on line 1 too\n\
         f.yaml:4:11: duplicate key `d`; it is on line 4 too"
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        problems("{größe: 1, größe: 2}"),
        "f.yaml:1:12: duplicate key `größe`; it is on line 1 too"
    );
    assert_eq!(
        problems("{'日本': 1, 日本: 2}"),
        "f.yaml:1:11: duplicate key `日本`; it is on line 1 too"
    );
}

#[test]
fn byte_order_mark_is_skipped() {
    let node = parse("f.yaml", "\u{feff}a: 1").unwrap();
    let entry = &node.as_map().unwrap()[0];
    assert_eq!((entry.key.as_str(), entry.key_span.column), ("a", 1));
}

#[test]
fn windows_line_ends_are_line_ends() {
    let node = parse("f.yaml", "a: 1\r\nb: |\r\n  x\r\n  y\r\nc: z\r\n").unwrap();
    let entries = node.as_map().unwrap();
    assert_eq!(entries[1].value.as_scalar().unwrap().text, "x\ny\n");
    assert_eq!(entries[2].key_span, Span { line: 5, column: 1 });
    assert_eq!(entries[2].value.as_scalar().unwrap().text, "z");
}

#[test]
fn tab_in_the_indentation_is_named() {
    let expected = "f.yaml:2:1: a tab stands in the indentation\nhint: indent with spaces";
    assert_eq!(problems("a:\n\tb: 1\n"), expected);
    assert_eq!(problems("a:\n\t- 1\n\t- 2\n"), expected);
}

#[test]
fn text_that_is_not_yaml_has_a_place() {
    for (text, place) in [
        ("a: [1, 2\nb: 3\n", "f.yaml:2:"),
        ("a: 'x\n", "f.yaml:"),
        ("a: b: c\n", "f.yaml:1:5: "),
    ] {
        let found = problems(text);
        assert!(found.starts_with(place), "{text:?} gave {found}");
        assert!(found.contains("this is not YAML"), "{text:?} gave {found}");
    }
}

#[test]
fn second_document_is_refused() {
    assert!(problems("a: 1\n---\nb: 2\n").starts_with("f.yaml:2:1: a second YAML document"));
    parse("f.yaml", "---\na: 1\n...\n").unwrap();
}

#[test]
fn empty_file_is_null() {
    for text in ["", "# only a comment\n", "---\n"] {
        assert!(parse("f.yaml", text).unwrap().is_null(), "{text:?}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    parse("f.yaml", &deep(64)).unwrap();
    assert_eq!(
        problems(&deep(65)),
        "f.yaml:1:65: values are nested more than 64 levels deep"
    );
    let _ = problems(&"[".repeat(100_000));
    let _ = problems(&"- ".repeat(100_000));
    let _ = problems(&"{a: ".repeat(100_000));
}

#[test]
fn aliases_repeat_their_value_within_limits() {
    let node = parse("f.yaml", "a: &x [1, 2]\nb: *x\n").unwrap();
    let entries = node.as_map().unwrap();
    assert_eq!(entries[0].value, entries[1].value);

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        let item = format!("*a{}", i - 1);
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![item; 10].join(", ")));
    }
    assert!(problems(&bomb).contains("more than 200000 values\nhint: aliases"));
    let long = "- 1\n".repeat(200_001);
    assert!(problems(&long).contains("more than 200000 values\nhint: split it"));

    let mut tower = "a0: &a0 [x]\n".to_owned();
    for i in 1..80 {
        tower.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    assert!(problems(&tower).contains("nested more than 64"));
    assert!(problems("a: &x [*x]\n").contains("f.yaml:1:8: "));
    assert!(problems("a: *unknown\n").starts_with("f.yaml:1:"));
}

#[test]
fn tags_and_odd_keys_are_refused() {
    assert!(problems("a: !ruby/object 1\n").starts_with("f.yaml:1:"));
    assert!(problems("? [1]\n: 2\n").contains("a key must be text"));
    assert!(problems(": 2\n").contains("a key is missing"));
    let node = parse("f.yaml", "a: !!str 5").unwrap();
    assert_eq!(
        node.as_map().unwrap()[0]
            .value
            .as_scalar()
            .unwrap()
            .resolve(),
        Resolved::Text
    );
}

#[test]
fn bytes_that_are_not_utf8_have_a_place() {
    let found = decode("f.yaml", b"a: 1\nb: \xc3\xa9\xff")
        .unwrap_err()
        .to_string();
    assert!(
        found.starts_with("f.yaml:2:5: the file is not UTF-8 here"),
        "{found}"
    );
    assert_eq!(decode("f.yaml", "é".as_bytes()).unwrap(), "é");
}

#[test]
fn scalars_follow_the_core_schema() {
    let cases = [
        ("no", Resolved::Text),
        ("on", Resolved::Text),
        ("1_000", Resolved::Text),
        ("2013-01-01", Resolved::Text),
        ("1.2.3", Resolved::Text),
        ("e5", Resolved::Text),
        (".", Resolved::Text),
        ("true", Resolved::Bool(true)),
        ("FALSE", Resolved::Bool(false)),
        ("~", Resolved::Null),
        ("", Resolved::Null),
        ("-7", Resolved::Integer(-7)),
        ("0x1F", Resolved::Integer(31)),
        ("0o17", Resolved::Integer(15)),
        ("0x", Resolved::Text),
        ("017", Resolved::Integer(17)),
        (
            "9223372036854775808",
            Resolved::Float(9_223_372_036_854_775_808.0),
        ),
        ("1e3", Resolved::Float(1000.0)),
        (".5", Resolved::Float(0.5)),
        ("-.inf", Resolved::Float(f64::NEG_INFINITY)),
        ("inf", Resolved::Text),
    ];
    for (text, expected) in cases {
        let scalar = Scalar {
            text: text.to_owned(),
            plain: true,
        };
        assert_eq!(scalar.resolve(), expected, "{text:?}");
    }
}

#[test]
fn units_are_read() {
    assert_eq!(parse_duration("6h").map(|d| d.as_secs()), Some(21_600));
    assert_eq!(parse_duration("1d 12h").map(|d| d.as_secs()), Some(129_600));
    assert_eq!(parse_duration("6"), None);
    assert_eq!(parse_bytes("128MiB"), Some(134_217_728));
    assert_eq!(parse_bytes("1.5 kB"), Some(1500));
    assert_eq!(parse_bytes("4096"), Some(4096));
    assert_eq!(parse_bytes("4 apples"), None);
    assert_eq!(parse_bytes("99999999999TiB"), None);
    assert_eq!(parse_bytes("-1"), None);
}

#[test]
fn values_of_the_wrong_type_are_reported_at_their_place() {
    let (value, found) = reading("k: [1]", |f, p| f.string("k", p));
    assert_eq!(
        (value, found.as_str()),
        (None, "f.yaml:1:4: `k` must be text, found a list")
    );
    let (_, found) = reading("k:", |f, p| f.string("k", p));
    assert_eq!(found, "f.yaml:1:1: `k` must be text, found nothing");
    let (_, found) = reading("k: yes", |f, p| f.bool("k", p));
    assert_eq!(
        found,
        "f.yaml:1:4: `k` must be `true` or `false`, found `yes`"
    );
    let (_, found) = reading("k: '5'", |f, p| f.integer("k", p));
    assert_eq!(
        found,
        "f.yaml:1:4: `k` must be a whole number, found the text `5`"
    );
    let (_, found) = reading("k: -5", |f, p| f.count("k", p));
    assert!(found.contains("not negative"), "{found}");
    let (_, found) = reading("k: .nan", |f, p| f.number("k", p));
    assert!(found.contains("must be a number"), "{found}");
    let (_, found) = reading("k: 5", |f, p| f.duration("k", p));
    assert!(found.contains("must be a duration, found `5`"), "{found}");
    let (_, found) = reading("k: big", |f, p| f.byte_size("k", p));
    assert!(found.contains("must be a size in bytes"), "{found}");
    let (value, found) = reading("k: [a, [b], c]", |f, p| f.strings("k", p));
    assert_eq!(value, Some(vec!["a".to_owned(), "c".to_owned()]));
    assert_eq!(
        found,
        "f.yaml:1:8: an item of `k` must be text, found a list"
    );
    let (value, found) = reading("k: a", |f, p| f.one_or_more_strings("k", p));
    assert_eq!((value, found.as_str()), (Some(vec!["a".to_owned()]), ""));
    let (_, found) = reading("k: fial", |f, p| {
        f.choice("k", &[("fail", 1), ("null", 2)], p)
    });
    assert_eq!(
        found,
        "f.yaml:1:4: `k` must be one of `fail`, `null`, found `fial`\nhint: did you mean `fail`?"
    );
    let (value, found) = reading("k: [fail]", |f, p| f.choice("k", &[("fail", 1)], p));
    assert_eq!(
        (value, found.as_str()),
        (None, "f.yaml:1:4: `k` must be `fail`, found a list")
    );
}

#[test]
fn unknown_and_missing_keys_are_all_reported() {
    let node = parse("f.yaml", "nmae: x\nzzz: 1\n").unwrap();
    let mut problems = Problems::default();
    let fields = Fields::new(&node, "the stage", &["name", "view"], &mut problems);
    fields.require(&["name", "view"], &mut problems);
    assert_eq!(
        problems.to_string(),
        "f.yaml:1:1: unknown key `nmae` in the stage\nhint: did you mean `name`?\n\
         f.yaml:2:1: unknown key `zzz` in the stage\nhint: known here: `name`, `view`\n\
         f.yaml:1:1: the stage needs the key `name`\n\
         f.yaml:1:1: the stage needs the key `view`"
    );
}

#[test]
fn map_is_wanted_once() {
    let node = parse("f.yaml", "[1]").unwrap();
    let mut problems = Problems::default();
    let fields = Fields::new(&node, "the stage", &["name"], &mut problems);
    fields.require(&["name"], &mut problems);
    assert_eq!(fields.string("name", &mut problems), None);
    assert_eq!(problems.len(), 1);
    assert!(
        problems
            .to_string()
            .starts_with("f.yaml:1:1: the stage must be a map, found a list")
    );
}

#[test]
fn problems_come_in_the_order_of_the_file() {
    let at = |file: &str, line| Problem::new(file, Span { line, column: 1 }, "x");
    let problems = Problems(vec![at("b", 3), at("a", 9), at("b", 1)]);
    let sorted = problems.into_result(()).unwrap_err();
    let places: Vec<_> = sorted
        .iter()
        .map(|p| (p.file.as_str(), p.span.unwrap().line))
        .collect();
    assert_eq!(places, [("b", 1), ("b", 3), ("a", 9)]);
}

#[test]
fn nearest_name_is_near() {
    let known = ["completeness", "not_null", "unique"];
    assert_eq!(
        nearest("completness", known),
        Some("completeness".to_owned())
    );
    assert_eq!(nearest("NOT_NULL", known), Some("not_null".to_owned()));
    assert_eq!(nearest("xyz", known), None);
}
