//! Bytes from text.

use super::values::Reason;
use crate::schema_file::BinaryEncoding;

pub(super) fn decode(text: &str, encoding: BinaryEncoding) -> Result<Vec<u8>, Reason> {
    match encoding {
        BinaryEncoding::Hex => hex(text.as_bytes()).ok_or_else(|| "is not hexadecimal".into()),
        BinaryEncoding::Base64 => base64(text.as_bytes()).ok_or_else(|| "is not base64".into()),
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

/// RFC 4648 section 4, with or without the padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_padded = text.len().is_multiple_of(4);
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 || (padding > 0 && !is_padded) {
        return None;
    }
    let text = &text[..text.len() - padding];
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for byte in group {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * (4 - group.len());
        let whole_bytes = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        let [_, unpacked @ ..] = bits.to_be_bytes();
        // Bits behind the last byte are zeros, or the text says what nobody wrote.
        if unpacked[whole_bytes..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&unpacked[..whole_bytes]);
    }
    Some(bytes)
}
