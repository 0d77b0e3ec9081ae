//! From text to an index: whether it is JSON (RFC 8259) at all, and where its long lists and maps begin and end.
//!
//! This is the one pass over every byte of a review, hence a scanner of our own: `serde_json` passes over a value as
//! fast, but does not tell what it met on the way, and a second pass to find that out would cost as much again. A test
//! holds it to accept what `serde_json` accepts, and nothing else.

/// The text is not JSON, or is deeper or longer than we read. A caller that has all of it can say where and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct NotJson;

/// The deepest nesting that is read: Go's `encoding/json`, and so the API server, has the same limit.
const MAX_NESTING: usize = 10_000;

/// The deepest nesting that is indexed and compared. Kubernetes' own objects are some 15 levels deep.
///
/// With [`INDEXED`] it bounds the index: lists that are nested as deep as this, and no longer than they must be to be
/// in it, take 162 bytes for 50 entries of 8 bytes, 2.5 times the text.
pub(in super::super) const MAX_DEPTH: usize = 50;

/// The length in bytes from which on a list or map is in the index.
pub(super) const INDEXED: usize = 64;

/// The position of a list or map in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The bracket that opens it.
    pub(super) start: u32,
    /// The byte behind the bracket that closes it.
    pub(super) end: u32,
}

/// A position in a text; texts of 4 GiB and more are not for us.
pub(super) fn position(at: usize) -> Result<u32, NotJson> {
    u32::try_from(at).map_err(|_| NotJson)
}

/// Adds the list or map that begins at `start` to the index, without its end; gives its entry, for [`close`].
pub(super) fn open(index: &mut Vec<Span>, start: usize) -> Result<u32, NotJson> {
    let entry = position(index.len())?;
    index.push(Span { start: position(start)?, end: 0 });
    Ok(entry)
}

/// Notes where the list or map of that entry ends, or forgets it where it is short: then all that is in it is shorter,
/// and forgotten already.
pub(super) fn close(index: &mut Vec<Span>, entry: u32, end: usize) -> Result<(), NotJson> {
    let (entry, end) = (entry as usize, position(end)?);
    match index.get_mut(entry) {
        Some(span) if (end - span.start) as usize >= INDEXED => span.end = end,
        _ => index.truncate(entry),
    }
    Ok(())
}

/// A list or map that is not closed yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    is_map: bool,
    /// Its entry in the index; none so deep down that nothing is indexed.
    entry: Option<u32>,
}

/// Scans values, one after the other.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The lists and maps that are open, the innermost last. Kept from one value to the next for its room.
    open: Vec<Open>,
}

impl Scanner {
    /// Scans the value at `at` of `text`, which stands `depth` levels deep, and appends what is long in it to the index,
    /// where there is one; gives the position behind it. Positions in the index count from `origin`.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        mut at: usize,
        origin: usize,
        depth: usize,
        mut index: Option<&mut Vec<Span>>,
    ) -> Result<usize, NotJson> {
        self.open.clear();
        loop {
            let start = skip_whitespace(text, at);
            match text.get(start) {
                Some(b'"') => at = string_end(text, start)?,
                Some(&bracket @ (b'{' | b'[')) => {
                    let is_map = bracket == b'{';
                    let depth = self.open.len() + depth;
                    if depth == MAX_NESTING {
                        return Err(NotJson);
                    }
                    let index = index.as_deref_mut().filter(|_| depth < MAX_DEPTH);
                    let entry = index.map(|index| open(index, start - origin)).transpose()?;
                    self.open.push(Open { is_map, entry });
                    at = skip_whitespace(text, start + 1);
                    // The brackets' closing twins are two further on in ASCII.
                    if text.get(at) != Some(&(bracket + 2)) {
                        at = if is_map { key_end(text, at)? } else { at };
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => at = number_end(text, start)?,
                Some(_) => at = literal_end(text, start)?,
                None => return Err(NotJson),
            }
            // A value is behind us: what is open goes on or ends.
            loop {
                let Some(&Open { is_map, entry }) = self.open.last() else { return Ok(at) };
                let next = skip_whitespace(text, at);
                at = next + 1;
                match text.get(next) {
                    Some(b',') if is_map => {
                        at = key_end(text, at)?;
                        break;
                    }
                    Some(b',') => break,
                    Some(b'}') if is_map => {}
                    Some(b']') if !is_map => {}
                    _ => return Err(NotJson),
                }
                self.open.pop();
                if let (Some(entry), Some(index)) = (entry, index.as_deref_mut()) {
                    close(index, entry, at - origin)?;
                }
            }
        }
    }
}

/// The position behind the key and the colon that come next.
fn key_end(text: &[u8], at: usize) -> Result<usize, NotJson> {
    let start = skip_whitespace(text, at);
    if text.get(start) != Some(&b'"') {
        return Err(NotJson);
    }
    let colon = skip_whitespace(text, string_end(text, start)?);
    if text.get(colon) == Some(&b':') { Ok(colon + 1) } else { Err(NotJson) }
}

/// The place of the first byte from `at` on that is not white space.
pub(super) fn skip_whitespace(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The place behind the string that begins at `start`.
pub(super) fn string_end(text: &[u8], start: usize) -> Result<usize, NotJson> {
    let mut at = start + 1;
    let mut not_ascii = 0;
    loop {
        // Eight bytes at a time up to the first that is a quote, a backslash or a control character.
        let mut rest = text.get(at..).unwrap_or_default();
        let mut ahead = 0;
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            not_ascii |= word & HIGH_BITS;
            let found = zero_bytes(word ^ (LOW_BITS * u64::from(b'"')))
                | zero_bytes(word ^ (LOW_BITS * u64::from(b'\\')))
                | (word.wrapping_sub(LOW_BITS * 0x20) & !word & HIGH_BITS);
            if found != 0 {
                ahead = found.trailing_zeros() as usize / 8;
                break;
            }
            rest = after;
        }
        at = text.len() - rest.len() + ahead;
        match text.get(at) {
            Some(b'"') => break,
            Some(b'\\') => at = escape_end(text, at)?,
            None | Some(..0x20) => return Err(NotJson),
            Some(byte) => {
                not_ascii |= u64::from(*byte) & HIGH_BITS;
                at += 1;
            }
        }
    }
    if not_ascii != 0 && std::str::from_utf8(&text[start..at]).is_err() {
        return Err(NotJson);
    }
    Ok(at + 1)
}

pub(super) const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is zero. (Above the lowest of them, of others too.)
pub(super) fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

fn escape_end(text: &[u8], backslash: usize) -> Result<usize, NotJson> {
    match text.get(backslash + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(backslash + 2),
        Some(b'u') => match text.get(backslash + 2..backslash + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(backslash + 6),
            _ => Err(NotJson),
        },
        _ => Err(NotJson),
    }
}

/// The place behind the number that begins at `start`.
fn number_end(text: &[u8], start: usize) -> Result<usize, NotJson> {
    let digits = |from: usize| match text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(NotJson),
        count => Ok(from + count),
    };
    let whole = start + usize::from(text[start] == b'-');
    // Nothing but a point or an exponent comes behind a leading zero.
    let mut at = if text.get(whole) == Some(&b'0') { whole + 1 } else { digits(whole)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits(at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

fn literal_end(text: &[u8], start: usize) -> Result<usize, NotJson> {
    let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
    let literal = literals.into_iter().find(|literal| text[start..].starts_with(literal)).ok_or(NotJson)?;
    Ok(start + literal.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;
    use crate::admission::json::skip::skip_value;

    /// True if `text` is one JSON value, white space around it.
    fn accepts(text: &[u8]) -> bool {
        let mut index = Vec::new();
        let end = Scanner::default().scan(text, 0, 0, 0, Some(&mut index));
        let is_accepted = end.is_ok_and(|end| skip_whitespace(text, end) == text.len());
        // What was scanned can be passed over again.
        assert!(!is_accepted || end == Ok(skip_value(text, skip_whitespace(text, 0))));
        is_accepted
    }

    fn serde_json_accepts(text: &[u8]) -> bool {
        // Serde's pass does not look into the strings it passes over.
        std::str::from_utf8(text).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn accepts_json_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "10.5e+3",
            "1E-2",
            "true",
            "false",
            "null",
            "\"\"",
            " [ ] ",
            "{ }",
            "[[],{}]",
            "\"\\u00e9\\n\"",
            "{\"a\":1,\"a\":[2,{\"b\":null}]}",
            "\"日本語の長い文字列\"",
            "\"\\ud800\"",
            "\"seven77\\\\\"",
        ] {
            assert!(accepts(text.as_bytes()) && serde_json_accepts(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "True",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "\"\n\"",
            "[",
            "]",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[]]",
            "\u{feff}1",
            "'a'",
            "\"seven77\\",
            "NaN",
            "{1:2}",
        ] {
            assert!(!accepts(text.as_bytes()) && !serde_json_accepts(text.as_bytes()), "{text}");
        }
        assert!(!accepts(b"\"\xff\"") && !accepts(b"\"long enough \xe6\x97\""));
    }

    #[test]
    fn rejects_what_is_nested_deeper_than_the_api_server_reads() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(accepts(nested(MAX_NESTING).as_bytes()));
        assert!(!accepts(nested(MAX_NESTING + 1).as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"\\ \ntrufalsn0-9.eE+\-u\x01é]{0,24}"#) {
            prop_assert_eq!(accepts(text.as_bytes()), serde_json_accepts(text.as_bytes()));
        }

        #[test]
        fn agrees_with_serde_json_on_spoiled_json(
            at in 0_usize..200,
            byte in any::<u8>(),
            insert in any::<bool>(),
        ) {
            let mut text = br#"{"a":[1,-2.5e3,"b\n\u0041",{"c":null,"long key, 16 bytes":true}],"d":"\u00e9 more","e":{}}"#.to_vec();
            let at = at % text.len();
            if insert { text.insert(at, byte) } else { text[at] = byte }
            prop_assert_eq!(accepts(&text), serde_json_accepts(&text));
        }
    }
}
