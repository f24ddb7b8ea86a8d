//! SQL text, read so that it means what the standard says, or refused by name.
//!
//! Whoever reads SQL makes tokens with [`tokenize`], and parses them with [`parse_statements`] or [`parse_expression`].
//! This is the only place that makes a parser (a lint forbids the others): it gives `IS DISTINCT FROM` its precedence
//! (`distinct.rs`), writes timestamps in microseconds (`timestamp.rs`), and refuses what DataFusion would drop (`unsupported.rs`).

mod depth;
mod distinct;
mod timestamp;
mod unsupported;

pub(crate) use timestamp::is_finer as is_finer_than_microseconds;

use std::collections::VecDeque;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{
    Location, Token, TokenWithSpan, Tokenizer, TokenizerError,
};

/// The dialect of SQL in rule files, pipelines and queries.
const DIALECT: GenericDialect = GenericDialect {};

/// Reads SQL into tokens with their places.
///
/// # Errors
/// When the text is longer or nests deeper than a plan may, holds what is no token, such as a string without its end, or
/// what the parser would take for something else than it looks like. The error has the place.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    depth::check_length(sql)?;
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location()?;
    depth::check(&tokens)?;
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
    let mut statements = parser(tokens)?.parse_statements()?;
    for statement in &mut statements {
        finish(statement)?;
    }
    Ok(statements)
}

/// Parses one expression.
///
/// # Errors
/// When the tokens are no expression, or hold what is not supported. The message has the place.
pub fn parse_expression(tokens: Vec<TokenWithSpan>) -> Result<Expr, DataFusionError> {
    let mut parsed = parser(tokens)?.parse_into_expr()?;
    if let Some(name) = parsed.alias {
        return Err(sql_error(ParserError::ParserError(format!(
            "a name (`AS {name}`) is not supported in an expression{}",
            name.span.start
        ))));
    }
    distinct::put_back(&mut parsed.expr);
    timestamp::in_microseconds(&mut parsed.expr);
    unsupported::refuse(&parsed.expr).map_err(sql_error)?;
    Ok(parsed.expr)
}

/// What there is to do with a statement when it is parsed.
fn finish(statement: &mut Statement) -> Result<(), DataFusionError> {
    match statement {
        Statement::Statement(statement) => {
            distinct::put_back(statement.as_mut());
            timestamp::in_microseconds(statement.as_mut());
            unsupported::refuse(statement.as_ref()).map_err(sql_error)
        }
        Statement::Explain(explain) => finish(&mut explain.statement),
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
    reason = "here the tokens get the precedence of the standard"
)]
fn parser(tokens: Vec<TokenWithSpan>) -> Result<DFParser<'static>, DataFusionError> {
    let tokens = distinct::take_out(tokens).map_err(sql_error)?;
    DFParserBuilder::new(tokens).with_dialect(&DIALECT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_an_expression_is_refused() {
        assert!(parse_expression(tokenize("a AS b").unwrap()).is_err());
        assert!(tokenize("'").is_err());
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
