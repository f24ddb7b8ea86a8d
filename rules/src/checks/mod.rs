//! The kinds of check: one file each, registered once in [`KINDS`].
//!
//! The documentation of a kind is the head of its file; `explain`, the reference and the JSON
//! Schema are made from it and from the kind's settings.

mod approx_distinct;
mod between;
mod column_count;
mod compare;
mod completeness;
mod correlation;
mod data_type;
mod distinct;
mod distinctness;
mod distribution;
mod duplicate_rows;
mod entropy;
mod exists_in;
mod freshness;
mod interquartile_range;
mod kurtosis;
mod length;
mod matches;
mod max;
mod max_length;
mod mean;
mod mean_length;
mod min;
mod min_length;
mod mutual_information;
mod not_null;
mod one_of;
mod quantile;
mod range;
mod ratio_of_sums;
mod row_count;
mod satisfies;
mod schema;
mod skewness;
mod sql;
mod sql_metric;
mod stddev;
mod sum;
#[cfg(test)]
mod tests;
mod unique;
mod unique_key;
mod unique_value_ratio;
mod uniqueness;
mod variance;
mod zeros;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::assertion::{Thresholds, Unit};
use crate::finding::{Facts, Finding, Measured};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Setting, Settings, THRESHOLD_KEYS, quoted};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) use schema::{SCHEMA_KEYS, SchemaSection, sql_type};

/// Every kind of check, by name. A test fails when a file beside this one is not in the table.
pub(crate) const KINDS: &[&dyn CheckKind] = &[
    &approx_distinct::ApproxDistinct,
    &between::Between,
    &column_count::ColumnCount,
    &compare::Compare,
    &completeness::Completeness,
    &correlation::Correlation,
    &data_type::DataType,
    &distinct::Distinct,
    &distinctness::Distinctness,
    &distribution::Distribution,
    &duplicate_rows::DuplicateRows,
    &entropy::Entropy,
    &exists_in::ExistsIn,
    &freshness::Freshness,
    &interquartile_range::InterquartileRange,
    &kurtosis::Kurtosis,
    &length::Length,
    &matches::Matches,
    &max::Max,
    &max_length::MaxLength,
    &mean::Mean,
    &mean_length::MeanLength,
    &min::Min,
    &min_length::MinLength,
    &mutual_information::MutualInformation,
    &not_null::NotNull,
    &one_of::OneOf,
    &quantile::Quantile,
    &range::Range,
    &ratio_of_sums::RatioOfSums,
    &row_count::RowCount,
    &satisfies::Satisfies,
    &schema::Schema,
    &skewness::Skewness,
    &sql::Sql,
    &sql_metric::SqlMetric,
    &stddev::Stddev,
    &sum::Sum,
    &unique::Unique,
    &unique_key::UniqueKey,
    &unique_value_ratio::UniqueValueRatio,
    &uniqueness::Uniqueness,
    &variance::Variance,
    &zeros::Zeros,
];

/// Where a check stands in a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under a column, in `columns:`.
    Column,
    /// In `table_checks:`.
    Table,
    /// In both.
    Either,
    /// In a section of its own.
    Section,
}

/// A kind of check: what it is called, what it takes, and how its settings are read.
pub(crate) trait CheckKind: Sync {
    /// The name in a rule file.
    fn name(&self) -> &'static str;

    /// The source file of the kind; its head is the documentation.
    fn source(&self) -> &'static str;

    /// Where it stands.
    fn place(&self) -> Place;

    /// What the values of its thresholds are.
    fn unit(&self) -> Unit;

    /// Its own settings.
    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    /// The setting that a value which is no map means: `one_of: [a, b]`.
    fn shorthand(&self) -> Option<&'static str> {
        None
    }

    /// Whether it judges single rows, so that `bad_rows` has a meaning.
    fn is_row_level(&self) -> bool {
        self.unit() == Unit::Share
    }

    /// Whether it reads rows of the candidate, so that `where` and `scope` have a meaning.
    fn reads_rows(&self) -> bool {
        true
    }

    /// Whether it says nothing without a threshold. A check of single rows wants all of them to be good.
    fn needs_threshold(&self) -> bool {
        self.unit() != Unit::None && !self.is_row_level()
    }

    /// Settings that say what is wanted, each group complete in itself: one group has to be given, or a threshold where
    /// the kind needs one.
    fn choices(&self) -> &'static [&'static [&'static str]] {
        &[]
    }

    /// Settings that it needs in `table_checks`, and not below a column.
    fn table_settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// How to give it the threshold that it needs.
    fn threshold_hint(&self) -> String {
        let keys = quoted(THRESHOLD_KEYS);
        format!("add one of {keys}: {}", self.unit().form())
    }

    /// Reads its settings. `None` when they are wrong; the problems are reported.
    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>>;
}

impl Debug for dyn CheckKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A check of some kind with its settings.
#[async_trait]
pub(crate) trait Rule: Debug + Send + Sync {
    /// What has to be measured. Reads no rows.
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble>;

    /// Holds what was measured against the thresholds.
    fn assess(&self, check: &Check, measured: Measured, facts: &Facts) -> Result<Finding, Trouble>;

    /// Thresholds of its own form, instead of the common ones.
    fn thresholds(&self) -> Option<&Thresholds> {
        None
    }

    /// Whether it compares with the rows of the last published version.
    fn needs_baseline(&self) -> bool {
        false
    }

    /// Tables other than the candidate that it reads, and where they are named.
    fn references(&self) -> Vec<(String, Span)> {
        Vec::new()
    }

    /// SQL that it runs as a statement, and where it stands.
    fn statement(&self) -> Option<(&str, Span)> {
        None
    }
}

/// The kind of a name.
pub(crate) fn find(name: &str) -> Option<&'static dyn CheckKind> {
    KINDS.iter().find(|kind| kind.name() == name).copied()
}

/// Names of all kinds of check.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name())
}
