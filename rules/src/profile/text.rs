//! A profile for people at a terminal, with small charts.

use std::fmt::Write as _;

use super::{ColumnProfile, HistogramBin, Numbers, Profile, TopValue};
use crate::{printable, thousands};

/// Most frequent values that are drawn; the other formats have all of them.
const DRAWN_VALUES: usize = 5;

/// Characters of the longest bar.
const BAR: f64 = 20.0;

/// Characters of a value beside its bar.
const VALUE_WIDTH: usize = 24;

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Profile {
    /// The profile as text. `title` says what of.
    pub fn to_text(&self, title: &str) -> String {
        let mut text = format!(
            "{}: {} rows, {} columns\n",
            printable(title),
            thousands(self.rows),
            self.columns.len()
        );
        for column in &self.columns {
            text.push('\n');
            column.write_text(self.rows, &mut text);
        }
        text
    }
}

impl ColumnProfile {
    fn write_text(&self, rows: u64, text: &mut String) {
        let _ = writeln!(text, "{}  {}", printable(&self.name), self.data_type);
        let line = |text: &mut String, label: &str, content: &str| {
            let _ = writeln!(text, "  {label:<10} {content}");
        };
        let mut counts = match self.completeness {
            Some(share) => format!("{} ({})", thousands(rows - self.nulls), percent(share)),
            None => "none".to_owned(),
        };
        if self.nulls > 0 {
            let _ = write!(counts, ", {} null", thousands(self.nulls));
        }
        if let Some(distinct) = self.distinct {
            let about = if self.distinct_is_exact { "" } else { "about " };
            let _ = write!(counts, ", {about}{} distinct", thousands(distinct));
        }
        line(text, "values", &counts);
        if let Some(inferred) = self.looks_like.as_ref().and_then(|looks| looks.inferred)
            && inferred != "text"
        {
            line(text, "looks like", inferred);
        }
        match (&self.numbers, &self.min, &self.max) {
            (Some(numbers), _, _) => {
                line(text, "numbers", &numbers.summary());
                if !numbers.quantiles.is_empty() {
                    line(text, "quantiles", &numbers.quantile_text());
                }
                if numbers.histogram.len() > 1 {
                    line(text, "histogram", &chart(&numbers.histogram));
                }
            }
            (None, Some(min), Some(max)) => {
                line(text, "from", &short(min));
                line(text, "to", &short(max));
            }
            _ => {}
        }
        if let Some(lengths) = &self.lengths {
            let (min, mean, max) = (lengths.min, number(lengths.mean), lengths.max);
            line(
                text,
                "length",
                &format!("min {min}, mean {mean}, max {max}"),
            );
        }
        // Values that occur once each say nothing.
        if self.top.first().is_some_and(|top| top.rows > 1) {
            let greatest = self.top.first().map_or(1, |top| top.rows);
            for (place, top) in self.top.iter().take(DRAWN_VALUES).enumerate() {
                let label = if place == 0 { "top" } else { "" };
                line(text, label, &top.bar(greatest));
            }
        }
    }
}

impl TopValue {
    fn bar(&self, greatest: u64) -> String {
        let length = (self.rows as f64 / greatest as f64 * BAR).round().max(1.0) as usize;
        format!(
            "{:<VALUE_WIDTH$} {:<20} {} ({})",
            short(&self.value),
            "█".repeat(length),
            thousands(self.rows),
            percent(self.share)
        )
    }
}

impl Numbers {
    fn summary(&self) -> String {
        let mut parts: Vec<String> = [
            ("min", self.min),
            ("mean", self.mean),
            ("max", self.max),
            ("stddev", self.stddev),
            ("sum", self.sum),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", number(value?))))
        .collect();
        if self.zeros > 0 {
            parts.push(format!("{} zero", thousands(self.zeros)));
        }
        parts.join(", ")
    }

    fn quantile_text(&self) -> String {
        let shown = self.quantiles.iter().map(|quantile| {
            let percent = quantile.rank * 100.0;
            format!("{percent}% {}", number(quantile.value))
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// A character for each bin, between the ends.
fn chart(bins: &[HistogramBin]) -> String {
    let greatest = bins.iter().map(|bin| bin.rows).max().unwrap_or(0).max(1) as f64;
    let step = |bin: &HistogramBin| match bin.rows {
        0 => ' ',
        rows => STEPS[((rows as f64 / greatest * 7.0).round() as usize).min(7)],
    };
    let from = bins.first().map_or(0.0, |bin| bin.from);
    let to = bins.last().map_or(0.0, |bin| bin.to);
    let drawn: String = bins.iter().map(step).collect();
    format!("{} {drawn} {}", number(from), number(to))
}

/// At most six significant digits, and whole numbers whole.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if value.fract() == 0.0 && magnitude < 15.0 {
        return format!("{value:.0}");
    }
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let digits = (5.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `99.5%`; it says `100%` and `0%` only when that is exact.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let shown = match (percent * 100.0).round() / 100.0 {
        rounded if rounded >= 100.0 && share < 1.0 => 99.99,
        rounded if rounded <= 0.0 && share > 0.0 => return "<0.01%".to_owned(),
        rounded => rounded,
    };
    format!("{shown}%")
}

/// Text of one line that leaves room for its bar.
fn short(text: &str) -> String {
    let shown = printable(text).replace('\n', "\\n");
    if shown.chars().count() <= VALUE_WIDTH {
        return shown;
    }
    let kept: String = shown.chars().take(VALUE_WIDTH - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_significant_digits() {
        let cases = [
            (0.0, "0"),
            (-12.0, "-12"),
            (1234.5678, "1234.57"),
            (0.000_123_456_78, "0.000123457"),
            (1e20, "1.00000e20"),
            (0.5, "0.5"),
            (123_456_789.25, "123456789"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn percents_are_whole_only_when_that_is_exact() {
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(0.999_999), "99.99%");
        assert_eq!(percent(0.000_001), "<0.01%");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(0.333_333), "33.33%");
    }

    #[test]
    fn a_long_value_is_cut_and_a_line_break_is_shown() {
        assert_eq!(short("a\nb"), "a\\nb");
        assert_eq!(short(&"ä".repeat(40)).chars().count(), VALUE_WIDTH);
    }
}
