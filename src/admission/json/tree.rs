//! A scanned text, and the values in it.

use std::borrow::Cow;

use serde::Deserialize as _;

use super::scan::Node;

/// One JSON value and where everything in it stands.
#[derive(Debug)]
pub(in super::super) struct Tree<'a> {
    /// Valid JSON; what is in its strings is UTF-8.
    pub(super) text: &'a [u8],
    pub(super) nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    pub(in super::super) fn root(&self) -> Json<'_> {
        Json { tree: self, node: 0 }
    }

    pub(super) fn text_of(&self, node: usize) -> &'a [u8] {
        let Node { start, end, .. } = self.nodes[node];
        &self.text[start as usize..end as usize]
    }
}

/// What a value is.
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
    node: usize,
}

impl<'t> Json<'t> {
    /// The value as it is written.
    pub(in super::super) fn text(self) -> &'t [u8] {
        self.tree.text_of(self.node)
    }

    pub(in super::super) fn kind(self) -> Kind {
        match self.tree.text[self.tree.nodes[self.node].start as usize] {
            b'{' => Kind::Map,
            b'[' => Kind::List,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The elements of a list. (Of a map, its keys and values in turn.)
    pub(in super::super) fn elements(self) -> impl Iterator<Item = Self> {
        let end = self.tree.nodes[self.node].next as usize;
        let child = move |node| (node < end).then_some(Self { tree: self.tree, node });
        std::iter::successors(child(self.node + 1), move |at| child(self.tree.nodes[at.node].next as usize))
    }

    /// The members of a map, in their order: each key and its value.
    pub(in super::super) fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let mut children = self.elements();
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The value of a map's member; as for Go, the last one of that key counts.
    pub(in super::super) fn get(self, key: &str) -> Option<Self> {
        if self.kind() != Kind::Map {
            return None;
        }
        self.members().filter(|(name, _)| name.is_string(key)).last().map(|(_, value)| value)
    }

    fn is_string(self, text: &str) -> bool {
        let quoted = self.text();
        match quoted.len().cmp(&(text.len() + 2)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => &quoted[1..quoted.len() - 1] == text.as_bytes(),
            // Only an escape makes a string longer than what it says.
            std::cmp::Ordering::Greater => self.string() == text,
        }
    }

    /// What a string says. One that cannot be decoded (half a surrogate pair) stands for itself, quotes included; so
    /// does a value that is none.
    pub(in super::super) fn string(self) -> Cow<'t, str> {
        unquote(self.text())
    }
}

/// What the text of a JSON string says.
pub(in super::super) fn unquote(text: &[u8]) -> Cow<'_, str> {
    if let Some(inner) = plain(text) {
        return std::str::from_utf8(inner).map_or_else(|_| String::from_utf8_lossy(inner), Cow::Borrowed);
    }
    let mut decoder = serde_json::Deserializer::from_slice(text);
    String::deserialize(&mut decoder).map_or_else(|_| String::from_utf8_lossy(text), Cow::Owned)
}

/// What the text of a JSON string without escapes says, as bytes; of any other value its text.
fn plain(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    (!inner.contains(&b'\\')).then_some(inner)
}

/// What the text of a JSON string says, as bytes: enough to tell one key from another.
pub(in super::super) fn unquote_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    plain(text).map_or_else(|| Cow::Owned(unquote(text).into_owned().into_bytes()), Cow::Borrowed)
}
