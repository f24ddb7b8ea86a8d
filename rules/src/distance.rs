//! How far two distributions are from each other.

use statrs::function::gamma::checked_gamma_ur;

/// A way to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// The population stability index.
    Psi,
    /// The Kullback-Leibler divergence from the baseline, with the natural logarithm.
    KullbackLeibler,
    /// The p-value of Pearson's chi-square test that the rows are drawn from the baseline.
    ChiSquare,
    /// The greatest difference of a share.
    LInfinity,
}

/// What comes of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Compared {
    /// The distance.
    Distance(f64),
    /// One side has no rows.
    NoRows,
    /// There are rows, and too few of them for the test.
    TooFewRows,
}

/// The least share that counts in logarithms: a value that one side lacks would be infinitely far away.
pub(crate) const LEAST_SHARE: f64 = 1e-4;

/// The least expected number of rows of a category in the chi-square test, when there are more than two.
const LEAST_EXPECTED: f64 = 5.0;

/// The same when there are two.
const LEAST_EXPECTED_OF_TWO: f64 = 10.0;

/// The share of categories that may expect less.
const MOST_SMALL: f64 = 0.2;

impl Distance {
    /// The distance between numbers of rows, category by category.
    pub(crate) fn between(self, observed: &[f64], baseline: &[f64]) -> Compared {
        let (rows, expected) = (observed.iter().sum::<f64>(), baseline.iter().sum::<f64>());
        if rows <= 0.0 || expected <= 0.0 {
            return Compared::NoRows;
        }
        let shares = || {
            let pairs = observed.iter().zip(baseline);
            pairs.map(|(o, b)| (o / rows, b / expected))
        };
        let floored = || shares().map(|(o, b)| (o.max(LEAST_SHARE), b.max(LEAST_SHARE)));
        match self {
            Self::Psi => Compared::Distance(floored().map(|(o, b)| (o - b) * (o / b).ln()).sum()),
            Self::KullbackLeibler => {
                Compared::Distance(floored().map(|(o, b)| o * (o / b).ln()).sum())
            }
            Self::LInfinity => {
                let differences = shares().map(|(o, b)| (o - b).abs());
                Compared::Distance(differences.fold(0.0, f64::max))
            }
            Self::ChiSquare => chi_square(observed, baseline),
        }
    }
}

/// The p-value of the test of goodness of fit.
///
/// Categories that expect too few rows for the test to hold are put together with the next smallest (Yates, Moore and
/// McCabe 1999 for more than two categories, Cochran 1952 for two). A row of a category that the baseline lacks cannot
/// have come from it: the p-value is 0. Where there is one category only, all rows are as expected.
fn chi_square(observed: &[f64], baseline: &[f64]) -> Compared {
    let rows: f64 = observed.iter().sum();
    let total: f64 = baseline.iter().sum();
    let mut cells = Vec::new();
    for (observed, baseline) in observed.iter().zip(baseline) {
        match (*observed, *baseline) {
            (observed, 0.0) if observed > 0.0 => return Compared::Distance(0.0),
            (_, 0.0) => {}
            (observed, baseline) => cells.push((baseline / total * rows, observed)),
        }
    }
    if cells.len() == 1 {
        return Compared::Distance(1.0);
    }
    cells.sort_by(|left, right| left.0.total_cmp(&right.0).reverse());
    loop {
        let (least, most) = match cells.len() {
            0 | 1 => return Compared::TooFewRows,
            2 => (LEAST_EXPECTED_OF_TWO, 0),
            n => (LEAST_EXPECTED, (MOST_SMALL * n as f64) as usize),
        };
        let small = cells.iter().filter(|cell| cell.0 < least).count();
        if small <= most {
            break;
        }
        if let (Some(smallest), Some(next)) = (cells.pop(), cells.pop()) {
            let together = (smallest.0 + next.0, smallest.1 + next.1);
            let place = cells.partition_point(|cell| cell.0 > together.0);
            cells.insert(place, together);
        }
    }
    let squares = cells.iter().map(|(e, o)| (o - e) * (o - e) / e);
    let statistic: f64 = squares.sum();
    let freedom = (cells.len() - 1) as f64;
    if statistic <= 0.0 {
        return Compared::Distance(1.0);
    }
    // Only a statistic beyond the range of numbers has none: nothing is as unlikely.
    let p_value = checked_gamma_ur(freedom / 2.0, statistic / 2.0);
    Compared::Distance(p_value.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Compared, wanted: f64) {
        let Compared::Distance(found) = found else {
            panic!("{found:?}");
        };
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }

    #[test]
    fn distances_are_those_of_the_textbooks() {
        let (a, b) = ([10.0, 20.0, 70.0], [20.0, 20.0, 60.0]);
        close(Distance::LInfinity.between(&a, &b), 0.1);
        let psi = (0.1 - 0.2) * (0.1_f64 / 0.2).ln() + (0.7 - 0.6) * (0.7_f64 / 0.6).ln();
        close(Distance::Psi.between(&a, &b), psi);
        let kl = 0.1 * (0.1_f64 / 0.2).ln() + 0.7 * (0.7_f64 / 0.6).ln();
        close(Distance::KullbackLeibler.between(&a, &b), kl);
        // SciPy: chisquare([10, 20, 70], [20, 20, 60]).pvalue
        close(
            Distance::ChiSquare.between(&a, &b),
            0.035_673_993_347_252_395,
        );
    }

    #[test]
    fn nothing_is_far_from_itself() {
        let a = [3.0, 40.0, 57.0];
        for distance in [
            Distance::Psi,
            Distance::KullbackLeibler,
            Distance::LInfinity,
        ] {
            close(distance.between(&a, &a), 0.0);
        }
        close(Distance::ChiSquare.between(&a, &a), 1.0);
    }

    #[test]
    fn a_category_that_one_side_lacks_is_far_but_not_infinitely() {
        let (a, b) = ([50.0, 50.0, 0.0], [50.0, 0.0, 50.0]);
        for distance in [
            Distance::Psi,
            Distance::KullbackLeibler,
            Distance::LInfinity,
        ] {
            let found = distance.between(&a, &b);
            assert!(
                matches!(found, Compared::Distance(d) if d.is_finite()),
                "{found:?}"
            );
        }
        close(Distance::ChiSquare.between(&a, &b), 0.0);
    }

    #[test]
    fn without_rows_there_is_no_distance() {
        assert_eq!(Distance::Psi.between(&[0.0], &[1.0]), Compared::NoRows);
        assert_eq!(
            Distance::ChiSquare.between(&[1.0], &[0.0]),
            Compared::NoRows
        );
    }

    #[test]
    fn a_test_that_cannot_be_made_is_not_passed() {
        let all_rare = Distance::ChiSquare.between(&[0.0, 100.0], &[95.0, 5.0]);
        assert_eq!(all_rare, Compared::TooFewRows);
        close(Distance::ChiSquare.between(&[5.0], &[5.0]), 1.0);
        let beyond = Distance::ChiSquare
            .between(&[0.0, 0.0, 0.0, 0.0, 100.0], &[1.0, 1.0, 1.0, 1.0, 1e-308]);
        close(beyond, 0.0);
    }
}
