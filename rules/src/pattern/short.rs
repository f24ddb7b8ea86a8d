//! Regular expressions over short texts: looking where to begin takes longer than going through the bytes.

use std::collections::HashMap;

use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;

/// Longer texts are better searched for what a match has to hold.
const MOST_BYTES: usize = 64;

/// An automaton of more bytes would not stay in the processor's cache.
const MOST_AUTOMATON_BYTES: usize = 1 << 18;

/// The same while it is made.
const MOST_BUILDING_BYTES: usize = 1 << 20;

/// A table of what each byte leads to.
#[derive(Debug)]
pub(super) struct ShortTexts {
    /// The outcomes come first: nothing leads out of them.
    states: Vec<State>,
    /// Where a text begins.
    start: u16,
}

#[derive(Debug, Clone)]
struct State {
    /// The place of the state that each byte leads to.
    next: [u16; 256],
    /// The outcome when the text ends.
    at_end: u16,
}

/// The places of outcomes: whatever follows, the text does not match, it does, or the automaton cannot tell.
const FAILS: u16 = 0;
const MATCHES: u16 = 1;
const UNKNOWN: u16 = 2;
const OUTCOMES: [u16; 3] = [FAILS, MATCHES, UNKNOWN];

/// Of more states the table would be too large.
const MOST_STATES: usize = 2048;

impl State {
    /// A state that everything leads to the same outcome from.
    const fn only(outcome: u16) -> Self {
        Self {
            next: [outcome; 256],
            at_end: outcome,
        }
    }

    fn is_only(&self, outcome: u16) -> bool {
        self.at_end == outcome && self.next.iter().all(|next| *next == outcome)
    }
}

impl ShortTexts {
    /// None for a pattern whose automaton is large, or that looks at words of any script.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(MOST_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MOST_BUILDING_BYTES));
        let automaton = dense::Builder::new()
            .configure(config)
            .build(pattern)
            .ok()?;
        // It depends on what is before the first byte, which is nothing.
        let start = automaton.start_state_forward(&Input::new("")).ok()?;
        // An empty match is none inside of a character, which the automaton does not know of.
        let may_be_empty = automaton.has_empty();
        let mut places = Places::default();
        let start = places.place(&automaton, start);
        let mut states = OUTCOMES.map(State::only).to_vec();
        while let Some(from) = places.found.get(states.len() - OUTCOMES.len()).copied() {
            let mut place = |byte: u8| match byte.is_ascii() || !may_be_empty {
                true => places.place(&automaton, automaton.next_state(from, byte)),
                false => UNKNOWN,
            };
            let next = std::array::from_fn(|byte| place(byte as u8));
            let end = automaton.next_eoi_state(from);
            let at_end = match automaton.is_match_state(end) {
                true => MATCHES,
                false => FAILS,
            };
            states.push(State { next, at_end });
            if states.len() > MOST_STATES {
                return None;
            }
        }
        let mut table = Self { states, start };
        table.decide_early();
        Some(table)
    }

    /// The automaton tells of a match one byte late: what can only lead to one is one.
    fn decide_early(&mut self) {
        let is_decided = |state: &State| state.is_only(MATCHES);
        let are_decided: Vec<bool> = self.states.iter().map(is_decided).collect();
        let decide = |place: u16| match are_decided[usize::from(place)] {
            true => MATCHES,
            false => place,
        };
        for state in &mut self.states {
            state.next = state.next.map(decide);
        }
        self.start = decide(self.start);
    }

    /// Whether a text matches; none when it is too long, or the automaton cannot tell.
    #[inline]
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let mut state = &self.states[usize::from(self.start)];
        let mut outcome = None;
        for byte in text.as_bytes() {
            let next = state.next[usize::from(*byte)];
            if next <= UNKNOWN {
                outcome = Some(next);
                break;
            }
            state = &self.states[usize::from(next)];
        }
        match outcome.unwrap_or(state.at_end) {
            MATCHES => Some(true),
            FAILS => Some(false),
            _ => None,
        }
    }
}

/// The states of an automaton in the order in which they were found.
#[derive(Default)]
struct Places {
    found: Vec<StateID>,
    places: HashMap<StateID, u16>,
}

impl Places {
    fn place(&mut self, automaton: &dense::DFA<Vec<u32>>, state: StateID) -> u16 {
        if automaton.is_match_state(state) {
            return MATCHES;
        }
        if automaton.is_dead_state(state) {
            return FAILS;
        }
        if automaton.is_quit_state(state) {
            return UNKNOWN;
        }
        let next = self.found.len() + OUTCOMES.len();
        *self.places.entry(state).or_insert_with(|| {
            self.found.push(state);
            u16::try_from(next).unwrap_or(UNKNOWN)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Patterns of pieces that differ in what they look at.
    fn pattern() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("a"),
            Just("b"),
            Just("[a-z]"),
            Just("[^a]"),
            Just("."),
            Just("(?i)ä"),
            Just("\\d"),
            Just("(?-u:\\b)"),
            Just("(?-u:\\B)"),
            Just("(?-u:\\b{start-half})"),
            Just("(?-u:\\b{end-half})"),
            Just("\\b"),
            Just("^"),
            Just("$"),
            Just("(?m)^"),
            Just("(?m)$"),
            Just("(?Rm)$"),
            Just("(?Rm)^"),
            Just("\\n"),
            Just("|"),
            Just("*"),
            Just("+?"),
            Just("{2}"),
            Just("("),
            Just(")"),
            Just(""),
        ];
        proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn short_texts_match_as_long_ones_do(
            pattern in pattern(),
            texts in proptest::collection::vec("[ab0äÄ \r\n]{0,6}", 1..8),
        ) {
            if let (Ok(regex), Some(short)) = (Regex::new(&pattern), ShortTexts::new(&pattern)) {
                for text in texts {
                    if let Some(is_match) = short.is_match(&text) {
                        prop_assert_eq!(is_match, regex.is_match(&text), "{} of {:?}", pattern, text);
                    }
                }
            }
        }
    }

    #[test]
    fn empty_text_inside_of_a_character_is_no_match() {
        for pattern in ["(?-u:\\B)", "(?-u:\\B)|b", "(?:|b)(?-u:\\B)"] {
            let regex = Regex::new(pattern).unwrap();
            let short = ShortTexts::new(pattern).unwrap();
            for text in ["0Äa", "Ä", "0", "00", "Ä0Ä", ""] {
                let told = short.is_match(text);
                let is_match = regex.is_match(text);
                assert!(
                    told.is_none_or(|told| told == is_match),
                    "{pattern} of {text:?}"
                );
            }
        }
    }

    #[test]
    fn what_people_write_is_matched_so() {
        for pattern in ["[a-z]", "^[A-Z ]+$", r"^\d{4}-\d{2}$", "(?i)error|warning"] {
            let short = ShortTexts::new(pattern);
            let told = short.and_then(|short| short.is_match("an Error at 2024-05 of x@y"));
            let expected = Regex::new(pattern).unwrap();
            assert_eq!(
                told,
                Some(expected.is_match("an Error at 2024-05 of x@y")),
                "{pattern}"
            );
        }
        let short = ShortTexts::new("a").unwrap();
        assert_eq!(short.is_match(&"b".repeat(MOST_BYTES + 1)), None);
    }
}
