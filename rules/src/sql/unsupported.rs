//! SQL that is refused by name: the parser reads it, and DataFusion's planner drops it without a word or gives it
//! another meaning than the standard does.
//!
//! Everything is taken apart field by field, so that what another version of the parser adds has to be looked at.
//!
//! Source: datafusion-sql 55.2, `query.rs`, `select.rs`, `relation/mod.rs` and `set_expr.rs`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, GroupByExpr, Query, Select, SelectFlavor, SetExpr,
    SetOperator, SetQuantifier, Spanned, TableAlias, TableFactor, TableFunctionArgs,
    TableWithJoins, Visit, Visitor,
};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Location;

/// Refuses what is not supported, with its place.
pub(super) fn refuse(sql: &impl Visit) -> Result<(), ParserError> {
    match sql.visit(&mut Refuse) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Refuse;

impl Visitor for Refuse {
    type Break = ParserError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<ParserError> {
        flow(of_query(query), || query.span().start)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<ParserError> {
        flow(of_select(select), || select.select_token.0.span.start)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<ParserError> {
        flow(of_table_factor(factor), || factor.span().start)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ParserError> {
        flow(of_expr(expr), || expr.span().start)
    }
}

fn flow(refused: Option<&str>, place: impl Fn() -> Location) -> ControlFlow<ParserError> {
    match refused {
        None => ControlFlow::Continue(()),
        // The place is written as the parser writes its own.
        Some(what) => ControlFlow::Break(ParserError::ParserError(format!(
            "{what} is not supported{}",
            place()
        ))),
    }
}

fn of_query(query: &Query) -> Option<&'static str> {
    let Query {
        with: _,
        body,
        order_by: _,
        limit_clause: _,
        fetch: _,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators: _,
    } = query;
    let clauses = [
        (!locks.is_empty(), "`FOR UPDATE` or `FOR SHARE`"),
        (for_clause.is_some(), "`FOR JSON` or `FOR XML`"),
        (settings.is_some(), "`SETTINGS`"),
        (format_clause.is_some(), "`FORMAT`"),
    ];
    first(&clauses).or_else(|| of_set_operations(body))
}

/// DataFusion joins the sides of `INTERSECT ALL` and `EXCEPT ALL`, and so counts a row too often or too seldom.
fn of_set_operations(body: &SetExpr) -> Option<&'static str> {
    let mut bodies = vec![body];
    while let Some(body) = bodies.pop() {
        let SetExpr::SetOperation {
            op,
            set_quantifier,
            left,
            right,
        } = body
        else {
            continue;
        };
        let is_all = matches!(
            set_quantifier,
            SetQuantifier::All | SetQuantifier::AllByName
        );
        match op {
            SetOperator::Intersect if is_all => return Some("`INTERSECT ALL`"),
            SetOperator::Except | SetOperator::Minus if is_all => return Some("`EXCEPT ALL`"),
            _ => bodies.extend([left.as_ref(), right.as_ref()]),
        }
    }
    None
}

fn of_select(select: &Select) -> Option<&'static str> {
    let Select {
        select_token: _,
        // Hints do not change what a query means.
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top: _,
        top_before_distinct: _,
        projection,
        exclude,
        into: _,
        from,
        lateral_views: _,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by: _,
        distribute_by: _,
        sort_by: _,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let modifiers = match group_by {
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
    };
    let has_no_columns = projection.is_empty() || *flavor == SelectFlavor::FromFirstNoSelect;
    first(&[
        (
            has_no_columns,
            "a query without columns (write `SELECT *` for all of them)",
        ),
        (
            select_modifiers.is_some(),
            "a word of MySQL between `SELECT` and the columns",
        ),
        (
            exclude.is_some(),
            "`EXCLUDE` behind all columns (write it behind the `*`)",
        ),
        (prewhere.is_some(), "`PREWHERE` (write `WHERE`)"),
        (
            !connect_by.is_empty(),
            "`CONNECT BY` (write `WITH RECURSIVE`)",
        ),
        (
            !modifiers.is_empty(),
            "a `WITH` or `GROUPING SETS` behind the columns of `GROUP BY` (write `GROUP BY ROLLUP (...)`, `CUBE (...)` or `GROUPING SETS (...)`)",
        ),
        (
            value_table_mode.is_some(),
            "`SELECT AS STRUCT` or `SELECT AS VALUE`",
        ),
        (from.iter().any(has_global_join), "`GLOBAL JOIN`"),
    ])
}

fn has_global_join(tables: &TableWithJoins) -> bool {
    tables.joins.iter().any(|join| join.global)
}

fn of_table_factor(factor: &TableFactor) -> Option<&'static str> {
    match factor {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => first(&[
            (version.is_some(), "this way of asking for a version"),
            (sample.is_some(), "`TABLESAMPLE`"),
            (
                !with_hints.is_empty() || !index_hints.is_empty(),
                "a hint for a table",
            ),
            (!partitions.is_empty(), "`PARTITION`"),
            (json_path.is_some(), "a path behind a table's name"),
            (*with_ordinality, "`WITH ORDINALITY`"),
            (has_settings(args.as_ref()), "`SETTINGS`"),
            (has_at(alias.as_ref()), "`AT` behind a table's alias"),
        ]),
        TableFactor::Derived {
            lateral: _,
            subquery: _,
            alias,
            sample,
        } => first(&[
            (sample.is_some(), "`TABLESAMPLE`"),
            (has_at(alias.as_ref()), "`AT` behind a table's alias"),
        ]),
        TableFactor::Function {
            lateral: _,
            name: _,
            args: _,
            with_ordinality,
            alias: _,
        } => with_ordinality.then_some("`WITH ORDINALITY`"),
        TableFactor::UNNEST {
            alias: _,
            array_exprs: _,
            with_offset,
            with_offset_alias: _,
            with_ordinality,
        } => first(&[
            (*with_ordinality, "`WITH ORDINALITY`"),
            (*with_offset, "`WITH OFFSET`"),
        ]),
        TableFactor::NestedJoin {
            table_with_joins,
            alias: _,
        } => has_global_join(table_with_joins).then_some("`GLOBAL JOIN`"),
        TableFactor::TableFunction { expr: _, alias: _ } => Some("`TABLE(...)`"),
        TableFactor::JsonTable { .. } => Some("`JSON_TABLE`"),
        TableFactor::OpenJsonTable { .. } => Some("`OPENJSON`"),
        TableFactor::Pivot { .. } => {
            Some("`PIVOT` (write `sum(...) FILTER (WHERE ...)` for each column)")
        }
        TableFactor::Unpivot { .. } => Some("`UNPIVOT` (write a `UNION ALL`)"),
        TableFactor::MatchRecognize { .. } => Some("`MATCH_RECOGNIZE`"),
        TableFactor::XmlTable { .. } => Some("`XMLTABLE`"),
        TableFactor::SemanticView { .. } => Some("`SEMANTIC_VIEW`"),
    }
}

fn has_settings(arguments: Option<&TableFunctionArgs>) -> bool {
    arguments.is_some_and(|arguments| arguments.settings.is_some())
}

fn has_at(alias: Option<&TableAlias>) -> bool {
    alias.is_some_and(|alias| alias.at.is_some())
}

fn of_expr(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Function(function) if function.parameters != FunctionArguments::None => {
            Some("a function with two lists of arguments")
        }
        // DataFusion takes the pattern for a regular expression that may match anywhere.
        Expr::SimilarTo { .. } => {
            Some("`SIMILAR TO` (write `LIKE`, or `regexp_like(text, '^...$')`)")
        }
        Expr::Collate { .. } => Some("`COLLATE`"),
        Expr::BinaryOp { left, op, right } => {
            let this = bitwise(op)?;
            let is_mixed = [left, right].into_iter().any(|side| match side.as_ref() {
                Expr::BinaryOp { op, .. } => bitwise(op).is_some_and(|other| other != this),
                _ => false,
            });
            // Engines disagree about which of them binds first.
            is_mixed.then_some(
                "a mix of the operators `&`, `|`, `^`, `<<` and `>>` without parentheses",
            )
        }
        _ => None,
    }
}

/// A number for each kind of bitwise operator.
fn bitwise(operator: &BinaryOperator) -> Option<u8> {
    match operator {
        BinaryOperator::BitwiseAnd => Some(0),
        BinaryOperator::BitwiseOr => Some(1),
        BinaryOperator::BitwiseXor => Some(2),
        BinaryOperator::PGBitwiseShiftLeft | BinaryOperator::PGBitwiseShiftRight => Some(3),
        _ => None,
    }
}

fn first(clauses: &[(bool, &'static str)]) -> Option<&'static str> {
    let mut written = clauses.iter().filter(|(is_written, _)| *is_written);
    written.next().map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use crate::sql::{parse_expression, parse_statements, tokenize};

    fn refused(sql: &str) -> String {
        let parsed = parse_statements(tokenize(sql).unwrap());
        parsed.expect_err(sql).to_string()
    }

    #[test]
    fn what_the_planner_would_drop_is_refused_by_name() {
        for (sql, name) in [
            ("SELECT a FROM t PREWHERE b", "`PREWHERE`"),
            ("SELECT a FROM t GROUP BY a WITH ROLLUP", "`GROUP BY`"),
            ("SELECT a FROM t GROUP BY ALL WITH TOTALS", "`GROUP BY`"),
            (
                "SELECT a FROM t GROUP BY a, b GROUPING SETS ((a), ())",
                "`GROUP BY`",
            ),
            (
                "SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b",
                "`CONNECT BY`",
            ),
            (
                "SELECT * FROM (SELECT 1) TABLESAMPLE (10 PERCENT)",
                "`TABLESAMPLE`",
            ),
            ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "`TABLESAMPLE`"),
            ("FROM t", "without columns"),
            ("SELECT FROM t", "without columns"),
            ("SELECT max(7)(a) FROM t", "two lists of arguments"),
            ("SELECT a FROM t FORMAT JSON", "`FORMAT`"),
            ("SELECT a FROM t SETTINGS max_threads = 1", "`SETTINGS`"),
            ("SELECT a FROM t FOR JSON AUTO", "`FOR JSON`"),
            ("SELECT a FROM t FOR UPDATE", "`FOR UPDATE`"),
            (
                "SELECT * FROM t, LATERAL generate_series(1, 3) WITH ORDINALITY",
                "`WITH ORDINALITY`",
            ),
            ("SELECT * FROM a GLOBAL JOIN b ON true", "`GLOBAL JOIN`"),
            ("SELECT * FROM t PIVOT(sum(a) FOR b IN ('x'))", "`PIVOT`"),
        ] {
            let message = refused(sql);
            assert!(
                message.contains(name) && message.contains("not supported"),
                "{sql}: {message}"
            );
        }
    }

    #[test]
    fn what_would_mean_something_else_is_refused_by_name() {
        for (sql, name) in [
            ("SELECT 1 INTERSECT ALL SELECT 1", "`INTERSECT ALL`"),
            (
                "SELECT 1 UNION (SELECT 2 EXCEPT ALL SELECT 1)",
                "`EXCEPT ALL`",
            ),
            ("SELECT a SIMILAR TO 'b%' FROM t", "`SIMILAR TO`"),
            ("SELECT a FROM t WHERE b COLLATE c = 'd'", "`COLLATE`"),
            ("SELECT 1 << 2 & 3", "without parentheses"),
            ("SELECT 1 | 2 & 3", "without parentheses"),
        ] {
            let message = refused(sql);
            assert!(message.contains(name), "{sql}: {message}");
        }
        let condition = parse_expression(tokenize("a = 1 AND b SIMILAR TO 'c'").unwrap());
        assert!(condition.is_err());
    }

    #[test]
    fn refusal_has_a_place() {
        let message = refused("SELECT a\nFROM t TABLESAMPLE (10 PERCENT)");
        assert!(message.contains("at Line: 2, Column: 6"), "{message}");
    }

    #[test]
    fn ordinary_queries_pass() {
        for sql in [
            "WITH x AS (SELECT a, count(*) FROM t GROUP BY ROLLUP (a)) SELECT * FROM x LIMIT 3",
            "SELECT a, sum(b) FILTER (WHERE c) OVER (PARTITION BY d) FROM t QUALIFY a > 1",
            "SELECT * EXCLUDE (a) FROM t JOIN u USING (b) UNION ALL SELECT 1",
            "SELECT a FROM t INTERSECT SELECT b FROM u EXCEPT SELECT c FROM v",
            "SELECT 1 << 2 >> 1, (1 | 2) & 3, a LIKE 'b' FROM t CROSS JOIN unnest([1, 2])",
            "FROM t SELECT a",
            "EXPLAIN SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
        ] {
            let parsed = parse_statements(tokenize(sql).unwrap());
            assert!(parsed.is_ok(), "{sql}: {parsed:?}");
        }
    }
}
