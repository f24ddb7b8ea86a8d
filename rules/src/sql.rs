//! SQL text, read so that it means what the standard says, or refused by name.
//!
//! The parser reads the right side of `IS [NOT] DISTINCT FROM` as far as it goes: `a IS DISTINCT FROM b OR c` becomes
//! `a IS DISTINCT FROM (b OR c)`, and rows are lost or won without a word. Here the right side gets parentheses before
//! the text is parsed, and what the planner would drop is refused afterwards. This is the only place that makes a
//! parser (a lint forbids the others).
//!
//! Source: sqlparser 0.62, `Parser::parse_infix`.

mod unsupported;

use std::collections::VecDeque;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{
    Location, Token, TokenWithSpan, Tokenizer, TokenizerError,
};

/// The dialect of SQL in rule files, pipelines and queries.
const DIALECT: GenericDialect = GenericDialect {};

/// Reads SQL into tokens with their places.
///
/// # Errors
/// When the text holds what is no token, such as a string without its end, and what the parser would take for
/// something else than it looks like. The error has the place.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location()?;
    refuse_cut_numbers(&tokens)?;
    refuse_comments_that_run(sql, &tokens)?;
    Ok(tokens)
}

/// Parses statements.
///
/// # Errors
/// When the tokens are no statements, or hold what is not supported. The message has the place.
pub fn parse_statements(
    tokens: Vec<TokenWithSpan>,
) -> Result<VecDeque<Statement>, DataFusionError> {
    let statements = parser(tokens)?.parse_statements()?;
    for statement in &statements {
        refuse_unsupported(statement)?;
    }
    Ok(statements)
}

/// Parses one expression.
///
/// # Errors
/// When the tokens are no expression, or hold what is not supported. The message has the place.
pub fn parse_expression(tokens: Vec<TokenWithSpan>) -> Result<Expr, DataFusionError> {
    let parsed = parser(tokens)?.parse_into_expr()?;
    if let Some(name) = parsed.alias {
        return Err(sql_error(ParserError::ParserError(format!(
            "a name (`AS {name}`) is not supported in an expression{}",
            name.span.start
        ))));
    }
    unsupported::refuse(&parsed.expr).map_err(sql_error)?;
    Ok(parsed.expr)
}

fn refuse_unsupported(statement: &Statement) -> Result<(), DataFusionError> {
    match statement {
        Statement::Statement(statement) => {
            unsupported::refuse(statement.as_ref()).map_err(sql_error)
        }
        Statement::Explain(explain) => refuse_unsupported(&explain.statement),
        // These do more than read, which their readers refuse.
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

fn sql_error(error: ParserError) -> DataFusionError {
    DataFusionError::SQL(Box::new(error), None)
}

/// The parser takes `1_000` for the number 1 with the name `_000`.
fn refuse_cut_numbers(tokens: &[TokenWithSpan]) -> Result<(), TokenizerError> {
    for pair in tokens.windows(2) {
        if let [number, word] = pair
            && let (Token::Number(digits, _), Token::Word(rest)) = (&number.token, &word.token)
        {
            return Err(TokenizerError {
                message: format!("`{digits}{}` is not a number", rest.value),
                location: number.span.start,
            });
        }
    }
    Ok(())
}

/// The tokenizer reads what stands in a comment of MySQL's, `/*! ... */`, as SQL.
fn refuse_comments_that_run(sql: &str, tokens: &[TokenWithSpan]) -> Result<(), TokenizerError> {
    for (offset, mark) in sql.match_indices("/*!") {
        let before = &sql[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let location = Location {
            line: before.matches('\n').count() as u64 + 1,
            column: before[line_start..].chars().count() as u64 + 1,
        };
        let is_inside =
            |token: &&TokenWithSpan| token.span.start < location && location < token.span.end;
        if !tokens.iter().any(|token| is_inside(&token)) {
            return Err(TokenizerError {
                message: format!("a comment that begins with `{mark}` would be run in part"),
                location,
            });
        }
    }
    Ok(())
}

/// A parser of tokens.
#[expect(
    clippy::disallowed_methods,
    reason = "the tokens have their parentheses here"
)]
fn parser(tokens: Vec<TokenWithSpan>) -> Result<DFParser<'static>, DataFusionError> {
    let tokens = with_standard_precedence(tokens).map_err(sql_error)?;
    DFParserBuilder::new(tokens).with_dialect(&DIALECT).build()
}

/// Puts the right side of each `IS [NOT] DISTINCT FROM` into parentheses, the last one first.
fn with_standard_precedence(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParserError> {
    // What follows the token that is looked at, backwards: the next one is the last.
    let mut following: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens.into_iter().rev() {
        if is_keyword(&token, Keyword::IS)
            && let Some(start) = right_side(&following)
        {
            let length = operand_length(&following[..start])?;
            let place = token.span;
            let parenthesis = |token| TokenWithSpan::new(token, place);
            following.insert(start, parenthesis(Token::LParen));
            following.insert(start - length, parenthesis(Token::RParen));
        }
        following.push(token);
    }
    following.reverse();
    Ok(following)
}

/// How many of the tokens that follow an `IS`, backwards, come after `[NOT] DISTINCT FROM`.
fn right_side(following: &[TokenWithSpan]) -> Option<usize> {
    let mut words = (0..following.len())
        .rev()
        .filter(|index| !matches!(following[*index].token, Token::Whitespace(_)));
    let mut next = words.next()?;
    if is_keyword(&following[next], Keyword::NOT) {
        next = words.next()?;
    }
    let from = words.next()?;
    let is_distinct_from = is_keyword(&following[next], Keyword::DISTINCT)
        && is_keyword(&following[from], Keyword::FROM);
    is_distinct_from.then_some(from)
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
    use super::*;

    fn parsed(sql: &str) -> String {
        parse_expression(tokenize(sql).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn right_side_of_distinct_ends_where_the_standard_says() {
        for (sql, expected) in [
            ("a IS DISTINCT FROM b OR c", "a IS DISTINCT FROM (b) OR c"),
            (
                "x AND a is not distinct from b AND c",
                "x AND a IS NOT DISTINCT FROM (b) AND c",
            ),
            (
                "a IS DISTINCT FROM b + 1 * 2 OR NOT c IS DISTINCT FROM -d",
                "a IS DISTINCT FROM (b + 1 * 2) OR NOT c IS DISTINCT FROM (-d)",
            ),
            (
                "a IS DISTINCT FROM f(b, c OR d) -- why\n AND e",
                "a IS DISTINCT FROM (f(b, c OR d)) AND e",
            ),
            (
                "a IS DISTINCT FROM CASE WHEN b IS DISTINCT FROM c OR d THEN 1 ELSE 2 END OR e",
                "a IS DISTINCT FROM (CASE WHEN b IS DISTINCT FROM (c) OR d THEN 1 ELSE 2 END) OR e",
            ),
            (
                "a IS DISTINCT FROM (b OR c)",
                "a IS DISTINCT FROM ((b OR c))",
            ),
            (
                "a IS DISTINCT FROM b BETWEEN 1 AND 2 AND c",
                "a IS DISTINCT FROM (b BETWEEN 1 AND 2) AND c",
            ),
            (
                "a IS DISTINCT FROM 'IS DISTINCT FROM' OR \"is\" = 1",
                "a IS DISTINCT FROM ('IS DISTINCT FROM') OR \"is\" = 1",
            ),
            (
                "a IS DISTINCT FROM (SELECT max(b) FROM c WHERE d IS DISTINCT FROM e OR f) OR g",
                "a IS DISTINCT FROM ((SELECT max(b) FROM c WHERE d IS DISTINCT FROM (e) OR f)) OR g",
            ),
        ] {
            assert_eq!(parsed(sql), expected);
        }
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
            assert_eq!(parsed(&sql), format!("a IS DISTINCT FROM ({operand}) OR e"));
        }
    }

    #[test]
    fn many_operators_in_one_text_take_no_longer_than_their_length() {
        let sql = vec!["a IS DISTINCT FROM b"; 2_000].join(" AND ");
        let tokens = with_standard_precedence(tokenize(&sql).unwrap()).unwrap();
        let parentheses = tokens.iter().filter(|token| token.token == Token::LParen);
        assert_eq!(parentheses.count(), 2_000);
    }

    #[test]
    fn columns_named_like_the_ends_of_other_things_are_operands() {
        assert_eq!(
            parsed("a IS DISTINCT FROM end OR b"),
            "a IS DISTINCT FROM (end) OR b"
        );
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
        assert!(tokenize("'").is_err());
        assert!(parse_expression(tokenize("a AS b").unwrap()).is_err());
    }

    #[test]
    fn numbers_that_the_parser_would_cut_are_refused() {
        let error = tokenize("SELECT\n a * 1_000").unwrap_err();
        assert_eq!(error.message, "`1_000` is not a number");
        assert_eq!((error.location.line, error.location.column), (2, 6));
        for sql in ["1000", "1e3", "1.5", "a1_000", "1 AS b", "t1.c2"] {
            assert!(tokenize(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn comments_that_would_be_run_are_refused() {
        for sql in ["SELECT 1 /*! + 1 */", "SELECT 'é' /*!50110 + 1 */"] {
            let error = tokenize(sql).unwrap_err();
            assert!(error.message.contains("comment"), "{error}");
        }
        for sql in [
            "SELECT '/*! + 1 */'",
            "SELECT 1 -- /*! + 1 */",
            "SELECT 1 /* + 1 */",
        ] {
            assert!(tokenize(sql).is_ok(), "{sql}");
        }
    }
}
