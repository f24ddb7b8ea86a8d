//! What has to be measured for the checks of a file, in the fewest scans.
//!
//! Planning reads no rows: `validate` runs it alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;

use crate::fragment::{self, Aggregate, Parameters};
use crate::frequencies::FrequenciesOf;
use crate::ranks::RanksOf;
use crate::state::{Edge, MOST_TEXT_BYTES, MOST_VALUES};
use crate::yaml::{Span, nearest_hint};

/// Why a check cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Where in the rule file, when that is another place than the check's.
    pub(crate) span: Option<Span>,
}

impl Trouble {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            span: None,
        }
    }

    /// The same at a place of its own.
    pub(crate) fn at(self, span: Span) -> Self {
        Self {
            span: Some(span),
            ..self
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Self {
        let text = error.find_root().strip_backtrace();
        let text = text
            .trim_start_matches("Error during planning: ")
            .trim_start_matches("Schema error: ");
        Self::new(text)
    }
}

impl From<datafusion::arrow::error::ArrowError> for Trouble {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        Self::new(error.to_string())
    }
}

/// How a check's metric comes about.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// From the schema alone.
    Known(crate::finding::Measured),
    /// From one pass over the rows that pass `where`, shared with the other checks of the file.
    Scan(Measure),
    /// From several measures of that pass.
    Several(Vec<Measure>),
    /// From one grouping by these columns, or the counted values of the only one, shared with the other checks on the same columns.
    Groups(Vec<String>),
    /// From the number of rows of each value, counted in that pass or by a grouping.
    Frequencies(FrequenciesOf),
    /// From several groupings of the rows in which no column of them is null.
    CompleteGroups(Vec<Vec<String>>),
    /// From the same here and in the last published version.
    Versus(Box<Self>),
    /// From the sorted values of a column, counted in that pass or by a grouping.
    Ranks(RanksOf),
    /// As from a grouping by these columns of the rows in which none of them is null; a null in one of them is bad.
    Key(Vec<String>),
    /// By looking the columns up in another table.
    Lookup(Lookup),
    /// By looking rows up in another table.
    Match(Match),
    /// By the order of the rows.
    Order(Order),
    /// From a measure of that pass, beside a query over another table.
    Beside(Measure, Box<LogicalPlan>),
    /// From an aggregate of the rows that pass `where`, beside a query over another table.
    Aggregates(Aggregate, Box<LogicalPlan>),
    /// By a query of its own.
    Query(Box<LogicalPlan>),
}

/// What one pass over the rows measures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Measure {
    /// How many rows there are.
    Rows,
    /// In how many rows the expression is null.
    Nulls(Expr),
    /// In how many rows the condition is false; null is not false.
    False(Expr),
    /// The smallest value.
    Min(Expr),
    /// The largest value.
    Max(Expr),
    /// The sum of the values, and their number.
    Sum(Expr),
    /// Number, mean and sum of squared deviations of the values.
    Moments(Expr),
    /// The same with sums of third and fourth powers.
    Shape(Expr),
    /// Number, and sums of squared and multiplied deviations, of the rows in which neither is null.
    Comoments(Expr, Expr),
    /// A sketch for quantiles, with the error of its ranks.
    Quantiles(Expr, Edge),
    /// A sketch of the set of values.
    Distinct(Expr),
    /// A sketch of the most frequent values.
    Frequent(Expr),
    /// What the values look like.
    Types(Expr),
    /// How many values lie between some edges.
    Bins(Expr, Vec<Edge>),
    /// How often each value occurs, while there are few distinct ones.
    ValueCounts(Expr),
}

impl Measure {
    /// The measure of a row test that no row fails, for a column without any value.
    pub(crate) fn nothing_false() -> Self {
        Self::False(Expr::Literal(ScalarValue::Boolean(None), None))
    }

    /// What is measured of the expressions, in a word that stays the same.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Nulls(_) => "nulls",
            Self::False(_) => "false",
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::Sum(_) => "sum",
            Self::Moments(_) => "moments",
            Self::Shape(_) => "shape",
            Self::Comoments(_, _) => "comoments",
            Self::Quantiles(_, _) => "quantiles",
            Self::Distinct(_) => "distinct",
            Self::Frequent(_) => "frequent",
            Self::Types(_) => "types",
            Self::Bins(_, _) => "bins",
            Self::ValueCounts(_) => "value counts",
        }
    }

    /// The numbers that a measure depends on beside its expressions.
    pub(crate) fn parameters(&self) -> Vec<f64> {
        match self {
            Self::Quantiles(_, rank_error) => vec![rank_error.0],
            Self::Bins(_, edges) => edges.iter().map(|edge| edge.0).collect(),
            Self::Rows
            | Self::Nulls(_)
            | Self::False(_)
            | Self::Min(_)
            | Self::Max(_)
            | Self::Sum(_)
            | Self::Moments(_)
            | Self::Shape(_)
            | Self::Comoments(_, _)
            | Self::Distinct(_)
            | Self::Frequent(_)
            | Self::Types(_) => Vec::new(),
            Self::ValueCounts(_) => vec![MOST_VALUES as f64, MOST_TEXT_BYTES as f64],
        }
    }

    /// Whether it can be measured of distinct values and how often each occurs: see [`crate::state::Times`].
    pub(crate) const fn is_countable(&self) -> bool {
        match self {
            Self::Rows
            | Self::Nulls(_)
            | Self::False(_)
            | Self::Min(_)
            | Self::Max(_)
            | Self::Sum(_)
            | Self::Distinct(_)
            | Self::Frequent(_)
            | Self::Types(_)
            | Self::ValueCounts(_) => true,
            Self::Moments(_)
            | Self::Shape(_)
            | Self::Comoments(_, _)
            | Self::Quantiles(_, _)
            | Self::Bins(_, _) => false,
        }
    }

    /// The expressions that are measured.
    pub(crate) fn inputs(&self) -> Vec<&Expr> {
        match self {
            Self::Rows => Vec::new(),
            Self::Nulls(expr)
            | Self::False(expr)
            | Self::Min(expr)
            | Self::Max(expr)
            | Self::Sum(expr)
            | Self::Moments(expr)
            | Self::Shape(expr)
            | Self::Quantiles(expr, _)
            | Self::Distinct(expr)
            | Self::Frequent(expr)
            | Self::Types(expr)
            | Self::Bins(expr, _)
            | Self::ValueCounts(expr) => vec![expr],
            Self::Comoments(left, right) => vec![left, right],
        }
    }
}

/// A search for rows whose values another table lacks.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) keys: Vec<LookupKey>,
    pub(crate) table: Arc<dyn TableProvider>,
    pub(crate) table_where: Option<Expr>,
}

/// A search for rows that another table does not have alike.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    /// Columns that identify a row in both tables.
    pub(crate) keys: Vec<LookupKey>,
    /// Other columns that have to be equal, or null in both.
    pub(crate) compared: Vec<LookupKey>,
    pub(crate) table: Arc<dyn TableProvider>,
    pub(crate) table_where: Option<Expr>,
}

/// A search for rows that break an order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The values that are in order.
    pub(crate) value: Expr,
    /// Whether they are floating-point numbers.
    pub(crate) is_float: bool,
    /// What puts the rows one after the other.
    pub(crate) by: Vec<Expr>,
    /// Rows with the same values in these are looked at together.
    pub(crate) per: Vec<Expr>,
    /// Whether a value has to differ from those before.
    pub(crate) is_strict: bool,
    /// Whether values decrease.
    pub(crate) is_descending: bool,
}

/// One column that is looked up.
#[derive(Debug, Clone)]
pub(crate) struct LookupKey {
    /// The checked column.
    pub(crate) column: String,
    /// Its values, in the type in which they are compared.
    pub(crate) own: Expr,
    /// The values of the other table, in the same type.
    pub(crate) other: Expr,
}

/// What planning a check may look at.
#[derive(Debug)]
pub(crate) struct Planner {
    session: Context,
    pub(crate) schema: SchemaRef,
    pub(crate) df_schema: DFSchema,
    pub(crate) parameters: Parameters,
    now: Option<DateTime<Utc>>,
    /// Whether something that was planned depends on the time of the commit.
    depends_on_commit: AtomicBool,
}

/// A session context; it has no `Debug` of its own.
struct Context(SessionContext);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionContext")
    }
}

impl Planner {
    pub(crate) fn new(
        session: &SessionContext,
        schema: &SchemaRef,
        mut parameters: Parameters,
        now: DateTime<Utc>,
    ) -> Result<Self, Trouble> {
        parameters.set_commit_time(now);
        Ok(Self {
            now: Some(now),
            ..Self::before_commit(session, schema, parameters)?
        })
    }

    /// A planner for rows whose commit has no time yet; checks that depend on it do not plan.
    pub(crate) fn before_commit(
        session: &SessionContext,
        schema: &SchemaRef,
        parameters: Parameters,
    ) -> Result<Self, Trouble> {
        Ok(Self {
            session: Context(session.clone()),
            schema: Arc::clone(schema),
            df_schema: DFSchema::try_from(Arc::clone(schema))?,
            parameters,
            now: None,
            depends_on_commit: AtomicBool::new(false),
        })
    }

    /// Whether what was planned since the last time means the same whenever the commit is made.
    pub(crate) fn lasts(&self) -> bool {
        !self.depends_on_commit.swap(false, Ordering::Relaxed)
    }

    /// The time of the commit.
    pub(crate) fn now(&self) -> Result<DateTime<Utc>, Trouble> {
        self.depends_on_commit.store(true, Ordering::Relaxed);
        self.now
            .ok_or_else(|| Trouble::new("the time of the commit is not known yet"))
    }

    pub(crate) const fn session(&self) -> &SessionContext {
        &self.session.0
    }

    /// The field of a column of the candidate.
    pub(crate) fn field(&self, name: &str) -> Result<&Field, Trouble> {
        field_of(&self.schema, name, "the table")
    }

    /// A column of the candidate, as an expression.
    pub(crate) fn column(&self, name: &str) -> Result<Expr, Trouble> {
        self.field(name)?;
        Ok(column(name))
    }

    /// A column's type, without the dictionary around it.
    pub(crate) fn data_type(&self, name: &str) -> Result<DataType, Trouble> {
        Ok(plain_type(self.field(name)?.data_type()).clone())
    }

    /// A condition over the candidate's columns.
    pub(crate) fn condition(&self, sql: &str) -> Result<Expr, Trouble> {
        // A column of that name only costs that the states are not kept.
        if sql.contains(fragment::COMMIT_TIME) {
            self.depends_on_commit.store(true, Ordering::Relaxed);
        }
        fragment::condition(self.session(), sql, &self.df_schema, &self.parameters)
    }

    /// A condition over the columns of another table.
    pub(crate) fn condition_over(&self, sql: &str, schema: &SchemaRef) -> Result<Expr, Trouble> {
        let schema = DFSchema::try_from(Arc::clone(schema))?;
        fragment::condition(self.session(), sql, &schema, &self.parameters)
    }

    /// An aggregate over columns.
    pub(crate) fn aggregate(&self, sql: &str, schema: &SchemaRef) -> Result<Aggregate, Trouble> {
        fragment::aggregate(self.session(), sql, schema, &self.parameters)
    }

    /// Another table.
    pub(crate) async fn table(&self, name: &str) -> Result<Arc<dyn TableProvider>, Trouble> {
        let reference = TableReference::parse_str(name);
        match self.session().table_provider(reference).await {
            Ok(provider) => Ok(provider),
            Err(error) => {
                let cause = Trouble::from(error).message;
                Err(
                    Trouble::new(format!("table `{name}` cannot be read: {cause}"))
                        .with_hint("`lakegate catalog list` lists the tables".to_owned()),
                )
            }
        }
    }
}

/// A column by its exact name.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The field of a name, or a hint at the nearest name.
pub(crate) fn field_of<'s>(
    schema: &'s SchemaRef,
    name: &str,
    whose: &str,
) -> Result<&'s Field, Trouble> {
    if let Some((_, field)) = schema.column_with_name(name) {
        return Ok(field);
    }
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Err(Trouble::new(format!("{whose} has no column `{name}`"))
        .with_hint(nearest_hint(name, names)))
}

/// A type without the dictionary around it.
pub(crate) fn plain_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        other => other,
    }
}
