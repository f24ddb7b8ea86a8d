use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{AsArray, Int64Array, StringArray, TimestampNanosecondArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf, lit, when};

use super::*;
use crate::fragment::{Parameters, condition};
use crate::plan::column;
use crate::tests::session;

fn batch(name: &str) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(0)]));
    RecordBatch::try_from_iter([(name, values)]).unwrap()
}

fn expressions(exprs: &[Expr], batch: &RecordBatch) -> Expressions {
    let exprs: Vec<&Expr> = exprs.iter().collect();
    let (schema, state) = (batch.schema(), session().state());
    Expressions::new(&exprs, &schema, &state).sharing(&exprs, &schema, &state)
}

fn trues(found: &Result<ArrayRef, Trouble>) -> Option<usize> {
    let found = found.as_ref().ok()?;
    Some(found.as_boolean().true_count())
}

#[test]
fn what_expressions_share_is_evaluated_once() {
    // The second is a name that a shared value may be given.
    for (name, is_shared) in [
        ("x", true),
        ("__common_expr_1", false),
        ("__lakegate_0", true),
        ("a.\"b", true),
    ] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let plus_one = move |args: &[ColumnarValue]| {
            counted.fetch_add(1, Ordering::Relaxed);
            let arrays = ColumnarValue::values_to_arrays(args)?;
            let sums = arrays[0].as_primitive::<Int64Type>();
            let sums = sums.unary::<_, Int64Type>(|value| value + 1);
            Ok(ColumnarValue::Array(Arc::new(sums)))
        };
        let (int, volatility) = (DataType::Int64, Volatility::Immutable);
        let plus_one = create_udf(
            "plus_one",
            vec![int.clone()],
            int,
            volatility,
            Arc::new(plus_one),
        );
        let of = |expr: Expr| plus_one.call(vec![expr]);
        let one = || of(column(name));
        let two = || of(one() * lit(2_i64));
        let batch = batch(name);
        let exprs = [
            one().gt(lit(1_i64)),
            one().lt(lit(3_i64)),
            two().gt(lit(3_i64)),
            two().is_null(),
            one(),
        ];
        let expressions = expressions(&exprs, &batch);
        let found = expressions.evaluate(&batch);
        let trues: Vec<_> = found[..4].iter().map(trues).collect();
        assert_eq!(trues, [Some(1), Some(1), Some(1), Some(1)], "{name}");
        // Once for each expression of one, and twice for each of two, when nothing is shared.
        let expected = if is_shared { 2 } else { 7 };
        assert_eq!(calls.load(Ordering::Relaxed), expected, "{name}");
    }
}

#[test]
fn expression_that_guards_against_a_failure_does_not_fail_with_others() {
    let share = || lit(10_i64) / column("x");
    let is_positive = || share().gt(lit(0_i64));
    let is_set = column("x").not_eq(lit(0_i64));
    let guarded = when(is_set, is_positive()).otherwise(lit(true)).unwrap();
    let batch = batch("x");
    let exprs = [guarded, is_positive(), share().lt(lit(0_i64)), column("y")];
    let expressions = expressions(&exprs, &batch);
    assert!(!expressions.shared.is_empty());
    let found = expressions.evaluate(&batch);
    assert_eq!(trues(&found[0]), Some(3), "{found:?}");
    assert!(found[1..].iter().all(Result::is_err), "{found:?}");
}

/// What takes a constant is not given an array of it.
#[test]
fn constants_stay_constants() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "B"]));
    let batch = RecordBatch::try_from_iter([("a", Arc::clone(&times)), ("b", times), ("t", texts)]);
    let batch = batch.unwrap();
    let schema = DFSchema::try_from(batch.schema()).unwrap();
    let exprs = [
        "date_bin(INTERVAL '15 minutes', a, TIMESTAMP '2001-01-01') <= a",
        "date_bin(INTERVAL '15 minutes', b, TIMESTAMP '2001-01-01') <= b",
        "date_trunc(lower('DAY'), a) <= a",
        "date_trunc(lower('DAY'), b) <= b and lower(t) = 'b'",
        "lower(t) = 'a'",
    ];
    let session = session();
    let parameters = Parameters::default();
    let exprs = exprs.map(|sql| condition(&session, sql, &schema, &parameters).unwrap());
    let expressions = expressions(&exprs, &batch);
    assert_eq!(expressions.shared.len(), 1);
    let found = expressions.evaluate(&batch);
    let trues: Vec<_> = found.iter().map(trues).collect();
    assert_eq!(
        trues,
        [Some(1), Some(1), Some(1), Some(0), Some(1)],
        "{found:?}"
    );
}

/// A shared value under the name of a column would be the column to some expressions.
#[test]
fn columns_are_not_taken_for_shared_values() {
    for number in 0..4 {
        let values: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
        let nulls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
        let name = format!("__common_expr_{number}");
        let batch = RecordBatch::try_from_iter([(name.as_str(), nulls), ("a", values)]).unwrap();
        let lower = || datafusion::functions::string::expr_fn::lower(column("a"));
        let exprs = [
            lower().is_null(),
            lower().is_not_null(),
            lower().eq(lit("x")),
        ];
        let found = expressions(&exprs, &batch).evaluate(&batch);
        assert!(
            found.iter().all(|found| trues(found) == Some(1)),
            "{found:?}"
        );
    }
}
