//! How large a statement becomes when each use of a `WITH` is put in its place, as the planner does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Visitor};

use crate::EngineError;
use crate::statement::{visit, written_parts};

/// Relations that a statement reads, at most. Planning more would take the machine for itself.
const MOST_RELATIONS: u64 = 1_000;

/// Refuses a statement that reads too many relations, each use of a `WITH` with all that it reads.
///
/// # Errors
/// [`EngineError::Invalid`] for one that does.
pub(crate) fn check(statement: &DfStatement) -> Result<(), EngineError> {
    if let ControlFlow::Break(name) = visit(statement, &mut Types) {
        return Err(EngineError::Unsupported {
            message: format!("`{name}` with such a type is not supported here"),
            hint: Some("write a type that is not nested, or `CAST`".to_owned()),
        });
    }
    let mut relations = Relations::default();
    let _always_continues = visit(statement, &mut relations);
    if relations.of_statement <= MOST_RELATIONS {
        return Ok(());
    }
    Err(EngineError::invalid(
        format!("the SQL reads more than {MOST_RELATIONS} tables, each use of a `WITH` anew"),
        None,
        "write what is used often into a table first".to_owned(),
    ))
}

/// Finds functions of Arrow whose types, in texts, are nested or of a fixed size: reading them recurses, and their values
/// take as much as the type says.
struct Types;

impl Visitor for Types {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = function.name.to_string().to_ascii_lowercase();
        if !name.contains("arrow_") {
            return ControlFlow::Continue(());
        }
        let text = function.args.to_string().to_ascii_lowercase();
        let opens = text.matches('(').count();
        match opens > MOST_NESTED || text.contains("fixedsize") {
            true => ControlFlow::Break(name),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Parentheses in the arguments of a function of Arrow.
const MOST_NESTED: usize = 45;

#[derive(Default)]
struct Relations {
    /// The queries that are being gone through, the outermost first.
    open: Vec<Open>,
    /// What each name of a `WITH` reads.
    defined: BTreeMap<String, u64>,
    of_statement: u64,
}

/// A query that is being gone through.
struct Open {
    relations: u64,
    /// Queries that it defines, by where they are.
    definitions: Vec<(*const Query, String)>,
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let definitions = tables.map(|table| {
            let name = &table.alias.name;
            let name = match name.quote_style {
                Some(_) => name.value.clone(),
                None => name.value.to_ascii_lowercase(),
            };
            (std::ptr::from_ref(table.query.as_ref()), name)
        });
        self.open.push(Open {
            relations: 0,
            definitions: definitions.collect(),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(ended) = self.open.pop() else {
            return ControlFlow::Continue(());
        };
        let Some(outer) = self.open.last_mut() else {
            self.of_statement = self.of_statement.saturating_add(ended.relations);
            return ControlFlow::Continue(());
        };
        let mut definitions = outer.definitions.iter();
        match definitions.find(|(place, _)| std::ptr::eq(*place, query)) {
            Some((_, name)) => {
                self.defined.insert(name.clone(), ended.relations);
            }
            None => outer.relations = outer.relations.saturating_add(ended.relations),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let parts = written_parts(name).unwrap_or_default();
        let defined = match parts.as_slice() {
            [only] => self.defined.get(only).copied(),
            _ => None,
        };
        let relations = defined.unwrap_or(1).max(1);
        if let Some(open) = self.open.last_mut() {
            open.relations = open.relations.saturating_add(relations);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Statement;
    use crate::fixture::Fixture;

    fn doubled(times: usize) -> String {
        let tables = (0..times).map(|n| match n {
            0 => "T0 AS (SELECT 1 AS x)".to_owned(),
            n => format!("t{n} AS (SELECT * FROM t{0} a, t{0} b)", n - 1),
        });
        let tables: Vec<_> = tables.collect();
        format!(
            "WITH {} SELECT count(*) FROM t{}",
            tables.join(", "),
            times - 1
        )
    }

    #[test]
    fn what_grows_beyond_measure_is_refused() {
        for sql in [
            doubled(20),
            doubled(100),
            format!("SELECT ({})", doubled(60)),
        ] {
            let error = Statement::parse(&sql).unwrap_err();
            assert!(error.to_string().contains("1000 tables"), "{error}");
        }
    }

    #[test]
    fn what_people_write_is_read() {
        let wide = vec!["SELECT * FROM t"; 500].join(" UNION ALL ");
        for sql in [
            doubled(8),
            wide,
            "WITH a AS (WITH b AS (SELECT * FROM t) SELECT * FROM b) SELECT * FROM a, a c"
                .to_owned(),
        ] {
            Statement::parse(&sql).unwrap();
        }
    }

    #[tokio::test]
    async fn types_that_would_take_the_process_with_them_are_refused() {
        let fixture = Fixture::new().await;
        let nested = format!("{}Int8{}", "List(".repeat(60), ")".repeat(60));
        for sql in [
            format!("SELECT arrow_cast(NULL, '{nested}')"),
            format!("EXPLAIN SELECT arrow_cast(NULL, '{nested}')"),
            "SELECT arrow_cast(NULL, 'FixedSizeBinary(2147483647)') FROM range(1, 8000)".to_owned(),
        ] {
            let error = fixture.answer(&sql).await.expect_err(&sql).to_string();
            assert!(error.contains("`arrow_cast` with such a type"), "{error}");
        }
        let cast = "SELECT arrow_typeof(arrow_cast(1, 'List(Int8)')) AS t";
        assert!(fixture.answer(cast).await.unwrap().contains("List(Int8)"));
    }
}
