//! The pass over rows in parts: what is known or kept of a part is not read again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;
use tracing::warn;

use super::program::is_settled;
use super::{Program, Scan, States, merge, panicked, run_partition, stopped};
use crate::finding::Sources;
use crate::kept::KeptStates;
use crate::parts::{Parts, Piece, known_state};
use crate::plan::{Measure, Trouble};
use crate::state::State;
use crate::state::fingerprint::Fingerprint;

/// A part of which some pieces are read.
struct Reading {
    reader: Arc<Reader>,
    /// Of the pieces that were read.
    states: Vec<Result<State, Trouble>>,
    /// How many these are.
    pieces: u64,
}

/// What reads pieces for some measures.
struct Reader {
    /// The measures, by their places in the whole scan.
    measures: Vec<usize>,
    scan: Scan,
    parts: Arc<dyn Parts>,
    session: SessionContext,
    state: SessionState,
    columns: Vec<usize>,
    /// Those of the columns that may come as they are encoded.
    encoded: Vec<usize>,
    /// The programs for the types in which the columns came.
    programs: Mutex<Vec<(SchemaRef, Arc<Program>)>>,
}

impl Reader {
    fn new(measures: Vec<usize>, parted: &Parted<'_>) -> Self {
        let scan = parted.scan.subset(&measures);
        let columns = scan.needed_columns(&parted.schema);
        let countable = scan.countable_columns();
        let is_countable =
            |column: &usize| countable.contains(parted.schema.field(*column).name().as_str());
        Self {
            encoded: columns.iter().copied().filter(is_countable).collect(),
            columns,
            parts: Arc::clone(parted.parts),
            session: parted.session.clone(),
            state: parted.session.state(),
            programs: Mutex::default(),
            measures,
            scan,
        }
    }

    /// The states of the measures over a piece.
    async fn read(self: Arc<Self>, piece: Piece) -> Result<Vec<Result<State, Trouble>>, Trouble> {
        let (columns, encoded) = (&self.columns, &self.encoded);
        let plan = self.parts.scan(&self.state, columns, encoded, piece);
        let plan = plan.await?;
        let stream = plan.execute(0, self.session.task_ctx())?;
        let program = self.program(&stream.schema())?;
        let mut running = program.start();
        for place in 0..self.scan.measures.len() {
            if let Some(values) = self.expected(piece.part, place) {
                running.expect(place, values);
            }
        }
        run_partition(program, running, stream).await
    }

    /// How many values a measure meets in a part, when that is known exactly, and NaN with them: where there is one, no
    /// rank is asked for.
    fn expected(&self, part: usize, place: usize) -> Option<u64> {
        let (measure, filter) = &self.scan.measures[place];
        let column = match (measure, filter) {
            (Measure::Quantiles(Expr::Column(column), _), None) => column,
            _ => return None,
        };
        let nulls = self.parts.nulls(part, &column.name)?;
        self.parts.rows(part)?.checked_sub(nulls)
    }

    fn program(&self, schema: &SchemaRef) -> Result<Arc<Program>, Trouble> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, program)) = programs.iter().find(|(known, _)| known == schema) {
            return Ok(Arc::clone(program));
        }
        let program = Arc::new(Program::new(&self.session, &self.scan, schema)?);
        programs.push((Arc::clone(schema), Arc::clone(&program)));
        Ok(program)
    }
}

/// What is done for all parts.
struct Parted<'a> {
    scan: &'a Scan,
    session: &'a SessionContext,
    parts: &'a Arc<dyn Parts>,
    schema: SchemaRef,
    fingerprints: Vec<Option<Fingerprint>>,
    kept: Option<Arc<KeptStates>>,
    states: States,
}

impl Scan {
    /// The states of the measures over rows in parts.
    pub(super) async fn states_of_parts(
        &self,
        session: &SessionContext,
        schema: SchemaRef,
        parts: &Arc<dyn Parts>,
    ) -> Result<States, Trouble> {
        // Over all columns: it says of which types the measures are, and is not run.
        let program = Program::of_types(session, self, &schema)?;
        let mut parted = Parted {
            scan: self,
            session,
            parts,
            fingerprints: self.fingerprints(session, &schema),
            schema,
            kept: None,
            states: States::empty(&program),
        };
        let lacking = parted.take_known(&program).await;
        for (measures, of_parts) in lacking {
            if let Err(trouble) = parted.read(measures.clone(), &of_parts).await {
                parted.spoil(&measures, &trouble);
            }
        }
        Ok(parted.states)
    }

    /// The fingerprints of the measures; none for those whose states may not be kept.
    pub(super) fn fingerprints(
        &self,
        session: &SessionContext,
        schema: &SchemaRef,
    ) -> Vec<Option<Fingerprint>> {
        let of = |((measure, filter), lasts): (&(_, Option<_>), &bool)| {
            let filter = filter.as_ref();
            let fingerprint = lasts.then(|| Fingerprint::of(measure, filter, schema, session));
            fingerprint.flatten()
        };
        std::iter::zip(&self.measures, &self.lasting)
            .map(of)
            .collect()
    }
}

impl Parted<'_> {
    /// Merges what is known and kept. The parts that lack the same measures are left, by these measures.
    async fn take_known(&mut self, program: &Program) -> BTreeMap<Vec<usize>, Vec<usize>> {
        let mut lacking: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        let mut is_loaded = false;
        for part in 0..self.parts.keys().len() {
            let mut lacks = Vec::new();
            for measure in 0..self.scan.measures.len() {
                if is_settled(&self.states.merged[measure]) {
                    continue;
                }
                let (wanted, filter) = &self.scan.measures[measure];
                let data_types = program.data_types(measure);
                let parts = self.parts.as_ref();
                let known = known_state(parts, part, wanted, filter.as_ref(), data_types);
                if let Some(known) = known {
                    self.states.merge(measure, Ok(known));
                    self.states.sources[measure].log_statistics += 1;
                    continue;
                }
                if !is_loaded {
                    self.kept = self.parts.kept().await;
                    is_loaded = true;
                }
                if let Some(kept) = self.kept_state(part, measure, program) {
                    self.states.merge(measure, Ok(kept));
                    self.states.sources[measure].stored_states += 1;
                    continue;
                }
                lacks.push(measure);
            }
            lacking.entry(lacks).or_default().push(part);
        }
        let mut unsettled: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (mut measures, mut of_parts) in lacking {
            // Another part may have settled them.
            measures.retain(|measure| !is_settled(&self.states.merged[*measure]));
            if !measures.is_empty() {
                unsettled.entry(measures).or_default().append(&mut of_parts);
            }
        }
        unsettled
    }

    fn kept_state(&self, part: usize, measure: usize, program: &Program) -> Option<State> {
        let fingerprint = self.fingerprints[measure]?;
        let key = self.parts.keys()[part];
        let bytes = self.kept.as_ref()?.get(key, fingerprint)?;
        let (wanted, _) = &self.scan.measures[measure];
        match State::read(&bytes, wanted, program.data_types(measure)) {
            Ok(state) => Some(state),
            Err(error) => {
                warn!(part = ?key, %error, "a stored state cannot be read, and is computed anew");
                None
            }
        }
    }

    /// Reads some parts for some measures, and keeps what is found.
    async fn read(&mut self, measures: Vec<usize>, of_parts: &[usize]) -> Result<(), Trouble> {
        let pieces = self.parts.pieces(&self.session.state(), of_parts);
        let mut waiting = pieces.into_iter();
        let mut reader = Arc::new(Reader::new(measures, self));
        let mut reading: HashMap<usize, Reading> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < self.at_once() {
                let Some(piece) = waiting.next() else {
                    break;
                };
                let reader = match reading.get(&piece.part) {
                    Some(begun) => Arc::clone(&begun.reader),
                    None => {
                        reader = self.without_settled(reader);
                        let begun = self.begin(piece.part, &reader);
                        reading.insert(piece.part, begun);
                        Arc::clone(&reader)
                    }
                };
                if !reader
                    .measures
                    .iter()
                    .all(|measure| self.is_settled(*measure))
                {
                    let states = reader.read(piece);
                    tasks.spawn(async move { (piece, states.await) });
                }
            }
            let (piece, states) = match tasks.join_next().await {
                Some(Ok((piece, states))) => (piece, states?),
                Some(Err(error)) if error.is_panic() => {
                    return Err(panicked(error.into_panic().as_ref()));
                }
                Some(Err(error)) => return Err(stopped(&error)),
                None => return Ok(()),
            };
            let Some(begun) = reading.get_mut(&piece.part) else {
                return Err(Trouble::new("bug: a part was read that was not begun"));
            };
            match begun.pieces {
                0 => begun.states = states,
                _ => merge(&mut begun.states, states),
            }
            begun.pieces += 1;
            if begun.pieces == piece.of
                && let Some(whole) = reading.remove(&piece.part)
            {
                self.finish_part(piece.part, &whole.reader.measures, whole.states);
            }
        }
    }

    fn is_settled(&self, measure: usize) -> bool {
        is_settled(&self.states.merged[measure])
    }

    /// What reads for the measures that other parts have not settled.
    fn without_settled(&self, reader: Arc<Reader>) -> Arc<Reader> {
        let measures = reader.measures.iter().copied();
        let is_unsettled = |measure: &usize| !self.is_settled(*measure);
        let unsettled: Vec<usize> = measures.filter(is_unsettled).collect();
        match unsettled.len() == reader.measures.len() {
            true => reader,
            false => Arc::new(Reader::new(unsettled, self)),
        }
    }

    fn begin(&mut self, part: usize, reader: &Arc<Reader>) -> Reading {
        if !reader.measures.is_empty() {
            self.states.read.insert(self.parts.keys()[part]);
        }
        for measure in &reader.measures {
            self.states.sources[*measure].scanned += 1;
        }
        Reading {
            reader: Arc::clone(reader),
            states: Vec::new(),
            pieces: 0,
        }
    }

    /// Lets measures fail that other parts have not settled.
    fn spoil(&mut self, measures: &[usize], trouble: &Trouble) {
        for measure in measures {
            if !self.is_settled(*measure) {
                self.states.merged[*measure] = Err(trouble.clone());
            }
        }
    }

    /// So many pieces are read at once.
    fn at_once(&self) -> usize {
        let state = self.session.state_ref();
        let state = state.read();
        state.config_options().execution.target_partitions.max(1)
    }

    fn finish_part(
        &mut self,
        part: usize,
        measures: &[usize],
        states: Vec<Result<State, Trouble>>,
    ) {
        for (measure, mut state) in std::iter::zip(measures, states) {
            if self.is_settled(*measure) {
                // Nobody would ask for it.
                continue;
            }
            if let (Some(kept), Some(fingerprint), Ok(state)) =
                (&self.kept, self.fingerprints[*measure], &mut state)
            {
                keep(kept, self.parts.keys()[part], fingerprint, state);
            }
            self.states.merge(*measure, state);
        }
    }
}

/// Keeps a state of a part.
fn keep(kept: &KeptStates, part: crate::PartKey, fingerprint: Fingerprint, state: &mut State) {
    if let Ok(Some(bytes)) = state.write() {
        kept.put(part, fingerprint, &bytes);
    }
}

impl States {
    fn empty(program: &Program) -> Self {
        let merged = program.states();
        Self {
            sources: vec![Sources::default(); merged.len()],
            merged,
            read: HashSet::new(),
        }
    }

    fn merge(&mut self, measure: usize, state: Result<State, Trouble>) {
        if let Some(into) = self.merged.get_mut(measure) {
            merge(std::slice::from_mut(into), [state]);
        }
    }
}
