//! How long and how deep SQL may be.
//!
//! A chain such as `a OR b OR c` becomes a tree as deep as it is long, which the parser's own limit does not count.
//! Planning, copying and dropping such a tree recurse, and a stack that overflows ends the process. The depth is
//! estimated from the tokens, without recursion and never too low.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, TokenizerError};

/// Bytes of one SQL text, at most.
const MAX_BYTES: usize = 1 << 20;

/// Levels of a tree, at most: operators and keywords in a row.
const MAX_DEPTH: usize = 3000;

/// Parentheses, casts, branches and types inside of each other, at most. The parser stops soon after, and goes wrong ways
/// first, twice as many for each level.
const MAX_NESTING: usize = 45;

/// Refuses a text that is too long.
pub(super) fn check_length(sql: &str) -> Result<(), TokenizerError> {
    if sql.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(TokenizerError {
        message: format!(
            "the SQL has {} bytes, at most {MAX_BYTES} are read: put long lists of values into a table",
            sql.len()
        ),
        location: Location { line: 1, column: 1 },
    })
}

/// Refuses tokens that become a tree that is too deep. The error has the place at which it is.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), TokenizerError> {
    let mut groups = vec![Group::default()];
    let mut types = Types::default();
    for token in tokens {
        if types.deeper(&token.token).max(groups.len()) > MAX_NESTING {
            return Err(TokenizerError {
                message: format!(
                    "more than {MAX_NESTING} parentheses, branches or types are inside of each other: split the SQL, with `WITH` for one"
                ),
                location: token.span.start,
            });
        }
        let Some(depth) = deeper(&mut groups, &token.token) else {
            continue;
        };
        if depth > MAX_DEPTH {
            return Err(TokenizerError {
                message: format!(
                    "the SQL nests more than {MAX_DEPTH} levels deep: split it, or write `IN (...)` for a chain of `OR`"
                ),
                location: token.span.start,
            });
        }
    }
    Ok(())
}

/// Types that hold types: `ARRAY<STRUCT<...>>`.
#[derive(Debug, Default)]
struct Types {
    open: usize,
    /// Whether the token before can hold types.
    is_holder: bool,
}

impl Types {
    /// Takes in a token, and gives how many types are open.
    fn deeper(&mut self, token: &Token) -> usize {
        match token {
            Token::Lt if self.is_holder => self.open += 1,
            Token::Gt => self.open = self.open.saturating_sub(1),
            Token::ShiftRight => self.open = self.open.saturating_sub(2),
            Token::Whitespace(_) => return self.open,
            _ => {}
        }
        self.is_holder = matches!(
            token,
            Token::Word(word) if matches!(word.keyword, Keyword::ARRAY | Keyword::MAP | Keyword::STRUCT)
        );
        self.open
    }
}

/// What stands between two parentheses, or between `CASE` and `END`.
#[derive(Debug, Default)]
struct Group {
    /// Depth of the expression that is being read.
    expression: usize,
    /// Links of the chain of joins, set operations and branches, which commas do not end.
    relation: usize,
    /// Depth of the deepest expression that has ended.
    deepest: usize,
    /// Whether a comma joins tables.
    is_from: bool,
}

impl Group {
    fn depth(&self) -> usize {
        self.expression.max(self.deepest) + self.relation
    }

    fn end_expression(&mut self) {
        self.deepest = self.deepest.max(self.expression);
        self.expression = 0;
    }
}

/// Takes in a token. Gives the depth where it has grown.
fn deeper(groups: &mut Vec<Group>, token: &Token) -> Option<usize> {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => groups.push(Group::default()),
        Token::RParen | Token::RBracket | Token::RBrace => return close(groups),
        Token::Word(word) if word.quote_style.is_some() || word.keyword == Keyword::NoKeyword => {}
        Token::Word(word) => match word.keyword {
            Keyword::CASE => groups.push(Group::default()),
            Keyword::END => return close(groups),
            keyword => {
                let group = groups.last_mut()?;
                take_keyword(group, keyword);
                return Some(group.depth());
            }
        },
        Token::Comma => {
            let group = groups.last_mut()?;
            group.end_expression();
            group.relation += usize::from(group.is_from);
            return Some(group.depth());
        }
        Token::Whitespace(_)
        | Token::EOF
        | Token::SemiColon
        | Token::Number(_, _)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_) => {}
        _ => {
            let group = groups.last_mut()?;
            group.expression += 1;
            return Some(group.depth());
        }
    }
    None
}

/// Only what cannot stand within an expression ends one, and it counts itself: a keyword may be the name of a column.
fn take_keyword(group: &mut Group, keyword: Keyword) {
    match keyword {
        Keyword::UNION
        | Keyword::EXCEPT
        | Keyword::INTERSECT
        | Keyword::MINUS
        | Keyword::JOIN
        | Keyword::WHEN => {
            group.end_expression();
            group.relation += 1;
        }
        keyword => {
            group.expression += 1;
            match keyword {
                Keyword::FROM => group.is_from = true,
                Keyword::SELECT
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::ORDER => group.is_from = false,
                _ => {}
            }
        }
    }
}

/// The group is one operand of the expression around it.
fn close(groups: &mut Vec<Group>) -> Option<usize> {
    let inner = groups.pop()?.depth();
    if groups.is_empty() {
        // The parser says what a parenthesis without a beginning is.
        groups.push(Group::default());
    }
    let outer = groups.last_mut()?;
    outer.expression = outer.expression.max(inner) + 1;
    Some(outer.depth())
}

#[cfg(test)]
mod tests {
    use super::super::tokenize;

    #[test]
    fn what_would_overflow_the_stack_is_refused_where_it_gets_too_deep() {
        let many = 20_000;
        for sql in [
            vec!["a = 1"; many].join(" OR "),
            vec!["a"; many].join(" + "),
            vec!["(a AND (b))"; many].join("OR"),
            format!("f({})", vec!["a"; many].join(" || ")),
            format!("a{}", " IS NULL".repeat(many)),
            format!("a{}", "::int".repeat(many)),
            format!("a{}", "[1]".repeat(many)),
            "(".repeat(many),
            "- ".repeat(many),
            vec!["a IS DISTINCT FROM b"; many].join(" OR "),
            vec!["f(a) WITHIN GROUP (ORDER BY b)"; many].join(" + "),
            vec!["then"; many].join(" + "),
            vec!["SELECT a, b"; many].join(" UNION ALL "),
            format!("SELECT a FROM {}", vec!["t"; many].join(", ")),
            format!("SELECT a FROM {}", vec!["t"; many].join(" JOIN ")),
            format!("SELECT a FROM t WHERE {}", vec!["a"; many].join(" AND ")),
        ] {
            let error = check_and_parse(&sql).unwrap_err();
            assert!(
                error.contains("levels deep") || error.contains("inside of each other"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_the_parser_would_not_come_to_an_end_with_is_refused() {
        let nested = |depth: usize| {
            [
                format!("{}1{}", "cast(".repeat(depth), " as int)".repeat(depth)),
                format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
                format!("{}1{}", "f(".repeat(depth), ")".repeat(depth)),
                format!(
                    "CAST(a AS {}INT{})",
                    "ARRAY<".repeat(depth),
                    ">".repeat(depth)
                ),
            ]
        };
        for sql in nested(super::MAX_NESTING + 1) {
            let error = check_and_parse(&sql).unwrap_err();
            assert!(error.contains("inside of each other"), "{error}");
        }
        for sql in nested(super::MAX_NESTING / 2) {
            check_and_parse(&sql).unwrap();
        }
        tokenize("SELECT a < b, array < map, a >> 1 FROM t WHERE array < 1 AND map < 2").unwrap();
    }

    #[test]
    fn long_and_flat_sql_is_read() {
        let many = 20_000;
        for sql in [
            format!("a IN ({})", vec!["1"; many].join(", ")),
            format!("SELECT {}", vec!["a + b * c AS d"; many].join(", ")),
            format!(
                "SELECT CASE {} END",
                vec!["WHEN a = 1 AND b THEN c + 1"; 2000].join(" ")
            ),
            format!(
                "SELECT * FROM (VALUES {})",
                vec!["(1, -2, 'x')"; many].join(", ")
            ),
            vec!["(a = 1 AND b = 2)"; 1000].join(" OR "),
        ] {
            tokenize(&sql).unwrap();
        }
    }

    #[test]
    fn ten_megabytes_are_refused_with_a_message() {
        let sql = "a OR ".repeat(2_000_000);
        let error = tokenize(&sql).unwrap_err();
        assert!(
            error.message.starts_with("the SQL has 10000000 bytes"),
            "{error}"
        );
    }

    fn check_and_parse(sql: &str) -> Result<(), String> {
        let tokens = tokenize(sql).map_err(|error| error.to_string())?;
        let mut parser = super::super::parser(tokens).map_err(|error| error.to_string())?;
        parser
            .parse_into_expr()
            .map_err(|error| error.to_string())?;
        Ok(())
    }
}
