//! Rows in parts that never change, such as the data files of a table: what was measured of a part holds for ever.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::kept::KeptStates;
use crate::plan::Measure;
use crate::state::State;
use crate::state::fingerprint::{HASH_BYTES, short_hash};

/// Rows in parts.
#[async_trait]
pub trait Parts: fmt::Debug + Send + Sync {
    /// The keys of the parts, all different.
    fn keys(&self) -> &[PartKey];

    /// What is kept of them; nothing when nothing can be kept.
    async fn kept(&self) -> Option<Arc<KeptStates>>;

    /// Some parts, by their numbers, in the pieces that are read at the same time.
    fn pieces(&self, session: &dyn Session, parts: &[usize]) -> Vec<Piece>;

    /// A plan of one partition that reads some columns of a piece, by their numbers and in the given order.
    ///
    /// Text columns that are among `encoded` may come as dictionaries with `Int32` keys, or as views.
    ///
    /// # Errors
    /// When the piece cannot be planned over.
    async fn scan(
        &self,
        session: &dyn Session,
        columns: &[usize],
        encoded: &[usize],
        piece: Piece,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError>;

    /// Rows of a part, when that is known.
    fn rows(&self, part: usize) -> Option<u64>;

    /// In how many rows of a part a column is null, when that is known.
    fn nulls(&self, part: usize, column: &str) -> Option<u64>;

    /// The smallest or largest value of a column in a part, when that is known exactly and there is one.
    fn extreme(&self, part: usize, column: &str, end: End) -> Option<ScalarValue>;
}

/// One of the pieces that a part is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The part, by its number.
    pub part: usize,
    /// Which of its pieces it is, from 0.
    pub number: u64,
    /// How many pieces the part has.
    pub of: u64,
}

/// Which end of the values is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
}

/// Tells a part from all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartKey(pub(crate) [u8; HASH_BYTES]);

impl PartKey {
    /// The key of a part that is described by these texts, in this order.
    pub fn new<'t>(description: impl IntoIterator<Item = &'t str>) -> Self {
        let mut bytes = Vec::new();
        for text in description {
            // Behind its length, so that no two lists of texts look alike.
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Self(short_hash(&bytes))
    }
}

impl fmt::Debug for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A measure's state over a part, when what is known of the part without reading it gives the state exactly.
pub(crate) fn known_state(
    parts: &dyn Parts,
    part: usize,
    measure: &Measure,
    filter: Option<&Expr>,
    data_types: &[DataType],
) -> Option<State> {
    if filter.is_some() {
        return None;
    }
    let rows = parts.rows(part)?;
    let counted = |column: &str| parts.nulls(part, column).filter(|nulls| *nulls <= rows);
    let (column, end) = match measure {
        Measure::Rows => return Some(State::of_rows(rows)),
        Measure::Nulls(Expr::Column(column)) => {
            return Some(State::of_nulls(rows, counted(&column.name)?));
        }
        Measure::Min(Expr::Column(column)) => (column, End::Min),
        Measure::Max(Expr::Column(column)) => (column, End::Max),
        Measure::ValueCounts(Expr::Column(column)) => {
            let nulls = counted(&column.name)?;
            let extreme = |end| parts.extreme(part, &column.name, end);
            let only = match rows - nulls {
                0 => None,
                _ => Some(extreme(End::Min).filter(|min| extreme(End::Max).as_ref() == Some(min))?),
            };
            let only = only.as_ref();
            return State::of_only_value(measure, data_types, rows, nulls, only).ok();
        }
        _ => return None,
    };
    let values = rows - counted(&column.name)?;
    let outermost = match values {
        0 => None,
        _ => Some((parts.extreme(part, &column.name, end)?, values)),
    };
    State::of_extreme(measure, data_types, rows, outermost).ok()
}
