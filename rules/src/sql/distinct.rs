//! `IS [NOT] DISTINCT FROM` with the precedence that the standard gives it.
//!
//! The parser reads its right side as far as it goes: `a IS DISTINCT FROM b OR c` becomes `a IS DISTINCT FROM (b OR c)`,
//! and rows are lost or won without a word. So the words are taken out of the tokens before parsing: an operator of
//! PostgreSQL's form stands in for them, with its right side in parentheses, and the parsed expressions get the words
//! back. They stand in parentheses then, so that an expression that is printed and read again means the same.
//!
//! Source: sqlparser 0.62, `Parser::parse_infix` and `Dialect::get_next_precedence_default`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::{Dialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::DIALECT;

/// What the operators that stand in are called.
const DISTINCT: &str = "lakegate_is_distinct_from";
const NOT_DISTINCT: &str = "lakegate_is_not_distinct_from";

/// Puts operators in the place of `IS [NOT] DISTINCT FROM`, the last one first.
pub(super) fn take_out(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParserError> {
    // What follows the token that is looked at, backwards: the next one is the last.
    let mut following: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens.into_iter().rev() {
        if is_keyword(&token, Keyword::IS)
            && let Some((name, start)) = right_side(&following)
        {
            let end = start - operand_length(&following[..start])?;
            let at_is = |part| TokenWithSpan::new(part, token.span);
            following.truncate(start);
            following.insert(end, at_is(Token::RParen));
            following.extend(
                [
                    Token::LParen,
                    Token::RParen,
                    Token::make_word(name, None),
                    Token::LParen,
                    Token::make_word("OPERATOR", None),
                ]
                .map(at_is),
            );
        } else {
            following.push(token);
        }
    }
    following.reverse();
    Ok(following)
}

/// Puts `IS [NOT] DISTINCT FROM` back in the place of the operators.
pub(super) fn put_back(parsed: &mut impl VisitMut) {
    let _always_continues = parsed.visit(&mut PutBack);
}

struct PutBack;

impl VisitorMut for PutBack {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        lift_out_of_pattern(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { left, op, right } = expr
            && let Some(is_distinct) = stands_in(op)
        {
            let (left, right) = (Box::new(taken(left)), Box::new(taken(right)));
            *expr = Expr::Nested(Box::new(match is_distinct {
                true => Expr::IsDistinctFrom(left, right),
                false => Expr::IsNotDistinctFrom(left, right),
            }));
        }
        ControlFlow::Continue(())
    }
}

/// `LIKE` binds less than the operator that stands in, but more than `IS DISTINCT FROM`: what the parser takes for
/// `a LIKE (b IS DISTINCT FROM c)` is `(a LIKE b) IS DISTINCT FROM c`.
fn lift_out_of_pattern(expr: &mut Expr) {
    let (Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } | Expr::RLike { pattern, .. }) =
        expr
    else {
        return;
    };
    let Expr::BinaryOp { left, op, right } = pattern.as_mut() else {
        return;
    };
    if stands_in(op).is_none() {
        return;
    }
    let (left, op, right) = (taken(left), op.clone(), Box::new(taken(right)));
    **pattern = left;
    let left = Box::new(taken(expr));
    *expr = Expr::BinaryOp { left, op, right };
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()))
}

/// Whether an operator stands in for `IS DISTINCT FROM`, or for `IS NOT DISTINCT FROM`.
fn stands_in(operator: &BinaryOperator) -> Option<bool> {
    let BinaryOperator::PGCustomBinaryOperator(names) = operator else {
        return None;
    };
    match names.as_slice() {
        [name] if name == DISTINCT => Some(true),
        [name] if name == NOT_DISTINCT => Some(false),
        _ => None,
    }
}

/// What stands in when `[NOT] DISTINCT FROM` follows an `IS`, and how many of the tokens, backwards, come after that.
fn right_side(following: &[TokenWithSpan]) -> Option<(&'static str, usize)> {
    let mut words = (0..following.len())
        .rev()
        .filter(|index| !matches!(following[*index].token, Token::Whitespace(_)));
    let mut next = words.next()?;
    let mut name = DISTINCT;
    if is_keyword(&following[next], Keyword::NOT) {
        next = words.next()?;
        name = NOT_DISTINCT;
    }
    let from = words.next()?;
    let is_distinct_from = is_keyword(&following[next], Keyword::DISTINCT)
        && is_keyword(&following[from], Keyword::FROM);
    is_distinct_from.then_some((name, from))
}

/// How many tokens the operand has that stands first in these, which are backwards.
fn operand_length(following: &[TokenWithSpan]) -> Result<usize, ParserError> {
    let most = most_of_operand(following);
    let tokens = following[following.len() - most..].iter().rev();
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens.cloned().collect());
    parser.parse_subexpr(DIALECT.prec_value(Precedence::Is))?;
    Ok(most.min(parser.get_current_index() + 1))
}

/// How many tokens an operand can have at most: it ends before the `AND`, `OR`, comma or bracket that is not its own.
/// This spares reading all of a long text for each operand.
fn most_of_operand(following: &[TokenWithSpan]) -> usize {
    let mut open: Vec<Bracket> = Vec::new();
    let mut betweens = 0_usize;
    for (count, token) in following.iter().rev().enumerate() {
        let is_outside = open.is_empty();
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(Bracket::Sign),
            Token::RParen | Token::RBracket | Token::RBrace => {
                // A `CASE` that the bracket closes too is no expression.
                while open.pop_if(|bracket| *bracket == Bracket::Case).is_some() {}
                if open.pop().is_none() {
                    return count;
                }
            }
            Token::Comma | Token::SemiColon if is_outside => return count,
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::CASE => open.push(Bracket::Case),
                Keyword::END => {
                    let _closes_a_case = open.pop_if(|bracket| *bracket == Bracket::Case);
                }
                Keyword::BETWEEN if is_outside => betweens += 1,
                Keyword::AND if is_outside && betweens > 0 => betweens -= 1,
                Keyword::AND | Keyword::OR if is_outside => return count,
                _ => {}
            },
            _ => {}
        }
    }
    following.len()
}

#[derive(Debug, PartialEq, Eq)]
enum Bracket {
    Sign,
    Case,
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

#[cfg(test)]
mod tests {
    use crate::sql::{parse_expression, parse_statements, tokenize};

    fn parsed(sql: &str) -> String {
        let expression = parse_expression(tokenize(sql).unwrap());
        expression.expect(sql).to_string()
    }

    /// The words bind as the parentheses say.
    #[test]
    fn words_bind_as_the_standard_says() {
        for (sql, expected) in [
            ("a IS DISTINCT FROM b OR c", "(a IS DISTINCT FROM (b)) OR c"),
            (
                "x AND a is not distinct from b AND c",
                "x AND (a IS NOT DISTINCT FROM (b)) AND c",
            ),
            (
                "a = b IS DISTINCT FROM c = d",
                "(a = b IS DISTINCT FROM (c = d))",
            ),
            (
                "a LIKE b IS DISTINCT FROM c LIKE d",
                "(a LIKE b IS DISTINCT FROM (c LIKE d))",
            ),
            (
                "a LIKE (b IS DISTINCT FROM c)",
                "a LIKE ((b IS DISTINCT FROM (c)))",
            ),
            (
                "NOT a + 1 * 2 IS DISTINCT FROM b OR NOT c IS DISTINCT FROM -d",
                "NOT (a + 1 * 2 IS DISTINCT FROM (b)) OR NOT (c IS DISTINCT FROM (-d))",
            ),
            (
                "a IS NULL IS DISTINCT FROM NOT b IS DISTINCT FROM c OR d",
                "(a IS NULL IS DISTINCT FROM (NOT (b IS DISTINCT FROM (c)))) OR d",
            ),
            (
                "a BETWEEN 1 AND 2 IS DISTINCT FROM b BETWEEN 1 AND 2 AND c",
                "(a BETWEEN 1 AND 2 IS DISTINCT FROM (b BETWEEN 1 AND 2)) AND c",
            ),
            (
                "a IS DISTINCT FROM f(b, c OR d) -- why\n AND e",
                "(a IS DISTINCT FROM (f(b, c OR d))) AND e",
            ),
            (
                "a IS DISTINCT FROM CASE WHEN b IS DISTINCT FROM c OR d THEN 1 ELSE 2 END OR e",
                "(a IS DISTINCT FROM (CASE WHEN (b IS DISTINCT FROM (c)) OR d THEN 1 ELSE 2 END)) OR e",
            ),
            (
                "a IS DISTINCT FROM (b OR c)",
                "(a IS DISTINCT FROM ((b OR c)))",
            ),
            (
                "a IS DISTINCT FROM 'IS DISTINCT FROM' OR \"is\" = 1",
                "(a IS DISTINCT FROM ('IS DISTINCT FROM')) OR \"is\" = 1",
            ),
            (
                "a IS DISTINCT FROM (SELECT max(b) FROM c WHERE d IS DISTINCT FROM e OR f) OR g",
                "(a IS DISTINCT FROM ((SELECT max(b) FROM c WHERE (d IS DISTINCT FROM (e)) OR f))) OR g",
            ),
            (
                "a IS DISTINCT FROM end OR b",
                "(a IS DISTINCT FROM (end)) OR b",
            ),
        ] {
            assert_eq!(parsed(sql), expected);
        }
    }

    #[test]
    fn words_are_put_back_everywhere_in_a_statement() {
        let sql = "SELECT a IS DISTINCT FROM b FROM t JOIN u ON a IS DISTINCT FROM b OR c WHERE d IS DISTINCT FROM e OR f";
        let statements = parse_statements(tokenize(sql).unwrap()).unwrap();
        assert_eq!(
            statements[0].to_string(),
            "SELECT (a IS DISTINCT FROM (b)) FROM t JOIN u ON (a IS DISTINCT FROM (b)) OR c WHERE (d IS DISTINCT FROM (e)) OR f"
        );
    }

    #[test]
    fn long_right_side_is_read_whole() {
        let numbers: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let list = numbers.join(", ");
        let sum = numbers.join(" + ");
        for operand in [
            format!("f({list})"),
            format!("CASE WHEN b IN ({list}) AND c THEN 1 ELSE 2 END"),
            format!("CAST({sum} AS BIGINT)"),
            format!("SUBSTRING(b FROM {sum} FOR 1)"),
            format!("TRIM(BOTH 'x' FROM b || {sum})"),
            format!("(SELECT CASE WHEN b OR c THEN {sum} END FROM d)"),
            format!("b BETWEEN {sum} AND {sum}"),
        ] {
            let sql = format!("a IS DISTINCT FROM {operand} OR e");
            let expected = format!("(a IS DISTINCT FROM ({operand})) OR e");
            assert_eq!(parsed(&sql), expected);
        }
    }

    #[test]
    fn right_side_that_does_not_parse_is_an_error() {
        for sql in [
            "a IS DISTINCT FROM",
            "a IS DISTINCT FROM )",
            "a IS DISTINCT FROM OR b",
        ] {
            assert!(parse_expression(tokenize(sql).unwrap()).is_err(), "{sql}");
        }
    }
}
