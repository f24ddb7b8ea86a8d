//! SQL conditions, made of others.

/// The condition of a merge. A null equals nothing.
pub(super) fn equal_keys(key: &[String]) -> String {
    let pairs = key.iter();
    all_of(pairs.map(|column| format!("target.{0} = source.{0}", quoted(column))))
}

/// A name in SQL that means exactly this column.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The condition that all of these hold; true when there are none.
pub(super) fn all_of(conditions: impl Iterator<Item = String>) -> String {
    joined(conditions, " AND ", "true")
}

/// The condition that one of these holds; false when there are none.
pub(super) fn any_of(conditions: impl Iterator<Item = String>) -> String {
    joined(conditions, " OR ", "false")
}

/// Each condition and the whole stand in parentheses: the SQL parser reads `a IS DISTINCT FROM b OR c` as
/// `a IS DISTINCT FROM (b OR c)`.
fn joined(conditions: impl Iterator<Item = String>, with: &str, when_none: &str) -> String {
    let conditions: Vec<String> = conditions
        .map(|condition| format!("({condition})"))
        .collect();
    match conditions.is_empty() {
        true => when_none.to_owned(),
        false => format!("({})", conditions.join(with)),
    }
}
