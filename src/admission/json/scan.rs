//! From text to nodes: where each value begins and ends, and whether it is JSON (RFC 8259) at all.
//!
//! This is the one pass over every byte of a review, hence a scanner of our own: `serde_json` passes over a value as
//! fast, but does not tell what it met on the way, and a second pass to find that out would cost as much again. A test
//! holds it to accept what `serde_json` accepts, and nothing else.

/// The text is not JSON, or is deeper or longer than we read. Where, and why, is for whoever has all of it to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct NotJson;

/// The deepest nesting that is read: Go's `encoding/json`, and so the API server, has the same limit.
const MAX_NESTING: usize = 10_000;

/// One value of a text, or one key of a map. A map's nodes are its keys and values in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The first byte of its text.
    pub(super) start: u32,
    /// The byte behind its text.
    pub(super) end: u32,
    /// The node behind it and all that is in it.
    pub(super) next: u32,
}

/// A position in a text or among its nodes; texts of 4 GiB and more are not for us.
pub(super) fn position(at: usize) -> Result<u32, NotJson> {
    u32::try_from(at).map_err(|_| NotJson)
}

/// Scans the value at `at` of `text` and appends its nodes; gives the place behind it. Positions in the nodes count
/// from `origin`.
pub(super) fn scan(text: &[u8], at: usize, origin: usize, nodes: &mut Vec<Node>) -> Result<usize, NotJson> {
    // No position, and no number of nodes, is greater than this one.
    position(text.len() + nodes.len())?;
    Scanner { text, at, origin, nodes, open: None, depth: 0 }.value()
}

struct Scanner<'s> {
    text: &'s [u8],
    at: usize,
    origin: usize,
    nodes: &'s mut Vec<Node>,
    /// The innermost list or map that is not closed yet. While it is open, its `next` is the one around it.
    open: Option<usize>,
    depth: usize,
}

/// In an open node's `next`: there is none around it.
const OUTERMOST: u32 = u32::MAX;

impl Scanner<'_> {
    fn value(mut self) -> Result<usize, NotJson> {
        loop {
            let start = skip_whitespace(self.text, self.at);
            match self.text.get(start) {
                Some(b'"') => self.scalar(start, string_end(self.text, start)?),
                Some(&bracket @ (b'{' | b'[')) => {
                    self.open(start)?;
                    // The brackets' closing twins are two further on in ASCII.
                    let after = skip_whitespace(self.text, start + 1);
                    if self.text.get(after) != Some(&(bracket + 2)) {
                        self.at = after;
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    self.close(after + 1);
                }
                Some(b'-' | b'0'..=b'9') => self.scalar(start, number_end(self.text, start)?),
                Some(_) => self.scalar(start, literal_end(self.text, start)?),
                None => return Err(NotJson),
            }
            // A value is behind us: what is open goes on or ends.
            loop {
                let Some(open) = self.open else { return Ok(self.at) };
                let is_map = self.text[self.nodes[open].start as usize + self.origin] == b'{';
                let next = skip_whitespace(self.text, self.at);
                self.at = next + 1;
                match self.text.get(next) {
                    Some(b',') if is_map => {
                        self.key()?;
                        break;
                    }
                    Some(b',') => break,
                    Some(b'}') if is_map => self.close(next + 1),
                    Some(b']') if !is_map => self.close(next + 1),
                    _ => return Err(NotJson),
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), NotJson> {
        let start = skip_whitespace(self.text, self.at);
        if self.text.get(start) != Some(&b'"') {
            return Err(NotJson);
        }
        self.scalar(start, string_end(self.text, start)?);
        let colon = skip_whitespace(self.text, self.at);
        self.at = colon + 1;
        if self.text.get(colon) == Some(&b':') { Ok(()) } else { Err(NotJson) }
    }

    fn scalar(&mut self, start: usize, end: usize) {
        let next = narrow(self.nodes.len() + 1);
        self.nodes.push(Node { start: narrow(start - self.origin), end: narrow(end - self.origin), next });
        self.at = end;
    }

    fn open(&mut self, start: usize) -> Result<(), NotJson> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(NotJson);
        }
        let around = self.open.map_or(OUTERMOST, narrow);
        self.open = Some(self.nodes.len());
        self.nodes.push(Node { start: narrow(start - self.origin), end: 0, next: around });
        Ok(())
    }

    fn close(&mut self, end: usize) {
        let next = narrow(self.nodes.len());
        if let Some(open) = self.open {
            let node = &mut self.nodes[open];
            self.open = (node.next != OUTERMOST).then_some(node.next as usize);
            node.end = narrow(end - self.origin);
            node.next = next;
        }
        self.depth -= 1;
        self.at = end;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`scan` has tested the greatest one there can be")]
fn narrow(at: usize) -> u32 {
    at as u32
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

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is zero. (Above the lowest of them, of others too.)
fn zero_bytes(word: u64) -> u64 {
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

    /// Whether `text` is one JSON value, white space around it.
    fn accepts(text: &[u8]) -> bool {
        scan(text, 0, 0, &mut Vec::new()).is_ok_and(|end| skip_whitespace(text, end) == text.len())
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
