//! Zones of times.

use std::fmt;
use std::str::FromStr;

use datafusion::arrow::array::timezone::Tz;
use serde::{Deserialize, Serialize};

/// The zone of times: a name such as `Europe/Lisbon`, or an offset such as `+02:00`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(String);

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Tz>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(format!(
                "`{text}` is no time zone: write a name such as `Europe/Lisbon`, or an offset such as `+02:00`"
            )),
        }
    }
}

impl TryFrom<String> for TimeZone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.0
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
