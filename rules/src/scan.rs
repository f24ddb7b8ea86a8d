//! One pass over the rows of a table for any number of measures.
//!
//! The partitions of the scan run in parallel, each with states of its own; only the columns that a measure needs are
//! read. Each distinct expression, and what several have in common, is evaluated once a batch, or once a distinct value
//! of a column that comes as a dictionary. An expression that fails, or even panics, spoils its own measures only.
//!
//! What was measured while rows were written ([`crate::collect`]) is not read again: the pass is over the other rows.

mod keys;
mod parted;
mod program;
mod shared_expressions;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::collect::Collected;
use crate::finding::{Measured, Sources};
use crate::parts::{PartKey, Parts};
use crate::plan::{Measure, Trouble, Work, column, plain_type};
use crate::rows::none_null;
use crate::state::fingerprint::Fingerprint;
use crate::state::{State, is_counted};

pub(crate) use program::{Program, Running};

/// What one pass measures: distinct measures, each over the rows that pass its filter.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    measures: Vec<(Measure, Option<Expr>)>,
    places: HashMap<(Measure, Option<Expr>), usize>,
    /// For each measure, whether it means the same at every time, so that its states may be kept.
    lasting: Vec<bool>,
}

/// The rows of a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) table: &'a Arc<dyn TableProvider>,
    /// The same rows in parts, when they have any.
    pub(crate) parts: Option<&'a Arc<dyn Parts>>,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// One result a measure. The error is the measure's.
    pub(crate) measured: Vec<Result<Measured, Trouble>>,
    /// Where each came from.
    pub(crate) sources: Vec<Sources>,
    /// The parts that were read.
    pub(crate) read: HashSet<PartKey>,
}

/// States of measures, and where they came from.
#[derive(Debug, Default)]
struct States {
    merged: Vec<Result<State, Trouble>>,
    sources: Vec<Sources>,
    read: HashSet<PartKey>,
}

/// The columns that a measure and its filter read, some of them more than once.
fn columns_of((measure, filter): &(Measure, Option<Expr>)) -> impl Iterator<Item = &str> {
    let exprs = measure.inputs().into_iter().chain(filter);
    exprs
        .flat_map(Expr::column_refs)
        .map(|column| column.name.as_str())
}

/// Whether an expression tells in which layout a column comes.
fn sees_layout(expr: &Expr) -> bool {
    let is_seeing = |expr: &Expr| match expr {
        Expr::ScalarFunction(call) => call.func.name() == "arrow_typeof",
        _ => false,
    };
    expr.exists(|expr| Ok(is_seeing(expr))).unwrap_or(true)
}

impl Scan {
    /// Adds a measure, or finds it; its place in the results is returned.
    ///
    /// A measure that `lasts` means the same at every time.
    pub(crate) fn add(&mut self, measure: Measure, filter: Option<Expr>, lasts: bool) -> usize {
        let wanted = (measure, filter);
        if let Some(place) = self.place(&wanted) {
            self.lasting[place] |= lasts;
            return place;
        }
        let place = self.measures.len();
        self.places.insert(wanted.clone(), place);
        self.measures.push(wanted);
        self.lasting.push(lasts);
        place
    }

    /// Adds what a check's work needs of the scan.
    pub(crate) fn add_work(
        &mut self,
        work: &Work,
        schema: &SchemaRef,
        filter: Option<&Expr>,
        lasts: bool,
    ) -> Vec<usize> {
        if let Work::Versus(inner) = work {
            return self.add_work(inner, schema, filter, lasts);
        }
        // A column of few values needs no grouping of its own.
        let counts_of = |name: &String| {
            let (_, field) = schema.column_with_name(name)?;
            is_counted(field.data_type()).then(|| Measure::ValueCounts(column(name)))
        };
        let counts_of_only = |columns: &[String]| match columns {
            [only] => counts_of(only),
            _ => None,
        };
        let measures = match work {
            Work::Scan(measure) => vec![measure.clone()],
            Work::Several(measures) => measures.clone(),
            // A look-up counts the bad rows only.
            Work::Lookup(_) => vec![Measure::Rows],
            // The grouping counts those without nulls.
            Work::Key(columns) => {
                let nulls = Measure::False(none_null(columns));
                std::iter::once(nulls)
                    .chain(counts_of_only(columns))
                    .collect()
            }
            Work::Groups(columns) => counts_of_only(columns).into_iter().collect(),
            Work::Frequencies(of) => counts_of(&of.column).into_iter().collect(),
            Work::Ranks(of) => counts_of(&of.column).into_iter().collect(),
            Work::Beside(measure, _) => vec![measure.clone()],
            Work::Known(_)
            | Work::CompleteGroups(_)
            | Work::Versus(_)
            | Work::Query(_)
            | Work::Match(_)
            | Work::Order(_)
            | Work::Aggregates(..) => Vec::new(),
        };
        measures
            .into_iter()
            .map(|measure| self.add(measure, filter.cloned(), lasts))
            .collect()
    }

    /// Adds all measures of another scan.
    pub(crate) fn add_all(&mut self, other: Self) {
        for ((measure, filter), lasts) in std::iter::zip(other.measures, other.lasting) {
            self.add(measure, filter, lasts);
        }
    }

    /// Whether a measure reads a column of a nested type.
    pub(crate) fn reads_nested(&self, schema: &SchemaRef) -> bool {
        self.columns().any(|name| {
            let column = schema.column_with_name(name);
            column.is_some_and(|(_, field)| plain_type(field.data_type()).is_nested())
        })
    }

    /// The columns that the measures read, some of them more than once.
    fn columns(&self) -> impl Iterator<Item = &str> {
        self.measures.iter().flat_map(columns_of)
    }

    /// The columns that can be measured by their distinct values and how often each occurs: nothing that is measured of
    /// them depends on anything else in a row.
    fn countable_columns(&self) -> HashSet<&str> {
        let mut countable: HashSet<&str> = self.columns().collect();
        for wanted in &self.measures {
            let (measure, filter) = wanted;
            let columns: HashSet<&str> = columns_of(wanted).collect();
            let mut exprs = measure.inputs().into_iter().chain(filter);
            let depends_on_row = exprs.any(|expr| expr.is_volatile() || sees_layout(expr));
            if columns.len() > 1 || depends_on_row || !measure.is_countable() {
                countable.retain(|column| !columns.contains(column));
            }
        }
        countable
    }

    /// The place of a measure.
    pub(crate) fn place(&self, wanted: &(Measure, Option<Expr>)) -> Option<usize> {
        self.places.get(wanted).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.measures.is_empty()
    }

    /// Reads the rows, without those that were measured before. The outer error is one of reading.
    pub(crate) async fn run(
        &self,
        session: &SessionContext,
        rows: Rows<'_>,
        collected: Option<&Collected>,
    ) -> Result<Found, Trouble> {
        let schema = rows.table.schema();
        let state_before = |measure| collected.and_then(|known| known.state(&schema, measure));
        let mut before: Vec<_> = self.measures.iter().map(state_before).collect();
        let part = collected.and_then(|collected| collected.part);
        let kept = match (part, rows.parts) {
            (Some(_), Some(parts)) => parts.kept().await,
            _ => None,
        };
        let to_keep = match kept {
            Some(_) => self.written(session, &schema, &mut before),
            None => Vec::new(),
        };
        let places_where = |is_wanted: &dyn Fn(&Option<State>) -> bool| -> Vec<usize> {
            let places = 0..before.len();
            places.filter(|place| is_wanted(&before[*place])).collect()
        };
        let unknown = places_where(&Option::is_none);
        let unsettled = |state: &State| !state.is_settled();
        let known = places_where(&|before| before.as_ref().is_some_and(unsettled));
        let of_unknown = self.subset(&unknown).states(session, Some(rows)).await?;
        let rest = collected.and_then(Collected::rest);
        let of_rest = self.subset(&known).states(session, rest).await?;
        let mut found = Found::default();
        found.read.extend(of_unknown.read);
        found.read.extend(of_rest.read);
        let sources = |is_collected| Sources {
            is_collected,
            ..Sources::default()
        };
        let is_collected = |state: &Option<State>| sources(state.is_some());
        found.sources = before.iter().map(is_collected).collect();
        let known_state = |state: Option<State>| state.map_or_else(no_state, Ok);
        let mut states: Vec<_> = before.into_iter().map(known_state).collect();
        let of_unknown = std::iter::zip(of_unknown.merged, of_unknown.sources);
        for (place, (state, sources)) in std::iter::zip(unknown, of_unknown) {
            states[place] = state;
            found.sources[place] = sources;
        }
        let of_rest = std::iter::zip(of_rest.merged, of_rest.sources);
        for (place, (state, sources)) in std::iter::zip(known, of_rest) {
            merge(std::slice::from_mut(&mut states[place]), [state]);
            found.sources[place] = Sources {
                is_collected: true,
                ..sources
            };
        }
        if let (Some(kept), Some(part)) = (kept, part) {
            for (state, written) in std::iter::zip(&states, to_keep) {
                // Nobody would ask for what is settled.
                let is_settled = matches!(state, Ok(state) if state.is_settled());
                if let Some((fingerprint, bytes)) = written.filter(|_| !is_settled) {
                    kept.put(part, fingerprint, &bytes);
                }
            }
        }
        let finish = |state: Result<State, Trouble>| {
            let state = state?;
            guarded(|| state.finish())
        };
        found.measured = states.into_iter().map(finish).collect();
        Ok(found)
    }

    /// Some of the measures.
    fn subset(&self, places: &[usize]) -> Self {
        let mut subset = Self::default();
        for place in places {
            let (measure, filter) = self.measures[*place].clone();
            subset.add(measure, filter, self.lasting[*place]);
        }
        subset
    }

    /// The bytes of states that may be kept.
    fn written(
        &self,
        session: &SessionContext,
        schema: &SchemaRef,
        states: &mut [Option<State>],
    ) -> Vec<Option<(Fingerprint, Vec<u8>)>> {
        let fingerprints = self.fingerprints(session, schema);
        let written = |(fingerprint, state): (Option<Fingerprint>, &mut Option<State>)| {
            let bytes = state.as_mut()?.write().ok()??;
            Some((fingerprint?, bytes))
        };
        std::iter::zip(fingerprints, states).map(written).collect()
    }

    /// The states of the measures over some rows; none without rows or measures.
    async fn states(
        &self,
        session: &SessionContext,
        rows: Option<Rows<'_>>,
    ) -> Result<States, Trouble> {
        let Some(rows) = rows.filter(|_| !self.is_empty()) else {
            return Ok(States::default());
        };
        if let Some(parts) = rows.parts {
            return self
                .states_of_parts(session, rows.table.schema(), parts)
                .await;
        }
        let sources = Sources {
            is_scanned_whole: true,
            ..Sources::default()
        };
        Ok(States {
            merged: self.whole_states(session, Arc::clone(rows.table)).await?,
            sources: vec![sources; self.measures.len()],
            read: HashSet::new(),
        })
    }

    /// The states of the measures over rows that are read as a whole.
    async fn whole_states(
        &self,
        session: &SessionContext,
        rows: Arc<dyn TableProvider>,
    ) -> Result<Vec<Result<State, Trouble>>, Trouble> {
        // Counting rows needs no column of them, and to see whether values are few, some rows are enough.
        let is_bare = |(measure, filter): &(Measure, Option<Expr>)| {
            *measure == Measure::Rows && filter.is_none()
        };
        let is_quick = |wanted: &(Measure, Option<Expr>)| {
            is_bare(wanted) || matches!(wanted.0, Measure::ValueCounts(_))
        };
        if !self.measures.iter().any(is_bare) || !self.measures.iter().all(is_quick) {
            return self.scanned_states(session, rows).await;
        }
        let count = session.read_table(Arc::clone(&rows))?.count().await? as u64;
        let places = 0..self.measures.len();
        let is_other = |place: &usize| !is_bare(&self.measures[*place]);
        let others: Vec<usize> = places.filter(is_other).collect();
        let mut scanned = Vec::new().into_iter();
        if !others.is_empty() {
            let others = self.subset(&others);
            scanned = others.scanned_states(session, rows).await?.into_iter();
        }
        let state = |wanted| match is_bare(wanted) {
            true => Ok(State::of_rows(count)),
            false => scanned.next().unwrap_or_else(no_state),
        };
        Ok(self.measures.iter().map(state).collect())
    }

    /// The states of the measures in one pass over rows.
    async fn scanned_states(
        &self,
        session: &SessionContext,
        rows: Arc<dyn TableProvider>,
    ) -> Result<Vec<Result<State, Trouble>>, Trouble> {
        let plan = self.physical_plan(session, rows).await?;
        let program = Arc::new(Program::new(session, self, &plan.schema())?);
        let streams = execute_stream_partitioned(plan, session.task_ctx())?;
        let mut tasks = JoinSet::new();
        for stream in streams {
            let program = Arc::clone(&program);
            let running = program.start();
            tasks.spawn(run_partition(program, running, stream));
        }
        let mut merged = program.states();
        while let Some(finished) = tasks.join_next().await {
            match finished {
                Ok(states) => merge(&mut merged, states?),
                Err(error) if error.is_panic() => {
                    return Err(panicked(error.into_panic().as_ref()));
                }
                Err(error) => return Err(stopped(&error)),
            }
        }
        Ok(merged)
    }

    async fn physical_plan(
        &self,
        session: &SessionContext,
        provider: Arc<dyn TableProvider>,
    ) -> Result<Arc<dyn ExecutionPlan>, Trouble> {
        let schema = provider.schema();
        let columns: Vec<Expr> = self
            .needed_columns(&schema)
            .into_iter()
            .map(|index| column(schema.field(index).name()))
            .collect();
        let rows = session.read_table(provider)?.select(columns)?;
        Ok(rows.create_physical_plan().await?)
    }

    /// The columns that have to be read, in the schema's order.
    fn needed_columns(&self, schema: &SchemaRef) -> Vec<usize> {
        let mut is_needed = vec![false; schema.fields().len()];
        for name in self.columns() {
            if let Ok(index) = schema.index_of(name) {
                is_needed[index] = true;
            }
        }
        if !is_needed.contains(&true) {
            // Conditions without columns still have to be evaluated once a row.
            if let Some(first) = is_needed.first_mut() {
                *first = true;
            }
        }
        (0..is_needed.len()).filter(|i| is_needed[*i]).collect()
    }
}

/// The trouble of a task that was stopped.
fn stopped(error: &dyn std::error::Error) -> Trouble {
    Trouble::new(format!("the scan was stopped: {error}"))
}

fn no_state() -> Result<State, Trouble> {
    Err(Trouble::new("bug: the scan has no such measure"))
}

/// Takes the states of a part of the rows into those of the others.
pub(crate) fn merge(
    merged: &mut [Result<State, Trouble>],
    part: impl IntoIterator<Item = Result<State, Trouble>>,
) {
    for (into, from) in merged.iter_mut().zip(part) {
        let result = match (into.as_mut(), from) {
            (Ok(state), Ok(mut from)) => state.merge(&mut from),
            (Ok(_), Err(trouble)) => Err(trouble),
            (Err(_), _) => Ok(()),
        };
        if let Err(trouble) = result {
            *into = Err(trouble);
        }
    }
}

async fn run_partition(
    program: Arc<Program>,
    mut running: Running,
    mut stream: SendableRecordBatchStream,
) -> Result<Vec<Result<State, Trouble>>, Trouble> {
    while let Some(batch) = stream.next().await {
        program.update(&mut running, &batch?);
        if running.is_settled() {
            break;
        }
    }
    Ok(program.finish(running))
}

/// Runs code that must not take the process down: a panic becomes trouble.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
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
