//! A scanned text, and the values in it.

use std::borrow::Cow;

use serde::{
    Deserializer as _,
    de::{self, Visitor},
};

use super::{
    scan::{Span, skip_whitespace},
    skip::skip_value,
};

/// One JSON value, and an index of the long lists and maps in it.
#[derive(Debug)]
pub(in super::super) struct Tree<'a> {
    /// Valid JSON; what is in its strings is UTF-8.
    pub(super) text: &'a [u8],
    /// The lists and maps of at least [`super::scan::INDEXED`] bytes, no deeper than [`super::MAX_DEPTH`], in the order
    /// in which they begin. Whatever is short is scanned again where it is looked at, which costs less than an entry.
    pub(super) index: Vec<Span>,
}

impl Tree<'_> {
    pub(in super::super) fn root(&self) -> Json<'_> {
        Json { tree: self, start: 0, end: self.text.len(), entry: 0 }
    }

    /// The first entry of the index, from `entry` on, that begins at or behind `position`.
    pub(super) fn entry_from(&self, entry: usize, position: usize) -> usize {
        let begins_before = |span: &Span| (span.start as usize) < position;
        match self.index.get(entry) {
            // Most of what is passed over holds no other entry.
            Some(next) if begins_before(next) => entry + 1 + self.index[entry + 1..].partition_point(begins_before),
            _ => entry,
        }
    }
}

/// The kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    List,
    Map,
}

impl Kind {
    pub(in super::super) fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Map)
    }
}

/// One value in a [`Tree`], or one key.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Json<'t> {
    tree: &'t Tree<'t>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The first entry of the tree's index that begins at or behind `start`.
    pub(super) entry: usize,
}

impl<'t> Json<'t> {
    /// The value as it is written.
    pub(in super::super) fn text(self) -> &'t [u8] {
        &self.tree.text[self.start..self.end]
    }

    pub(in super::super) fn kind(self) -> Kind {
        match self.tree.text[self.start] {
            b'{' => Kind::Map,
            b'[' => Kind::List,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The elements of a list. (Of a map, its keys and values in turn; of a scalar, nothing.)
    pub(in super::super) fn elements(self) -> Children<'t> {
        let is_indexed = self.tree.index.get(self.entry).is_some_and(|span| span.start as usize == self.start);
        // A scalar has nothing in it, and no bracket to leave out.
        let (at, end) = if self.kind().is_scalar() { (self.end, self.end) } else { (self.start + 1, self.end - 1) };
        Children { tree: self.tree, at, end, entry: self.entry + usize::from(is_indexed) }
    }

    /// The members of a map, in their order: each key and its value.
    pub(in super::super) fn members(self) -> Members<'t> {
        Members(self.elements())
    }

    /// The member whose key begins at `start`, which must be one of this map's.
    pub(in super::super) fn member_at(self, start: usize) -> Option<(Self, Self)> {
        let Children { tree, end, entry, .. } = self.elements();
        Members(Children { tree, at: start, end, entry: tree.entry_from(entry, start) }).next()
    }

    /// The key that begins at `start`, which must be one of this map's.
    pub(in super::super) fn key_at(self, start: usize) -> Self {
        Self { start, end: skip_value(self.tree.text, start), ..self }
    }

    /// The element that begins at `start`, which must be one of this list's.
    pub(in super::super) fn element_at(self, start: usize) -> Option<Self> {
        let Children { tree, end, entry, .. } = self.elements();
        Children { tree, at: start, end, entry: tree.entry_from(entry, start) }.next()
    }

    /// The position of the value in its tree's text.
    pub(in super::super) fn position(self) -> usize {
        self.start
    }

    /// The value of a map's member; as for Go, the last one of that key counts.
    pub(in super::super) fn get(self, key: &str) -> Option<Self> {
        if self.kind() != Kind::Map {
            return None;
        }
        self.members().filter(|(name, _)| name.is_string(key)).last().map(|(_, value)| value)
    }

    /// True if this is a string that says `text`.
    pub(in super::super) fn is_string(self, text: &str) -> bool {
        self.text()[0] == b'"' && self.says(text.as_bytes())
    }

    /// True if this is a string, or any other value by its text, that says these bytes.
    pub(in super::super) fn says(self, bytes: &[u8]) -> bool {
        let quoted = self.text();
        // Only an escape makes a string longer than what it says.
        match quoted.len().checked_sub(2) {
            Some(length) if length == bytes.len() && quoted[0] == b'"' => {
                quoted[1..=length] == *bytes && !bytes.contains(&b'\\')
            }
            _ => *self.string() == *bytes,
        }
    }

    /// The bytes that a string says: UTF-8, and WTF-8 where half of a surrogate pair stands alone, so that no two
    /// different strings say the same. A value of another kind stands for itself.
    pub(in super::super) fn string(self) -> Cow<'t, [u8]> {
        unquote(self.text())
    }
}

/// The values in a list, or the keys and values in a map.
#[derive(Debug, Clone)]
pub(in super::super) struct Children<'t> {
    tree: &'t Tree<'t>,
    at: usize,
    end: usize,
    entry: usize,
}

impl<'t> Iterator for Children<'t> {
    type Item = Json<'t>;

    fn next(&mut self) -> Option<Json<'t>> {
        let text = self.tree.text;
        let mut start = skip_whitespace(text, self.at);
        // The text is valid: a comma or a colon is all that can stand between two values.
        if let Some(b',' | b':') = text.get(start) {
            start = skip_whitespace(text, start + 1);
        }
        if start >= self.end {
            return None;
        }
        let entry = self.tree.entry_from(self.entry, start);
        let indexed = self.tree.index.get(entry).filter(|span| span.start as usize == start);
        let end = indexed.map_or_else(|| skip_value(text, start), |span| span.end as usize);
        self.at = end;
        self.entry = entry;
        Some(Json { tree: self.tree, start, end, entry })
    }
}

/// The members of a map.
#[derive(Debug, Clone)]
pub(in super::super) struct Members<'t>(Children<'t>);

impl<'t> Iterator for Members<'t> {
    type Item = (Json<'t>, Json<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

/// The bytes that the text of a JSON string says; of any other value its text. See [`Json::string`].
pub(in super::super) fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    // A scanned string is one that can be decoded; if it were not, it would stand for itself.
    let mut decoder = serde_json::Deserializer::from_slice(text);
    decoder.deserialize_bytes(Bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The bytes of a string, as `serde_json` decodes them.
struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}
