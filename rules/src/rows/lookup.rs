//! Rows whose values another table lacks.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};
use datafusion::common::runtime::JoinSet;
use datafusion::common::{DataFusionError, JoinType};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use hashbrown::HashSet;

use super::{aliased, all_not_null, column, join, names};
use crate::plan::{Lookup, Trouble};

/// How many rows a look-up does not find.
///
/// Keys that are integers, dates, timestamps or decimals of up to 18 digits are held as a set, others by a join. When
/// memory does not suffice, rows are sorted on disk instead.
pub(crate) async fn count_missing(
    session: &SessionContext,
    rows: DataFrame,
    lookup: &Lookup,
    filter: Option<&Expr>,
) -> Result<u64, Trouble> {
    let mut condition = all_not_null(&lookup.keys);
    if let Some(filter) = filter {
        condition = filter.clone().and(condition);
    }
    let own = names("__lakegate_own", lookup.keys.len());
    let other = names("__lakegate_key", lookup.keys.len());
    let own_keys = lookup.keys.iter().map(|key| key.own.clone());
    let rows = rows.filter(condition)?.select(aliased(own_keys, &own))?;
    let others = other_keys(session, lookup, &other)?;
    if let Some(missing) = count_outside_set(session, &rows, &others).await? {
        return Ok(missing);
    }
    // The other table is the left side, so that its keys are held in memory and the rows stream.
    let missing = join(others, rows, JoinType::RightAnti, &other, &own, false)?;
    Ok(within_memory(missing, async |missing| missing.count().await).await? as u64)
}

/// Adds a marker that is not null in rows that are found, and gives the condition that is true for the others.
pub(super) fn marked(
    session: &SessionContext,
    rows: DataFrame,
    lookup: &Lookup,
    marker: &str,
) -> Result<(DataFrame, Expr), Trouble> {
    let own = names(&format!("{marker}_own"), lookup.keys.len());
    let other = names(marker, lookup.keys.len());
    // Distinct in the type in which they are compared, so that no row finds two partners.
    let others = other_keys(session, lookup, &other)?.distinct()?;
    let mut kept: Vec<Expr> = other.iter().map(|name| column(name)).collect();
    kept.push(lit(true).alias(marker));
    let others = others.select(kept)?;
    let own_keys = lookup.keys.iter().map(|key| key.own.clone());
    let columns = rows.schema().columns().into_iter();
    let mut all: Vec<Expr> = columns.map(Expr::Column).collect();
    all.extend(aliased(own_keys, &own));
    let rows = rows.select(all)?;
    let joined = join(others, rows, JoinType::Right, &other, &own, false)?;
    let is_missing = column(marker).is_null().and(all_not_null(&lookup.keys));
    Ok((joined, is_missing))
}

/// The keys of the other table, under these names.
fn other_keys(
    session: &SessionContext,
    lookup: &Lookup,
    names: &[String],
) -> Result<DataFrame, Trouble> {
    let mut others = session.read_table(Arc::clone(&lookup.table))?;
    if let Some(filter) = &lookup.table_where {
        others = others.filter(filter.clone())?;
    }
    let keys = lookup.keys.iter().map(|key| key.other.clone());
    Ok(others.select(aliased(keys, names))?)
}

/// Carries a plan out, and when memory does not suffice once more with joins that sort instead of holding one side.
pub(super) async fn within_memory<T>(
    frame: DataFrame,
    run: impl AsyncFn(DataFrame) -> Result<T, DataFusionError>,
) -> Result<T, DataFusionError> {
    match run(frame.clone()).await {
        Err(error) if is_out_of_memory(&error) => {
            let (mut state, plan) = frame.into_parts();
            let options = state.config_mut().options_mut();
            options.optimizer.prefer_hash_join = false;
            // On one partition DataFusion holds one side whatever it is told.
            let partitions = &mut options.execution.target_partitions;
            *partitions = (*partitions).max(2);
            run(DataFrame::new(state, plan)).await
        }
        done => done,
    }
}

fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// How many of some keys are not among others; none when they are not such as [`is_whole`] says, or memory does not
/// suffice.
async fn count_outside_set(
    session: &SessionContext,
    own: &DataFrame,
    others: &DataFrame,
) -> Result<Option<u64>, DataFusionError> {
    let is_whole = |frame: &DataFrame| match frame.schema().fields().as_ref() {
        [key] => is_whole(key.data_type()),
        _ => false,
    };
    if !is_whole(own) || !is_whole(others) {
        return Ok(None);
    }
    let pool = Arc::clone(&session.runtime_env().memory_pool);
    let set = match KeySet::of(others.clone(), &pool).await {
        Ok(set) => Arc::new(set),
        Err(error) if is_out_of_memory(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut tasks = JoinSet::new();
    for mut stream in own.clone().execute_stream_partitioned().await? {
        let set = Arc::clone(&set);
        tasks.spawn(async move {
            let mut missing = 0;
            while let Some(batch) = stream.next().await {
                missing += set.missing(&whole_numbers(batch?.column(0))?);
            }
            Ok::<_, DataFusionError>(missing)
        });
    }
    let mut missing = 0;
    while let Some(counted) = tasks.join_next().await {
        match counted {
            Ok(Ok(counted)) => missing += counted,
            // What the rows come from may need the memory that the set takes.
            Ok(Err(error)) if is_out_of_memory(&error) => return Ok(None),
            Ok(Err(error)) => return Err(error),
            Err(error) => return Err(DataFusionError::ExecutionJoin(Box::new(error))),
        }
    }
    Ok(Some(missing))
}

/// Whether values of a type are 64-bit numbers, by which they can be compared.
fn is_whole(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(_, _)
                | DataType::Decimal128(..=18, _)
        )
}

/// The numbers that stand for the values of a type: see [`is_whole`].
fn whole_numbers(values: &ArrayRef) -> Result<Int64Array, DataFusionError> {
    Ok(match values.data_type() {
        DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(u64::cast_signed),
        DataType::Decimal128(_, _) => {
            let digits = values.as_primitive::<Decimal128Type>();
            digits.unary(|digits| digits as i64)
        }
        _ => cast(values, &DataType::Int64)?
            .as_primitive::<Int64Type>()
            .clone(),
    })
}

/// A set of numbers.
#[derive(Debug)]
struct KeySet {
    keys: Keys,
    /// The memory that it takes.
    _reservation: MemoryReservation,
}

#[derive(Debug)]
enum Keys {
    /// A bit for each number from the first one on.
    Bits {
        first: i64,
        words: Vec<u64>,
    },
    Hashed(HashSet<i64>),
}

/// Numbers that were read, which are rid of repeated ones whenever they have doubled.
#[derive(Debug)]
struct Gathered {
    numbers: Vec<i64>,
    sorted: usize,
    reservation: MemoryReservation,
}

/// Fewer numbers than these are not looked at for repeated ones.
const FEW_NUMBERS: usize = 1 << 20;

/// The bytes of a hash set of so many numbers: at most seven in eight of its places are taken, their number is a power of
/// two, and each has a number and a byte. `hashbrown`, `capacity_to_buckets`.
fn hashed_bytes(count: usize) -> usize {
    (count.saturating_mul(8) / 7 + 1).next_power_of_two() * (size_of::<i64>() + 1)
}

impl KeySet {
    /// The set of the numbers in the only column of a frame; nulls are left out.
    async fn of(frame: DataFrame, pool: &Arc<dyn MemoryPool>) -> Result<Self, DataFusionError> {
        let reservation = || MemoryConsumer::new("look-up").register(pool);
        let mut tasks = JoinSet::new();
        for mut stream in frame.execute_stream_partitioned().await? {
            let mut gathered = Gathered {
                numbers: Vec::new(),
                sorted: 0,
                reservation: reservation(),
            };
            tasks.spawn(async move {
                while let Some(batch) = stream.next().await {
                    gathered.take(&whole_numbers(batch?.column(0))?)?;
                }
                Ok::<_, DataFusionError>(gathered)
            });
        }
        let mut gathered: Vec<Gathered> = Vec::new();
        while let Some(part) = tasks.join_next().await {
            let part = part.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
            gathered.push(part?);
        }
        let reservation = reservation();
        let keys = Keys::of(&gathered, &reservation)?;
        Ok(Self {
            keys,
            _reservation: reservation,
        })
    }

    /// How many numbers are not in the set; nulls are not.
    fn missing(&self, numbers: &Int64Array) -> u64 {
        let missing = match &self.keys {
            Keys::Bits { first, words } => {
                let is_in = |number: i64| {
                    let at = number.wrapping_sub(*first).cast_unsigned();
                    let word = usize::try_from(at / 64)
                        .ok()
                        .and_then(|word| words.get(word));
                    word.is_some_and(|word| word >> (at % 64) & 1 == 1)
                };
                count_where(numbers, |number| !is_in(number))
            }
            Keys::Hashed(set) => count_where(numbers, |number| !set.contains(&number)),
        };
        missing + numbers.null_count() as u64
    }
}

/// How many numbers fulfil a condition; nulls do not.
fn count_where(numbers: &Int64Array, is_true: impl Fn(i64) -> bool) -> u64 {
    match numbers.null_count() {
        0 => numbers.values().iter().filter(|n| is_true(**n)).count() as u64,
        _ => numbers.iter().flatten().filter(|n| is_true(*n)).count() as u64,
    }
}

impl Gathered {
    fn take(&mut self, numbers: &Int64Array) -> Result<(), DataFusionError> {
        let wanted = self.numbers.len() + numbers.len();
        if wanted > self.numbers.capacity() && wanted > FEW_NUMBERS.max(2 * self.sorted) {
            self.numbers.sort_unstable();
            self.numbers.dedup();
            self.sorted = self.numbers.len();
        }
        let wanted = self.numbers.len() + numbers.len();
        if wanted > self.numbers.capacity() {
            let capacity = wanted.max(2 * self.numbers.len());
            self.reservation.try_resize(capacity * size_of::<i64>())?;
            self.numbers.reserve_exact(capacity - self.numbers.len());
        }
        match numbers.null_count() {
            0 => self.numbers.extend_from_slice(numbers.values()),
            _ => self.numbers.extend(numbers.iter().flatten()),
        }
        Ok(())
    }
}

impl Keys {
    fn of(gathered: &[Gathered], reservation: &MemoryReservation) -> Result<Self, DataFusionError> {
        let numbers = || gathered.iter().flat_map(|part| &part.numbers).copied();
        let count: usize = gathered.iter().map(|part| part.numbers.len()).sum();
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Ok(Self::Hashed(HashSet::new()));
        };
        let words = last.abs_diff(first) / 64 + 1;
        let words = usize::try_from(words).unwrap_or(usize::MAX);
        if words.saturating_mul(size_of::<u64>()) <= hashed_bytes(count) {
            reservation.try_grow(words * size_of::<u64>())?;
            let mut words = vec![0u64; words];
            for number in numbers() {
                let at = number.abs_diff(first);
                words[(at / 64) as usize] |= 1 << (at % 64);
            }
            return Ok(Self::Bits { first, words });
        }
        reservation.try_grow(hashed_bytes(count))?;
        let mut set = HashSet::with_capacity(count);
        set.extend(numbers());
        Ok(Self::Hashed(set))
    }
}

#[cfg(test)]
mod tests;
