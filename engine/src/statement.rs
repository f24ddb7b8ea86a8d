//! SQL that has been read: the tables, parameters and versions that it names, with their places.

mod supported;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, ObjectName, Query, Spanned, Statement as SqlStatement, TableFactor,
    Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Location, TokenWithSpan};
use lakegate_catalog::TableName;
use lakegate_rules::sql;

use crate::change::assign;
use crate::expansion;
use crate::maintenance::{self, Maintenance};
use crate::parameters::{self, ParameterUse};
use crate::session::{CATALOG, DEFAULT_SCHEMA};
use crate::show::{self, Shown};
use crate::time_travel::{self, VersionUse};
use crate::{EngineError, Place};
use supported::{hoist_with, take_partitions};

/// DataFusion's own schema of tables about tables.
const INFORMATION_SCHEMA: &str = "information_schema";

/// How a statement is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementOptions {
    /// How its parameters are written; by name when nothing is said.
    pub parameters: ParameterStyle,
    /// The schema of tables that are named without one; `default` when nothing is said.
    pub schema: String,
    /// The zone of times that are written without one, where one is needed; UTC when nothing is said.
    pub time_zone: Option<crate::TimeZone>,
}

impl Default for StatementOptions {
    fn default() -> Self {
        Self {
            parameters: ParameterStyle::default(),
            schema: DEFAULT_SCHEMA.to_owned(),
            time_zone: None,
        }
    }
}

/// One SQL statement that has been parsed, and not yet planned.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) inner: DfStatement,
    pub(crate) versions: Vec<VersionUse>,
    tables: Vec<TableUse>,
    parameters: Vec<ParameterUse>,
    pub(crate) options: StatementOptions,
    /// What it does to the files of a table.
    pub(crate) maintenance: Option<Maintenance>,
    /// The columns by which the table that it makes is partitioned.
    pub(crate) partition_by: Vec<String>,
    /// The table whose definition it shows.
    pub(crate) definition: Option<TableName>,
}

/// How parameters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParameterStyle {
    /// By name: `:day`.
    #[default]
    Named,
    /// By number, as clients send them: `$1`, or `?` for each in turn. Their names are their numbers.
    Numbered,
}

/// A table that a statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUse {
    /// Its name.
    pub name: TableName,
    /// Where it is named first.
    pub place: Option<Place>,
    /// Whether the statement reads a version of its own choice, and never the table as it is.
    pub only_at_version: bool,
    /// Whether one scan answers the statement: it names the table once, and not inside of a `WITH` that it reads
    /// several times.
    pub is_read_once: bool,
}

impl Statement {
    /// Reads one statement in DataFusion's SQL, extended by `VERSION AS OF` and `TIMESTAMP AS OF`.
    ///
    /// # Errors
    /// When the text is not one statement, or when it holds a clause that DataFusion would drop silently.
    pub fn parse(sql: &str) -> Result<Self, EngineError> {
        Self::parse_with(sql, StatementOptions::default())
    }

    /// As [`Statement::parse`], with parameters and names of tables as the options say.
    ///
    /// # Errors
    /// As [`Statement::parse`], and when parameters are written in another style, or in two.
    pub fn parse_with(sql: &str, options: StatementOptions) -> Result<Self, EngineError> {
        let mut tokens = tokens(sql)?;
        if options.parameters == ParameterStyle::Numbered {
            parameters::number(&mut tokens)?;
        }
        let (tokens, of_vacuum) = maintenance::take_clauses(tokens);
        let (tokens, clauses) = time_travel::take_clauses(tokens)?;
        // An error at the end of the text has no place of its own.
        let last = tokens
            .iter()
            .rev()
            .find_map(|token| place_of(token.span.start));
        let mut statements = sql::parse_statements(tokens)
            .map_err(|error| EngineError::from_planning(error).or_at(last))?;
        let Some(mut inner) = statements.pop_front() else {
            return Err(EngineError::invalid("the SQL is empty", None, None));
        };
        if !statements.is_empty() {
            return Err(EngineError::invalid(
                "there is more than one SQL statement",
                None,
                "leave one, without a semicolon inside it".to_owned(),
            ));
        }
        hoist_with(&mut inner)?;
        let maintenance = Maintenance::of(&inner, &of_vacuum, &options.schema)?;
        let partition_by = take_partitions(&mut inner)?;
        let shown = show::shown(&inner, &options.schema)?;
        if let Some(Shown::Query(query)) = &shown {
            inner = query.clone();
        }
        expansion::check(&inner)?;
        let mut parameters = parameters::uses(&inner, options.parameters)?;
        let versions = time_travel::apply_clauses(&mut inner, clauses, &options.schema)?;
        for used in versions.iter().filter_map(VersionUse::parameter) {
            if !parameters.iter().any(|known| known.name == used.name) {
                parameters.push(used.clone());
            }
        }
        let tables = tables(&inner, &versions, &options.schema)?;
        Ok(Self {
            inner,
            versions,
            tables,
            parameters,
            options,
            maintenance,
            partition_by,
            definition: match shown {
                Some(Shown::Definition(table)) => Some(table),
                _ => None,
            },
        })
    }

    /// The tables that the statement reads, without the names that it defines itself (`WITH`).
    pub fn tables(&self) -> &[TableUse] {
        &self.tables
    }

    /// The parameters (`:name`) that the statement uses, each once; those behind `AS OF` are among them.
    pub fn parameters(&self) -> &[ParameterUse] {
        &self.parameters
    }

    /// Whether the statement asks which tables there are.
    pub(crate) fn lists_tables(&self) -> bool {
        resolve_table_references(&self.inner, true).is_ok_and(|(references, _)| {
            let mut schemas = references.iter().map(TableReference::schema);
            schemas.any(|schema| schema.unwrap_or(&self.options.schema) == INFORMATION_SCHEMA)
        })
    }

    /// Whether the statement only reads.
    pub fn is_reading(&self) -> bool {
        let is_asking = self
            .maintenance
            .as_ref()
            .is_some_and(Maintenance::is_reading);
        is_asking || self.definition.is_some() || is_reading(&self.inner)
    }

    /// The types of the parameters that name versions, by their names.
    pub(crate) fn version_types(&self) -> BTreeMap<String, DataType> {
        let versions = self.versions.iter();
        let typed = versions.filter_map(|used| {
            let parameter = used.parameter()?;
            Some((parameter.name.clone(), used.parameter_type()))
        });
        typed.collect()
    }

    /// The types of the parameters of which DataFusion's planner does not find them: those that name versions, or
    /// numbers of rows.
    pub(crate) fn known_types(&self) -> BTreeMap<String, DataType> {
        let mut limits = Limits(BTreeMap::new());
        let _always_continues = visit(&self.inner, &mut limits);
        limits.0.extend(self.version_types());
        limits.0
    }

    /// The table that the statement makes or drops.
    pub(crate) fn makes_or_drops(&self) -> Option<TableName> {
        let DfStatement::Statement(statement) = &self.inner else {
            return None;
        };
        let name = match statement.as_ref() {
            SqlStatement::CreateTable(create) => &create.name,
            SqlStatement::Drop { names, .. } => names.first()?,
            _ => return None,
        };
        let parts = written_parts(name)?;
        table_name(&parts, None, &self.options.schema).ok()?
    }

    /// The table whose columns the statement sets.
    pub(crate) fn assigns_to(&self) -> Option<TableName> {
        let parts = written_parts(assign::target(&self.inner)?)?;
        table_name(&parts, None, &self.options.schema).ok()?
    }

    /// Whether the statement is a query: it gives rows, and does nothing else.
    pub fn is_query(&self) -> bool {
        matches!(&self.inner, DfStatement::Statement(statement) if matches!(**statement, SqlStatement::Query(_)))
    }
}

/// Whether a statement is of a kind that reads. The plan is looked at too: a query can hold an INSERT.
pub(crate) fn is_reading(statement: &DfStatement) -> bool {
    match statement {
        DfStatement::Statement(statement) => matches!(
            **statement,
            SqlStatement::Query(_)
                | SqlStatement::ExplainTable { .. }
                | SqlStatement::ShowTables { .. }
                | SqlStatement::ShowColumns { .. }
                | SqlStatement::ShowFunctions { .. }
                | SqlStatement::ShowVariable { .. }
        ),
        DfStatement::Explain(explain) => is_reading(&explain.statement),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {
            false
        }
    }
}

/// Runs a visitor over a statement, whichever of DataFusion's own kinds it is.
pub(crate) fn visit<V: Visitor>(statement: &DfStatement, visitor: &mut V) -> ControlFlow<V::Break> {
    match statement {
        DfStatement::Statement(statement) => statement.visit(visitor),
        DfStatement::Explain(explain) => visit(&explain.statement, visitor),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {
            ControlFlow::Continue(())
        }
    }
}

/// As [`visit`], for a visitor that changes the statement.
pub(crate) fn visit_mut<V: VisitorMut>(
    statement: &mut DfStatement,
    visitor: &mut V,
) -> ControlFlow<V::Break> {
    match statement {
        DfStatement::Statement(statement) => statement.visit(visitor),
        DfStatement::Explain(explain) => visit_mut(&mut explain.statement, visitor),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {
            ControlFlow::Continue(())
        }
    }
}

/// The statement of a text that is written here.
pub(crate) fn written_here(sql: &str) -> Result<DfStatement, EngineError> {
    let statements = sql::parse_statements(tokens(sql)?);
    let mut statements = statements.map_err(EngineError::from_planning)?;
    let statement = statements.pop_front();
    statement.ok_or_else(|| EngineError::Bug(format!("no statement: {sql}")))
}

/// The tokens of a text.
pub(crate) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, EngineError> {
    sql::tokenize(sql).map_err(|error| {
        EngineError::invalid(lower(&error.message), place_of(error.location), None)
    })
}

/// A place as the parser gives it; none for what the parser made up.
pub(crate) fn place_of(location: Location) -> Option<Place> {
    (location.line > 0).then_some(Place {
        line: location.line,
        column: location.column,
    })
}

/// The name as DataFusion reads it: in lower case where it is not quoted.
pub(crate) fn written_parts(name: &ObjectName) -> Option<Vec<String>> {
    let parts = name.0.iter();
    parts
        .map(|part| part.as_ident().map(written_name))
        .collect()
}

/// As [`written_parts`], of one part.
pub(crate) fn written_name(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn tables(
    statement: &DfStatement,
    versions: &[VersionUse],
    default_schema: &str,
) -> Result<Vec<TableUse>, EngineError> {
    let mut seen = NamesInOrder::default();
    let _always_continues = visit(statement, &mut seen);
    let (references, _) =
        resolve_table_references(statement, true).map_err(EngineError::from_planning)?;
    let references: BTreeSet<String> = references.iter().map(written).collect();

    let mut tables: Vec<TableUse> = Vec::new();
    let mut defined: BTreeSet<String> = BTreeSet::new();
    let mut repeats_definitions = false;
    for (parts, place) in &seen.tables {
        let written = parts.join(".");
        let is_version = versions.iter().any(|version| version.stands_for(parts));
        if is_version {
            continue;
        }
        if !references.contains(&written) {
            // Each use of a `WITH` is computed for itself.
            repeats_definitions |= !defined.insert(written);
            continue;
        }
        if let Some(name) = table_name(parts, *place, default_schema)? {
            add(&mut tables, name, *place, false);
        }
    }
    for version in versions {
        add(&mut tables, version.table.clone(), version.place, true);
    }
    for table in &mut tables {
        table.is_read_once &= !repeats_definitions;
    }
    Ok(tables)
}

fn add(tables: &mut Vec<TableUse>, name: TableName, place: Option<Place>, at_version: bool) {
    match tables.iter_mut().find(|table| table.name == name) {
        Some(known) => {
            known.only_at_version &= at_version;
            known.is_read_once = false;
        }
        None => tables.push(TableUse {
            name,
            place,
            only_at_version: at_version,
            is_read_once: true,
        }),
    }
}

fn written(reference: &TableReference) -> String {
    [
        reference.catalog(),
        reference.schema(),
        Some(reference.table()),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(".")
}

/// The catalog's name for a name in SQL; none for a table of DataFusion itself.
pub(crate) fn table_name(
    parts: &[String],
    place: Option<Place>,
    default_schema: &str,
) -> Result<Option<TableName>, EngineError> {
    let (schema, table) = match parts {
        [table] => (default_schema, table.as_str()),
        [schema, table] => (schema.as_str(), table.as_str()),
        [catalog, schema, table] if catalog == CATALOG => (schema.as_str(), table.as_str()),
        _ => {
            return Err(EngineError::invalid(
                format!("table `{}` does not exist", parts.join(".")),
                place,
                format!("tables are named `table` or `schema.table`, in the catalog `{CATALOG}`"),
            ));
        }
    };
    if schema == INFORMATION_SCHEMA {
        return Ok(None);
    }
    match format!("{schema}.{table}").parse::<TableName>() {
        Ok(name) => Ok(Some(name)),
        Err(error) => Err(EngineError::invalid(
            error.to_string(),
            place,
            error.hint().map(str::to_owned),
        )),
    }
}

/// Collects the parameters that are numbers of rows: behind LIMIT, OFFSET and FETCH.
struct Limits(BTreeMap<String, DataType>);

impl Visitor for Limits {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut numbers: Vec<&Expr> = Vec::new();
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                numbers.extend(limit);
                numbers.extend(offset.as_ref().map(|offset| &offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                numbers.extend([offset, limit]);
            }
            None => {}
        }
        let fetched = query
            .fetch
            .as_ref()
            .and_then(|fetch| fetch.quantity.as_ref());
        numbers.extend(fetched);
        for number in numbers {
            if let Expr::Value(value) = number
                && let Value::Placeholder(text) = &value.value
            {
                let name = text.trim_start_matches(['$', ':']).to_owned();
                self.0.insert(name, DataType::Int64);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Collects the names of tables in the order of the text; functions that give tables are left out.
#[derive(Default)]
struct NamesInOrder {
    tables: Vec<(Vec<String>, Option<Place>)>,
    functions: Vec<Location>,
}

impl Visitor for NamesInOrder {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: Some(_),
            ..
        } = factor
        {
            self.functions.push(name.span().start);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let start = name.span().start;
        if !self.functions.contains(&start) {
            self.tables
                .extend(written_parts(name).map(|parts| (parts, place_of(start))));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
