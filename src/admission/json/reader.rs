//! A position in a text that has not been read to its end.

use super::{
    scan::{NotJson, Scanner, skip_whitespace, string_end},
    tree::Tree,
};

/// A position in a text; all before it has been read and is JSON.
#[derive(Debug)]
pub(in super::super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) scanner: Scanner,
}

impl<'a> Reader<'a> {
    pub(in super::super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, scanner: Scanner::default() }
    }

    /// Goes to the next byte that is not white space, and gives it, still unread.
    pub(in super::super) fn peek(&mut self) -> Option<u8> {
        self.at = skip_whitespace(self.text, self.at);
        self.text.get(self.at).copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Fails where anything but white space is left.
    pub(in super::super) fn end(&mut self) -> Result<(), NotJson> {
        self.peek().map_or(Ok(()), |_| Err(NotJson))
    }

    /// Reads one value, whatever it is, and gives its text.
    pub(in super::super) fn value(&mut self) -> Result<&'a [u8], NotJson> {
        let start = skip_whitespace(self.text, self.at);
        self.at = if self.text.get(start) == Some(&b'"') {
            string_end(self.text, start)?
        } else {
            self.scanner.scan(self.text, start, start, 0, None)?
        };
        Ok(&self.text[start..self.at])
    }

    /// Reads one value and gives its tree.
    pub(in super::super) fn tree(&mut self) -> Result<Tree<'a>, NotJson> {
        let start = skip_whitespace(self.text, self.at);
        let mut index = Vec::with_capacity(64);
        self.at = self.scanner.scan(self.text, start, start, 0, Some(&mut index))?;
        Ok(Tree { text: &self.text[start..self.at], index })
    }

    /// Reads a map: `member` is called with each key's text, quotes included, and reads its value.
    pub(in super::super) fn map(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        if !self.take(b'{') {
            return Err(NotJson);
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key(None)?;
            member(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(NotJson);
            }
        }
    }

    /// Reads a key and its colon. `likely` is the text of a key that may well be this one.
    pub(super) fn key(&mut self, likely: Option<&[u8]>) -> Result<&'a [u8], NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        let start = self.at;
        if !likely.is_some_and(|likely| self.take_same(likely)) {
            self.at = string_end(self.text, start)?;
        }
        let key = &self.text[start..self.at];
        if self.take(b':') { Ok(key) } else { Err(NotJson) }
    }

    /// Passes over the next value if it is `known` to the byte, and tells whether it was. `known` is the text of one
    /// value.
    pub(super) fn take_same(&mut self, known: &[u8]) -> bool {
        let Some(after) = self.text[self.at..].strip_prefix(known) else { return false };
        // A string, list or map says itself where it ends; a number or a literal ends where something else begins.
        let ends = matches!(known.first(), Some(b'"' | b'[' | b'{'))
            || matches!(after.first(), None | Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
        self.at += if ends { known.len() } else { 0 };
        ends
    }
}
