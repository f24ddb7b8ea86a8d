//! Measures rows as they pass by, so that what is written need not be read again to be judged.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use crate::parts::{PartKey, Parts};
use crate::plan::{Measure, Planner, Trouble};
use crate::run::plan_check;
use crate::scan::{Program, Rows, Running, Scan, merge};
use crate::state::State;
use crate::{RulesError, Scope, Suite};

/// Measures rows for those checks of a suite over the table which one scan answers.
///
/// Checks that depend on the time of the commit, which nobody knows yet, are not among them. Neither are those that read
/// nested columns: under a null of a struct there may still be values, which a file does not keep.
#[derive(Debug)]
pub struct Collector {
    scan: Scan,
    program: Program,
    schema: SchemaRef,
    measured: Mutex<Vec<Result<State, Trouble>>>,
}

impl Collector {
    /// A collector for rows with these columns, in this order; none when it would have nothing to measure.
    ///
    /// # Errors
    /// When the schema cannot be planned over.
    pub async fn new(
        suite: &Suite,
        session: &SessionContext,
        schema: &SchemaRef,
    ) -> Result<Option<Self>, RulesError> {
        let failed = |trouble| RulesError::check("all", trouble);
        let planner = Planner::before_commit(session, schema, suite.parameters.clone());
        let planner = planner.map_err(failed)?;
        let mut scan = Scan::default();
        for check in suite.checks.iter().filter(|c| c.scope == Scope::Table) {
            // What does not plan is said by the judge.
            let (filter, work) = plan_check(check, &planner).await;
            let mut of_check = Scan::default();
            if let Ok(work) = work {
                of_check.add_work(&work, schema, filter.as_ref(), true);
            }
            if !of_check.reads_nested(schema) {
                scan.add_all(of_check);
            }
        }
        if scan.is_empty() {
            return Ok(None);
        }
        scan.add(Measure::Rows, None, true);
        let program = Program::new(session, &scan, schema).map_err(failed)?;
        Ok(Some(Self {
            measured: Mutex::new(program.states()),
            scan,
            program,
            schema: Arc::clone(schema),
        }))
    }

    /// Begins with a part of the rows. Parts are measured independently, in any order.
    pub fn begin(self: Arc<Self>) -> Collecting {
        Collecting {
            running: self.program.start(),
            collector: self,
        }
    }

    fn measured(&self) -> MutexGuard<'_, Vec<Result<State, Trouble>>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the rows that is being measured.
#[derive(Debug)]
pub struct Collecting {
    collector: Arc<Collector>,
    running: Running,
}

impl Collecting {
    /// Takes in rows with the collector's columns.
    pub fn observe(&mut self, rows: &RecordBatch) {
        self.collector.program.update(&mut self.running, rows);
    }

    /// Adds the part to the others.
    pub fn finish(self) {
        let states = self.collector.program.finish(self.running);
        merge(&mut self.collector.measured(), states);
    }
}

/// What was measured of a part of the rows that are judged, and the other part.
#[derive(Clone)]
pub struct Collected {
    /// What measured the one part: all of it has passed, and is finished.
    pub collector: Arc<Collector>,
    /// The rows of the other part; none when the collector saw all rows.
    pub rest: Option<Arc<dyn TableProvider>>,
    /// The rows of the other part, in parts of its own.
    pub rest_parts: Option<Arc<dyn Parts>>,
    /// The part of the judged rows that the one part is, when it is exactly one.
    pub part: Option<PartKey>,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("rest", &self.rest.is_some())
            .finish_non_exhaustive()
    }
}

impl Collected {
    /// The other rows.
    pub(crate) fn rest(&self) -> Option<Rows<'_>> {
        Some(Rows {
            table: self.rest.as_ref()?,
            parts: self.rest_parts.as_ref(),
        })
    }

    /// A measure's state over the collected rows; none when it was not measured, or over other columns.
    pub(crate) fn state(
        &self,
        schema: &SchemaRef,
        measure: &(Measure, Option<Expr>),
    ) -> Option<State> {
        let collector = &self.collector;
        if !same_columns(&collector.schema, schema) {
            return None;
        }
        let place = collector.scan.place(measure)?;
        let mut copy = collector.program.state(place)?.ok()?;
        let mut measured = collector.measured();
        copy.merge(measured.get_mut(place)?.as_mut().ok()?).ok()?;
        Some(copy)
    }
}

/// The same names and types. What the elements of a list are called makes no difference.
fn same_columns(left: &SchemaRef, right: &SchemaRef) -> bool {
    left.fields().len() == right.fields().len()
        && std::iter::zip(left.fields(), right.fields()).all(|(left, right)| {
            left.name() == right.name() && left.data_type().equals_datatype(right.data_type())
        })
}
