//! SQL text, read into tokens so that the parser gives it its standard meaning.
//!
//! The parser reads the right side of `IS [NOT] DISTINCT FROM` as far as it goes: `a IS DISTINCT FROM b OR c` becomes
//! `a IS DISTINCT FROM (b OR c)`, and rows are lost or won without a word. Here the right side gets parentheses before
//! the text is parsed. This is the only place that makes a parser (a lint forbids the others).
//!
//! Source: sqlparser 0.62, `Parser::parse_infix`.

mod depth;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

/// The dialect of SQL in rule files, pipelines and queries.
const DIALECT: GenericDialect = GenericDialect {};

/// Tokens after `DISTINCT FROM` that are looked at first; four times as many when they do not suffice.
const FIRST_WINDOW: usize = 64;

/// Reads SQL into tokens with their places.
///
/// # Errors
/// When the text is longer or nests deeper than a plan may, or holds what is no token, such as a string without its
/// end. The error has the place.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    depth::check_length(sql)?;
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location()?;
    depth::check(&tokens)?;
    Ok(tokens)
}

/// A parser of tokens.
///
/// # Errors
/// As DataFusion's own builder of parsers.
#[expect(
    clippy::disallowed_methods,
    reason = "the tokens have their parentheses here"
)]
pub fn parser(tokens: Vec<TokenWithSpan>) -> Result<DFParser<'static>, DataFusionError> {
    DFParserBuilder::new(with_standard_precedence(tokens))
        .with_dialect(&DIALECT)
        .build()
}

/// Puts the right side of each `IS [NOT] DISTINCT FROM` into parentheses.
fn with_standard_precedence(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    // What follows the token that is looked at, backwards: the next one is the last.
    let mut following: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens.into_iter().rev() {
        if is_keyword(&token, Keyword::IS)
            && let Some(start) = right_side(&following)
            && let Some(length) = operand_length(&following[..start])
        {
            let place = token.span;
            let parenthesis = |token| TokenWithSpan::new(token, place);
            following.insert(start, parenthesis(Token::LParen));
            following.insert(start - length, parenthesis(Token::RParen));
        }
        following.push(token);
    }
    following.reverse();
    following
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

/// How many tokens the operand has that stands first in these, which are backwards; none when it does not parse.
fn operand_length(following: &[TokenWithSpan]) -> Option<usize> {
    let mut window = FIRST_WINDOW;
    loop {
        let begin = following.len().saturating_sub(window);
        let tokens = following[begin..].iter().rev().cloned().collect();
        let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
        let operand = parser.parse_subexpr(DIALECT.prec_value(Precedence::Is));
        let has_read_all = parser.peek_token_ref().token == Token::EOF;
        if has_read_all && begin > 0 {
            window = window.saturating_mul(4);
            continue;
        }
        let length = parser.get_current_index() + 1;
        return operand.ok().map(|_| length.min(following.len() - begin));
    }
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> String {
        let mut parser = parser(tokenize(sql).unwrap()).unwrap();
        parser.parse_into_expr().unwrap().expr.to_string()
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
        let sql = format!("a IS DISTINCT FROM f({}) OR b", numbers.join(", "));
        let expected = format!("a IS DISTINCT FROM (f({})) OR b", numbers.join(", "));
        assert_eq!(parsed(&sql), expected);
    }

    #[test]
    fn what_does_not_parse_is_left_for_the_parser_to_name() {
        for sql in [
            "a IS DISTINCT FROM",
            "a IS DISTINCT FROM )",
            "a IS DISTINCT",
            "IS",
        ] {
            let tokens = tokenize(sql).unwrap();
            assert_eq!(with_standard_precedence(tokens.clone()), tokens, "{sql}");
        }
        assert!(tokenize("'").is_err());
    }
}
