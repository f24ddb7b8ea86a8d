//! `lakegate query`: reads tables with SQL.

use std::collections::BTreeMap;
use std::io::Read;

use chrono::{DateTime, Utc};
use clap::Args;
use datafusion::scalar::ScalarValue;
use lakegate_catalog::At;
use lakegate_engine::{Parameters, QueryOptions, Statement, parse_timestamp};
use lakegate_rules::thousands;
use lakegate_rules::yaml::{Resolved, Scalar, nearest_hint};

use crate::arguments::{by_name, name_and_value};
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{RowFormat, print_rows};

/// Read tables with SQL, at their newest versions or as they were
///
/// Rows are printed as they come. In the SQL, `FOR VERSION AS OF 3` and `TIMESTAMP AS OF '...'` choose a version for
/// one table; `--version` and `--timestamp` for all others.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The SQL, or `-` to read it from stdin
    #[arg(value_name = "SQL")]
    sql: String,

    /// A value for a parameter, which the SQL names `:NAME`
    ///
    /// Whole numbers, decimal numbers, true and false are themselves. Anything else is text, and so is what stands in
    /// quotes: `--param 'code="007"'`.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,

    /// The version of every table
    #[arg(
        long,
        value_name = "NUMBER",
        conflicts_with = "timestamp",
        allow_negative_numbers = true
    )]
    version: Option<i64>,

    /// The newest versions of that time, in UTC unless it has a zone: 2013-02-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    timestamp: Option<DateTime<Utc>>,

    /// How rows are printed: by default a table, with `--format json` a JSON array
    #[arg(long, short, value_name = "FORMAT")]
    output: Option<RowFormat>,
}

impl Query {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let sql = match self.sql.as_str() {
            "-" => read_stdin()?,
            sql => sql.to_owned(),
        };
        let at = at(self.version, self.timestamp)?;
        let lakegate = context.open().await?;
        let options = QueryOptions {
            at,
            parameters: values(by_name(self.parameters)?, &Statement::parse(&sql)?)?,
            ..QueryOptions::default()
        };
        let result = Box::pin(lakegate.engine.query(&sql, options)).await?;
        let format = self.output.unwrap_or(if context.output.is_json() {
            RowFormat::Json
        } else {
            RowFormat::Table
        });
        let rows = print_rows(&context.output, &result.schema, result.stream, format).await?;
        if format == RowFormat::Table && !context.output.is_closed() {
            context.output.note(&match rows {
                1 => "1 row".to_owned(),
                rows => format!("{} rows", thousands(rows)),
            });
        }
        Ok(DONE)
    }
}

/// Which versions are meant.
pub(crate) fn at(version: Option<i64>, timestamp: Option<DateTime<Utc>>) -> Result<At, CliError> {
    match (version, timestamp) {
        (Some(version), _) if version < 0 => {
            Err(CliError::new(format!("there is no version {version}"))
                .with_hint("versions begin at 0"))
        }
        (Some(version), _) => Ok(At::Version(version)),
        (None, Some(time)) => Ok(At::Timestamp(time)),
        (None, None) => Ok(At::Latest),
    }
}

/// The values of parameters, each of which the statement uses.
fn values(
    parameters: BTreeMap<String, String>,
    statement: &Statement,
) -> Result<Parameters, CliError> {
    let used: Vec<&str> = statement
        .parameters()
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    for name in parameters.keys() {
        if !used.contains(&name.as_str()) {
            let error = CliError::new(format!("the SQL has no parameter `:{name}`"));
            return Err(match nearest_hint(name, &used) {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
    }
    let values = parameters.into_iter();
    Ok(values.map(|(name, text)| (name, value(&text))).collect())
}

fn value(text: &str) -> ScalarValue {
    let quoted = ['"', '\''].iter().find_map(|quote| {
        let inner = text.strip_prefix(*quote)?;
        inner.strip_suffix(*quote)
    });
    let scalar = Scalar {
        text: quoted.unwrap_or(text).to_owned(),
        plain: quoted.is_none(),
    };
    match scalar.resolve() {
        Resolved::Bool(truth) => ScalarValue::from(truth),
        Resolved::Integer(number) => ScalarValue::from(number),
        Resolved::Float(number) => ScalarValue::from(number),
        Resolved::Null | Resolved::Text => ScalarValue::from(scalar.text),
    }
}

fn read_stdin() -> Result<String, CliError> {
    let mut sql = String::new();
    std::io::stdin()
        .read_to_string(&mut sql)
        .map_err(|error| CliError::failed("cannot read the SQL from stdin", &error))?;
    Ok(sql)
}

/// A point in time, in UTC unless it has a zone.
pub(crate) fn point_in_time(text: &str) -> Result<DateTime<Utc>, String> {
    parse_timestamp(text).ok_or_else(|| "wanted a time such as `2013-02-01T12:00:00Z`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_truths_or_text() {
        for (text, expected) in [
            ("7", ScalarValue::from(7_i64)),
            ("-2.5", ScalarValue::from(-2.5)),
            ("true", ScalarValue::from(true)),
            ("2013-01-01", ScalarValue::from("2013-01-01")),
            ("\"007\"", ScalarValue::from("007")),
            ("it's", ScalarValue::from("it's")),
            ("null", ScalarValue::from("null")),
            ("", ScalarValue::from("")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_utc_unless_they_have_a_zone() {
        for (text, expected) in [
            ("2013-02-01", "2013-02-01T00:00:00+00:00"),
            ("2013-02-01 12:30", "2013-02-01T12:30:00+00:00"),
            ("2013-02-01T12:30:01.5", "2013-02-01T12:30:01.500+00:00"),
            ("2013-02-01T12:30:00+01:00", "2013-02-01T11:30:00+00:00"),
        ] {
            assert_eq!(point_in_time(text).unwrap().to_rfc3339(), expected);
        }
        assert!(point_in_time("yesterday").is_err());
    }
}
