//! One pass over the rows of a table for any number of measures.
//!
//! The partitions of the scan run in parallel, each with states of its own; only the columns that
//! a measure needs are read, and each distinct expression is evaluated once a batch. An expression
//! that fails, or even panics, spoils its own measures only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::finding::Measured;
use crate::plan::{Measure, Trouble, column};
use crate::state::State;

/// What one pass measures: distinct measures, each over the rows that pass its filter.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    measures: Vec<(Measure, Option<Expr>)>,
}

impl Scan {
    /// Adds a measure, or finds it; its place in the results is returned.
    pub(crate) fn add(&mut self, measure: Measure, filter: Option<Expr>) -> usize {
        let wanted = (measure, filter);
        if let Some(place) = self.measures.iter().position(|known| *known == wanted) {
            return place;
        }
        self.measures.push(wanted);
        self.measures.len() - 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.measures.is_empty()
    }

    /// Reads the rows. The outer error is one of reading, an inner one of a measure.
    pub(crate) async fn run(
        &self,
        session: &SessionContext,
        provider: Arc<dyn TableProvider>,
    ) -> Result<Vec<Result<Measured, Trouble>>, Trouble> {
        if self.counts_rows_only() {
            let rows = session.read_table(provider)?.count().await? as u64;
            let count = || Ok(Measured::Rows { rows, bad: 0 });
            return Ok(self.measures.iter().map(|_| count()).collect());
        }
        let plan = self.physical_plan(session, provider).await?;
        let program = Arc::new(Program::new(session, self, plan.as_ref())?);
        let streams = execute_stream_partitioned(plan, session.task_ctx())?;
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(run_partition(Arc::clone(&program), stream));
        }
        let mut merged = program.states();
        while let Some(finished) = tasks.join_next().await {
            let states = match finished {
                Ok(states) => states?,
                Err(error) if error.is_panic() => {
                    return Err(panicked(error.into_panic().as_ref()));
                }
                Err(error) => return Err(Trouble::new(format!("the scan was stopped: {error}"))),
            };
            for (into, from) in merged.iter_mut().zip(states) {
                let result = match (into.as_mut(), from) {
                    (Ok(state), Ok(from)) => state.merge(from),
                    (Ok(_), Err(trouble)) => Err(trouble),
                    (Err(_), _) => Ok(()),
                };
                if let Err(trouble) = result {
                    *into = Err(trouble);
                }
            }
        }
        Ok(merged
            .into_iter()
            .map(|state| state.and_then(|state| guarded(|| state.finish())))
            .collect())
    }

    fn counts_rows_only(&self) -> bool {
        self.measures
            .iter()
            .all(|(measure, filter)| *measure == Measure::Rows && filter.is_none())
    }

    async fn physical_plan(
        &self,
        session: &SessionContext,
        provider: Arc<dyn TableProvider>,
    ) -> Result<Arc<dyn ExecutionPlan>, Trouble> {
        let schema = provider.schema();
        let mut is_needed = vec![false; schema.fields().len()];
        let expressions = self
            .measures
            .iter()
            .flat_map(|(measure, filter)| measure.input().into_iter().chain(filter));
        for found in expressions.flat_map(Expr::column_refs) {
            if let Ok(index) = schema.index_of(found.name()) {
                is_needed[index] = true;
            }
        }
        if !is_needed.contains(&true) {
            // Conditions without columns still have to be evaluated once a row.
            if let Some(first) = is_needed.first_mut() {
                *first = true;
            }
        }
        let columns: Vec<Expr> = schema
            .fields()
            .iter()
            .zip(&is_needed)
            .filter(|(_, is_needed)| **is_needed)
            .map(|(field, _)| column(field.name()))
            .collect();
        let rows = session.read_table(provider)?.select(columns)?;
        Ok(rows.create_physical_plan().await?)
    }
}

/// The measures with their expressions made ready for batches.
#[derive(Debug)]
struct Program {
    inputs: Vec<Prepared>,
    filters: Vec<Prepared>,
    steps: Vec<Step>,
}

/// An expression over the scan's batches, or why it does not fit them.
type Prepared = Result<Arc<dyn PhysicalExpr>, Trouble>;

#[derive(Debug)]
struct Step {
    measure: Measure,
    data_type: Option<DataType>,
    input: Option<usize>,
    filter: Option<usize>,
}

impl Program {
    fn new(
        session: &SessionContext,
        scan: &Scan,
        plan: &dyn ExecutionPlan,
    ) -> Result<Self, Trouble> {
        let arrow_schema = plan.schema();
        let schema = DFSchema::try_from(Arc::clone(&arrow_schema))?;
        let mut input_exprs: Vec<&Expr> = Vec::new();
        let mut filter_exprs: Vec<&Expr> = Vec::new();
        let place = |expr, known: &mut Vec<_>| match known.iter().position(|k| *k == expr) {
            Some(place) => place,
            None => {
                known.push(expr);
                known.len() - 1
            }
        };
        let mut places = Vec::new();
        for (measure, filter) in &scan.measures {
            let input = measure.input().map(|e| place(e, &mut input_exprs));
            let filter = filter.as_ref().map(|e| place(e, &mut filter_exprs));
            places.push((measure, input, filter));
        }
        let state = session.state();
        let prepare = |exprs: Vec<&Expr>| -> Vec<Prepared> {
            let prepared = exprs
                .into_iter()
                .map(|expr| state.create_physical_expr(expr.clone(), &schema));
            prepared.map(|expr| Ok(expr?)).collect()
        };
        let inputs = prepare(input_exprs);
        let filters = prepare(filter_exprs);
        let mut steps = Vec::new();
        for (measure, input, filter) in places {
            let data_type = match input.map(|input| &inputs[input]) {
                Some(Ok(input)) => Some(input.data_type(&arrow_schema)?),
                _ => None,
            };
            steps.push(Step {
                measure: measure.clone(),
                data_type,
                input,
                filter,
            });
        }
        Ok(Self {
            inputs,
            filters,
            steps,
        })
    }

    fn states(&self) -> Vec<Result<State, Trouble>> {
        let state = |step: &Step| {
            for prepared in [
                step.input.map(|input| &self.inputs[input]),
                step.filter.map(|filter| &self.filters[filter]),
            ] {
                if let Some(Err(trouble)) = prepared {
                    return Err(trouble.clone());
                }
            }
            State::new(&step.measure, step.data_type.as_ref())
        };
        self.steps.iter().map(state).collect()
    }

    fn update(&self, states: &mut [Result<State, Trouble>], batch: &RecordBatch) {
        let inputs: Vec<_> = self.inputs.iter().map(|e| evaluate(e, batch)).collect();
        let filters: Vec<_> = self.filters.iter().map(|e| passing(e, batch)).collect();
        for (step, slot) in self.steps.iter().zip(states) {
            let Ok(state) = slot else {
                continue;
            };
            let result = guarded(|| {
                let input = match step.input {
                    Some(input) => Some(inputs[input].as_ref().map_err(Clone::clone)?),
                    None => None,
                };
                let filter = match step.filter {
                    Some(filter) => Some(filters[filter].as_ref().map_err(Clone::clone)?),
                    None => None,
                };
                state.update(batch.num_rows(), input, filter)
            });
            if let Err(trouble) = result {
                *slot = Err(trouble);
            }
        }
    }
}

async fn run_partition(
    program: Arc<Program>,
    mut stream: SendableRecordBatchStream,
) -> Result<Vec<Result<State, Trouble>>, Trouble> {
    let mut states = program.states();
    while let Some(batch) = stream.next().await {
        program.update(&mut states, &batch?);
    }
    Ok(states)
}

fn evaluate(expr: &Prepared, batch: &RecordBatch) -> Result<ArrayRef, Trouble> {
    let expr = expr.as_ref().map_err(Clone::clone)?;
    guarded(|| Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?))
}

/// A bit for each row for which the filter is true; null is not.
fn passing(expr: &Prepared, batch: &RecordBatch) -> Result<BooleanBuffer, Trouble> {
    let array = evaluate(expr, batch)?;
    let Some(passes) = array.as_boolean_opt() else {
        return Ok(BooleanBuffer::new_unset(array.len()));
    };
    Ok(match passes.nulls() {
        None => passes.values().clone(),
        Some(nulls) => passes.values() & nulls.inner(),
    })
}

/// Runs code that must not take the process down: a panic becomes trouble.
fn guarded<T>(run: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(cause) => Err(panicked(cause.as_ref())),
    }
}

/// The trouble of a panic.
pub(crate) fn panicked(cause: &(dyn std::any::Any + Send)) -> Trouble {
    let text = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Trouble::new(format!("bug: the evaluation panicked: {text}"))
        .with_hint("please report this with the rule file".to_owned())
}
