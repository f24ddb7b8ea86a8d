//! `SHOW TABLES`, `SHOW SCHEMAS`, `SHOW CREATE TABLE` and their like, as far as DataFusion does not know them: they are
//! queries of `information_schema`, or say how a table would be made.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    ShowCreateObject, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementIn,
    ShowStatementOptions, Statement as SqlStatement,
};
use datafusion::sql::sqlparser::keywords::{RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS};
use datafusion::sql::sqlparser::tokenizer::Token;
use lakegate_catalog::{TableName, TableSnapshot};
use lakegate_rules::sql;

use crate::parameters;
use crate::session::CATALOG;
use crate::statement::{table_name, written_here, written_parts};
use crate::{EngineError, sql_type};

/// The way out for something that is not shown.
pub(crate) const WHAT_IS_SHOWN: &str = "there are SHOW TABLES, SHOW SCHEMAS, SHOW COLUMNS FROM, SHOW CREATE TABLE, SHOW FUNCTIONS and DESCRIBE; more is in `information_schema`";

/// What a statement shows.
pub(crate) enum Shown {
    /// The rows of a query.
    Query(DfStatement),
    /// How a table would be made.
    Definition(TableName),
}

/// What a statement shows, when DataFusion does not know it.
pub(crate) fn shown(statement: &DfStatement, schema: &str) -> Result<Option<Shown>, EngineError> {
    let DfStatement::Statement(statement) = statement else {
        return Ok(None);
    };
    match statement.as_ref() {
        SqlStatement::ShowTables {
            terse: false,
            history: false,
            extended: false,
            full: false,
            external: false,
            show_options,
        } => {
            let (parent, pattern) = options(show_options, "SHOW TABLES")?;
            let mut conditions = Vec::new();
            if let Some(parent) = parent {
                conditions.push(format!("table_schema = {}", quoted(&parent)));
            }
            if let Some(pattern) = pattern {
                conditions.push(format!("table_name {pattern}"));
            }
            if conditions.is_empty() {
                return Ok(None);
            }
            query(&format!(
                "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables WHERE {} ORDER BY 1, 2, 3",
                conditions.join(" AND ")
            ))
        }
        SqlStatement::ShowSchemas {
            terse: false,
            history: false,
            show_options,
        }
        | SqlStatement::ShowDatabases {
            terse: false,
            history: false,
            show_options,
        } => {
            let (parent, pattern) = options(show_options, "SHOW SCHEMAS")?;
            if parent.is_some_and(|parent| parent != CATALOG) {
                return Err(not_shown("SHOW SCHEMAS of another catalog"));
            }
            let condition = pattern.map(|pattern| format!(" WHERE table_schema {pattern}"));
            query(&format!(
                "SELECT DISTINCT table_schema AS schema_name FROM information_schema.tables{} ORDER BY 1",
                condition.unwrap_or_default()
            ))
        }
        SqlStatement::ShowCreate {
            obj_type: ShowCreateObject::Table,
            obj_name,
        } => {
            let parts = written_parts(obj_name).unwrap_or_default();
            let table = table_name(&parts, None, schema)?;
            let table = table.ok_or_else(|| not_shown("SHOW CREATE TABLE of a view"))?;
            Ok(Some(Shown::Definition(table)))
        }
        _ => Ok(None),
    }
}

/// The schema that is meant, and a condition for names.
fn options(
    options: &ShowStatementOptions,
    what: &str,
) -> Result<(Option<String>, Option<String>), EngineError> {
    let ShowStatementOptions {
        show_in,
        starts_with,
        limit,
        limit_from,
        filter_position,
    } = options;
    if starts_with.is_some() || limit.is_some() || limit_from.is_some() {
        return Err(not_shown(&format!("a part of {what}")));
    }
    let parent = match show_in {
        None => None,
        Some(ShowStatementIn {
            parent_name: Some(name),
            ..
        }) => written_parts(name).unwrap_or_default().pop(),
        Some(_) => return Err(not_shown(&format!("{what} without a name behind IN"))),
    };
    let filter = filter_position.as_ref().map(|position| match position {
        ShowStatementFilterPosition::Infix(filter)
        | ShowStatementFilterPosition::Suffix(filter) => filter,
    });
    let pattern = match filter {
        None => None,
        Some(ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern)) => {
            Some(format!("LIKE {}", quoted(pattern)))
        }
        Some(ShowStatementFilter::ILike(pattern)) => Some(format!("ILIKE {}", quoted(pattern))),
        Some(ShowStatementFilter::Where(_)) => {
            return Err(not_shown(&format!("WHERE in {what}")));
        }
    };
    Ok((parent, pattern))
}

fn query(sql: &str) -> Result<Option<Shown>, EngineError> {
    Ok(Some(Shown::Query(written_here(sql)?)))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn not_shown(what: &str) -> EngineError {
    EngineError::Unsupported {
        message: format!("{what} is not supported here"),
        hint: Some(WHAT_IS_SHOWN.to_owned()),
    }
}

/// How a table would be made: a row with its names and the statement.
pub(crate) fn definition(snapshot: &TableSnapshot) -> Result<RecordBatch, EngineError> {
    let Some(name) = &snapshot.name else {
        return Err(EngineError::Bug(
            "a table without a name is shown".to_owned(),
        ));
    };
    let columns = snapshot.schema.fields().iter().map(|field| {
        let data_type = match parameters::sql_type(field.data_type()) {
            Some(data_type) => data_type.to_string(),
            None => sql_type(field.data_type()),
        };
        format!("  {} {data_type}", identifier(field.name()))
    });
    let columns: Vec<String> = columns.collect();
    let mut definition = format!(
        "CREATE TABLE {}.{} (\n{}\n)",
        identifier(&name.schema),
        identifier(&name.table),
        columns.join(",\n")
    );
    if !snapshot.partition_columns.is_empty() {
        let columns = snapshot.partition_columns.iter().map(|c| identifier(c));
        let columns: Vec<String> = columns.collect();
        definition.push_str(&format!("\nPARTITIONED BY ({})", columns.join(", ")));
    }
    let row = [
        ("table_catalog", CATALOG),
        ("table_schema", &name.schema),
        ("table_name", &name.table),
        ("definition", &definition),
    ];
    let row = row.map(|(column, value)| {
        let value = StringArray::from(vec![value]);
        (column, Arc::new(value) as _)
    });
    RecordBatch::try_from_iter(row).map_err(|error| EngineError::Bug(error.to_string()))
}

/// A name as SQL reads it back.
fn identifier(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let written = format!("\"{}\"", name.replace('"', "\"\""));
    match starts && name.chars().all(is_plain) && !is_keyword(name) {
        true => name.to_owned(),
        false => written,
    }
}

/// Whether SQL reads a name as a word of its own.
fn is_keyword(name: &str) -> bool {
    let tokens = sql::tokenize(name).unwrap_or_default();
    tokens.iter().any(|token| match &token.token {
        Token::Word(word) => {
            RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword)
                || RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword)
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn what_there_is_is_shown() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE silver.orders (id BIGINT, \"Day\" DATE)",
                "CREATE TABLE silver.lines (id BIGINT)",
                "CREATE TABLE gold.orders (id BIGINT)",
            ])
            .await;
        for (sql, expected, not) in [
            ("SHOW TABLES", "| gold ", "| nothing "),
            ("SHOW TABLES FROM silver", "| lines ", "| gold "),
            ("SHOW TABLES IN silver LIKE 'ord%'", "| orders ", "| lines "),
            ("SHOW SCHEMAS", "| silver ", "| orders "),
            ("SHOW DATABASES", "| gold ", "| orders "),
            ("SHOW SCHEMAS LIKE 'g%'", "| gold ", "| silver "),
            ("SHOW COLUMNS FROM silver.orders", "| Day ", "| lines "),
            ("DESCRIBE silver.orders", "| Day ", "| lines "),
            ("DESC silver.orders", "| Day ", "| lines "),
            ("SHOW FUNCTIONS", "| abs ", "| lines "),
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(answer.contains(expected), "{sql}: {answer}");
            assert!(!answer.contains(not), "{sql}: {answer}");
        }
    }

    #[tokio::test]
    async fn definition_of_a_table_makes_it_again() {
        let fixture = Fixture::new().await;
        let definition = "CREATE TABLE silver.t (\n  a BIGINT,\n  \"B\" VARCHAR,\n  \"order\" DECIMAL(10,2),\n  d DATE,\n  z TIMESTAMP(6),\n  w TIMESTAMP(6) WITH TIME ZONE,\n  r REAL,\n  f DOUBLE PRECISION,\n  y BYTEA\n)\nPARTITIONED BY (d)";
        fixture.changes(&[definition]).await;
        let shown = |answer: String| {
            let lines = answer.lines().filter(|line| line.starts_with("| "));
            let last = lines.filter_map(|line| line.split('|').nth(4).map(str::to_owned));
            let lines: Vec<String> = last.skip(1).map(|line| line.trim().to_owned()).collect();
            lines.join("\n")
        };
        let shown = shown(fixture.answer("SHOW CREATE TABLE silver.t").await.unwrap());
        let plain: Vec<_> = definition.lines().map(str::trim).collect();
        assert_eq!(shown, plain.join("\n"));
    }

    #[tokio::test]
    async fn what_there_is_not_is_refused_with_the_way_out() {
        let fixture = Fixture::new().await;
        fixture.changes(&["CREATE TABLE t (a BIGINT)"]).await;
        for (sql, hint) in [
            ("USE silver", "session option `schema`"),
            ("BEGIN", "no transactions"),
            ("START TRANSACTION", "no transactions"),
            ("COMMIT", "no transactions"),
            ("ROLLBACK", "no transactions"),
            ("SET a = 1", "settings are the server's"),
            ("CREATE SCHEMA s", "CREATE TABLE schema.table"),
            ("CREATE VIEW v AS SELECT 1", "CREATE TABLE ... AS"),
            ("TRUNCATE TABLE t", "DELETE FROM"),
            ("SHOW VIEWS", "SHOW TABLES"),
            ("SHOW CREATE VIEW t", "SHOW TABLES"),
            (
                "CREATE TABLE u (a INT) LOCATION '/tmp/x'",
                "catalog register",
            ),
            ("CREATE TABLE u (a INT) STORED AS PARQUET", "Delta tables"),
            (
                "CREATE TABLE u (a INT) PARTITIONED BY (b INT)",
                "among the others",
            ),
            ("CREATE TABLE u (a INT) PARTITIONED BY (b)", "`a`"),
            ("WITH x AS (SELECT 1) DELETE FROM t", "MERGE"),
            ("ALTER TABLE t ADD COLUMN b INT", "tables change by"),
        ] {
            let refusal = fixture.refusal(sql).await;
            assert!(refusal.contains(hint), "{sql}: {refusal}");
            assert!(refusal.len() < 400, "{sql}: {refusal}");
        }
    }

    #[tokio::test]
    async fn with_before_insert_is_the_query_s() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE t (a BIGINT)",
                "WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x",
                "WITH x AS (SELECT 1 AS a) INSERT INTO t WITH y AS (SELECT a + 1 AS a FROM x) SELECT a FROM y",
            ])
            .await;
        let answer = fixture.answer("SELECT sum(a) AS s FROM t").await;
        assert!(answer.unwrap().contains("| 3 |"));
    }
}
