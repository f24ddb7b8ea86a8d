//! What statements name, and where.

use super::*;

fn names(sql: &str) -> Vec<String> {
    let statement = Statement::parse(sql).unwrap();
    statement
        .tables()
        .iter()
        .map(|t| t.name.to_string())
        .collect()
}

#[test]
fn names_that_a_query_defines_are_not_tables() {
    assert_eq!(
        names(
            "WITH a AS (SELECT * FROM b), c AS (SELECT * FROM a) SELECT * FROM c JOIN silver.d USING (x)"
        ),
        ["default.b", "silver.d"]
    );
}

#[test]
fn table_behind_a_name_of_its_own_is_a_table() {
    assert_eq!(
        names("WITH t AS (SELECT * FROM t) SELECT * FROM t"),
        ["default.t"]
    );
}

#[test]
fn names_are_found_in_subqueries_and_are_read_in_lower_case() {
    assert_eq!(
        names("SELECT * FROM A WHERE x IN (SELECT y FROM Silver.B) AND EXISTS (SELECT 1 FROM a)"),
        ["default.a", "silver.b"]
    );
}

#[test]
fn table_that_needs_several_scans_is_told_from_one_that_needs_one() {
    for (sql, is_read_once) in [
        ("SELECT * FROM t", true),
        ("WITH c AS (SELECT * FROM t) SELECT * FROM c", true),
        ("SELECT * FROM t x JOIN t y USING (i)", false),
        ("SELECT * FROM t WHERE i > (SELECT avg(i) FROM T)", false),
        (
            "WITH c AS (SELECT * FROM t) SELECT * FROM c x JOIN c y USING (i)",
            false,
        ),
    ] {
        let statement = Statement::parse(sql).unwrap();
        assert_eq!(statement.tables()[0].is_read_once, is_read_once, "{sql}");
    }
}

#[test]
fn parameter_that_names_a_version_is_one_of_the_statement() {
    let statement =
        Statement::parse("SELECT :a FROM t VERSION AS OF :v JOIN u TIMESTAMP AS OF :a ON true")
            .unwrap();
    let names: Vec<_> = statement
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(names, ["a", "v"]);
    let place = statement.parameters()[1].place;
    assert_eq!(
        place,
        Some(Place {
            line: 1,
            column: 32
        })
    );
}

#[test]
fn functions_are_not_tables() {
    assert_eq!(
        names("SELECT * FROM generate_series(1, 3) JOIN t ON true"),
        ["default.t"]
    );
}

#[test]
fn place_is_that_of_the_first_use() {
    let statement = Statement::parse("SELECT *\n  FROM silver.b\n  JOIN c ON true").unwrap();
    let places: Vec<_> = statement
        .tables()
        .iter()
        .map(|t| t.place.unwrap())
        .collect();
    assert_eq!(places[0], Place { line: 2, column: 8 });
    assert_eq!(places[1], Place { line: 3, column: 8 });
}

#[test]
fn mistakes_are_named_with_their_place() {
    let error = Statement::parse("SELECT 1,\n FROM a WHERE )").unwrap_err();
    assert_eq!(error.place().unwrap().line, 2, "{error}");
    assert!(Statement::parse("").is_err());
    assert!(Statement::parse("SELECT 1; SELECT 2").is_err());
    let cut = Statement::parse("SELECT 1\n FROM a WHERE").unwrap_err();
    assert_eq!(cut.place().unwrap(), Place { line: 2, column: 9 });
    let unterminated = Statement::parse("SELECT\n 'abc").unwrap_err();
    assert_eq!(unterminated.place().unwrap(), Place { line: 2, column: 2 });
}
