//! A damaged delivery, made from a real one, the same each time.

use std::io::{Cursor, Read};

use lakegate_rules::thousands;

use crate::error::CliError;

/// Every so many rows one is damaged; which one of them says the offset.
const EVERY: usize = 500;
const REPEATED: usize = 0;
const WITHOUT_CARRIER: usize = 100;
const WITHOUT_DISTANCE: [usize; 2] = [50, 300];

/// What was done to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    rows: u64,
    repeated: u64,
    blanked_carriers: u64,
    impossible_distances: u64,
}

impl Damage {
    pub(super) fn to_text(self, file: &str) -> String {
        format!(
            "{file} has {} rows: {} are there twice, {} have no carrier, {} have a distance of -1 miles.",
            thousands(self.rows),
            thousands(self.repeated),
            thousands(self.blanked_carriers),
            thousands(self.impossible_distances)
        )
    }
}

/// The damaged CSV of a delivered zip.
pub(super) fn damaged(zip: &[u8]) -> Result<(Vec<u8>, Damage), CliError> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        CliError::bug(&format!(
            "the delivery inside the binary cannot be read: {error}"
        ))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).map_err(|e| unreadable(&e))?;
    let mut member = archive.by_index(0).map_err(|e| unreadable(&e))?;
    let mut text = Vec::new();
    member.read_to_end(&mut text).map_err(|e| unreadable(&e))?;
    damage(&text).map_err(|e| unreadable(&e))
}

fn damage(text: &[u8]) -> Result<(Vec<u8>, Damage), csv::Error> {
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers()?.clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    let (carrier, distance) = (column("carrier"), column("distance"));
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(text.len() + text.len() / 100));
    writer.write_record(&header)?;
    let mut damage = Damage {
        rows: 0,
        repeated: 0,
        blanked_carriers: 0,
        impossible_distances: 0,
    };
    for (number, record) in reader.records().enumerate() {
        let mut fields: Vec<String> = record?.iter().map(str::to_owned).collect();
        let offset = number % EVERY;
        if offset == WITHOUT_CARRIER {
            damage.blanked_carriers += replace(&mut fields, carrier, "");
        }
        if WITHOUT_DISTANCE.contains(&offset) {
            damage.impossible_distances += replace(&mut fields, distance, "-1");
        }
        let times = if offset == REPEATED { 2 } else { 1 };
        damage.repeated += times - 1;
        damage.rows += times;
        for _ in 0..times {
            writer.write_record(&fields)?;
        }
    }
    let csv = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok((csv, damage))
}

/// Puts a text into a column. Returns how many fields changed.
fn replace(fields: &mut [String], column: Option<usize>, text: &str) -> u64 {
    match column.and_then(|column| fields.get_mut(column)) {
        Some(field) => {
            text.clone_into(field);
            1
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::FLIGHTS;

    #[test]
    fn damage_is_the_same_each_time() {
        let zip = FLIGHTS.file(super::super::FEBRUARY).unwrap();
        let (csv, damage) = damaged(zip).unwrap();
        let expected = Damage {
            rows: 24_951 + 50,
            repeated: 50,
            blanked_carriers: 50,
            impossible_distances: 100,
        };
        assert_eq!(damage, expected);
        assert_eq!(damaged(zip).unwrap().0, csv);
        let text = String::from_utf8(csv).unwrap();
        assert_eq!(text.lines().count(), 25_002);
        let distances = text
            .lines()
            .filter(|line| line.split(',').nth(15) == Some("-1"));
        assert_eq!(distances.count(), 100);
        let carriers = text
            .lines()
            .filter(|line| line.split(',').nth(9) == Some(""));
        assert_eq!(carriers.count(), 50);
    }
}
