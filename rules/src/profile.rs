//! What is in a table: a profile of each column, from one pass over the rows.
//!
//! A second pass is over those columns of text alone that hold nothing but numbers.

mod html;
mod options;
mod report;
mod text;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, lit, try_cast};
use datafusion::prelude::SessionContext;

use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::fragment::{self, Parameters};
use crate::literal::{is_text, is_time};
use crate::plan::{Measure, Trouble, column, field_of, plain_type};
use crate::row_test::{self, FloatSet};
use crate::scan::{Rows, Scan};
use crate::state::{Edge, Frequent, Likeness, Quantiles, TypeCounts};
use crate::text_length::text_length;
use crate::{RulesError, sql_type};

pub use options::ProfileOptions;
pub use report::{
    ColumnProfile, HistogramBin, Lengths, LooksLike, Numbers, Profile, QuantileValue, TopValue,
};

/// The ranks of the quantiles of a profile.
const RANKS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// How far they may be off.
const RANK_ERROR: Edge = Edge(0.005);

/// Profiles a table.
///
/// # Errors
/// When a column or the condition does not fit the table, or reading fails.
pub async fn profile(
    session: &SessionContext,
    rows: Arc<dyn TableProvider>,
    options: &ProfileOptions,
) -> Result<Profile, RulesError> {
    let profiled = run(session, rows, options).await;
    profiled.map_err(RulesError::profile)
}

async fn run(
    session: &SessionContext,
    rows: Arc<dyn TableProvider>,
    options: &ProfileOptions,
) -> Result<Profile, Trouble> {
    let schema = rows.schema();
    let fields: Vec<&Field> = match &options.columns {
        None => schema.fields().iter().map(AsRef::as_ref).collect(),
        Some(names) => {
            let field = |name: &String| field_of(&schema, name, "the table");
            names.iter().map(field).collect::<Result<_, _>>()?
        }
    };
    let filter = filter_of(session, &schema, options)?;
    let mut pass = Pass::new(filter.clone());
    let total = pass.add(Measure::Rows);
    let plans: Vec<ColumnPlan> = fields.iter().map(|f| pass.add_column(f)).collect();
    let measured = pass.run(session, &rows).await?;

    // Text that holds nothing but numbers gets its statistics in another pass.
    let mut second = Pass::new(filter);
    let mut numeric_text: Vec<Option<NumberPlan>> = Vec::new();
    for plan in &plans {
        let types = plan.types.and_then(|place| measured.types(place));
        numeric_text.push(match types.and_then(|types| types.inferred()) {
            Some(Likeness::Integral | Likeness::Fractional) => {
                let number = try_cast(column(&plan.name), DataType::Float64);
                Some(second.add_numbers(&number, &DataType::Float64))
            }
            _ => None,
        });
    }
    let parsed = second.run(session, &rows).await?;

    let (total, _) = measured.counted(total)?;
    let columns = plans.iter().zip(numeric_text).map(|(plan, text)| {
        let numbers = match (&plan.numbers, &text) {
            (Some(numbers), _) => Some(measured.numbers(numbers, options)?),
            (None, Some(numbers)) => Some(parsed.numbers(numbers, options)?),
            (None, None) => None,
        };
        measured.column(plan, total, numbers, options)
    });
    Ok(Profile {
        rows: total,
        columns: columns.collect::<Result<_, _>>()?,
    })
}

fn filter_of(
    session: &SessionContext,
    schema: &SchemaRef,
    options: &ProfileOptions,
) -> Result<Option<Expr>, Trouble> {
    let Some(sql) = &options.condition else {
        return Ok(None);
    };
    let schema = datafusion::common::DFSchema::try_from(Arc::clone(schema))?;
    let condition = fragment::condition(session, sql, &schema, &Parameters::default())?;
    Ok(Some(condition))
}

/// Measures of one pass.
struct Pass {
    scan: Scan,
    filter: Option<Expr>,
}

/// Where the measures of a column are in the pass.
struct ColumnPlan {
    name: String,
    data_type: DataType,
    nulls: usize,
    distinct: Option<usize>,
    frequent: Option<usize>,
    types: Option<usize>,
    ends: Option<[usize; 2]>,
    lengths: Option<[usize; 3]>,
    numbers: Option<NumberPlan>,
}

/// Where the measures of numbers are.
struct NumberPlan {
    ends: [usize; 2],
    sum: usize,
    shape: usize,
    zeros: usize,
    quantiles: usize,
}

impl Pass {
    fn new(filter: Option<Expr>) -> Self {
        Self {
            scan: Scan::default(),
            filter,
        }
    }

    fn add(&mut self, measure: Measure) -> usize {
        self.scan.add(measure, self.filter.clone(), false)
    }

    fn add_column(&mut self, field: &Field) -> ColumnPlan {
        let data_type = plain_type(field.data_type()).clone();
        let value = || column(field.name());
        let is_text = is_text(&data_type);
        let is_ordered = data_type.is_numeric() || is_text || is_time(&data_type);
        let is_countable = is_ordered || data_type == DataType::Boolean;
        let mut add =
            |wanted: bool, measure: fn(Expr) -> Measure| wanted.then(|| self.add(measure(value())));
        let frequent = add(is_countable, Measure::Frequent);
        let distinct = add(!data_type.is_nested(), Measure::Distinct);
        let types = add(is_text, Measure::Types);
        let ends = is_ordered.then(|| [Measure::Min(value()), Measure::Max(value())]);
        let length = || text_length(value());
        let lengths = is_text.then(|| {
            let (min, max) = (Measure::Min(length()), Measure::Max(length()));
            [min, max, Measure::Sum(length())]
        });
        ColumnPlan {
            name: field.name().clone(),
            nulls: self.add(Measure::Nulls(value())),
            distinct,
            frequent,
            types,
            ends: ends.map(|ends| ends.map(|measure| self.add(measure))),
            lengths: lengths.map(|lengths| lengths.map(|measure| self.add(measure))),
            numbers: (data_type.is_numeric()).then(|| self.add_numbers(&value(), &data_type)),
            data_type,
        }
    }

    fn add_numbers(&mut self, value: &Expr, data_type: &DataType) -> NumberPlan {
        let is_not_zero = match data_type.is_floating() {
            true => !row_test::call(FloatSet::new([0.0].into_iter()), value.clone()),
            false => value.clone().not_eq(lit(0_i64)),
        };
        let value = || value.clone();
        NumberPlan {
            ends: [
                self.add(Measure::Min(value())),
                self.add(Measure::Max(value())),
            ],
            sum: self.add(Measure::Sum(value())),
            shape: self.add(Measure::Shape(value())),
            zeros: self.add(Measure::False(is_not_zero)),
            quantiles: self.add(Measure::Quantiles(value(), RANK_ERROR)),
        }
    }

    async fn run(
        &self,
        session: &SessionContext,
        rows: &Arc<dyn TableProvider>,
    ) -> Result<Results, Trouble> {
        if self.scan.is_empty() {
            return Ok(Results(Vec::new()));
        }
        let rows = Rows {
            table: rows,
            parts: None,
        };
        let found = self.scan.run(session, rows, None).await?;
        Ok(Results(found.measured))
    }
}

/// What a pass measured. What could not be measured is left out of the profile.
struct Results(Vec<Result<Measured, Trouble>>);

impl Results {
    fn get(&self, place: usize) -> Option<&Measured> {
        self.0.get(place)?.as_ref().ok()
    }

    /// All rows, and the bad ones.
    fn counted(&self, place: usize) -> Result<(u64, u64), Trouble> {
        match self.0.get(place) {
            Some(Ok(Measured::Rows { rows, bad })) => Ok((*rows, *bad)),
            Some(Err(trouble)) => Err(trouble.clone()),
            _ => Err(Trouble::new("bug: the rows of a profile were not counted")),
        }
    }

    /// A value, and how many values it is made of.
    fn value(&self, place: usize) -> Option<(&Quantity, u64)> {
        match self.get(place) {
            Some(Measured::Value {
                value: Some(value),
                values,
                ..
            }) => Some((value, *values)),
            _ => None,
        }
    }

    fn number(&self, place: usize) -> Option<f64> {
        match self.value(place) {
            Some((Quantity::Number(number), _)) => finite(number.to_f64()),
            _ => None,
        }
    }

    fn types(&self, place: usize) -> Option<&TypeCounts> {
        match self.get(place) {
            Some(Measured::Types { types, .. }) => Some(types),
            _ => None,
        }
    }

    fn frequent(&self, place: usize) -> Option<&Frequent> {
        match self.get(place) {
            Some(Measured::Frequent { frequent, .. }) => Some(frequent),
            _ => None,
        }
    }

    fn column(
        &self,
        plan: &ColumnPlan,
        total: u64,
        numbers: Option<Numbers>,
        options: &ProfileOptions,
    ) -> Result<ColumnProfile, Trouble> {
        let (_, nulls) = self.counted(plan.nulls)?;
        let share = |rows: u64| rows as f64 / total as f64;
        let frequent = plan.frequent.and_then(|place| self.frequent(place));
        let counted = frequent.and_then(Frequent::distinct);
        let estimated = plan.distinct.and_then(|place| self.number(place));
        let top = frequent.map_or_else(Vec::new, |frequent| frequent.top(options.top));
        let text = |place: usize| self.value(place).map(|(value, _)| value.to_string());
        let [min, max] = plan.ends.map_or([None, None], |ends| ends.map(text));
        Ok(ColumnProfile {
            name: plan.name.clone(),
            data_type: sql_type(&plan.data_type),
            nulls,
            completeness: (total > 0).then(|| share(total - nulls)),
            distinct: counted.or(estimated.map(|estimate| estimate as u64)),
            distinct_is_exact: counted.is_some(),
            looks_like: plan
                .types
                .and_then(|place| self.types(place))
                .map(looks_like),
            min,
            max,
            top: top
                .into_iter()
                .map(|(value, rows)| TopValue {
                    value,
                    rows,
                    share: share(rows),
                })
                .collect(),
            top_error: frequent.map_or(0, Frequent::error),
            lengths: plan.lengths.and_then(|places| self.lengths(places)),
            numbers,
        })
    }

    fn lengths(&self, [min, max, sum]: [usize; 3]) -> Option<Lengths> {
        let (Quantity::Number(total), values) = self.value(sum)? else {
            return None;
        };
        Some(Lengths {
            min: self.number(min)? as u64,
            mean: total.to_f64() / values as f64,
            max: self.number(max)? as u64,
        })
    }

    fn numbers(&self, plan: &NumberPlan, options: &ProfileOptions) -> Result<Numbers, Trouble> {
        let (_, zeros) = self.counted(plan.zeros)?;
        let sum = match self.value(plan.sum) {
            Some((Quantity::Number(sum), values)) if values > 0 => {
                finite(sum.to_f64()).map(|sum| (sum, values))
            }
            _ => None,
        };
        let [min, max] = plan.ends.map(|place| match self.value(place) {
            Some((Quantity::Number(number), _)) => Some(*number),
            _ => None,
        });
        let (count, [second, third, fourth]) = match self.get(plan.shape) {
            Some(Measured::Shape { values, powers, .. }) if *values > 0 => {
                (*values as f64, *powers)
            }
            _ => (0.0, [f64::NAN; 3]),
        };
        // Values that are all equal lean to no side.
        let shaped = |metric: f64| {
            if second == 0.0 {
                Some(0.0)
            } else {
                finite(metric)
            }
        };
        let quantiles = match self.get(plan.quantiles) {
            Some(Measured::Quantiles { quantiles, .. }) => Some(quantiles.as_ref()),
            _ => None,
        };
        let at = |rank: f64| quantiles?.at(rank);
        let found = RANKS.iter().filter_map(|rank| {
            let value = finite(at(*rank)?)?;
            Some(QuantileValue { rank: *rank, value })
        });
        let float = |number: Option<Number>| number.and_then(|number| finite(number.to_f64()));
        Ok(Numbers {
            min: float(min),
            max: float(max),
            range: float(min.zip(max).map(|(min, max)| max.minus(min))),
            sum: sum.map(|(sum, _)| sum),
            mean: sum.map(|(sum, values)| sum / values as f64),
            stddev: finite((second / count).sqrt()),
            variance: finite(second / count),
            skewness: shaped(count.sqrt() * third / second.powf(1.5)),
            kurtosis: shaped(count * fourth / (second * second) - 3.0),
            zeros,
            quantiles: found.collect(),
            interquartile_range: at(0.75)
                .zip(at(0.25))
                .and_then(|(high, low)| finite(high - low)),
            rank_error: quantiles.map_or(0.0, Quantiles::rank_error),
            histogram: quantiles.map_or_else(Vec::new, |found| histogram(found, options.bins)),
        })
    }
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn looks_like(types: &TypeCounts) -> LooksLike {
    LooksLike {
        inferred: types.inferred().map(Likeness::name),
        integral: types.integral,
        fractional: types.fractional,
        boolean: types.boolean,
        text: types.text,
    }
}

/// Bins of equal width between the smallest and the largest number; one when they are equal.
fn histogram(quantiles: &Quantiles, bins: usize) -> Vec<HistogramBin> {
    let (Some(min), Some(max)) = (quantiles.at(0.0), quantiles.at(1.0)) else {
        return Vec::new();
    };
    let values = quantiles.values() as f64;
    let width = (max - min) / bins as f64;
    if !width.is_finite() {
        return Vec::new();
    }
    if width == 0.0 {
        let rows = quantiles.values();
        return vec![HistogramBin {
            from: min,
            to: max,
            rows,
        }];
    }
    let edge = |bin: usize| {
        if bin == bins {
            max
        } else {
            min + width * bin as f64
        }
    };
    let edges: Vec<f64> = (0..=bins).map(edge).collect();
    let mut below: Vec<f64> = quantiles.shares_below(&edges);
    // The last bin holds the largest number too.
    if let Some(last) = below.last_mut() {
        *last = 1.0;
    }
    std::iter::zip(edges.windows(2), below.windows(2))
        .map(|(edges, below)| HistogramBin {
            from: edges[0],
            to: edges[1],
            rows: ((below[1] - below[0]) * values).round() as u64,
        })
        .collect()
}
