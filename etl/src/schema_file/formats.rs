//! Formats of dates and timestamps.

use chrono::FixedOffset;
use lakegate_rules::TimePattern;
use lakegate_rules::yaml::{Fields, Node, Problems, Value};

/// One way in which a date or a timestamp is spelled.
#[derive(Debug, Clone)]
pub(crate) enum TimeFormat {
    /// ISO 8601: `2013-01-31`, `2013-01-31T10:00:00.5+01:00`, a blank for the `T`.
    Iso,
    /// Seconds since 1970 in UTC.
    EpochSeconds,
    /// Milliseconds since 1970 in UTC.
    EpochMillis,
    /// A format of strftime.
    Pattern(TimePattern),
}

pub(super) fn date_formats(fields: &Fields<'_>, problems: &mut Problems) -> Vec<TimeFormat> {
    formats(fields, problems, |node, text, problems| match text {
        "epoch_seconds" | "epoch_millis" => {
            let message = format!("`{text}` is a format of timestamps, not of dates");
            problems.push(node.problem(message));
            None
        }
        "iso" => Some(TimeFormat::Iso),
        _ => {
            let pattern = pattern(node, text, problems)?;
            if !pattern.has_date() {
                let problem =
                    node.problem(format!("the format `{text}` does not hold a whole date"));
                problems.push(problem.with_hint(
                    "formats are those of strftime: `%Y` year, `%m` month, `%d` day, as in `%d.%m.%Y`".to_owned(),
                ));
            }
            pattern.has_date().then_some(TimeFormat::Pattern(pattern))
        }
    })
}

/// Formats of moments, or of times without a zone.
pub(super) fn timestamp_formats(
    fields: &Fields<'_>,
    has_zone: bool,
    problems: &mut Problems,
) -> Vec<TimeFormat> {
    formats(fields, problems, |node, text, problems| match text {
        "epoch_seconds" | "epoch_millis" if !has_zone => {
            let problem = node.problem(format!(
                "`{text}` counts from a moment, and type `timestamp_ntz` has no zone"
            ));
            problems.push(problem.with_hint("set `type: timestamp`".to_owned()));
            None
        }
        "epoch_seconds" => Some(TimeFormat::EpochSeconds),
        "epoch_millis" => Some(TimeFormat::EpochMillis),
        "iso" => Some(TimeFormat::Iso),
        _ => {
            let pattern = pattern(node, text, problems)?;
            if !pattern.has_time() {
                let message = format!("the format `{text}` does not hold a date and a time of day");
                let problem = node.problem(message);
                problems.push(problem.with_hint(
                    "formats are those of strftime: `%H` hour, `%M` minute, `%S` second, as in `%d.%m.%Y %H:%M`".to_owned(),
                ));
            }
            pattern.has_time().then_some(TimeFormat::Pattern(pattern))
        }
    })
}

fn formats(
    fields: &Fields<'_>,
    problems: &mut Problems,
    mut format: impl FnMut(&Node, &str, &mut Problems) -> Option<TimeFormat>,
) -> Vec<TimeFormat> {
    let Some(node) = fields.get("formats") else {
        return vec![TimeFormat::Iso];
    };
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        problems.push(node.problem("`formats` is empty"));
    }
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        if let Some(text) = node.string("an item of `formats`", problems) {
            found.extend(format(node, &text, problems));
        }
    }
    found
}

fn pattern(node: &Node, text: &str, problems: &mut Problems) -> Option<TimePattern> {
    match TimePattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err((message, hint)) => {
            problems.push(node.problem(message).with_hint(hint));
            None
        }
    }
}

/// `UTC` or an offset such as `+01:00`. Named zones are refused: their rules are not part of Lakegate.
pub(super) fn time_zone(fields: &Fields<'_>, problems: &mut Problems) -> Option<FixedOffset> {
    let Some(node) = fields.get("time_zone") else {
        return FixedOffset::east_opt(0);
    };
    let text = node.string("`time_zone`", problems)?;
    let zone = match text.as_str() {
        "UTC" | "Z" => FixedOffset::east_opt(0),
        offset => offset.parse().ok(),
    };
    if zone.is_none() {
        let hint = Some(
            "named zones change their offset in the year: type as `timestamp_ntz`, and convert in SQL",
        );
        node.wanted(
            "`time_zone`",
            "`UTC` or an offset such as `+01:00`",
            hint,
            problems,
        );
    }
    zone
}
