//! What a metric is wanted to be: thresholds, and how a metric is held against them.
//!
//! Values are compared exactly where both sides are exact: a share as a fraction of two counts,
//! integers and decimals digit by digit. Only floating-point metrics are compared as such.

mod number;
mod quantity;
mod value;

use std::cmp::Ordering;
use std::fmt;

use crate::{Severity, Verdict};

pub(crate) use number::Number;
pub(crate) use quantity::Quantity;
pub(crate) use value::{Amount, Unit, Value, parse_moment};

/// One condition on a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    /// Not less.
    AtLeast(Value),
    /// Not more.
    AtMost(Value),
    /// Not less than the first, not more than the second.
    Between(Value, Value),
    /// The same.
    Equals(Value),
}

impl Bound {
    /// Whether the metric is as wanted. NaN never is.
    pub(crate) fn holds(&self, metric: &Quantity) -> bool {
        let is =
            |value: &Value, wanted: fn(Ordering) -> bool| metric.compare(value).is_some_and(wanted);
        match self {
            Self::AtLeast(value) => is(value, Ordering::is_ge),
            Self::AtMost(value) => is(value, Ordering::is_le),
            Self::Between(low, high) => is(low, Ordering::is_ge) && is(high, Ordering::is_le),
            Self::Equals(value) => is(value, Ordering::is_eq),
        }
    }

    fn distance(&self, metric: &Quantity) -> Option<f64> {
        let metric = metric.as_f64()?;
        let distances = self.values().into_iter().map(|value| {
            let wanted = value.amount.as_f64()?;
            Some((metric - wanted).abs())
        });
        // Outside a range the nearer end counts.
        let nearest = distances.collect::<Option<Vec<f64>>>()?;
        nearest.into_iter().reduce(f64::min)
    }

    /// The values that it names.
    pub(crate) fn values(&self) -> Vec<&Value> {
        match self {
            Self::AtLeast(value) | Self::AtMost(value) | Self::Equals(value) => vec![value],
            Self::Between(low, high) => vec![low, high],
        }
    }

    /// The least and the most that it allows, where it sets an end.
    const fn ends(&self) -> (Option<&Value>, Option<&Value>) {
        match self {
            Self::AtLeast(low) => (Some(low), None),
            Self::AtMost(high) => (None, Some(high)),
            Self::Between(low, high) => (Some(low), Some(high)),
            Self::Equals(value) => (Some(value), Some(value)),
        }
    }

    /// Whether no value meets both.
    fn excludes(&self, other: &Self) -> bool {
        let ((low, high), (other_low, other_high)) = (self.ends(), other.ends());
        [(low, other_high), (other_low, high)]
            .iter()
            .any(|ends| matches!(ends, (Some(low), Some(high)) if low.is_more_than(high)))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(value) => write!(f, "at least {}", value.text),
            Self::AtMost(value) => write!(f, "at most {}", value.text),
            Self::Between(low, high) => write!(f, "between {} and {}", low.text, high.text),
            Self::Equals(value) => write!(f, "equal to {}", value.text),
        }
    }
}

/// The conditions of a check, by what happens when they do not hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thresholds {
    pub(crate) warn: Vec<Bound>,
    pub(crate) error: Vec<Bound>,
}

impl Thresholds {
    /// Conditions of one level.
    pub(crate) fn of(severity: Severity, bounds: Vec<Bound>) -> Self {
        match severity {
            Severity::Warn => Self {
                warn: bounds,
                error: Vec::new(),
            },
            Severity::Error => Self {
                warn: Vec::new(),
                error: bounds,
            },
        }
    }

    /// Takes in other conditions.
    pub(crate) fn extend(&mut self, other: Self) {
        self.warn.extend(other.warn);
        self.error.extend(other.error);
    }

    /// What failing the hardest condition does.
    pub(crate) fn severity(&self) -> Severity {
        if self.error.is_empty() && !self.warn.is_empty() {
            Severity::Warn
        } else {
            Severity::Error
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.warn.is_empty() && self.error.is_empty()
    }

    /// All conditions of both levels.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Bound> {
        self.error.iter().chain(&self.warn)
    }

    /// Two conditions, of either level, that no value meets both.
    pub(crate) fn contradiction(&self) -> Option<(&Bound, &Bound)> {
        let bounds: Vec<&Bound> = self.bounds().collect();
        bounds.iter().enumerate().find_map(|(place, one)| {
            let others = bounds.iter().skip(place + 1);
            let other = others.copied().find(|other| one.excludes(other))?;
            Some((*one, other))
        })
    }

    /// How far the metric is from the conditions that it breaks, the blocking ones first: 0 when it
    /// breaks none, `None` when it is no number.
    pub(crate) fn distance(&self, metric: &Quantity) -> Option<f64> {
        let level = match self.error.iter().all(|bound| bound.holds(metric)) {
            true => &self.warn,
            false => &self.error,
        };
        let broken = level.iter().filter(|bound| !bound.holds(metric));
        broken
            .map(|bound| bound.distance(metric))
            .try_fold(0.0, |most: f64, distance| Some(most.max(distance?)))
    }

    /// What the conditions say about a metric.
    pub(crate) fn decide(&self, metric: &Quantity) -> Decision {
        for (verdict, level) in [(Verdict::Fail, &self.error), (Verdict::Warn, &self.warn)] {
            let broken: Vec<_> = level.iter().filter(|b| !b.holds(metric)).collect();
            if !broken.is_empty() {
                return Decision {
                    verdict,
                    observed: metric.text_beside(&broken),
                    expected: join(&broken),
                };
            }
        }
        Decision {
            verdict: Verdict::Pass,
            observed: metric.to_string(),
            expected: self.to_string(),
        }
    }
}

/// The verdict over a metric, and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// The metric.
    pub(crate) observed: String,
    /// The conditions that decided.
    pub(crate) expected: String,
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warn: Vec<_> = self.warn.iter().collect();
        let error: Vec<_> = self.error.iter().collect();
        match (warn.is_empty(), error.is_empty()) {
            (false, false) => write!(f, "{} (warn: {})", join(&error), join(&warn)),
            (false, true) => f.write_str(&join(&warn)),
            _ => f.write_str(&join(&error)),
        }
    }
}

fn join(bounds: &[&Bound]) -> String {
    let texts: Vec<_> = bounds.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}
