//! Planning: what statements give and take, found out on threads of their own.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use lakegate_catalog::SYSTEM_SCHEMA;
use uuid::Uuid;

use super::{Prepared, Queries, Ready, Request, SessionOptions};
use crate::access::OnBehalf;
use crate::query::Binding;
use crate::{
    Caller, EngineError, ParameterStyle, Parameters, Pins, Planned, QueryOptions, Statement,
    StatementOptions,
};

impl Queries {
    /// What a statement gives and takes. Nothing is run.
    ///
    /// # Errors
    /// When the SQL does not parse or plan, or names what does not exist.
    pub async fn prepare(
        self: &Arc<Self>,
        sql: &Arc<str>,
        session: &SessionOptions,
        caller: &Caller,
    ) -> Result<Prepared, EngineError> {
        let (queries, sql, session) = (Arc::clone(self), Arc::clone(sql), session.clone());
        let behalf = caller.clone();
        self.plan_apart(caller, async move {
            let statement = parse(&sql, &session)?;
            queries.write_records_for(&statement).await;
            queries
                .prepare_here(&statement, OnBehalf::Of(&behalf))
                .await
        })
        .await
    }

    async fn prepare_here(
        &self,
        statement: &Statement,
        behalf: OnBehalf<'_>,
    ) -> Result<Prepared, EngineError> {
        let typed = self
            .understand(statement, QueryOptions::default(), Binding::Types, behalf)
            .await;
        let (planned, types) = match typed {
            Ok(planned) => {
                // A parameter that is compared with two types has none of its own.
                let types = planned.plan.get_parameter_fields().unwrap_or_default();
                (planned, types)
            }
            Err(error) if statement.parameters().is_empty() => return Err(error),
            // A function may need to know the type of its argument: nothing fits everywhere.
            Err(error) => {
                let of_versions = statement.version_types();
                let nulls = statement.parameters().iter();
                let nulls = nulls.filter(|used| !of_versions.contains_key(&used.name));
                let nulls = nulls.map(|used| (used.name.clone(), ScalarValue::Null));
                let options = QueryOptions {
                    parameters: nulls.collect(),
                    ..QueryOptions::default()
                };
                let planned = self
                    .understand(statement, options, Binding::Types, behalf)
                    .await;
                (planned.map_err(|_| error)?, HashMap::new())
            }
        };
        let known = statement.known_types();
        let cast = cast_parameters(&planned.plan).map_err(EngineError::from_planning)?;
        let parameters = (1..=parameter_count(statement)).map(|number| {
            let name = format!("${number}");
            let data_type = match (known.get(&number.to_string()), types.get(&name)) {
                (Some(data_type), _) => data_type.clone(),
                (None, Some(Some(field))) => field.data_type().clone(),
                // A text is read as whatever is needed.
                (None, _) => cast.get(&name).cloned().unwrap_or(DataType::Utf8),
            };
            let data_type = match data_type {
                // The JDBC driver sends milliseconds, whatever the unit that it is told.
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone),
                data_type => data_type,
            };
            Arc::new(Field::new(name, data_type, true))
        });
        // What cannot be coerced without values is told as far as it is known.
        let planned = match planned.clone().coerced() {
            Ok(coerced) => coerced,
            Err(_) if !statement.parameters().is_empty() => planned,
            Err(error) => return Err(error),
        };
        Ok(Prepared {
            parameters: parameters.collect(),
            schema: match statement.is_reading() {
                true => schema_of(&planned),
                false => Arc::new(Schema::empty()),
            },
        })
    }

    async fn understand(
        &self,
        statement: &Statement,
        options: QueryOptions,
        binding: Binding,
        behalf: OnBehalf<'_>,
    ) -> Result<Planned, EngineError> {
        match statement.is_reading() {
            true => self.engine.read(statement, options, binding, behalf).await,
            false => {
                let engine = &self.engine;
                engine.understand(statement, options, binding, behalf).await
            }
        }
    }

    /// Plans on a thread of its own: planning does not pause, and must hold up nothing else.
    async fn plan_apart<T, F>(&self, caller: &Caller, planning: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let place = self.planning.enter(&caller.principal).await?;
        let planned = self.workers.apart(async move {
            let planned = planning.await;
            drop(place);
            planned
        });
        let planned = planned.await;
        let planned = planned.map_err(|error| OnBehalf::Of(caller).as_seen(error));
        if let Err(error) = &planned {
            self.audit(error, caller);
        }
        planned
    }

    /// Whether a statement only reads.
    ///
    /// # Errors
    /// When the SQL does not parse.
    pub async fn is_query(&self, request: &Request, caller: &Caller) -> Result<bool, EngineError> {
        let request = request.clone();
        self.plan_apart(caller, async move {
            Ok(parse(&request.sql, &request.session)?.is_reading())
        })
        .await
    }

    /// Plans a query with its values. Nothing is run.
    ///
    /// # Errors
    /// As [`Queries::prepare`], and when values are missing, or too many.
    pub async fn plan(
        self: &Arc<Self>,
        request: Request,
        caller: &Caller,
    ) -> Result<Ready, EngineError> {
        let (queries, behalf) = (Arc::clone(self), caller.clone());
        self.plan_apart(caller, async move {
            let statement = parse(&request.sql, &request.session)?;
            if request.pins.is_none() {
                queries.write_records_for(&statement).await;
            }
            expect_values(parameter_count(&statement), request.parameters.len())?;
            let options = QueryOptions {
                parameters: named(&request.parameters),
                pins: request.pins.clone(),
                ..QueryOptions::default()
            };
            let planned = queries
                .engine
                .read(&statement, options, Binding::Values, OnBehalf::Of(&behalf))
                .await?;
            let planned = planned.coerced()?;
            Ok(Ready {
                schema: schema_of(&planned),
                request,
                planned,
                is_settled: statement.versions.is_empty() && !statement.lists_tables(),
            })
        })
        .await
    }

    /// Keeps the plan of a query that was described: its rows are likely to be asked for soon.
    pub fn keep(&self, query_id: Uuid, ready: Ready, caller: &Caller) {
        let reads_rows_of_the_system = || {
            let mut tables = ready.pins().tables.iter();
            tables.any(|(name, ..)| name.schema == SYSTEM_SCHEMA)
        };
        let is_settled = ready.is_settled && !ready.pins().tables.is_empty();
        if is_settled && !reads_rows_of_the_system() {
            self.kept.keep(query_id, ready, caller);
        }
    }

    /// Plans a query that was described, at the versions that it was described at.
    ///
    /// # Errors
    /// As [`Queries::plan`], and when a table was dropped or made anew since.
    pub async fn plan_again(
        self: &Arc<Self>,
        query_id: Uuid,
        request: Request,
        caller: &Caller,
    ) -> Result<Ready, EngineError> {
        match self.kept.take(query_id, &request, caller) {
            Some(ready) if self.are_as_seen(ready.pins()).await => Ok(ready),
            // Planning says what has changed.
            _ => self.plan(request, caller).await,
        }
    }

    /// Whether tables are still those that a plan saw.
    async fn are_as_seen(&self, pins: &Pins) -> bool {
        for (name, version, table_id) in &pins.tables {
            let seen = self.engine.catalog().snapshot_seen(name, *version).await;
            if !seen.is_ok_and(|snapshot| snapshot.table_id == *table_id) {
                return false;
            }
        }
        true
    }

    /// Writes the records of statements that have ended, for a statement that may look at them.
    async fn write_records_for(&self, statement: &Statement) {
        let mut tables = statement.tables().iter();
        if tables.any(|table| table.name.schema == SYSTEM_SCHEMA) {
            self.log.flush().await;
        }
    }
}

pub(super) fn parse(sql: &str, session: &SessionOptions) -> Result<Statement, EngineError> {
    let options = StatementOptions {
        parameters: ParameterStyle::Numbered,
        schema: session.schema.clone(),
        time_zone: session.time_zone.clone(),
    };
    let statement = Statement::parse_with(sql, options)?;
    statement.expect_supported()?;
    Ok(statement)
}

/// How many values a statement takes: as many as its largest number says.
pub(super) fn parameter_count(statement: &Statement) -> usize {
    let numbers = statement.parameters().iter();
    let numbers = numbers.filter_map(|used| used.name.parse::<usize>().ok());
    numbers.max().unwrap_or(0)
}

pub(super) fn expect_values(wanted: usize, given: usize) -> Result<(), EngineError> {
    if given == wanted {
        return Ok(());
    }
    Err(EngineError::invalid(
        format!("the statement has {wanted} parameters, and {given} values were bound"),
        None,
        "bind one value to each of `$1`, `$2`, and so on".to_owned(),
    ))
}

/// Values by the numbers of their parameters.
pub(crate) fn named(values: &[ScalarValue]) -> Parameters {
    let numbered = values.iter().enumerate();
    numbered
        .map(|(index, value)| ((index + 1).to_string(), value.clone()))
        .collect()
}

fn schema_of(planned: &Planned) -> SchemaRef {
    let schema: &Schema = planned.plan.schema().as_arrow();
    Arc::new(schema.clone())
}

/// The types to which parameters are cast that have no other.
fn cast_parameters(plan: &LogicalPlan) -> DataFusionResult<HashMap<String, DataType>> {
    let mut types = HashMap::new();
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                let (value, field) = match expr {
                    Expr::Cast(cast) => (&cast.expr, &cast.field),
                    Expr::TryCast(cast) => (&cast.expr, &cast.field),
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                if let Expr::Placeholder(parameter) = value.as_ref() {
                    types.insert(parameter.id.clone(), field.data_type().clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}
