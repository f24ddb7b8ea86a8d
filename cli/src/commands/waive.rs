//! `lakegate waive`: lets one check fail for a while.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use clap::Args;
use lakegate_catalog::TableName;
use lakegate_rules::yaml::nearest_hint;
use lakegate_rules::{Suite, Waiver};

use crate::arguments::table_name;
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::settings::user_name;

/// Let one check of a table fail until a date
///
/// The waiver is kept with the table and written into each commit that it lets pass. A check that cannot be
/// evaluated is not waived.
#[derive(Debug, Args)]
pub(crate) struct Waive {
    /// The table
    #[arg(value_name = "TABLE", value_parser = table_name)]
    table: TableName,

    /// The check's id, as reports show it, for example `carrier/not_null`
    #[arg(value_name = "CHECK")]
    check: String,

    /// The last day on which it holds, or a point in time, in UTC: 2030-12-31 or 2030-12-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = end_of)]
    until: DateTime<Utc>,

    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Who gives it; you, when absent
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Waive {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let now = context.now();
        if self.until <= now {
            return Err(CliError::new(format!(
                "the waiver would have expired: {} is past",
                self.until.format("%Y-%m-%d %H:%M UTC")
            ))
            .with_hint("name a later date with `--until`"));
        }
        if self.reason.trim().is_empty() {
            return Err(CliError::new("the waiver has no reason")
                .with_hint("say with `--reason TEXT` why the check may fail"));
        }
        let Some(by) = self.by.or_else(user_name) else {
            return Err(CliError::new("it is not known who gives the waiver")
                .with_hint("say it with `--by NAME`"));
        };
        let lakegate = context.open().await?;
        let table = self.table;
        let Some(rules) = lakegate.catalog.attached_rules(&table).await? else {
            return Err(
                CliError::new(format!("table `{table}` has no rules attached"))
                    .with_hint("attach a rule file with `lakegate apply RULES`"),
            );
        };
        let suite = Suite::parse(&rules.file, &rules.text)?;
        let known: Vec<&str> = suite.checks.iter().map(|check| check.id.as_str()).collect();
        if !known.contains(&self.check.as_str()) {
            let error = CliError::new(format!(
                "the rules of `{table}` have no check `{}`",
                self.check
            ));
            return Err(match nearest_hint(&self.check, &known) {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        let waiver = Waiver {
            check: self.check,
            until: self.until,
            reason: self.reason,
            by,
            made: now,
        };
        let value = serde_json::to_value(&waiver)
            .map_err(|error| CliError::bug(&format!("a waiver is not JSON: {error}")))?;
        lakegate.catalog.waive(&table, &value).await?;
        if context.output.is_json() {
            context.output.json(&waiver)?;
        } else {
            context.output.text(&format!(
                "{} of {table} may fail until {}",
                waiver.check,
                waiver.until.format("%Y-%m-%d %H:%M UTC")
            ));
        }
        Ok(DONE)
    }
}

/// A point in time, or the end of a day.
fn end_of(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .and_then(|day| day.checked_add_days(Days::new(1)))
        .map(|day| day.and_time(NaiveTime::MIN).and_utc())
        .ok_or_else(|| {
            "wanted a day such as `2030-12-31`, or a time such as `2030-12-31T12:00:00Z`".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_the_next_midnight() {
        let at = |text: &str| end_of(text).map(|time| time.to_rfc3339());
        assert_eq!(at("2030-12-31").unwrap(), "2031-01-01T00:00:00+00:00");
        assert_eq!(
            at("2030-12-31T12:00:00+02:00").unwrap(),
            "2030-12-31T10:00:00+00:00"
        );
        for wrong in ["tomorrow", "2030-02-30", "31.12.2030", ""] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
