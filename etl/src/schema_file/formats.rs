//! Formats of dates and timestamps.

use chrono::format::{Fixed, Item, Numeric, Pad, Parsed, StrftimeItems, parse_and_remainder};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use lakegate_rules::yaml::{Fields, Node, Problems, Value};

const NANOS_IN_SECOND: u32 = 1_000_000_000;

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
    let Ok(items) = StrftimeItems::new(text).parse_to_owned() else {
        let problem = node.problem(format!("`{text}` is not a format of strftime"));
        problems.push(problem.with_hint("for example `%Y-%m-%d %H:%M:%S`".to_owned()));
        return None;
    };
    for item in &items {
        let Some((specifier, why, hint)) = unreadable(item) else {
            continue;
        };
        let problem = node.problem(format!("`{specifier}` in the format `{text}` {why}"));
        problems.push(problem.with_hint(hint.to_owned()));
        return None;
    }
    Some(items)
}

/// Items that write what they cannot read: the specifier, why, and the way out.
fn unreadable(item: &Item<'_>) -> Option<(&'static str, &'static str, &'static str)> {
    match item {
        Item::Fixed(Fixed::TimezoneName) => Some((
            "%Z",
            "stands for the name of a zone, which says no offset",
            "`%z` reads an offset such as `+0100`; a name that is always the same is text of the format, as in `%H:%M UTC`",
        )),
        Item::Numeric(Numeric::Nanosecond, _) => Some((
            "%f",
            "counts nanoseconds: it would read `.5` as 5 of them",
            "`%.f` reads a fraction of a second with its point, `%6f` six digits of one",
        )),
        Item::Fixed(Fixed::RFC3339) => Some((
            "%+",
            "does not say how many digits there are",
            "use the format `iso`",
        )),
        _ => None,
    }
}

/// Reads a text item by item: each takes what it would write. Chrono by itself passes over blanks, and takes fewer
/// digits than there have to be.
fn parse(text: &str, items: &[Item<'static>]) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    let mut rest = text;
    for item in items {
        let behind = parse_and_remainder(&mut parsed, rest, std::iter::once(item)).ok()?;
        let taken = rest.get(..rest.len() - behind.len())?;
        if !is_whole(item, taken) {
            return None;
        }
        rest = behind;
    }
    rest.is_empty().then_some(parsed)
}

/// Whether an item could have written the text that it took.
fn is_whole(item: &Item<'_>, taken: &str) -> bool {
    match item {
        Item::Space(blanks) => taken == *blanks,
        Item::OwnedSpace(blanks) => taken == &**blanks,
        Item::Numeric(numeric, pad) => {
            let digits = match pad {
                Pad::Space => taken.trim_start_matches(' '),
                Pad::Zero | Pad::None => taken,
            };
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // Without padding, as in `%-d`, a number has as many digits as it likes.
            let is_wide = *pad == Pad::None || width(numeric).is_none_or(|w| taken.len() == w);
            is_number && is_wide
        }
        Item::Fixed(Fixed::Nanosecond) => taken.len() <= ".123456789".len(),
        Item::Fixed(Fixed::Nanosecond3) => taken.len() == ".123".len(),
        Item::Fixed(Fixed::Nanosecond6) => taken.len() == ".123456".len(),
        Item::Fixed(Fixed::Nanosecond9) => taken.len() == ".123456789".len(),
        Item::Fixed(_) => !taken.contains(char::is_whitespace),
        Item::Literal(_) | Item::OwnedLiteral(_) | Item::Error => true,
    }
}

/// Characters of a number; none when it has no limit.
fn width(numeric: &Numeric) -> Option<usize> {
    match numeric {
        Numeric::Year | Numeric::IsoYear => Some(4),
        Numeric::Ordinal => Some(3),
        Numeric::Quarter | Numeric::NumDaysFromSun | Numeric::WeekdayFromMon => Some(1),
        Numeric::Timestamp => None,
        _ => Some(2),
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
    let parsed = parse(text, items)?;
    let date = parsed.to_naive_date().ok()?;
    (1..=9999).contains(&date.year()).then_some(date)
}

/// A timestamp by the items of a format.
pub(crate) fn parse_timestamp(text: &str, items: &[Item<'static>]) -> Option<ParsedTime> {
    let parsed = parse(text, items)?;
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
    let time = match found {
        ParsedTime::Moment(moment) => moment.naive_utc(),
        ParsedTime::Local(local) => local,
    };
    // Chrono keeps a second 60 as more than a whole second of nanoseconds.
    let exists = (1..=9999).contains(&time.year()) && time.nanosecond() < NANOS_IN_SECOND;
    exists.then_some(found)
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
