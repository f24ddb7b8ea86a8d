//! States of parts that are kept from one judgement to the next, in memory and as bytes.
//!
//! A segment is what one judgement adds, or what several came to when they were merged. `docs/states.md` has its form.
//! An entry that is missing is computed anew, and two entries of one part and measure are equal, so segments may be
//! read in any order, lost, or written twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::parts::PartKey;
use crate::state::codec::{DecodeError, Reader, VERSION, Writer};
use crate::state::fingerprint::Fingerprint;

/// The first bytes of a segment.
const MAGIC: [u8; 8] = *b"LKGSTATE";

/// Bytes of the checksum at the end of a segment.
const CHECKSUM_BYTES: usize = 32;

/// What the map needs for an entry beside its bytes, about.
const BYTES_BESIDE: usize = 96;

/// States that are kept.
#[derive(Default)]
pub struct KeptStates {
    parts: Mutex<Kept>,
    most_bytes: usize,
}

#[derive(Default)]
struct Kept {
    parts: HashMap<PartKey, HashMap<Fingerprint, Entry>>,
    bytes: usize,
}

struct Entry {
    state: Arc<[u8]>,
    is_new: bool,
    is_used: bool,
}

impl fmt::Debug for KeptStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptStates").finish_non_exhaustive()
    }
}

/// How much of what is kept a version still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// States of parts that it has.
    pub live: usize,
    /// States of other parts.
    pub dead: usize,
}

impl KeptStates {
    /// Nothing yet, and never more than so many bytes. What does not fit is not kept.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            parts: Mutex::default(),
            most_bytes,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the states of a segment. Nothing is taken from one that is damaged.
    ///
    /// # Errors
    /// When the bytes are no segment, or one of another version.
    pub fn read(&self, segment: &[u8]) -> Result<(), DecodeError> {
        let body = verified(segment)?;
        // All of it is looked at before any of it is taken.
        each_entry(body, |_, _, _| {})?;
        let mut kept = self.kept();
        each_entry(body, |part, fingerprint, state| {
            kept.insert(self.most_bytes, part, fingerprint, state, false);
        })
    }

    /// The bytes of a state.
    pub(crate) fn get(&self, part: PartKey, fingerprint: Fingerprint) -> Option<Arc<[u8]>> {
        let mut kept = self.kept();
        let entry = kept.parts.get_mut(&part)?.get_mut(&fingerprint)?;
        entry.is_used = true;
        Some(Arc::clone(&entry.state))
    }

    /// Adds a state that was computed, in the place of one that could not be read.
    pub(crate) fn put(&self, part: PartKey, fingerprint: Fingerprint, state: &[u8]) {
        self.kept()
            .insert(self.most_bytes, part, fingerprint, state, true);
    }

    /// A segment of the states that were computed since the last time, of these parts; none when there are none.
    pub fn take_new(&self, is_wanted: impl Fn(PartKey) -> bool) -> Option<Vec<u8>> {
        let mut kept = self.kept();
        let mut chosen = Vec::new();
        for (part, states) in &mut kept.parts {
            if !is_wanted(*part) {
                continue;
            }
            for (fingerprint, entry) in states.iter_mut().filter(|(_, entry)| entry.is_new) {
                entry.is_new = false;
                chosen.push((*part, *fingerprint, Arc::clone(&entry.state)));
            }
        }
        (!chosen.is_empty()).then(|| segment(chosen))
    }

    /// How many states there are of parts that are live, and of others.
    pub fn census(&self, is_live: impl Fn(PartKey) -> bool) -> Census {
        let mut census = Census { live: 0, dead: 0 };
        for (part, states) in &self.kept().parts {
            match is_live(*part) {
                true => census.live += states.len(),
                false => census.dead += states.len(),
            }
        }
        census
    }

    /// One segment with all states of parts that are live; states that no check asked for only up to so many bytes.
    pub fn merged(&self, is_live: impl Fn(PartKey) -> bool, most_unused: usize) -> Vec<u8> {
        let mut chosen = Vec::new();
        let mut unused = 0;
        for (part, states) in &mut self.kept().parts {
            if !is_live(*part) {
                continue;
            }
            for (fingerprint, entry) in states.iter_mut() {
                if !entry.is_used && !entry.is_new {
                    unused += entry.state.len() + BYTES_BESIDE;
                    if unused > most_unused {
                        continue;
                    }
                }
                entry.is_new = false;
                chosen.push((*part, *fingerprint, Arc::clone(&entry.state)));
            }
        }
        segment(chosen)
    }
}

impl Kept {
    fn insert(
        &mut self,
        most_bytes: usize,
        part: PartKey,
        fingerprint: Fingerprint,
        state: &[u8],
        is_new: bool,
    ) {
        let more = state.len() + BYTES_BESIDE;
        if self.bytes + more > most_bytes {
            return;
        }
        let entry = Entry {
            state: state.into(),
            is_new,
            is_used: is_new,
        };
        let before = self
            .parts
            .entry(part)
            .or_default()
            .insert(fingerprint, entry);
        let less = before.map_or(0, |entry| entry.state.len() + BYTES_BESIDE);
        self.bytes = self.bytes + more - less;
    }
}

/// The bytes of some states: equal for equal states, whatever their order.
fn segment(mut states: Vec<(PartKey, Fingerprint, Arc<[u8]>)>) -> Vec<u8> {
    states.sort_unstable_by_key(|(part, fingerprint, _)| (*part, *fingerprint));
    let mut to = Writer::default();
    for of_part in states.chunk_by(|left, right| left.0 == right.0) {
        let Some((part, _, _)) = of_part.first() else {
            continue;
        };
        to.raw(&part.0);
        to.u64(of_part.len() as u64);
        for (_, fingerprint, state) in of_part {
            to.raw(&fingerprint.0);
            to.bytes(state);
        }
    }
    seal(to.as_bytes())
}

/// Puts header and checksum around the content of a segment.
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.raw(&MAGIC);
    to.u16(VERSION);
    to.raw(content);
    let checksum = Sha256::digest(to.as_bytes());
    to.raw(&checksum);
    to.into_bytes()
}

/// What is between the header and the checksum of a segment.
fn verified(segment: &[u8]) -> Result<&[u8], DecodeError> {
    let mut head = Reader::new(segment);
    if head.raw()? != MAGIC {
        return Err(DecodeError::Damaged("they do not begin as states do"));
    }
    let found = head.u16()?;
    if found != VERSION {
        let is_later = found > VERSION;
        return Err(DecodeError::Version { found, is_later });
    }
    let header = MAGIC.len() + size_of::<u16>();
    let Some((content, checksum)) = segment
        .split_last_chunk::<CHECKSUM_BYTES>()
        .filter(|(content, _)| content.len() >= header)
    else {
        return Err(DecodeError::Damaged("they end too early"));
    };
    if Sha256::digest(content).as_slice() != checksum {
        return Err(DecodeError::Damaged("the checksum is another one"));
    }
    Ok(&content[header..])
}

fn each_entry(
    body: &[u8],
    mut take: impl FnMut(PartKey, Fingerprint, &[u8]),
) -> Result<(), DecodeError> {
    let mut from = Reader::new(body);
    while !from.is_at_end() {
        let part = PartKey(from.raw()?);
        for _ in 0..from.u64()? {
            let fingerprint = Fingerprint(from.raw()?);
            take(part, fingerprint, from.bytes()?);
        }
    }
    Ok(())
}
