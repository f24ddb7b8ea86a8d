//! What a typing stage counts.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Bad values that are kept as examples.
const MOST_EXAMPLES: usize = 10;

/// What a typing stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypingCounts {
    /// Rows read.
    pub rows: u64,
    /// Rows with at least one value that does not type.
    pub bad_rows: u64,
    /// Values that do not type, for each column that has some, in the order of the schema file.
    pub bad_values: Vec<(String, u64)>,
    /// The first ones.
    pub examples: Vec<BadValue>,
}

/// One value that does not type.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        match self.bad_values.iter_mut().find(|(name, _)| name == column) {
            Some((_, count)) => *count += 1,
            None => self.bad_values.push((column.to_owned(), 1)),
        }
    }

    /// Adds the counts of another partition; `columns` is the order of the schema file.
    pub(super) fn merge(&mut self, other: &Self, columns: &[&str]) {
        self.rows += other.rows;
        self.bad_rows += other.bad_rows;
        for (column, count) in &other.bad_values {
            match self.bad_values.iter_mut().find(|(name, _)| name == column) {
                Some((_, sum)) => *sum += count,
                None => self.bad_values.push((column.clone(), *count)),
            }
        }
        let position = |name: &str| columns.iter().position(|column| *column == name);
        self.bad_values.sort_by_key(|(name, _)| position(name));
        let missing = MOST_EXAMPLES.saturating_sub(self.examples.len());
        self.examples
            .extend(other.examples.iter().take(missing).cloned());
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
