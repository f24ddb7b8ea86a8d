//! Regular expressions over short texts: looking where to begin takes longer than going through the bytes.

use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;

/// Longer texts are better searched for what a match has to hold.
pub(super) const MOST_BYTES: usize = 64;

/// An automaton of more bytes would not stay in the processor's cache.
const MOST_AUTOMATON_BYTES: usize = 1 << 18;

/// The same while it is made.
const MOST_BUILDING_BYTES: usize = 1 << 20;

/// A table of what each byte leads to.
#[derive(Debug)]
pub(super) struct ShortTexts {
    automaton: dense::DFA<Vec<u32>>,
    /// Where a text begins.
    start: StateID,
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
        Some(Self { automaton, start })
    }

    /// Whether a text matches; none when it is too long, or the automaton cannot tell.
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let automaton = &self.automaton;
        let mut state = self.start;
        for byte in text.as_bytes() {
            state = automaton.next_state(state, *byte);
            if automaton.is_special_state(state) {
                if automaton.is_match_state(state) {
                    return Some(true);
                }
                if automaton.is_dead_state(state) {
                    return Some(false);
                }
                if automaton.is_quit_state(state) {
                    return None;
                }
            }
        }
        let end = automaton.next_eoi_state(state);
        Some(automaton.is_match_state(end))
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
