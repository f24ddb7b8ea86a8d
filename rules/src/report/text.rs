//! A report for people.

use super::{CheckResult, Report, Verdict};

/// A whole number with its thousands set apart: `51,955`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The share that some rows are of all, as people write it: `2.9%`.
///
/// Rows that are there never show as `0%`, and a share below the whole never as `100%`.
pub fn share_of_rows(bad: u64, rows: u64) -> String {
    if bad == 0 || rows == 0 {
        return "0%".to_owned();
    }
    if bad >= rows {
        return "100%".to_owned();
    }
    let percent = bad as f64 / rows as f64 * 100.0;
    if percent < 0.01 {
        return "<0.01%".to_owned();
    }
    if percent > 99.99 {
        return ">99.99%".to_owned();
    }
    let decimals = if (1.0..99.0).contains(&percent) { 1 } else { 2 };
    format!("{percent:.decimals$}%")
}

impl Report {
    /// The report for people: one line a check, keys of bad rows below it, and a summary.
    pub fn to_text(&self, colour: bool) -> String {
        let mut text = format!(
            "{} judged by {}",
            printable(&self.table),
            printable(&self.rules_file)
        );
        if let Some(rows) = self.rows {
            text.push_str(&format!(", {} rows", thousands(rows)));
        }
        if let Some(owner) = &self.owner {
            text.push_str(&format!(", owned by {}", printable(owner)));
        }
        text.push('\n');
        let lines: Vec<Line> = self.checks.iter().map(Line::new).collect();
        let words = self
            .checks
            .iter()
            .map(|check| check.verdict.to_string().len());
        let widths = Widths {
            // As wide as `waived` at least, so that most reports look alike.
            verdict: words.max().unwrap_or_default().max(6),
            id: widest(&lines, |line| &line.id),
            observed: widest(&lines, |line| &line.observed),
            expected: widest(&lines, |line| &line.expected),
        };
        for (line, check) in lines.iter().zip(&self.checks) {
            line.write(check.verdict, &widths, colour, &mut text);
            details(check, &mut text);
        }
        text.push_str(&self.summary(colour));
        text.push('\n');
        text
    }

    /// The last line of the text: the verdict, and how many checks have which.
    fn summary(&self, colour: bool) -> String {
        let worded = [
            (Verdict::Pass, "passed"),
            (Verdict::Warn, "warned"),
            (Verdict::Waived, "waived"),
            (Verdict::NoWorse, "no worse than before"),
            (Verdict::Fail, "failed"),
            (Verdict::Error, "could not be evaluated"),
        ];
        let counts: Vec<String> = worded
            .iter()
            .filter_map(|(verdict, word)| match self.count(*verdict) {
                0 => None,
                count => Some(format!("{count} {word}")),
            })
            .collect();
        let checks = match self.checks.len() {
            1 => "1 check".to_owned(),
            count => format!("{count} checks"),
        };
        let counts = if counts.is_empty() {
            String::new()
        } else {
            format!(": {}", counts.join(", "))
        };
        let verdict = paint(self.verdict(), &self.verdict().to_string(), colour);
        format!("verdict: {verdict} ({checks}{counts})")
    }
}

struct Widths {
    verdict: usize,
    id: usize,
    observed: usize,
    expected: usize,
}

/// The columns of a check's line.
struct Line {
    id: String,
    observed: String,
    expected: String,
    rows: String,
}

impl Line {
    fn new(check: &CheckResult) -> Self {
        let rows = match (check.bad_rows, check.rows) {
            (Some(0), Some(rows)) => format!("no bad row of {}", thousands(rows)),
            (Some(bad), Some(rows)) => format!(
                "{} of {} rows are bad ({})",
                thousands(bad),
                thousands(rows),
                share_of_rows(bad, rows)
            ),
            (Some(1), None) => "1 row is bad".to_owned(),
            (Some(bad), None) => format!("{} rows are bad", thousands(bad)),
            (None, _) => String::new(),
        };
        let expected = match check.expected.as_str() {
            "" => String::new(),
            expected => format!("wanted {}", printable(expected)),
        };
        Self {
            id: printable(&check.id),
            observed: printable(&check.observed),
            expected,
            rows,
        }
    }

    fn write(&self, verdict: Verdict, widths: &Widths, colour: bool, text: &mut String) {
        let word = verdict.to_string();
        let gap = " ".repeat(widths.verdict.saturating_sub(word.len()));
        let line = format!(
            "  {}{gap}  {}  {}  {}  {}",
            paint(verdict, &word, colour),
            padded(&self.id, widths.id),
            padded(&self.observed, widths.observed),
            padded(&self.expected, widths.expected),
            self.rows,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn details(check: &CheckResult, text: &mut String) {
    let mut line = |content: String| {
        text.push_str("            ");
        text.push_str(&content);
        text.push('\n');
    };
    if let (Some(description), true) = (&check.description, check.verdict != Verdict::Pass) {
        line(printable(description.trim()));
    }
    if let Some(message) = &check.message {
        line(printable(message));
    }
    if let Some(waiver) = &check.waiver {
        line(format!(
            "waived by {} until {}: {}",
            printable(&waiver.by),
            waiver.until.format("%Y-%m-%d %H:%M UTC"),
            printable(&waiver.reason)
        ));
    }
    for sample in &check.samples {
        line(row_key(sample));
    }
    if let Some(hint) = &check.hint {
        line(format!("hint: {}", printable(hint)));
    }
}

/// The key of a row: `year=2013 month=2 flight=1117`.
pub(super) fn row_key(sample: &[(String, String)]) -> String {
    let columns: Vec<String> = sample
        .iter()
        .map(|(column, value)| format!("{}={}", printable(column), printable(value)))
        .collect();
    columns.join(" ")
}

fn widest(lines: &[Line], column: impl Fn(&Line) -> &String) -> usize {
    let widths = lines.iter().map(|line| column(line).chars().count());
    widths.max().unwrap_or(0)
}

fn padded(text: &str, width: usize) -> String {
    let gap = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(gap))
}

/// Text of unknown origin without control characters: data must not steer a terminal.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn paint(verdict: Verdict, text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match verdict {
        Verdict::Pass => "32",
        Verdict::Warn => "33",
        Verdict::Waived | Verdict::NoWorse => "35",
        Verdict::Fail | Verdict::Error => "1;31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
