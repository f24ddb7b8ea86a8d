//! What a typing stage counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// Bad values that a message names.
const NAMED_VALUES: usize = 3;

/// Bad values that are kept as examples.
const MOST_EXAMPLES: usize = 10;

/// What a typing stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingCounts {
    /// Rows read.
    pub rows: u64,
    /// Rows with at least one value that does not type.
    pub bad_rows: u64,
    /// Values that do not type, for each column that has some, in the order of the schema file.
    pub bad_values: Vec<BadColumn>,
    /// The first ones.
    pub examples: Vec<BadValue>,
}

/// How many values of a column do not type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadColumn {
    /// The column.
    pub column: String,
    /// How many.
    pub values: u64,
}

/// One value that does not type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadValue {
    /// The file and line when they are known, or else the row: `data.csv:17`, `row 17`.
    pub place: String,
    /// The column.
    pub column: String,
    /// The text, shortened when it is long.
    pub value: Option<String>,
    /// Why it does not type: `is not a whole number`.
    pub reason: String,
}

impl TypingCounts {
    pub(super) fn wants_examples(&self) -> bool {
        self.examples.len() < MOST_EXAMPLES
    }

    pub(super) fn add_bad_value(&mut self, column: &str) {
        self.add_bad_values(column, 1);
    }

    fn add_bad_values(&mut self, column: &str, values: u64) {
        match self.bad_values.iter_mut().find(|bad| bad.column == column) {
            Some(bad) => bad.values += values,
            None => self.bad_values.push(BadColumn {
                column: column.to_owned(),
                values,
            }),
        }
    }

    /// Adds the counts of another partition; `columns` is the order of the schema file.
    pub(super) fn merge(&mut self, other: &Self, columns: &[&str]) {
        self.rows += other.rows;
        self.bad_rows += other.bad_rows;
        for bad in &other.bad_values {
            self.add_bad_values(&bad.column, bad.values);
        }
        let position = |name: &str| columns.iter().position(|column| *column == name);
        self.bad_values.sort_by_key(|bad| position(&bad.column));
        let missing = MOST_EXAMPLES.saturating_sub(self.examples.len());
        self.examples
            .extend(other.examples.iter().take(missing).cloned());
    }
}

impl fmt::Display for TypingCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self
            .bad_values
            .iter()
            .map(|bad| format!("{} in `{}`", bad.values, bad.column))
            .collect();
        let examples: Vec<String> = self
            .examples
            .iter()
            .take(NAMED_VALUES)
            .map(|bad| {
                let value = bad.value.as_deref().unwrap_or("null");
                format!(
                    "{}: `{value}` in `{}`: {}",
                    bad.place, bad.column, bad.reason
                )
            })
            .collect();
        write!(
            f,
            "{} of {} rows have values that do not type: {} ({})",
            self.bad_rows,
            self.rows,
            columns.join(", "),
            examples.join("; ")
        )
    }
}

/// Collects the counts of a streaming table, partition by partition.
///
/// A second scan replaces the counts of the first one: they are those of the same rows.
#[derive(Debug, Default)]
pub struct TypingCounter {
    partitions: Mutex<BTreeMap<usize, (Vec<String>, TypingCounts)>>,
}

impl TypingCounter {
    /// The counts of all partitions that were read to their end.
    pub fn total(&self) -> TypingCounts {
        let mut total = TypingCounts::default();
        for (columns, counts) in self.lock().values() {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            total.merge(counts, &columns);
        }
        total
    }

    pub(super) fn set(&self, partition: usize, columns: &[&str], counts: TypingCounts) {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.lock().insert(partition, (columns, counts));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, (Vec<String>, TypingCounts)>> {
        // Counts stay whole when their writer dies: each is put in at once.
        self.partitions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
