//! Formats that stand somewhere in a text, between word boundaries.

use super::{card, ends_url, is_email, is_label, is_local, is_of_scheme, is_url, is_us_ssn};

/// Whether a character goes on with a word: no format begins behind it or ends before it.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_bounded(text: &str, start: usize, end: usize) -> bool {
    !text[..start].ends_with(is_of_word) && !text[end..].starts_with(is_of_word)
}

/// Around each `@`, what may belong to an address.
pub(super) fn has_email(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let start = before.len() - ending(before, is_local);
        let (ahead, run) = before.split_at(start);
        // Two dots, or one at the beginning, end a sentence.
        let local = run.rsplit("..").next().unwrap_or(run);
        let local = local.trim_start_matches('.');
        let domain = domain_of(after);
        let is_free = |c: char| !is_of_word(c) && c != '@';
        let begins = run.len() > local.len() || ahead.chars().next_back().is_none_or(is_free);
        let behind = after[domain.len()..].chars().next();
        begins && behind.is_none_or(is_free) && is_email(&format!("{local}@{domain}"))
    })
}

/// How many bytes at the end of a text are such ones.
fn ending(text: &str, is_wanted: impl Fn(u8) -> bool) -> usize {
    let bytes = text.bytes().rev();
    bytes.take_while(|byte| is_wanted(*byte)).count()
}

/// The labels and dots with which a text begins; a dot or a hyphen at the end belongs to the sentence.
fn domain_of(text: &str) -> &str {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let run = &text[..text.bytes().take_while(|b| is_part(b)).count()];
    let mut end = 0;
    for label in run.split('.') {
        if is_label(label) {
            end += label.len() + 1;
            continue;
        }
        let trimmed = label.trim_end_matches('-');
        if is_label(trimmed) {
            end += trimmed.len() + 1;
        }
        break;
    }
    &run[..end.saturating_sub(1)]
}

/// Before each `://` a scheme, behind it what may belong to a URL.
pub(super) fn has_url(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let (before, after) = text.split_at(at);
        let run = &before[before.len() - ending(before, is_of_scheme)..];
        let scheme = run.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        let ahead = &before[..before.len() - scheme.len()];
        // The path goes on with the text; what has to be right comes before it.
        let behind = &after["://".len()..];
        let ends = |c: char| ends_url(c) || matches!(c, '/' | '?' | '#');
        let authority = &behind[..behind.find(ends).unwrap_or(behind.len())];
        !ahead.ends_with(is_of_word) && is_url(&format!("{scheme}://{authority}"))
    })
}

pub(super) fn has_us_ssn(text: &str) -> bool {
    groups_of_digits(text).iter().any(|(start, _)| {
        [9, 11].iter().any(|length| {
            let end = start + length;
            let found = text.get(*start..end);
            found.is_some_and(|found| is_us_ssn(found) && is_bounded(text, *start, end))
        })
    })
}

/// Groups of digits beside each other, with the same separator between them.
pub(super) fn has_credit_card(text: &str) -> bool {
    let groups = groups_of_digits(text);
    (0..groups.len()).any(|first| {
        let (start, _) = groups[first];
        let mut end = start;
        let mut separator = None;
        let mut number: Vec<&str> = Vec::new();
        for (place, group) in &groups[first..] {
            if !number.is_empty() {
                let between = &text[end..*place];
                let is_same = *separator.get_or_insert(between) == between;
                if !matches!(between, " " | "-") || !is_same {
                    return false;
                }
            }
            number.push(group);
            end = place + group.len();
            if end - start > 2 * card::MOST_DIGITS {
                return false;
            }
            if card::is_number(&number) && is_bounded(text, start, end) {
                return true;
            }
        }
        false
    })
}

/// The longest runs of digits, each with its place.
fn groups_of_digits(text: &str) -> Vec<(usize, &str)> {
    let mut groups = Vec::new();
    let mut start = 0;
    for part in text.split(|c: char| !c.is_ascii_digit()) {
        if !part.is_empty() {
            groups.push((start, part));
        }
        let behind = start + part.len();
        start = behind + text[behind..].chars().next().map_or(0, char::len_utf8);
    }
    groups
}

#[cfg(test)]
mod tests {
    use crate::pattern::Format;

    #[test]
    fn formats_are_found_in_what_deequ_lists() {
        let lists: &[(Format, &[&str], &[&str])] = &[
            (
                Format::CreditCard,
                &[
                    "378282246310005",
                    "6011111111111117",
                    "6011 1111 1111 1117",
                    "6011-1111-1111-1117",
                    "5555555555554444",
                    "5555 5555 5555 4444",
                    "5555-5555-5555-4444",
                    "4111111111111111",
                    "4111 1111 1111 1111",
                    "4111-1111-1111-1111",
                ],
                &["0000111122223333", "000011112222333", "00001111222233"],
            ),
            (
                Format::Url,
                &[
                    "http://foo.com/blah_blah",
                    "http://foo.com/blah_blah_(wikipedia)",
                    "http://foo.bar/?q=Test%20URL-encoded%20stuff",
                    "http://➡.ws/䨹",
                    "http://⌘.ws/",
                    "http://☺.damowmow.com/",
                    "http://例子.测试",
                    "https://foo_bar.example.com/",
                    "http://userid@example.com:8080",
                    "http://foo.com/blah_(wikipedia)#cite-1",
                ],
                &["http://../", "h://test", "http://.www.foo.bar/"],
            ),
            (
                Format::UsSsn,
                &["111-05-1130", "111051130"],
                &[
                    "111-05-000",
                    "111-00-000",
                    "000-05-1130",
                    "666-05-1130",
                    "900-05-1130",
                    "999-05-1130",
                ],
            ),
            (Format::Email, &["someone@somewhere.org"], &["someone@else"]),
        ];
        for (format, good, bad) in lists {
            for text in *good {
                assert!(format.is_met(text) && format.is_found(text), "{text}");
            }
            for text in *bad {
                assert!(!format.is_met(text) && !format.is_found(text), "{text}");
            }
        }
    }

    #[test]
    fn formats_are_found_between_word_boundaries() {
        let cases: &[(Format, &[&str], &[&str])] = &[
            (
                Format::Email,
                &[
                    "a@b.co",
                    "Please contact me at someone@somewhere.tld, thank you.",
                    "<a@b.co>",
                    "mailto:a@b.co.",
                    "ask...bob@example.org!",
                    "(a@b.co)",
                    "no@where and a@b.co-",
                ],
                &[
                    "", "@", "a@b", "a @b.co", "a@b.co_x", "äa@b.co", "a@b.coä", "a@b.co@c",
                    "a@.co",
                ],
            ),
            (
                Format::Url,
                &[
                    "https://example.org",
                    "Hey, please have a look at https://www.example.com/foo/?bar=baz&inga=42&quux!",
                    "(s3://bucket/key)",
                    "1,2 http://例子.测试",
                    "x :// http://h",
                ],
                &[
                    "",
                    "://",
                    "example.org",
                    "http://",
                    "see http:// x",
                    "http://../",
                    "_http://h",
                    "h://test",
                    "1http://h",
                ],
            ),
            (
                Format::CreditCard,
                &[
                    "My credit card number is: 4111-1111-1111-1111.",
                    "12 4111 1111 1111 1111 5",
                    "card:378282246310005",
                    "2024-01-01 4111111111111111",
                    "ä 4111 1111 1111 1111 ä",
                ],
                &[
                    "",
                    "x4111111111111111",
                    "4111111111111111x",
                    "94111111111111111",
                    "4111-1111-1111-1112",
                    "4111-1111 1111-1111",
                    "４4111111111111111",
                ],
            ),
            (
                Format::UsSsn,
                &[
                    "My SSN is 111-05-1130, thanks.",
                    "(111051130)",
                    "12 111 05 1130",
                ],
                &[
                    "",
                    "x111051130",
                    "1111-05-1130",
                    "111-05-11301",
                    "My SSN is 078-05-1120",
                    "ä11105113",
                ],
            ),
        ];
        for (format, good, bad) in cases {
            for text in *good {
                assert!(format.is_found(text), "{format:?} {text:?}");
            }
            for text in *bad {
                assert!(!format.is_found(text), "{format:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_long_text_of_schemes_is_read_in_time() {
        // In a time that grows with the square of the length this would take hours.
        let text = "aa://.".repeat(1 << 20);
        assert!(!Format::Url.is_found(&text));
    }
}
