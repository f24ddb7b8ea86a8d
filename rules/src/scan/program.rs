//! Measures made ready for batches.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use super::keys::{KeyCounts, dictionary_type};
use super::shared_expressions::Expressions;
use super::{Scan, columns_of, guarded};
use crate::plan::{Measure, Trouble, plain_type};
use crate::state::{Input, State, Times};

/// The measures with their expressions made ready for batches with certain columns.
#[derive(Debug)]
pub(crate) struct Program {
    steps: Vec<Step>,
    /// What is evaluated of each row.
    rows: Group,
    /// What is evaluated of each distinct value of a column that comes as a dictionary, by its place in the batches.
    values: Vec<(usize, Group)>,
}

/// Measures whose expressions are evaluated over the same columns.
#[derive(Debug)]
struct Group {
    schema: SchemaRef,
    /// What is measured, and behind it the filters.
    exprs: Expressions,
    inputs: usize,
    /// Its measures, by their places.
    steps: Vec<usize>,
}

/// One measure; its expressions stand in its group.
#[derive(Debug)]
struct Step {
    measure: Measure,
    data_types: Vec<DataType>,
    inputs: Vec<usize>,
    filter: Option<usize>,
    /// Why one of its expressions does not fit the columns.
    trouble: Option<Trouble>,
}

/// What was measured of a part of the rows that has not come to its end.
#[derive(Debug)]
pub(crate) struct Running {
    states: Vec<Result<State, Trouble>>,
    /// Of each column that comes as a dictionary.
    keys: Vec<KeyCounts>,
}

impl Running {
    /// Tells the measure at a place how many values there are, in this and other parts of the rows.
    pub(super) fn expect(&mut self, place: usize, values: u64) {
        if let Some(Ok(state)) = self.states.get_mut(place) {
            state.expect(values);
        }
    }

    /// Whether more rows make no difference to any measure.
    pub(super) fn is_settled(&self) -> bool {
        self.states.iter().all(is_settled)
    }
}

/// Whether more rows make no difference to what a measure comes to.
pub(super) fn is_settled(state: &Result<State, Trouble>) -> bool {
    state.as_ref().map_or(true, State::is_settled)
}

/// Expressions, each once.
#[derive(Default)]
struct Distinct<'e> {
    exprs: Vec<&'e Expr>,
    places: HashMap<&'e Expr, usize>,
}

impl<'e> Distinct<'e> {
    fn place(&mut self, expr: &'e Expr) -> usize {
        *self.places.entry(expr).or_insert_with(|| {
            self.exprs.push(expr);
            self.exprs.len() - 1
        })
    }
}

impl Program {
    /// The program for batches with these columns.
    pub(crate) fn new(
        session: &SessionContext,
        scan: &Scan,
        arrow_schema: &SchemaRef,
    ) -> Result<Self, Trouble> {
        Self::build(session, scan, arrow_schema, true)
    }

    /// A program that is asked for types and empty states alone.
    pub(super) fn of_types(
        session: &SessionContext,
        scan: &Scan,
        arrow_schema: &SchemaRef,
    ) -> Result<Self, Trouble> {
        Self::build(session, scan, arrow_schema, false)
    }

    fn build(
        session: &SessionContext,
        scan: &Scan,
        arrow_schema: &SchemaRef,
        is_run: bool,
    ) -> Result<Self, Trouble> {
        let state = session.state();
        let countable = scan.countable_columns();
        let is_counted = |field: &Field| {
            *field.data_type() == dictionary_type() && countable.contains(field.name().as_str())
        };
        let fields = arrow_schema.fields().iter().enumerate();
        let counted: Vec<(usize, &Field)> = fields
            .map(|(index, field)| (index, field.as_ref()))
            .filter(|(_, field)| is_counted(field))
            .collect();
        let group_of = |wanted: &(Measure, Option<Expr>)| {
            let column = columns_of(wanted).next()?;
            counted.iter().position(|(_, field)| field.name() == column)
        };
        let mut of_groups = vec![Vec::new(); counted.len()];
        let mut of_rows = Vec::new();
        for (place, wanted) in scan.measures.iter().enumerate() {
            match group_of(wanted) {
                Some(group) => of_groups[group].push(place),
                None => of_rows.push(place),
            }
        }
        let mut steps: Vec<Option<Step>> = scan.measures.iter().map(|_| None).collect();
        let make = |schema: &SchemaRef, places, steps: &mut [Option<Step>]| {
            Group::new(&state, scan, schema, places, steps, is_run)
        };
        let rows = make(arrow_schema, of_rows, &mut steps);
        let mut values = Vec::new();
        for ((index, field), places) in std::iter::zip(counted, of_groups) {
            let plain = plain_type(field.data_type()).clone();
            let plain = field.clone().with_data_type(plain).with_nullable(true);
            let schema = Arc::new(Schema::new(vec![plain]));
            let group = make(&schema, places, &mut steps);
            values.push((index, group));
        }
        Ok(Self {
            steps: steps.into_iter().flatten().collect(),
            rows,
            values,
        })
    }

    /// Empty states.
    pub(crate) fn states(&self) -> Vec<Result<State, Trouble>> {
        self.steps.iter().map(Step::state).collect()
    }

    /// The empty state of the measure at a place.
    pub(crate) fn state(&self, place: usize) -> Option<Result<State, Trouble>> {
        self.steps.get(place).map(Step::state)
    }

    /// The types of what the measure at a place measures.
    pub(super) fn data_types(&self, place: usize) -> &[DataType] {
        self.steps.get(place).map_or(&[], |step| &step.data_types)
    }

    /// Begins with a part of the rows.
    pub(crate) fn start(&self) -> Running {
        Running {
            states: self.states(),
            keys: self.values.iter().map(|_| KeyCounts::default()).collect(),
        }
    }

    /// Takes in the rows of one batch.
    pub(crate) fn update(&self, running: &mut Running, batch: &RecordBatch) {
        let rows = Times::Once(batch.num_rows());
        self.rows
            .update(&self.steps, &mut running.states, batch, rows);
        for ((column, group), keys) in std::iter::zip(&self.values, &mut running.keys) {
            let result = guarded(|| {
                let array = batch.column(*column).as_dictionary();
                if !keys.have_values_of(array) {
                    group.take_counts(&self.steps, &mut running.states, keys)?;
                    keys.begin(array.values())?;
                }
                keys.count(array)
            });
            if let Err(trouble) = result {
                group.spoil(&mut running.states, &trouble);
            }
        }
    }

    /// The states of a part of the rows that has come to its end.
    pub(crate) fn finish(&self, mut running: Running) -> Vec<Result<State, Trouble>> {
        for ((_, group), keys) in std::iter::zip(&self.values, &mut running.keys) {
            let result = guarded(|| group.take_counts(&self.steps, &mut running.states, keys));
            if let Err(trouble) = result {
                group.spoil(&mut running.states, &trouble);
            }
        }
        running.states
    }
}

impl Step {
    fn state(&self) -> Result<State, Trouble> {
        match &self.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => State::new(&self.measure, &self.data_types),
        }
    }
}

impl Group {
    /// The group of the measures at some places; their steps are put at these.
    fn new(
        state: &SessionState,
        scan: &Scan,
        arrow_schema: &SchemaRef,
        places: Vec<usize>,
        steps: &mut [Option<Step>],
        is_run: bool,
    ) -> Self {
        let mut input_exprs = Distinct::default();
        let mut filter_exprs = Distinct::default();
        let mut of_steps = Vec::new();
        for place in &places {
            let (measure, filter) = &scan.measures[*place];
            let inputs = measure.inputs().into_iter();
            let inputs: Vec<usize> = inputs.map(|e| input_exprs.place(e)).collect();
            let filter = filter.as_ref().map(|e| filter_exprs.place(e));
            of_steps.push((*place, measure, inputs, filter));
        }
        let inputs = input_exprs.exprs.len();
        let all = [input_exprs.exprs, filter_exprs.exprs].concat();
        let exprs = Expressions::new(&all, arrow_schema, state);
        for (place, measure, of_step, filter) in of_steps {
            let filter_place = filter.map(|filter| inputs + filter);
            let used = of_step.iter().copied().chain(filter_place);
            let trouble = used.filter_map(|place| exprs.data_type(place).err());
            let data_types = of_step.iter().map(|input| exprs.data_type(*input));
            steps[place] = Some(Step {
                measure: measure.clone(),
                trouble: trouble.take(1).next(),
                data_types: data_types.flatten().collect(),
                inputs: of_step,
                filter,
            });
        }
        let exprs = match is_run {
            true => exprs.sharing(&all, arrow_schema, state),
            false => exprs,
        };
        Self {
            schema: Arc::clone(arrow_schema),
            exprs,
            inputs,
            steps: places,
        }
    }

    /// Takes in the rows of one batch, each so many times.
    fn update(
        &self,
        steps: &[Step],
        states: &mut [Result<State, Trouble>],
        batch: &RecordBatch,
        times: Times<'_>,
    ) {
        let mut inputs = self.exprs.evaluate(batch);
        let filters = inputs.split_off(self.inputs);
        let inputs: Vec<Result<Input, Trouble>> = inputs
            .into_iter()
            .map(|input| input.map(Input::new))
            .collect();
        let filters: Vec<_> = filters
            .into_iter()
            .map(|filter| filter.map(|values| passing(&values)))
            .collect();
        for place in &self.steps {
            let (step, slot) = (&steps[*place], &mut states[*place]);
            let Ok(state) = slot else {
                continue;
            };
            let result = guarded(|| {
                let inputs = step.inputs.iter().map(|input| inputs[*input].as_ref());
                let inputs: Vec<&Input> =
                    inputs.collect::<Result<_, _>>().map_err(Trouble::clone)?;
                let filter = match step.filter {
                    Some(filter) => Some(filters[filter].as_ref().map_err(Clone::clone)?),
                    None => None,
                };
                state.update(times, &inputs, filter)
            });
            if let Err(trouble) = result {
                *slot = Err(trouble);
            }
        }
    }

    /// Takes in the distinct values that were counted, and forgets them.
    fn take_counts(
        &self,
        steps: &[Step],
        states: &mut [Result<State, Trouble>],
        keys: &mut KeyCounts,
    ) -> Result<(), Trouble> {
        if let Some((values, counts)) = keys.take()? {
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![values])?;
            self.update(steps, states, &batch, Times::Each(&counts));
        }
        Ok(())
    }

    fn spoil(&self, states: &mut [Result<State, Trouble>], trouble: &Trouble) {
        for place in &self.steps {
            states[*place] = Err(trouble.clone());
        }
    }
}

/// A bit for each row for which the filter is true; null is not.
fn passing(filter: &ArrayRef) -> BooleanBuffer {
    let Some(passes) = filter.as_boolean_opt() else {
        return BooleanBuffer::new_unset(filter.len());
    };
    match passes.nulls() {
        None => passes.values().clone(),
        Some(nulls) => passes.values() & nulls.inner(),
    }
}
