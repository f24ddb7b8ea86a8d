//! A look-up finds what a join finds, however its keys are held.

use std::collections::HashSet as Expected;

use datafusion::execution::memory_pool::{FairSpillPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use proptest::prelude::*;

use super::*;
use crate::tests::{judge_subject, session, subject, table};

fn set(numbers: &[Option<i64>]) -> KeySet {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let reservation = MemoryConsumer::new("test").register(&pool);
    let mut gathered = Gathered {
        numbers: Vec::new(),
        sorted: 0,
        reservation: MemoryConsumer::new("test").register(&pool),
    };
    for numbers in numbers.chunks(7) {
        gathered.take(&Int64Array::from(numbers.to_vec())).unwrap();
    }
    KeySet {
        keys: Keys::of(&[gathered], &reservation).unwrap(),
        _reservation: reservation,
    }
}

fn number() -> impl Strategy<Value = Option<i64>> {
    let number = prop_oneof![
        6 => -90i64..90,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0]),
    ];
    proptest::option::weighted(0.9, number)
}

proptest! {
    #[test]
    fn number_is_missing_when_it_is_not_among_the_others(
        dense in proptest::bool::ANY,
        mut others in proptest::collection::vec(number(), 0..60),
        own in proptest::collection::vec(number(), 0..60),
    ) {
        if dense {
            others.retain(|number| number.is_none_or(|number| number.unsigned_abs() < 90));
        }
        let expected: Expected<i64> = others.iter().flatten().copied().collect();
        let is_missing = |number: &&Option<i64>| number.is_none_or(|n| !expected.contains(&n));
        let wanted = own.iter().filter(is_missing).count() as u64;
        prop_assert_eq!(set(&others).missing(&Int64Array::from(own)), wanted);
    }
}

#[test]
fn numbers_next_to_each_other_are_held_as_bits_and_scattered_ones_are_not() {
    let near: Vec<_> = (0..100).map(|n| Some(i64::MIN + 4 * n)).collect();
    assert!(matches!(set(&near).keys, Keys::Bits { .. }));
    assert!(matches!(
        set(&[Some(i64::MIN), Some(i64::MAX)]).keys,
        Keys::Hashed(_)
    ));
}

#[test]
fn repeated_numbers_do_not_pile_up() {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let mut gathered = Gathered {
        numbers: Vec::new(),
        sorted: 0,
        reservation: MemoryConsumer::new("test").register(&pool),
    };
    let numbers = Int64Array::from_iter_values((0..8192).map(|n| n % 100));
    for _ in 0..600 {
        gathered.take(&numbers).unwrap();
    }
    assert!(gathered.numbers.len() <= 2 * FEW_NUMBERS);
    assert!(pool.reserved() <= 2 * FEW_NUMBERS * size_of::<i64>());
}

#[tokio::test]
async fn keys_of_every_type_are_looked_up_by_value() {
    let session = session();
    for (data_type, good, bad) in [
        ("tinyint", "-3", "4"),
        (
            "bigint unsigned",
            "18446744073709551615",
            "9223372036854775808",
        ),
        ("decimal(18, 2)", "-1.25", "1.25"),
        ("decimal(38, 2)", "-1.25", "1.25"),
        ("date", "'1969-12-31'", "'1970-01-02'"),
        ("timestamp", "'1969-12-31 23:59:59.000001'", "'1970-01-02'"),
        ("varchar", "'a'", "'b'"),
        ("double", "'NaN'", "'inf'"),
    ] {
        let values =
            |values: &str| format!("SELECT column1::{data_type} AS k FROM (VALUES {values})");
        table(
            &session,
            "others",
            &values(&format!("({good}), ({good}), (NULL)")),
        )
        .await;
        let own = values(&format!("({good}), ({bad}), ({bad}), (NULL)"));
        let own = table(&session, "own", &own).await;
        let yaml = "columns:\n  k:\n    - exists_in: { table: silver.others, column: k }\n";
        let checks = judge_subject(&subject(&session, own), yaml).await;
        assert_eq!(
            (checks[0].rows, checks[0].bad_rows),
            (Some(4), Some(2)),
            "{data_type}"
        );
    }
}

/// A session with so many bytes of memory for what it holds.
fn small_session(bytes: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("lakegate", "default")
        .with_target_partitions(2)
        .with_batch_size(1024);
    config.options_mut().execution.sort_spill_reservation_bytes = 16 << 10;
    SessionContext::new_with_config_rt(config, Arc::new(runtime.build().unwrap()))
}

#[tokio::test]
async fn keys_that_do_not_fit_memory_are_sorted_on_disk() {
    let session = small_session(1 << 20);
    for key in ["value * 977", "concat('key ', value)"] {
        let others = format!("SELECT {key} AS k FROM generate_series(1, 150000)");
        table(&session, "others", &others).await;
        let own = format!("SELECT {key} AS k FROM generate_series(149999, 150004)");
        let own = table(&session, "own", &own).await;
        let yaml = "
columns:
  k:
    - exists_in: { table: silver.others, column: k }
table_checks:
  - dataset_match: { table: silver.others, keys: [k] }
";
        let checks = judge_subject(&subject(&session, own), yaml).await;
        for check in checks {
            assert_eq!(
                (check.rows, check.bad_rows),
                (Some(6), Some(4)),
                "{key} {check:?}"
            );
        }
    }
}
