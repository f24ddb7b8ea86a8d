//! Numbers of credit and debit cards.
//!
//! Source: ISO/IEC 7812-1 for the check digit; the ranges and lengths are those that the issuers publish, as Wikipedia's
//! "Payment card number" lists them.

/// First digits of an issuer's numbers, from and to, and how many digits they have.
struct Range(u64, u64, &'static [usize]);

/// Up to six first digits tell the issuer.
const PREFIX_DIGITS: usize = 6;

const UP_TO_19: &[usize] = &[16, 17, 18, 19];
const DINERS: &[usize] = &[14, 15, 16, 17, 18, 19];
const MAESTRO: &[usize] = &[13, 14, 15, 16, 17, 18, 19];

const RANGES: &[Range] = &[
    // UATP.
    Range(1, 1, &[15]),
    // Mir.
    Range(2200, 2204, UP_TO_19),
    // Mastercard.
    Range(2221, 2720, &[16]),
    Range(51, 55, &[16]),
    // Diners Club.
    Range(300, 305, DINERS),
    Range(3095, 3095, DINERS),
    Range(36, 36, DINERS),
    Range(38, 39, DINERS),
    // American Express.
    Range(34, 34, &[15]),
    Range(37, 37, &[15]),
    // JCB.
    Range(3528, 3589, UP_TO_19),
    // Visa.
    Range(4, 4, &[13, 16, 19]),
    // Maestro.
    Range(5018, 5018, MAESTRO),
    Range(5020, 5020, MAESTRO),
    Range(5038, 5038, MAESTRO),
    Range(5893, 5893, MAESTRO),
    Range(6304, 6304, MAESTRO),
    Range(6759, 6759, MAESTRO),
    Range(6761, 6763, MAESTRO),
    // Dankort.
    Range(5019, 5019, &[16]),
    // Verve.
    Range(506_099, 506_198, &[16, 18, 19]),
    Range(507_865, 507_964, &[16, 18, 19]),
    // RuPay.
    Range(508, 508, &[16]),
    Range(60, 60, &[16]),
    Range(81, 82, &[16]),
    // Discover.
    Range(6011, 6011, UP_TO_19),
    Range(644, 649, UP_TO_19),
    Range(65, 65, UP_TO_19),
    // UnionPay.
    Range(62, 62, UP_TO_19),
    // InterPayment and InstaPayment.
    Range(636, 636, UP_TO_19),
    Range(637, 639, &[16]),
    // Troy.
    Range(9792, 9792, &[16]),
];

/// Most digits that a number has.
pub(super) const MOST_DIGITS: usize = 19;

/// Whether the text is the number of a card, written without separators, or with the same one, a blank or a hyphen,
/// between groups of digits as cards show them.
pub(super) fn is_credit_card(text: &str) -> bool {
    let separator = text.bytes().find(|b| !b.is_ascii_digit());
    let groups: Vec<&str> = match separator {
        None => vec![text],
        Some(b' ') => text.split(' ').collect(),
        Some(b'-') => text.split('-').collect(),
        Some(_) => return false,
    };
    is_number(&groups)
}

/// Whether groups of digits are the number of a card.
pub(super) fn is_number(groups: &[&str]) -> bool {
    let digits: Vec<u8> = groups
        .iter()
        .flat_map(|group| group.bytes())
        .filter(u8::is_ascii_digit)
        .map(|byte| byte - b'0')
        .collect();
    let written: usize = groups.iter().map(|group| group.len()).sum();
    written == digits.len() && is_shown(groups) && is_issued(&digits) && is_checked(&digits)
}

/// Whether cards show their numbers in these groups: fours and a rest, as American Express and Diners Club do, or as
/// UnionPay and Maestro do with nineteen digits.
fn is_shown(groups: &[&str]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    match lengths.as_slice() {
        [_] | [4, 6, 4 | 5] | [6, 13] | [4, 4, 5] => true,
        [fours @ .., rest] => fours.iter().all(|length| *length == 4) && (1..=4).contains(rest),
        [] => false,
    }
}

fn is_issued(digits: &[u8]) -> bool {
    RANGES.iter().any(|Range(from, to, lengths)| {
        let width = from.checked_ilog10().unwrap_or_default() as usize + 1;
        let first = digits.iter().take(width.min(PREFIX_DIGITS));
        let prefix = first.fold(0, |number, digit| number * 10 + u64::from(*digit));
        lengths.contains(&digits.len()) && (*from..=*to).contains(&prefix)
    })
}

/// The check digit, by Luhn's algorithm.
fn is_checked(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::is_credit_card;

    #[test]
    fn cards_of_the_issuers_are_known_in_each_spelling() {
        let good = [
            "378282246310005",
            "3782 822463 10005",
            "371449635398431",
            "30569309025904",
            "3056 930902 5904",
            "38520000023237",
            "6011111111111117",
            "6011 1111 1111 1117",
            "6011-1111-1111-1117",
            "3530111333300000",
            "5555555555554444",
            "5555 5555 5555 4444",
            "5105-1051-0510-5100",
            "2223003122003222",
            "4111111111111111",
            "4111 1111 1111 1111",
            "4222222222222",
            "4000 0000 0000 0000 006",
            "6304000000000000",
            "6200000000000005",
        ];
        for text in good {
            assert!(is_credit_card(text), "{text}");
        }
        let bad = [
            "",
            "-",
            "4111111111111112",
            "4111 1111-1111 1111",
            "4111  1111 1111 1111",
            "41 1111 1111 1111 11",
            "4111.1111.1111.1111",
            "411111111111111",
            "0000111122223333",
            "000011112222333",
            "00001111222233",
            "0000000000000000",
            "4111111111111111 ",
            "-4111111111111111",
            "４111111111111111",
            "41111111111111111111111",
        ];
        for text in bad {
            assert!(!is_credit_card(text), "{text}");
        }
    }
}
