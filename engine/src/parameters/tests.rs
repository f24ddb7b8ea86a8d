//! Values in the place of parameters.

use proptest::prelude::*;

use super::*;
use crate::{Statement, StatementOptions};

fn bound(sql: &str) -> Result<String, EngineError> {
    let mut statement = Statement::parse(sql)?;
    let parameters = Parameters::from([
        (
            "name".to_owned(),
            ScalarValue::from("O'Hare'; DROP TABLE a; --"),
        ),
        ("number".to_owned(), ScalarValue::from(-5_i64)),
        ("day".to_owned(), ScalarValue::Date32(Some(0))),
    ]);
    bind(&mut statement.inner, ParameterStyle::Named, &parameters)?;
    Ok(statement.inner.to_string())
}

#[test]
fn values_take_the_place_of_parameters() {
    assert_eq!(
        bound("SELECT * FROM a WHERE b = :name AND c = :number AND d >= :day").unwrap(),
        "SELECT * FROM a WHERE b = 'O''Hare''; DROP TABLE a; --' \
         AND c = CAST('-5' AS BIGINT) AND d >= CAST('1970-01-01' AS DATE)"
    );
}

#[test]
fn colons_in_strings_comments_and_casts_are_not_parameters() {
    let statement =
        Statement::parse("SELECT ':name', \":name\", x::int, {'a': 1} -- :name\n FROM a").unwrap();
    assert_eq!(statement.parameters(), []);
}

#[test]
fn unknown_parameter_is_named_with_its_place() {
    let error = bound("SELECT *\nFROM a WHERE b = :nam").unwrap_err();
    assert_eq!(error.to_string(), "unknown parameter `:nam`");
    assert_eq!(error.hint(), Some("did you mean `:name`?"));
    assert_eq!(
        error.place(),
        Some(Place {
            line: 2,
            column: 18
        })
    );
}

#[test]
fn expression_is_bound_as_a_whole() {
    let parameters = Parameters::from([("m".to_owned(), ScalarValue::from("a' OR 1=1 --"))]);
    assert_eq!(
        bind_expression("x = :m AND y > 1", &parameters).unwrap(),
        "x = 'a'' OR 1=1 --' AND y > 1"
    );
    assert_eq!(
        bind_expression("a IS DISTINCT FROM :m OR b", &parameters).unwrap(),
        "(a IS DISTINCT FROM ('a'' OR 1=1 --')) OR b"
    );
    assert!(bind_expression("x = 1; DROP TABLE a", &parameters).is_err());
    assert!(bind_expression("x = :n", &parameters).is_err());
}

proptest! {
    #[test]
    fn bound_text_is_read_as_the_same_text(text in r#"(['"\\ ]|[a-z]|--|;|\PC){0,12}"#) {
        let parameters = Parameters::from([("m".to_owned(), ScalarValue::from(text.as_str()))]);
        let bound = bind_expression("x = :m", &parameters).unwrap();
        let read = sql::parse_expression(tokens(&bound).unwrap()).unwrap();
        let Expr::BinaryOp { right, .. } = read else {
            panic!("{bound} is not a comparison");
        };
        let Expr::Value(right) = *right else {
            panic!("{bound} has no value on its right");
        };
        prop_assert_eq!(right.value, Value::SingleQuotedString(text));
    }
}

#[test]
fn texts_of_the_expression_itself_stay_as_they_are() {
    for sql in [
        r"x = '\''' OR y = 'a''''b'",
        r"x LIKE '\%' ESCAPE '\'",
        "x = DATE '2020-01-01'",
    ] {
        assert_eq!(bind_expression(sql, &Parameters::new()).unwrap(), sql);
    }
}

#[test]
fn numbered_parameters_are_refused() {
    assert!(Statement::parse("SELECT $1").is_err());
    assert!(Statement::parse("SELECT ?").is_err());
    assert!(Statement::parse("SELECT :1").is_err());
}

fn numbered(sql: &str) -> Result<Vec<String>, EngineError> {
    let options = StatementOptions {
        parameters: ParameterStyle::Numbered,
        ..StatementOptions::default()
    };
    let statement = Statement::parse_with(sql, options)?;
    let uses = statement.parameters().iter();
    Ok(uses.map(|used| used.name.clone()).collect())
}

#[test]
fn clients_number_parameters_or_leave_that_to_their_order() {
    for (sql, expected) in [
        ("SELECT ?, '?', ? -- ?", &["1", "2"][..]),
        ("SELECT $2, $1, $2", &["2", "1"]),
        ("SELECT ? FROM a VERSION AS OF ?", &["1", "2"]),
        ("SELECT $10 FROM a TIMESTAMP AS OF $1", &["10", "1"]),
    ] {
        assert_eq!(numbered(sql).unwrap(), expected, "{sql}");
    }
    for sql in [
        "SELECT ?, $1",
        "SELECT $0",
        "SELECT $x",
        "SELECT ?1",
        "SELECT :a",
        "SELECT $65536",
    ] {
        let error = numbered(sql).unwrap_err();
        assert!(error.hint().is_some(), "{sql}: {error}");
    }
}

#[tokio::test]
async fn bound_value_is_read_as_the_same_value_of_the_same_type() {
    #[expect(clippy::disallowed_methods, reason = "SQL without tables")]
    let session = datafusion::prelude::SessionContext::new();
    let micros = 1_600_000_000_123_456;
    for value in [
        ScalarValue::Int8(Some(-128)),
        ScalarValue::Int16(Some(7)),
        ScalarValue::Int32(Some(i32::MIN)),
        ScalarValue::Int64(Some(i64::MIN)),
        ScalarValue::Int64(Some(i64::MAX)),
        ScalarValue::UInt8(Some(255)),
        ScalarValue::UInt16(Some(1)),
        ScalarValue::UInt32(Some(u32::MAX)),
        ScalarValue::UInt64(Some(u64::MAX)),
        ScalarValue::Float32(Some(0.1)),
        ScalarValue::Float64(Some(-1e300)),
        ScalarValue::Float64(Some(f64::INFINITY)),
        ScalarValue::Decimal128(Some(-123_456_789), 38, 10),
        ScalarValue::Boolean(Some(false)),
        ScalarValue::Date32(Some(-1)),
        ScalarValue::TimestampMicrosecond(Some(micros), None),
        ScalarValue::TimestampNanosecond(Some(micros * 1000 + 1), None),
        ScalarValue::TimestampMillisecond(Some(-1), None),
        ScalarValue::Int32(None),
        ScalarValue::Float64(None),
        ScalarValue::Date32(None),
    ] {
        let parameters = Parameters::from([("v".to_owned(), value.clone())]);
        let mut statement = Statement::parse("SELECT :v").unwrap().inner;
        bind(&mut statement, ParameterStyle::Named, &parameters).unwrap();
        let plan = session.state().statement_to_plan(statement).await.unwrap();
        let rows = session.execute_logical_plan(plan).await.unwrap();
        let rows = rows.collect().await.unwrap();
        let read = ScalarValue::try_from_array(rows[0].column(0), 0).unwrap();
        assert_eq!(read, value);
    }
    let interval = ScalarValue::new_interval_ym(1, 2);
    let parameters = Parameters::from([("v".to_owned(), interval)]);
    let mut statement = Statement::parse("SELECT :v").unwrap().inner;
    let error = bind(&mut statement, ParameterStyle::Named, &parameters).unwrap_err();
    assert!(error.to_string().contains("`v`"), "{error}");
}

#[test]
fn parameter_is_no_position_of_a_column() {
    for sql in [
        "SELECT a FROM t ORDER BY :p",
        "SELECT a FROM t ORDER BY a, (:p) DESC",
        "SELECT count(*) FROM t GROUP BY :p",
        "SELECT * FROM (SELECT a FROM t ORDER BY :p LIMIT 1)",
    ] {
        let error = Statement::parse(sql).unwrap_err();
        assert!(error.to_string().contains("a parameter alone"), "{error}");
    }
    for sql in [
        "SELECT a FROM t ORDER BY a + :p",
        "SELECT a FROM t LIMIT :p",
    ] {
        Statement::parse(sql).unwrap();
    }
}
