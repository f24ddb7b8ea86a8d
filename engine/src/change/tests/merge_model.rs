//! `MERGE INTO` against a model of it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fixture::Fixture;

/// A row: its key and its value.
type Row = (Option<i64>, Option<i64>);

/// What a clause does, by the words of SQL and by a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Delete,
    SetFive,
    Add,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    Large,
    Smaller,
}

impl When {
    fn sql(self, side: &str) -> String {
        match self {
            Self::Always => String::new(),
            Self::Large => format!("AND {side}.v > 2"),
            Self::Smaller => "AND t.v < s.v".to_owned(),
        }
    }

    fn holds(self, side: Row, target: Option<Row>, source: Option<Row>) -> bool {
        let value = |row: Option<Row>| row.and_then(|row| row.1);
        match self {
            Self::Always => true,
            Self::Large => side.1.is_some_and(|v| v > 2),
            Self::Smaller => match (value(target), value(source)) {
                (Some(t), Some(s)) => t < s,
                _ => false,
            },
        }
    }
}

#[derive(Debug, Clone)]
struct Model {
    target: Vec<Row>,
    source: Vec<Row>,
    matched: Vec<(When, Act)>,
    inserts: Vec<When>,
    others: Vec<(When, Act)>,
}

impl Model {
    fn sql(&self) -> Option<String> {
        let mut clauses = String::new();
        for (when, act) in &self.matched {
            let act = match act {
                Act::Delete => "DELETE",
                Act::SetFive => "UPDATE SET v = 5",
                Act::Add => "UPDATE SET v = t.v + s.v",
            };
            clauses.push_str(&format!(" WHEN MATCHED {} THEN {act}", when.sql("t")));
        }
        for when in &self.inserts {
            clauses.push_str(&format!(
                " WHEN NOT MATCHED {} THEN INSERT (v, k) VALUES (s.v, s.k)",
                when.sql("s")
            ));
        }
        for (when, act) in &self.others {
            let act = match act {
                Act::Delete => "DELETE",
                Act::SetFive | Act::Add => "UPDATE SET v = 5",
            };
            clauses.push_str(&format!(
                " WHEN NOT MATCHED BY SOURCE {} THEN {act}",
                when.sql("t")
            ));
        }
        (!clauses.is_empty())
            .then(|| format!("MERGE INTO target t USING source s ON t.k = s.k{clauses}"))
    }

    /// The rows and their number; none when several rows of the source would change one row.
    fn merged(&self) -> Option<(Vec<Row>, u64)> {
        let mut rows = Vec::new();
        let mut count = 0;
        let is_match = |t: &Row, s: &Row| t.0.is_some() && t.0 == s.0;
        for target in &self.target {
            let partners: Vec<&Row> = self.source.iter().filter(|s| is_match(target, s)).collect();
            let acts: Vec<(Act, bool, Row)> = partners
                .iter()
                .filter_map(|source| {
                    let mut clauses = self.matched.iter();
                    let applies = |(when, _): &&(When, Act)| {
                        when.holds(*target, Some(*target), Some(**source))
                    };
                    let (when, act) = clauses.find(applies)?;
                    Some((*act, matches!(when, When::Always), **source))
                })
                .collect();
            let are_deletes = acts
                .iter()
                .all(|(act, always, _)| *act == Act::Delete && *always);
            match acts.first() {
                Some(_) if acts.len() > 1 && !are_deletes => return None,
                Some((act, _, source)) => {
                    count += 1;
                    match act {
                        Act::Delete => {}
                        Act::SetFive => rows.push((target.0, Some(5))),
                        Act::Add => {
                            let sum = target.1.zip(source.1).map(|(t, s)| t + s);
                            rows.push((target.0, sum));
                        }
                    }
                }
                None if partners.is_empty() => {
                    let mut others = self.others.iter();
                    match others.find(|(when, _)| when.holds(*target, Some(*target), None)) {
                        Some((_, Act::Delete)) => count += 1,
                        Some(_) => {
                            count += 1;
                            rows.push((target.0, Some(5)));
                        }
                        None => rows.push(*target),
                    }
                }
                None => rows.push(*target),
            }
        }
        for source in &self.source {
            let is_new = !self.target.iter().any(|t| is_match(t, source));
            let applies = |when: &When| when.holds(*source, None, Some(*source));
            if is_new && self.inserts.iter().any(applies) {
                count += 1;
                rows.push(*source);
            }
        }
        rows.sort();
        Some((rows, count))
    }
}

fn table(rows: &[Row]) -> String {
    let value = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let rows = rows
        .iter()
        .map(|(k, v)| format!("({}, {})", value(*k), value(*v)));
    rows.collect::<Vec<_>>().join(", ")
}

fn models() -> impl Strategy<Value = Model> {
    let row = || {
        (
            prop::option::weighted(0.9, 0..5_i64),
            prop::option::weighted(0.9, 0..5_i64),
        )
    };
    let of_both = || prop_oneof![Just(When::Always), Just(When::Large), Just(When::Smaller)];
    let of_one = || prop_oneof![Just(When::Always), Just(When::Large)];
    let act = || prop_oneof![Just(Act::Delete), Just(Act::SetFive), Just(Act::Add)];
    let rows = |most| prop::collection::vec(row(), 1..most);
    (
        rows(6),
        rows(4),
        prop::collection::vec((of_both(), act()), 0..3),
        prop::collection::vec(of_one(), 0..2),
        prop::collection::vec((of_one(), act()), 0..3),
    )
        .prop_map(|(target, source, matched, inserts, others)| Model {
            target,
            source,
            matched,
            inserts,
            others,
        })
}

#[test]
fn merge_is_what_its_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    runtime.block_on(fixture.changes(&[
        "CREATE TABLE target (k BIGINT, v BIGINT)",
        "CREATE TABLE source (k BIGINT, v BIGINT)",
    ]));
    let mut runner = TestRunner::new(Config::with_cases(24));
    let outcome = runner.run(&models(), |model| {
        let Some(sql) = model.sql() else {
            return Ok(());
        };
        let merged = runtime.block_on(async {
            for (name, rows) in [("target", &model.target), ("source", &model.source)] {
                // In several files, as tables are.
                let (some, others) = rows.split_at(rows.len() / 2);
                let replaced = format!("INSERT OVERWRITE {name} VALUES {}", table(others));
                fixture.change(&replaced).await.unwrap();
                if !some.is_empty() {
                    let added = format!("INSERT INTO {name} VALUES {}", table(some));
                    fixture.change(&added).await.unwrap();
                }
            }
            fixture.change(&sql).await
        });
        let Some((rows, count)) = model.merged() else {
            let message = merged.unwrap_err().to_string();
            prop_assert!(
                message.contains("several rows of the source"),
                "{}",
                message
            );
            return Ok(());
        };
        prop_assert_eq!(
            merged.map_err(|error| error.to_string()),
            Ok(Some(count)),
            "{}",
            sql
        );
        let answer = runtime.block_on(fixture.answer("SELECT k, v FROM target"));
        let answer = answer.unwrap();
        let mut found: Vec<Row> = answer
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains('k'))
            .map(|line| {
                let cells: Vec<_> = line
                    .split('|')
                    .map(|cell| cell.trim().parse().ok())
                    .collect();
                (cells[1], cells[2])
            })
            .collect();
        found.sort();
        prop_assert_eq!(found, rows, "{}", sql);
        Ok(())
    });
    outcome.unwrap();
}
