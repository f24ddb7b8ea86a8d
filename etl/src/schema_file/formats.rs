//! Formats of dates and timestamps.

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
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
    /// Items of strftime.
    Pattern(Vec<Item<'static>>),
}

/// A moment, or a time without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParsedTime {
    Moment(DateTime<FixedOffset>),
    Local(NaiveDateTime),
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
            let items = items(node, text, problems)?;
            let reads_back = reads_back_date(&items);
            if !reads_back {
                let problem =
                    node.problem(format!("the format `{text}` does not hold a whole date"));
                problems.push(problem.with_hint(
                    "formats are those of strftime: `%Y` year, `%m` month, `%d` day, as in `%d.%m.%Y`".to_owned(),
                ));
            }
            reads_back.then_some(TimeFormat::Pattern(items))
        }
    })
}

pub(super) fn timestamp_formats(fields: &Fields<'_>, problems: &mut Problems) -> Vec<TimeFormat> {
    formats(fields, problems, |node, text, problems| match text {
        "epoch_seconds" => Some(TimeFormat::EpochSeconds),
        "epoch_millis" => Some(TimeFormat::EpochMillis),
        "iso" => Some(TimeFormat::Iso),
        _ => {
            let items = items(node, text, problems)?;
            let reads_back = reads_back_timestamp(&items);
            if !reads_back {
                let message = format!("the format `{text}` does not hold a date and a time of day");
                let problem = node.problem(message);
                problems.push(problem.with_hint(
                    "formats are those of strftime: `%H` hour, `%M` minute, `%S` second, as in `%d.%m.%Y %H:%M`".to_owned(),
                ));
            }
            reads_back.then_some(TimeFormat::Pattern(items))
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

fn items(node: &Node, text: &str, problems: &mut Problems) -> Option<Vec<Item<'static>>> {
    match StrftimeItems::new(text).parse_to_owned() {
        Ok(items) => Some(items),
        Err(_) => {
            let problem = node.problem(format!("`{text}` is not a format of strftime"));
            problems.push(problem.with_hint("for example `%Y-%m-%d %H:%M:%S`".to_owned()));
            None
        }
    }
}

/// A date whose parts all differ, in the afternoon.
fn sample() -> Option<DateTime<FixedOffset>> {
    let date = NaiveDate::from_ymd_opt(2013, 2, 3)?;
    let time = NaiveTime::from_hms_opt(16, 5, 6)?;
    Some(NaiveDateTime::new(date, time).and_utc().fixed_offset())
}

fn reads_back_date(items: &[Item<'static>]) -> bool {
    let Some(date) = sample().map(|sample| sample.date_naive()) else {
        return false;
    };
    let mut text = String::new();
    let written = std::fmt::write(
        &mut text,
        format_args!("{}", date.format_with_items(items.iter())),
    );
    written.is_ok() && parse_date(&text, items) == Some(date)
}

fn reads_back_timestamp(items: &[Item<'static>]) -> bool {
    let Some(moment) = sample() else {
        return false;
    };
    let mut text = String::new();
    let written = std::fmt::write(
        &mut text,
        format_args!("{}", moment.format_with_items(items.iter())),
    );
    let found = parse_timestamp(&text, items).map(|found| match found {
        ParsedTime::Moment(moment) => moment.naive_utc(),
        ParsedTime::Local(local) => local,
    });
    // Seconds may be missing, hours and minutes not.
    let minutes = |time: NaiveDateTime| time.and_utc().timestamp() / 60;
    written.is_ok() && found.map(minutes) == Some(minutes(moment.naive_utc()))
}

/// A date by the items of a format.
pub(crate) fn parse_date(text: &str, items: &[Item<'static>]) -> Option<NaiveDate> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    let date = parsed.to_naive_date().ok()?;
    (1..=9999).contains(&date.year()).then_some(date)
}

/// A timestamp by the items of a format.
pub(crate) fn parse_timestamp(text: &str, items: &[Item<'static>]) -> Option<ParsedTime> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    let found = if parsed.offset().is_some() || parsed.timestamp().is_some() {
        let moment = match parsed.offset() {
            Some(_) => parsed.to_datetime().ok()?,
            None => parsed
                .to_naive_datetime_with_offset(0)
                .ok()?
                .and_utc()
                .fixed_offset(),
        };
        ParsedTime::Moment(moment)
    } else {
        ParsedTime::Local(parsed.to_naive_datetime_with_offset(0).ok()?)
    };
    let year = match found {
        ParsedTime::Moment(moment) => moment.naive_utc().year(),
        ParsedTime::Local(local) => local.year(),
    };
    (1..=9999).contains(&year).then_some(found)
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
