//! Parameters of a pipeline: typed, bound in SQL (`:name`), put into paths (`${name}`), never pasted into SQL.
//!
//! ```yaml
//! parameters:
//!   delivery: { type: string, default: data/flights-2013-01.zip }
//!   month: { type: integer }                  # no default: it must be given
//!   since: { type: date, default: 2013-01-01 }
//! ```
//!
//! Types: `string`, `integer` (64 bits), `number` (64 bits), `boolean`, `date` (`2013-01-31`), `timestamp` (UTC unless
//! it has a zone: `2013-01-31T12:00:00`). A parameter without a default has to be given to each run.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use datafusion::scalar::ScalarValue;
use lakegate_engine::Parameters;
use lakegate_rules::yaml::{Fields, Problems, Span, nearest_hint};

use crate::EtlError;
use crate::typing::{iso_day, iso_moment};

/// A parameter that a pipeline declares.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParameterKind,
    /// What it is for.
    pub description: Option<String>,
    /// Its value when none is given, as it is written; required when absent.
    pub default: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A number of 64 bits.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day: `2013-01-31`.
    Date,
    /// A point in time, in UTC unless it has a zone: `2013-01-31T12:00:00`.
    Timestamp,
}

const KINDS: &[(&str, ParameterKind)] = &[
    ("string", ParameterKind::String),
    ("integer", ParameterKind::Integer),
    ("number", ParameterKind::Number),
    ("boolean", ParameterKind::Boolean),
    ("date", ParameterKind::Date),
    ("timestamp", ParameterKind::Timestamp),
];

/// Values of all parameters of a run: as they are written, and bound.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    /// As they are written, for paths and records.
    pub(crate) texts: BTreeMap<String, String>,
    /// As SQL takes them.
    pub(crate) bound: Parameters,
}

impl ParameterKind {
    /// The type's name in YAML.
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("string", |(name, _)| *name)
    }

    /// Reads a value; on failure, what a value looks like.
    fn read(self, text: &str) -> Result<ScalarValue, &'static str> {
        match self {
            Self::String => Ok(ScalarValue::from(text)),
            Self::Integer => text
                .parse::<i64>()
                .map(ScalarValue::from)
                .map_err(|_| "a whole number, for example `7`"),
            Self::Number => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(ScalarValue::from(number)),
                _ => Err("a number, for example `0.5`"),
            },
            Self::Boolean => text
                .parse::<bool>()
                .map(ScalarValue::from)
                .map_err(|_| "`true` or `false`"),
            Self::Date => iso_day(text)
                .and_then(days_since_epoch)
                .map(|days| ScalarValue::Date32(Some(days)))
                .ok_or("a day, for example `2013-01-31`"),
            Self::Timestamp => iso_moment(text)
                .map(|time| ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), None))
                .ok_or("a point in time no finer than a microsecond, for example `2013-01-31T12:00:00`"),
        }
    }
}

/// Reads `parameters:` of a pipeline.
pub(crate) fn read(pipeline: &Fields<'_>, problems: &mut Problems) -> Vec<Parameter> {
    let Some(entries) = pipeline.map("parameters", problems) else {
        return Vec::new();
    };
    let mut parameters = Vec::new();
    for entry in entries {
        if !is_parameter_name(&entry.key) {
            let problem = entry.problem(format!("`{}` is not the name of a parameter", entry.key));
            problems.push(problem.with_hint(
                "a name begins with a lower-case letter, then lower-case letters, digits and `_`"
                    .to_owned(),
            ));
        }
        let what = format!("parameter `{}`", entry.key);
        let fields = Fields::new(
            &entry.value,
            what,
            &["type", "default", "description"],
            problems,
        );
        fields.require(&["type"], problems);
        let kind = fields.choice("type", KINDS, problems);
        let default = fields.string("default", problems);
        if let (Some(kind), Some(text), Some(node)) = (kind, &default, fields.get("default"))
            && let Err(wanted) = kind.read(text)
        {
            problems.push(node.problem(format!(
                "`default` of parameter `{}` must be {wanted}, found `{text}`",
                entry.key
            )));
        }
        parameters.push(Parameter {
            name: entry.key.clone(),
            kind: kind.unwrap_or(ParameterKind::String),
            description: fields.string("description", problems),
            default,
            span: entry.key_span,
        });
    }
    parameters
}

/// The values of a run: those that are given, and for the others the defaults.
pub(crate) fn resolve(
    pipeline: &str,
    parameters: &[Parameter],
    given: &BTreeMap<String, String>,
) -> Result<Values, EtlError> {
    let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
        let hint = match known.as_slice() {
            [] => Some(format!("pipeline `{pipeline}` takes no parameters")),
            known => nearest_hint(name, known),
        };
        return Err(EtlError::request(
            format!("pipeline `{pipeline}` has no parameter `{name}`"),
            hint,
        ));
    }
    let mut values = Values::default();
    for parameter in parameters {
        let name = &parameter.name;
        let Some(text) = given.get(name).or(parameter.default.as_ref()) else {
            return Err(EtlError::request(
                format!("parameter `{name}` of pipeline `{pipeline}` has no value"),
                format!("give one with `--param {name}=VALUE`, or a `default` in the pipeline"),
            ));
        };
        let value = parameter.kind.read(text).map_err(|wanted| {
            EtlError::request(
                format!("parameter `{name}` must be {wanted}, found `{text}`"),
                None,
            )
        })?;
        values.texts.insert(name.clone(), text.clone());
        values.bound.insert(name.clone(), value);
    }
    Ok(values)
}

/// Values with the types of the parameters, for planning: the defaults, and where there is none some value.
pub(crate) fn stand_ins(parameters: &[Parameter]) -> Values {
    let mut values = Values::default();
    for parameter in parameters {
        let some_text = match parameter.kind {
            ParameterKind::String => "",
            ParameterKind::Integer | ParameterKind::Number => "1",
            ParameterKind::Boolean => "true",
            ParameterKind::Date | ParameterKind::Timestamp => "2000-01-01",
        };
        let text = parameter.default.as_deref().unwrap_or(some_text);
        let value = parameter
            .kind
            .read(text)
            .or_else(|_| parameter.kind.read(some_text));
        if let Ok(value) = value {
            values.bound.insert(parameter.name.clone(), value);
        }
        if let Some(default) = &parameter.default {
            values.texts.insert(parameter.name.clone(), default.clone());
        }
    }
    values
}

fn is_parameter_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn days_since_epoch(day: NaiveDate) -> Option<i32> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(day.signed_duration_since(epoch).num_days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakegate_rules::yaml;

    const DECLARED: &str = "parameters:\n  path: { type: string, default: a.csv }\n  month: { type: integer }\n  since: { type: date, default: 2013-01-01 }";

    fn declared(text: &str) -> (Vec<Parameter>, Problems) {
        let node = yaml::parse("p.yaml", text).unwrap();
        let mut problems = Problems::default();
        let fields = Fields::new(&node, "the pipeline", &["parameters"], &mut problems);
        (read(&fields, &mut problems), problems)
    }

    fn values(given: &[(&str, &str)]) -> Result<Values, EtlError> {
        let given = given
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        resolve("p", &declared(DECLARED).0, &given.collect())
    }

    #[test]
    fn given_values_go_before_defaults() {
        let values = values(&[("month", "2"), ("path", "b.csv")]).unwrap();
        assert_eq!(values.bound["month"], ScalarValue::from(2_i64));
        assert_eq!(values.bound["since"], ScalarValue::Date32(Some(15706)));
        assert_eq!(values.texts["path"], "b.csv");
    }

    #[test]
    fn missing_unknown_and_mistyped_values_are_refused() {
        for (given, wanted) in [
            (&[][..], "parameter `month` of pipeline `p` has no value"),
            (
                &[("month", "2"), ("mont", "3")],
                "pipeline `p` has no parameter `mont`",
            ),
            (
                &[("month", "two")],
                "parameter `month` must be a whole number, for example `7`, found `two`",
            ),
            (
                &[("month", "2"), ("since", "2013-02-30")],
                "parameter `since` must be a day",
            ),
            (
                &[("month", "2"), ("since", "13-2-3")],
                "parameter `since` must be a day",
            ),
        ] {
            let error = values(given).unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn time_is_taken_whole_or_not_at_all() {
        let read = |text| ParameterKind::Timestamp.read(text).is_ok();
        assert!(read("2013-01-31T12:00:00.123456") && read("2013-01-31"));
        assert!(!read("2013-01-31T12:00:00.1234567") && !read("2013-1-31T12:00:00"));
    }

    #[test]
    fn declarations_are_checked() {
        let (_, problems) =
            declared("parameters:\n  A: { type: text }\n  b: { type: date, default: x, extra: 1 }");
        assert_eq!(problems.len(), 4, "{problems}");
    }
}
