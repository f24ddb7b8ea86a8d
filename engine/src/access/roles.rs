//! Roles: `roles.yaml`.
//!
//! ```yaml
//! version: 1
//! roles:
//!   analyst: { read: [silver.*, gold.orders] }
//!   loader: { read: ["*"], write: [bronze.*], manage: [scratch.*] }
//! ```
//!
//! A right includes those before it: `read`, `write`, `manage`. The roles `reader` (reads everything) and `admin` (manages
//! everything) are there without being written.

use std::collections::BTreeMap;

use lakegate_rules::yaml::{self, Fields, Node, Problem, Problems};

use super::{Right, TablePattern};

/// What each role grants, by its name.
pub(super) type Roles = BTreeMap<String, Vec<(Right, TablePattern)>>;

const BUILT_IN: [(&str, Right); 2] = [("reader", Right::Read), ("admin", Right::Manage)];

/// The roles that are there without a file.
pub(super) fn built_in() -> Roles {
    let roles = BUILT_IN.iter();
    let roles = roles.map(|(name, right)| ((*name).to_owned(), vec![(*right, TablePattern::All)]));
    roles.collect()
}

/// The roles of a file, and those that are there without it.
///
/// # Errors
/// Everything that is wrong with the file.
pub(super) fn read(file: &str, text: &str) -> Result<Roles, Problems> {
    let node = yaml::parse(file, text)?;
    let mut problems = Problems::default();
    let known = ["version", "roles"];
    let fields = Fields::new(&node, "the file", &known, &mut problems);
    fields.require(&known, &mut problems);
    if let Some(version) = fields.get("version") {
        let number = version.integer("`version`", &mut problems);
        if number.is_some_and(|number| number != 1) {
            version.wanted("`version`", "1", None, &mut problems);
        }
    }
    let mut roles = built_in();
    for entry in fields.map("roles", &mut problems).unwrap_or_default() {
        let granted = role(&entry.key, &entry.value, &mut problems);
        if roles.insert(entry.key.clone(), granted).is_some() {
            let message = format!("role `{}` is there without being written", entry.key);
            let problem = Problem::new(file, entry.key_span, message);
            problems.push(problem.with_hint("choose another name".to_owned()));
        }
    }
    problems.into_result(roles)
}

fn role(name: &str, node: &Node, problems: &mut Problems) -> Vec<(Right, TablePattern)> {
    let known = Right::ALL.map(Right::as_str);
    let fields = Fields::new(node, format!("role `{name}`"), &known, problems);
    let mut granted = Vec::new();
    for right in Right::ALL {
        let Some(tables) = fields.get(right.as_str()) else {
            continue;
        };
        let what = format!("`{right}`");
        for text in tables
            .one_or_more_strings(&what, problems)
            .unwrap_or_default()
        {
            match text.parse() {
                Ok(pattern) => granted.push((right, pattern)),
                Err(message) => problems.push(tables.problem(message)),
            }
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_beside_those_that_are_always_there() {
        let text = "version: 1\nroles:\n  analyst: { read: [silver.*], write: silver.notes }\n";
        let roles = read("roles.yaml", text).unwrap();
        let names: Vec<_> = roles.keys().map(String::as_str).collect();
        assert_eq!(names, ["admin", "analyst", "reader"]);
        let granted = &roles["analyst"];
        assert_eq!(granted[0], (Right::Read, "silver.*".parse().unwrap()));
        assert_eq!(granted[1], (Right::Write, "silver.notes".parse().unwrap()));
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        for (text, wanted) in [
            ("roles: {}", "`version`"),
            ("version: 2\nroles: {}", "must be 1"),
            (
                "version: 1\nroles:\n  a: { raed: ['*'] }",
                "unknown key `raed`",
            ),
            (
                "version: 1\nroles:\n  a: { read: [orders] }",
                "roles.yaml:3:14: `orders` names no tables",
            ),
            ("version: 1\nroles:\n  admin: {}", "role `admin` is there"),
            ("version: 1\nroles: [a]", "must be a map"),
        ] {
            let problems = read("roles.yaml", text).unwrap_err().to_string();
            assert!(problems.contains(wanted), "{text}: {problems}");
        }
    }
}
