//! Passing over a value of a text that was scanned before, and so is JSON.

use memchr::memchr2;

use super::scan::{LOW_BITS, zero_bytes};

/// The position behind the value that begins at `start` of a text that was scanned before.
pub(super) fn skip_value(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"') => return skip_string(text, start),
        Some(b'{' | b'[') | None => {}
        Some(_) => return skip_scalar(text, start),
    }
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => skip_string(text, at),
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => skip_scalar(text, at),
        };
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The position behind the number or literal that begins at `start` of a text that was scanned before.
fn skip_scalar(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at)
        && (byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
    {
        at += 1;
    }
    at
}

/// The position behind the string that begins at `start` of a text that was scanned before.
fn skip_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    // Most strings are short: eight bytes are looked at before a search is set up.
    if let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = zero_bytes(word ^ (LOW_BITS * u64::from(b'"')));
        let backslash = zero_bytes(word ^ (LOW_BITS * u64::from(b'\\')));
        if quote != 0 && (backslash == 0 || quote.trailing_zeros() < backslash.trailing_zeros()) {
            return at + quote.trailing_zeros() as usize / 8 + 1;
        }
        at += if backslash == 0 { 8 } else { 0 };
    }
    while let Some(ahead) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += ahead + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        // Whatever is escaped ends nothing.
        at += 1;
    }
    text.len()
}
