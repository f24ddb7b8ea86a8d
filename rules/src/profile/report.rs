//! What a profile says.

use serde::Serialize;

/// A profile of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The rows that were looked at.
    pub rows: u64,
    /// One for each column.
    pub columns: Vec<ColumnProfile>,
}

/// What is in a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnProfile {
    /// The column.
    pub name: String,
    /// Its type, as in rule files.
    pub data_type: String,
    /// Rows without a value.
    pub nulls: u64,
    /// The share of the rows that have a value; none without rows.
    pub completeness: Option<f64>,
    /// Distinct values; none for nested types.
    pub distinct: Option<u64>,
    /// Whether `distinct` is exact; otherwise its relative standard error is 1.63%.
    pub distinct_is_exact: bool,
    /// What the values of text look like; none for other types.
    pub looks_like: Option<LooksLike>,
    /// The smallest value.
    pub min: Option<String>,
    /// The largest value.
    pub max: Option<String>,
    /// The most frequent values, most frequent first. Nulls are not among them; of long values the first 256 bytes count.
    pub top: Vec<TopValue>,
    /// How many rows of a value of `top` may not have been counted; 0 when all values were.
    pub top_error: u64,
    /// The lengths of text, in characters.
    pub lengths: Option<Lengths>,
    /// Statistics of numbers, and of text that holds nothing but numbers.
    pub numbers: Option<Numbers>,
}

/// What the values of text look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LooksLike {
    /// `integral`, `fractional`, `boolean` or `text`: what all values are; none without values.
    pub inferred: Option<&'static str>,
    /// Values that are whole numbers.
    pub integral: u64,
    /// Values that are numbers with a fraction or an exponent.
    pub fractional: u64,
    /// Values that are `true` or `false`.
    pub boolean: u64,
    /// Other values.
    pub text: u64,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopValue {
    /// The value as text.
    pub value: String,
    /// Its rows.
    pub rows: u64,
    /// The share of all rows.
    pub share: f64,
}

/// Lengths of text, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: u64,
    /// The mean.
    pub mean: f64,
    /// The longest.
    pub max: u64,
}

/// Statistics of numbers. What cannot be computed is none: of infinities and NaN there are no moments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The largest less the smallest.
    pub range: Option<f64>,
    /// The sum.
    pub sum: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation of the population.
    pub stddev: Option<f64>,
    /// The variance of the population.
    pub variance: Option<f64>,
    /// The skewness of the population.
    pub skewness: Option<f64>,
    /// The excess kurtosis of the population.
    pub kurtosis: Option<f64>,
    /// How many are zero.
    pub zeros: u64,
    /// Quantiles, from a sketch.
    pub quantiles: Vec<QuantileValue>,
    /// The quantile at 0.75 less the one at 0.25.
    pub interquartile_range: Option<f64>,
    /// How far the rank of a quantile may be off, as a share of the values, 99 times in 100; 0 when they are exact.
    pub rank_error: f64,
    /// Bins of equal width from the smallest to the largest number, from the same sketch.
    pub histogram: Vec<HistogramBin>,
}

/// A quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantileValue {
    /// The share of the values that are not greater.
    pub rank: f64,
    /// The value.
    pub value: f64,
}

/// A bin of a histogram: it holds `from`, and `to` only when it is the last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HistogramBin {
    /// The lower edge.
    pub from: f64,
    /// The upper edge.
    pub to: f64,
    /// How many numbers lie in it.
    pub rows: u64,
}
