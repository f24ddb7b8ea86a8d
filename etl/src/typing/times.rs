//! Dates and timestamps from text.

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc,
};

use lakegate_rules::ParsedTime;

use super::values::{Reason, local_micros, micros};
use crate::schema_file::TimeFormat;

const NOT_A_DATE: &str = "is not a date of the expected format";
const NO_SUCH_DATE: &str = "is not a date that exists between the years 1 and 9999";
const NOT_A_TIMESTAMP: &str = "is not a timestamp of the expected format";
const NO_SUCH_TIME: &str = "is not a time that exists between the years 1 and 9999";
const TOO_FINE: &str = "is finer than a microsecond";

/// The date by the first format that fits.
pub(super) fn date(text: &str, formats: &[TimeFormat]) -> Result<NaiveDate, Reason> {
    let mut reason = NOT_A_DATE;
    for format in formats {
        match format {
            TimeFormat::Iso => match iso_date(text.as_bytes()) {
                Some((Some(date), [])) => return Ok(date),
                Some((None, [])) => reason = NO_SUCH_DATE,
                _ => {}
            },
            TimeFormat::Pattern(pattern) => {
                if let Some(date) = pattern.date(text) {
                    return Ok(date);
                }
            }
            TimeFormat::EpochSeconds | TimeFormat::EpochMillis => {}
        }
    }
    Err(reason.into())
}

/// A moment in microseconds; `zone` is that of texts without an offset.
pub(super) fn moment(text: &str, formats: &[TimeFormat], zone: FixedOffset) -> Result<i64, Reason> {
    match time(text, formats)? {
        ParsedTime::Moment(moment) => Ok(micros(moment)),
        ParsedTime::Local(local) => {
            let moment = zone.from_local_datetime(&local).single();
            let moment = moment.filter(|moment| (1..=9999).contains(&moment.naive_utc().year()));
            Ok(micros(moment.ok_or(NO_SUCH_TIME)?))
        }
    }
}

/// A time without a zone in microseconds.
pub(super) fn local(text: &str, formats: &[TimeFormat]) -> Result<i64, Reason> {
    match time(text, formats)? {
        ParsedTime::Local(local) => Ok(local_micros(local)),
        ParsedTime::Moment(_) => Err("has an offset, and type `timestamp_ntz` has none".into()),
    }
}

fn time(text: &str, formats: &[TimeFormat]) -> Result<ParsedTime, Reason> {
    let mut reason = NOT_A_TIMESTAMP;
    for format in formats {
        let found = match format {
            TimeFormat::Iso => iso_time(text.as_bytes()),
            TimeFormat::EpochSeconds => epoch(text, 1_000_000),
            TimeFormat::EpochMillis => epoch(text, 1_000),
            TimeFormat::Pattern(pattern) => match pattern.time(text) {
                Some(time) if has_finer_than_micros(time) => Err(TOO_FINE),
                Some(time) => Ok(time),
                None => Err(NOT_A_TIMESTAMP),
            },
        };
        match found {
            Ok(time) => return Ok(time),
            Err(NOT_A_TIMESTAMP) => {}
            Err(better) => reason = better,
        }
    }
    Err(reason.into())
}

fn has_finer_than_micros(time: ParsedTime) -> bool {
    let nanos = match time {
        ParsedTime::Moment(moment) => moment.timestamp_subsec_nanos(),
        ParsedTime::Local(local) => local.and_utc().timestamp_subsec_nanos(),
    };
    nanos % 1000 != 0
}

/// Whole units since 1970.
fn epoch(text: &str, micros_in_unit: i64) -> Result<ParsedTime, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NOT_A_TIMESTAMP);
    }
    let units: Option<i64> = text.parse().ok();
    let micros = units.and_then(|units| units.checked_mul(micros_in_unit));
    let moment = micros.and_then(DateTime::<Utc>::from_timestamp_micros);
    let moment = moment.filter(|moment| (1..=9999).contains(&moment.year()));
    let moment = moment.ok_or(NO_SUCH_TIME)?;
    Ok(ParsedTime::Moment(moment.with_timezone(&Utc.fix())))
}

/// A day as ISO 8601 has it: `2013-01-31`.
pub(crate) fn iso_day(text: &str) -> Option<NaiveDate> {
    match iso_date(text.as_bytes()) {
        Some((date, [])) => date,
        _ => None,
    }
}

/// A moment as ISO 8601 has it, no finer than a microsecond: in UTC unless it has an offset, and midnight for a day.
pub(crate) fn iso_moment(text: &str) -> Option<DateTime<Utc>> {
    if let Some(day) = iso_day(text) {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    match iso_time(text.as_bytes()).ok()? {
        ParsedTime::Moment(moment) => Some(moment.with_timezone(&Utc)),
        ParsedTime::Local(local) => Some(local.and_utc()),
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number, byte| {
        let is_digit = byte.is_ascii_digit();
        is_digit.then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// `YYYY-MM-DD` and what is behind it; the date is none when there is no such day.
fn iso_date(text: &[u8]) -> Option<(Option<NaiveDate>, &[u8])> {
    let (date, rest) = text.split_at_checked(10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = i32::try_from(digits(&date[..4])?).ok()?;
    let (month, day) = (digits(&date[5..7])?, digits(&date[8..])?);
    let date = NaiveDate::from_ymd_opt(year, month, day).filter(|date| date.year() >= 1);
    Some((date, rest))
}

/// A date, `T` or a blank, `HH:MM`, then maybe `:SS`, a fraction, and `Z` or an offset.
fn iso_time(text: &[u8]) -> Result<ParsedTime, &'static str> {
    let (date, rest) = iso_date(text).ok_or(NOT_A_TIMESTAMP)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else {
        return Err(NOT_A_TIMESTAMP);
    };
    let (minutes, mut rest) = rest.split_at_checked(5).ok_or(NOT_A_TIMESTAMP)?;
    let hour = digits(&minutes[..2]).ok_or(NOT_A_TIMESTAMP)?;
    let minute = digits(&minutes[3..]).ok_or(NOT_A_TIMESTAMP)?;
    if minutes[2] != b':' {
        return Err(NOT_A_TIMESTAMP);
    }
    let (mut second, mut nanos) = (0, 0);
    if let [b':', tens, ones, behind @ ..] = rest {
        second = digits(&[*tens, *ones]).ok_or(NOT_A_TIMESTAMP)?;
        rest = behind;
        if let [b'.' | b',', behind @ ..] = rest {
            let length = behind
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if length == 0 || length > 9 {
                return Err(if length == 0 {
                    NOT_A_TIMESTAMP
                } else {
                    TOO_FINE
                });
            }
            let (fraction, behind) = behind.split_at(length);
            nanos = digits(fraction).ok_or(NOT_A_TIMESTAMP)?;
            nanos *= 10_u32.pow(9 - u32::try_from(length).unwrap_or(9));
            rest = behind;
        }
    }
    let offset = iso_offset(rest).ok_or(NOT_A_TIMESTAMP)?;
    if nanos % 1000 != 0 {
        return Err(TOO_FINE);
    }
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanos);
    let (Some(date), Some(time)) = (date, time) else {
        return Err(NO_SUCH_TIME);
    };
    let local = NaiveDateTime::new(date, time);
    let Some(offset) = offset else {
        return Ok(ParsedTime::Local(local));
    };
    let moment = offset
        .ok_or(NO_SUCH_TIME)?
        .from_local_datetime(&local)
        .single();
    let moment = moment.filter(|moment| (1..=9999).contains(&moment.naive_utc().year()));
    Ok(ParsedTime::Moment(moment.ok_or(NO_SUCH_TIME)?))
}

/// `Z`, `+HH:MM`, `+HHMM`, `+HH` or nothing. The inner option is none for an offset that does not exist.
#[expect(
    clippy::option_option,
    reason = "malformed, absent and impossible differ"
)]
fn iso_offset(text: &[u8]) -> Option<Option<Option<FixedOffset>>> {
    let (sign, rest) = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(FixedOffset::east_opt(0))),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [_, _] => (digits(rest)?, 0),
        [_, _, b':', _, _] => (digits(&rest[..2])?, digits(&rest[3..])?),
        [_, _, _, _] => (digits(&rest[..2])?, digits(&rest[2..])?),
        _ => return None,
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    let exists = hours <= 18 && minutes < 60;
    Some(Some(
        FixedOffset::east_opt(sign * seconds).filter(|_| exists),
    ))
}
