//! How far the distribution of a column is from a baseline: the last published version, or given shares.
//!
//! Without `edges` the categories are the values of the column, up to 10,000 of them; with `edges` they are the bins
//! between these numbers, each with its lower edge, the last one with both, and one more bin for what lies outside.
//! Nulls are left out. `distance` says what the metric is:
//! `psi` (default), the population stability index, of which 0.1 is usually called small and 0.25 large;
//! `kl`, the Kullback-Leibler divergence from the baseline, with the natural logarithm;
//! `l_infinity`, the greatest difference of a share;
//! `chi_square`, the p-value of the test that the rows are drawn from the baseline, which wants `at_least`.
//! In the first two a share counts as 0.01% at least. For the test, categories with few expected rows are put together;
//! when only one is left, the verdict is `error`. Given shares are taken in proportion to their sum. In `shares` a value is written as `lakegate query` prints it: `1.0` for
//! a one in a column of type double.
//! Without a published version, or when either side has no rows, the check passes with a note.
//!
//! ```yaml
//! columns:
//!   status:
//!     - distribution: { versus: previous, at_most: 0.2 }
//!     - distribution: { name: mix, shares: { open: 25%, shipped: 50%, returned: 25% }, distance: l_infinity, at_most: 1 }
//!   amount:
//!     - distribution: { edges: [0, 10, 100], shares: [50%, 50%], distance: kl, at_most: 100 }
//! ```
//!
//! Source: Deequ 2.0 `Distance` and `hasHistogramValues`; the index of credit scoring.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Bound, Number, Quantity, Unit};
use crate::distance::{Compared, Distance};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::frequencies::FrequenciesOf;
use crate::metric::number_column;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::state::Edge;
use crate::suite::Check;
use crate::thousands;

pub(crate) struct Distribution;

/// More values than this are no categories.
const MOST_CATEGORIES: usize = 10_000;

const SETTINGS: &[Setting] = &[
    Setting::optional(
        "versus",
        Form::Choice(&["previous"]),
        "The baseline: the last published version.",
    ),
    Setting::optional(
        "shares",
        Form::Shares,
        "The baseline: the share of each value, or of each bin in a list.",
    ),
    Setting::optional(
        "edges",
        Form::Edges,
        "Where the bins of a column of numbers begin and end.",
    ),
    Setting::optional(
        "distance",
        Form::Choice(&["psi", "kl", "l_infinity", "chi_square"]),
        "How the distance is measured. Default: `psi`.",
    ),
];

const DISTANCES: &[(&str, Distance)] = &[
    ("psi", Distance::Psi),
    ("kl", Distance::KullbackLeibler),
    ("l_infinity", Distance::LInfinity),
    ("chi_square", Distance::ChiSquare),
];

impl CheckKind for Distribution {
    fn name(&self) -> &'static str {
        "distribution"
    }

    fn source(&self) -> &'static str {
        include_str!("distribution.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn choices(&self) -> &'static [&'static [&'static str]] {
        &[&["versus"], &["shares"]]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let distance = settings.choice("distance", DISTANCES);
        let edges = settings.edges("edges");
        if settings.has("edges") && edges.is_none() {
            return None;
        }
        let baseline = match (settings.has("versus"), settings.has("shares")) {
            (true, false) => {
                settings.choice("versus", &[("previous", ())])?;
                Baseline::Previous
            }
            (false, true) => {
                let shares = settings.shares("shares")?;
                read_shares(settings, shares, edges.as_deref())?
            }
            (true, true) => {
                let message = "check `distribution` has both `versus` and `shares`".to_owned();
                let hint = Some("write two checks".to_owned());
                settings.problem(Some("shares"), message, hint);
                return None;
            }
            (false, false) => {
                let message = "check `distribution` needs `versus` or `shares`".to_owned();
                let hint = Some("write `versus: previous`, or `shares: {open: 60%, closed: 40%}`");
                settings.problem(None, message, hint.map(str::to_owned));
                return None;
            }
        };
        Some(Arc::new(Drift {
            column: column?.to_owned(),
            edges: edges.map(|edges| edges.into_iter().map(Edge).collect()),
            distance: distance.unwrap_or(Distance::Psi),
            baseline,
        }))
    }
}

/// Shares of values, or of bins.
fn read_shares(
    settings: &mut Settings<'_>,
    shares: Vec<(Option<String>, f64)>,
    edges: Option<&[f64]>,
) -> Option<Baseline> {
    let is_named = shares.iter().any(|(name, _)| name.is_some());
    let message = match edges {
        None if is_named => None,
        None => Some("without `edges`, `shares` is a map: each value with its share".to_owned()),
        Some(_) if is_named => {
            Some("with `edges`, `shares` is a list: the share of each bin".to_owned())
        }
        Some(edges) if edges.len() != shares.len() + 1 => Some(format!(
            "`shares` has {} items, between {} `edges` there are {} bins",
            shares.len(),
            edges.len(),
            edges.len() - 1
        )),
        Some(_) => None,
    };
    if let Some(message) = message {
        settings.problem(Some("shares"), message, None);
        return None;
    }
    let named = |(name, share): (Option<String>, f64)| name.map(|name| (name, share));
    Some(match edges {
        None => Baseline::Values(shares.into_iter().filter_map(named).collect()),
        Some(_) => {
            let mut bins: Vec<f64> = shares.into_iter().map(|(_, share)| share).collect();
            // Nothing is expected outside.
            bins.push(0.0);
            Baseline::Bins(bins)
        }
    })
}

#[derive(Debug)]
enum Baseline {
    Previous,
    Values(BTreeMap<String, f64>),
    Bins(Vec<f64>),
}

#[derive(Debug)]
struct Drift {
    column: String,
    edges: Option<Vec<Edge>>,
    distance: Distance,
    baseline: Baseline,
}

#[async_trait]
impl Rule for Drift {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        planner.field(&self.column)?;
        let mut bounds = check.thresholds.bounds();
        if self.distance == Distance::ChiSquare && bounds.any(|b| matches!(b, Bound::AtMost(_))) {
            return Err(Trouble::new(
                "`distance: chi_square` is the likelihood that nothing changed, which `at_most` wants to be small",
            )
            .with_hint("write `at_least`, for example `at_least: 0.01`".to_owned()));
        }
        let ours = match &self.edges {
            Some(edges) => {
                let column = number_column(check, planner, &self.column)?;
                Work::Scan(Measure::Bins(column, edges.clone()))
            }
            None => Work::Frequencies(FrequenciesOf {
                column: self.column.clone(),
                // One more tells that there are too many, and another one may be the nulls.
                most: MOST_CATEGORIES + 2,
            }),
        };
        Ok(match self.baseline {
            Baseline::Previous => Work::Versus(Box::new(ours)),
            Baseline::Values(_) | Baseline::Bins(_) => ours,
        })
    }

    fn assess(&self, check: &Check, measured: Measured, facts: &Facts) -> Result<Finding, Trouble> {
        let (ours, theirs) = match (measured, &self.baseline) {
            (Measured::Versus(both), Baseline::Previous) => {
                let (ours, theirs) = *both;
                let rows = ours.rows();
                let Some(theirs) = theirs else {
                    let note = "no published version to compare with";
                    return Ok(Finding::nothing_to_judge(check, rows, note));
                };
                (ours, theirs)
            }
            (ours, Baseline::Values(values)) => (ours, Measured::shares_of_values(values)),
            (ours, Baseline::Bins(bins)) => (ours, Measured::Shares(bins.clone())),
            (_, Baseline::Previous) => return Err(mismatch(check)),
        };
        let rows = ours.rows();
        let (observed, expected) = aligned(check, &ours, &theirs)?;
        let distance = match self.distance.between(&observed, &expected) {
            Compared::Distance(distance) => distance,
            Compared::NoRows => {
                let note = "no values to compare";
                return Ok(Finding::nothing_to_judge(check, rows, note));
            }
            Compared::TooFewRows => {
                return Err(
                    Trouble::new("there are too few rows for the chi-square test")
                        .with_hint("use another `distance`, or fewer categories".to_owned()),
                );
            }
        };
        let metric = Quantity::Number(Number::Float(distance));
        let mut finding = Finding::of(check, &metric, rows);
        if let (Baseline::Previous, Some(previous)) = (&self.baseline, facts.previous) {
            finding.message = Some(format!("compared with version {}", previous.version));
        }
        Ok(finding)
    }

    fn needs_baseline(&self) -> bool {
        matches!(self.baseline, Baseline::Previous)
    }
}

/// The numbers of both sides, category by category.
fn aligned(
    check: &Check,
    ours: &Measured,
    theirs: &Measured,
) -> Result<(Vec<f64>, Vec<f64>), Trouble> {
    if let (Some(ours), Some(theirs)) = (bins(ours), bins(theirs)) {
        return Ok((ours, theirs));
    }
    let mut categories: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for (side, measured) in [ours, theirs].into_iter().enumerate() {
        let Measured::Frequencies(frequencies) = measured else {
            return Err(mismatch(check));
        };
        if frequencies.distinct > MOST_CATEGORIES as u64 {
            return Err(Trouble::new(format!(
                "{} distinct values are too many to compare one by one",
                thousands(frequencies.distinct)
            ))
            .with_hint("give `edges`, or check another column".to_owned()));
        }
        for frequency in &frequencies.top {
            if let Some(value) = &frequency.value {
                categories.entry(value.clone()).or_default()[side] += frequency.amount;
            }
        }
    }
    Ok(categories
        .into_values()
        .map(|[ours, theirs]| (ours, theirs))
        .unzip())
}

/// The numbers of the bins, with one for what lies outside.
fn bins(measured: &Measured) -> Option<Vec<f64>> {
    match measured {
        Measured::Bins { bins, .. } => {
            let inside = bins.counts.iter().map(|count| *count as f64);
            Some(inside.chain([bins.outside as f64]).collect())
        }
        Measured::Shares(shares) => Some(shares.clone()),
        _ => None,
    }
}
