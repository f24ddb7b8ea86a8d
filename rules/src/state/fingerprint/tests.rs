//! Fingerprints differ where meanings do, and are the same in every process.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, SchemaRef, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::functions::expr_fn::{now, random};
use datafusion::logical_expr::{Like, cast, col, lit};

use super::*;
use crate::pattern::{Format, TextPattern};
use crate::plan::column;
use crate::row_test::{FloatSet, TextLength, TextSet, call};
use crate::state::Edge;
use crate::tests::session;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("t", DataType::Utf8, true),
        Field::new("t = a", DataType::Boolean, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]))
}

fn of(measure: &Measure, filter: Option<&Expr>) -> Option<String> {
    let fingerprint = Fingerprint::of(measure, filter, &schema(), &session())?;
    Some(format!("{fingerprint:?}"))
}

fn sql(text: &str) -> Expr {
    let schema = DFSchema::try_from(schema()).unwrap();
    let session = session();
    crate::fragment::condition(&session, text, &schema, &Default::default())
        .unwrap_or_else(|trouble| panic!("{text}: {}", trouble.message))
}

fn texts(members: &[&str]) -> Expr {
    call(TextSet::new(members.iter().copied()), column("t"))
}

#[test]
fn measures_of_different_meaning_have_different_fingerprints() {
    let is_false = |condition| (Measure::False(condition), None);
    let of_a = |filter| (Measure::Sum(column("a")), Some(filter));
    let mut measures = vec![
        (Measure::Rows, None),
        (Measure::Rows, Some(sql("a > 1"))),
        (Measure::Nulls(column("a")), None),
        (Measure::Nulls(column("b")), None),
        (Measure::False(column("a")), None),
        (Measure::Min(column("a")), None),
        (Measure::Max(column("a")), None),
        (Measure::Sum(column("a")), None),
        (Measure::Sum(column("f")), None),
        (Measure::Moments(column("a")), None),
        (Measure::Shape(column("a")), None),
        (Measure::Comoments(column("a"), column("b")), None),
        (Measure::Comoments(column("b"), column("a")), None),
        (Measure::Quantiles(column("a"), Edge(0.01)), None),
        (Measure::Quantiles(column("a"), Edge(0.02)), None),
        (Measure::Distinct(column("a")), None),
        (Measure::Types(column("a")), None),
        (Measure::ValueCounts(column("a")), None),
        (Measure::Bins(column("a"), vec![Edge(0.0), Edge(1.0)]), None),
        (Measure::Bins(column("a"), vec![Edge(0.0), Edge(2.0)]), None),
        of_a(sql("a > 1")),
        of_a(sql("a >= 1")),
        of_a(sql("a > 2")),
        of_a(sql("b > 1")),
        of_a(sql("a > 1 AND b > 1")),
        of_a(sql("a > 1 OR b > 1")),
        of_a(sql("NOT a > 1")),
        // Alike in print.
        is_false(column("t").eq(lit("a"))),
        is_false(column("t").eq(column("a"))),
        is_false(column("t").eq(lit("'a'"))),
        is_false(lit("t = a")),
        is_false(column("t = a")),
        is_false(column("a").eq(lit(1i64))),
        is_false(column("a").eq(lit(1i32))),
        is_false(column("a").eq(lit("1"))),
        is_false(column("f").eq(lit(1.0))),
        is_false(column("f").eq(lit(1.0f32))),
        is_false(column("f").eq(lit(0.1 + 0.2))),
        is_false(column("f").eq(lit(0.3))),
        is_false(column("f").eq(lit(0.0))),
        is_false(column("f").eq(lit(-0.0))),
        is_false(column("a").eq(lit(ScalarValue::Int64(None)))),
        is_false(column("a").eq(lit(ScalarValue::Null))),
        is_false(cast(column("a"), DataType::Int32).eq(lit(1))),
        is_false(cast(column("a"), DataType::Int16).eq(lit(1))),
        is_false(sql("t LIKE 'a%'")),
        is_false(sql("t NOT LIKE 'a%'")),
        is_false(sql("t ILIKE 'a%'")),
        is_false(Expr::SimilarTo(Like::new(
            false,
            Box::new(column("t")),
            Box::new(lit("a%")),
            None,
            false,
        ))),
        is_false(sql("t IN ('a', 'b')")),
        is_false(sql("t IN ('a, b')")),
        is_false(sql("t NOT IN ('a', 'b')")),
        is_false(sql("a BETWEEN 1 AND 2")),
        is_false(sql("a NOT BETWEEN 1 AND 2")),
        is_false(sql("upper(t) = 'A'")),
        is_false(sql("lower(t) = 'A'")),
        is_false(sql("CASE WHEN a > 1 THEN true ELSE false END")),
        is_false(sql("CASE WHEN a > 1 THEN true WHEN false THEN false END")),
        is_false(sql("a IS NULL")),
        is_false(sql("a IS NOT NULL")),
        is_false(sql("(a > 1) IS TRUE")),
        is_false(sql("(a > 1) IS NOT FALSE")),
        is_false(texts(&["a", "b"])),
        is_false(texts(&["a", "b", "c"])),
        is_false(texts(&["a b"])),
        is_false(texts(&["ab"])),
    ];
    for test in [
        call(FloatSet::new([0.5].into_iter()), column("f")),
        call(FloatSet::new([0.25].into_iter()), column("f")),
        call(TextLength { least: 0, most: 3 }, column("t")),
        call(TextLength { least: 3, most: 3 }, column("t")),
        call(TextPattern::Format(Format::Email), column("t")),
        call(TextPattern::Format(Format::Url), column("t")),
        call(TextPattern::Holds(Format::Url), column("t")),
        call(TextPattern::regex("Email").unwrap(), column("t")),
        call(TextPattern::regex("(?=Email)").unwrap(), column("t")),
    ] {
        measures.push(is_false(test));
    }
    let mut seen = HashMap::new();
    for (measure, filter) in measures {
        let fingerprint = of(&measure, filter.as_ref())
            .unwrap_or_else(|| panic!("{measure:?} {filter:?} has none"));
        if let Some(other) = seen.insert(fingerprint, (measure.clone(), filter.clone())) {
            panic!("{other:?} and {measure:?} {filter:?} have the same");
        }
    }
}

#[test]
fn members_of_a_set_have_no_order() {
    let one = of(&Measure::False(texts(&["a", "b", "c", "d"])), None);
    for members in [["d", "c", "b", "a"], ["b", "a", "d", "c"]] {
        assert_eq!(of(&Measure::False(texts(&members)), None), one);
    }
}

#[test]
fn types_of_the_columns_are_part_of_the_meaning() {
    let measure = Measure::Min(column("a"));
    let narrow = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
    let narrow = Fingerprint::of(&measure, None, &narrow, &session());
    assert_ne!(narrow.map(|f| format!("{f:?}")), of(&measure, None));
}

#[test]
fn time_zone_of_the_session_is_part_of_the_meaning() {
    let measure = Measure::False(sql("date_part('hour', at) < 12"));
    let session = session();
    let set = session.state_ref();
    let zone = Some("Asia/Tokyo".to_owned());
    set.write().config_mut().options_mut().execution.time_zone = zone;
    let there = Fingerprint::of(&measure, None, &schema(), &session);
    assert_ne!(there.map(|f| format!("{f:?}")), of(&measure, None));
}

#[test]
fn what_may_have_another_answer_next_time_has_no_fingerprint() {
    for condition in [
        random().gt(lit(0.5)),
        now().gt(column("at")),
        col("other.a").gt(lit(1)),
    ] {
        assert_eq!(of(&Measure::False(condition.clone()), None), None);
        assert_eq!(of(&Measure::Rows, Some(&condition)), None);
    }
}

/// The same in every process: states that are stored are found again. Those of more than columns change with the
/// versions of DataFusion and Lakegate.
#[test]
fn fingerprints_of_columns_stay() {
    let found = [Measure::Rows, Measure::Nulls(column("a"))];
    let found = found.map(|measure| of(&measure, None).unwrap());
    let expected = [
        "065cc096b1e569201dc232e5276c1a73",
        "d2c010e0c71183293b7dd756e3dec889",
    ];
    assert_eq!(found, expected.map(str::to_owned));
}

#[test]
fn a_set_has_the_same_fingerprint_whatever_its_order() {
    let of = |set: &[&str]| of(&Measure::False(texts(set)), None).unwrap();
    assert_eq!(of(&["b", "a", "c"]), of(&["c", "b", "a"]));
}
