//! Statements that there are, and what is said of others.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    ColumnOption, CreateTable, DataType as SqlType, Delete, FromTable, HiveDistributionStyle,
    Insert, ObjectName, ObjectType, Query, SetExpr, Statement as SqlStatement, TableFactor, Visit,
    Visitor,
};

use super::{Statement, written_parts};
use crate::change::WHAT_CHANGES_TABLES;
use crate::{EngineError, show};

impl Statement {
    /// Refuses a statement that neither reads nor changes a table in a way that there is.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`], naming the statement by its first words.
    pub(crate) fn expect_supported(&self) -> Result<(), EngineError> {
        let is_change = match &self.inner {
            DfStatement::Statement(statement) => matches!(
                statement.as_ref(),
                SqlStatement::Insert(_)
                    | SqlStatement::Update(_)
                    | SqlStatement::Delete(_)
                    | SqlStatement::Merge(_)
                    | SqlStatement::CreateTable(_)
                    | SqlStatement::Drop {
                        object_type: ObjectType::Table,
                        ..
                    }
            ),
            _ => false,
        };
        if let DfStatement::Statement(statement) = &self.inner
            && let SqlStatement::CreateTable(create) = statement.as_ref()
        {
            expect_plain_columns(create)?;
        }
        if let DfStatement::Statement(statement) = &self.inner
            && let SqlStatement::Delete(delete) = statement.as_ref()
        {
            expect_plain_delete(delete)?;
        }
        if let DfStatement::Statement(statement) = &self.inner
            && let SqlStatement::Insert(insert) = statement.as_ref()
        {
            expect_plain_values(insert)?;
        }
        if is_change || self.maintenance.is_some() || self.is_reading() {
            return Ok(());
        }
        let text = self.inner.to_string();
        let is_keyword = |word: &&str| word.chars().all(|letter| letter.is_ascii_uppercase());
        let words: Vec<&str> = text.split(' ').take_while(is_keyword).take(3).collect();
        Err(EngineError::Unsupported {
            message: format!("`{}` is not supported here", words.join(" ")),
            hint: Some(instead_of(&self.inner).to_owned()),
        })
    }
}

/// The way out for a statement that there is not.
fn instead_of(statement: &DfStatement) -> &'static str {
    let DfStatement::Statement(statement) = statement else {
        return WHAT_CHANGES_TABLES;
    };
    match statement.as_ref() {
        SqlStatement::Use(_) => "set the session option `schema`, or write `schema.table`",
        SqlStatement::StartTransaction { .. }
        | SqlStatement::Commit { .. }
        | SqlStatement::Rollback { .. }
        | SqlStatement::Savepoint { .. }
        | SqlStatement::ReleaseSavepoint { .. } => {
            "there are no transactions: each statement is one by itself"
        }
        SqlStatement::Set(_) => {
            "settings are the server's; a session has the options `catalog`, `schema`, `time_zone` and `route`"
        }
        SqlStatement::CreateView(_) => "save rows as a table: `CREATE TABLE ... AS SELECT ...`",
        SqlStatement::CreateSchema { .. } | SqlStatement::CreateDatabase { .. } => {
            "a schema is there with its first table: `CREATE TABLE schema.table (...)`"
        }
        SqlStatement::Truncate(_) => "write `DELETE FROM` without a condition",
        SqlStatement::Prepare { .. }
        | SqlStatement::Execute { .. }
        | SqlStatement::Deallocate { .. } => {
            "prepare by the client's own call, and bind values to `$1`, `$2`"
        }
        SqlStatement::Explain { .. } => "write `EXPLAIN`, or `DESCRIBE` and the name of a table",
        SqlStatement::ShowCreate { .. }
        | SqlStatement::ShowCatalogs { .. }
        | SqlStatement::ShowViews { .. }
        | SqlStatement::ShowVariables { .. }
        | SqlStatement::ShowStatus { .. }
        | SqlStatement::ShowProcessList { .. } => show::WHAT_IS_SHOWN,
        _ => WHAT_CHANGES_TABLES,
    }
}

/// Gives the `WITH` before an INSERT to the query of the INSERT, where the planner looks for it.
pub(super) fn hoist_with(statement: &mut DfStatement) -> Result<(), EngineError> {
    let DfStatement::Statement(outer) = statement else {
        return Ok(());
    };
    let SqlStatement::Query(query) = outer.as_mut() else {
        return Ok(());
    };
    let Query {
        with: Some(with),
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        ..
    } = query.as_mut()
    else {
        return Ok(());
    };
    let what = match body.as_mut() {
        SetExpr::Insert(SqlStatement::Insert(insert)) => {
            if let Some(source) = &mut insert.source {
                match &mut source.with {
                    None => source.with = Some(with.clone()),
                    // The inner ones may name the outer ones, and hide them.
                    Some(inner) => {
                        let outer = with.cte_tables.iter().cloned();
                        inner.cte_tables.splice(0..0, outer);
                        inner.recursive |= with.recursive;
                    }
                }
            }
            let insert = SqlStatement::Insert(insert.clone());
            **outer = insert;
            return Ok(());
        }
        SetExpr::Update(_) => "UPDATE",
        SetExpr::Delete(_) => "DELETE",
        SetExpr::Merge(_) => "MERGE",
        _ => return Ok(()),
    };
    Err(EngineError::Unsupported {
        message: format!("`WITH` before {what} is not supported here"),
        hint: Some(match what {
            "MERGE" => {
                "write the query behind USING: `USING (WITH ... SELECT ...) AS s`".to_owned()
            }
            _ => "write the condition over the table's own columns, or use MERGE".to_owned(),
        }),
    })
}

/// Takes the columns by which a new table is partitioned out of its statement, which the planner does not know.
pub(super) fn take_partitions(statement: &mut DfStatement) -> Result<Vec<String>, EngineError> {
    let DfStatement::Statement(statement) = statement else {
        return Ok(Vec::new());
    };
    let SqlStatement::CreateTable(create) = statement.as_mut() else {
        return Ok(Vec::new());
    };
    let refused = |what: &str, hint: &str| {
        Err(EngineError::Unsupported {
            message: format!("{what} of a table is not supported here"),
            hint: Some(hint.to_owned()),
        })
    };
    let formats = create.hive_formats.take();
    if create.location.is_some() || formats.as_ref().is_some_and(|f| f.location.is_some()) {
        return refused(
            "the LOCATION",
            "leave it out: tables are made in the warehouse; `lakegate catalog register` takes one that is elsewhere",
        );
    }
    let is_stored = create.file_format.is_some()
        || formats.is_some_and(|f| f.storage.is_some() || f.row_format.is_some());
    if is_stored {
        return refused("the format", "leave it out: tables are Delta tables");
    }
    if create.partition_by.is_some() {
        return refused("`PARTITION BY`", "write `PARTITIONED BY (column, ...)`");
    }
    let columns =
        match std::mem::replace(&mut create.hive_distribution, HiveDistributionStyle::NONE) {
            HiveDistributionStyle::NONE => return Ok(Vec::new()),
            HiveDistributionStyle::PARTITIONED { columns } => columns,
            _ => return refused("SKEWED", "write `PARTITIONED BY (column, ...)`"),
        };
    let mut names = Vec::new();
    for column in columns {
        if column.data_type != SqlType::Unspecified || !column.options.is_empty() {
            return refused(
                "a type in PARTITIONED BY",
                "declare the column among the others, and name it in PARTITIONED BY",
            );
        }
        let name = ObjectName::from(vec![column.name]);
        names.extend(written_parts(&name).unwrap_or_default());
    }
    Ok(names)
}

/// Refuses queries in the place of values, which DataFusion does not plan.
fn expect_plain_values(insert: &Insert) -> Result<(), EngineError> {
    let values = insert.source.as_deref().map(|source| source.body.as_ref());
    let Some(SetExpr::Values(values)) = values else {
        return Ok(());
    };
    match values.visit(&mut AnyQuery) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EngineError::Unsupported {
            message: "a subquery in the VALUES of an INSERT is not supported here".to_owned(),
            hint: Some("write `INSERT INTO ... SELECT ...`".to_owned()),
        }),
    }
}

/// Stops at a query.
struct AnyQuery;

impl Visitor for AnyQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Refuses a DELETE of anything but the rows of one table that meet a condition.
fn expect_plain_delete(delete: &Delete) -> Result<(), EngineError> {
    let (has_from, tables) = match &delete.from {
        FromTable::WithFromKeyword(tables) => (true, tables),
        FromTable::WithoutKeyword(tables) => (false, tables),
    };
    let is_one = match tables.as_slice() {
        [table] => table.joins.is_empty(),
        _ => false,
    };
    let has_columns = tables.iter().any(|table| match &table.relation {
        TableFactor::Table { alias, .. } => alias.as_ref().is_some_and(|a| !a.columns.is_empty()),
        _ => false,
    });
    let merge = "use MERGE with `WHEN MATCHED THEN DELETE`";
    let condition = "say in the condition which rows are meant";
    let query = "ask for the rows by a SELECT before";
    let refused = [
        (!has_from, "`DELETE` without `FROM`", "write `DELETE FROM`"),
        (
            !delete.tables.is_empty() || !is_one,
            "`DELETE` of more than one table",
            merge,
        ),
        (delete.using.is_some(), "`USING` in a DELETE", merge),
        (
            has_columns,
            "an alias with columns in a DELETE",
            "leave the columns out",
        ),
        (delete.returning.is_some(), "`RETURNING` in a DELETE", query),
        (delete.output.is_some(), "`OUTPUT` in a DELETE", query),
        (
            !delete.order_by.is_empty(),
            "`ORDER BY` in a DELETE",
            condition,
        ),
        (delete.limit.is_some(), "`LIMIT` in a DELETE", condition),
    ];
    match refused.iter().find(|(is_written, ..)| *is_written) {
        Some((_, what, hint)) => Err(EngineError::Unsupported {
            message: format!("{what} is not supported here"),
            hint: Some((*hint).to_owned()),
        }),
        None => Ok(()),
    }
}

/// Refuses columns that a table would not keep as they are written.
fn expect_plain_columns(create: &CreateTable) -> Result<(), EngineError> {
    let refused = |what: String, hint: &str| {
        Err(EngineError::Unsupported {
            message: format!("{what} is not supported here"),
            hint: Some(hint.to_owned()),
        })
    };
    if create.query.is_some() && !create.columns.is_empty() {
        return refused(
            "CREATE TABLE with both columns and AS".to_owned(),
            "leave the columns out, and write CAST in the query where a type is to be another",
        );
    }
    for column in &create.columns {
        let name = &column.name;
        let kept = |option: &ColumnOption| matches!(option, ColumnOption::Null);
        if let Some(option) = column.options.iter().find(|option| !kept(&option.option)) {
            return refused(
                format!("`{}` of column `{name}`", option.option),
                "leave it out; what its values have to be is a check in the table's rules",
            );
        }
        if let SqlType::Varchar(Some(_))
        | SqlType::CharVarying(Some(_))
        | SqlType::CharacterVarying(Some(_))
        | SqlType::Char(_)
        | SqlType::Character(_) = &column.data_type
        {
            return refused(
                format!("the length of column `{name}`"),
                "write VARCHAR; how long its texts may be is a check in the table's rules",
            );
        }
    }
    Ok(())
}
