//! JSON text, read once and compared before it is parsed.
//!
//! Most of a review is one object twice. `serde_json` reads the first of the two; the second is held against it, and
//! where their bytes agree they are not read again: a complete JSON value followed by a delimiter reads the same
//! wherever it stands. Every byte is thus read by `serde_json` or equal to bytes that were, so a text in a [`Tree`] is
//! valid JSON. The tree itself only knows where each value begins and ends; nothing is decoded before somebody asks.

use std::borrow::Cow;

use serde::{Deserialize as _, de::IgnoredAny};

/// How deep two texts are compared before a value that differs is read whole: no recursion follows a stranger's text
/// further than this.
pub(super) const MAX_DEPTH: usize = 100;

/// How many siblings ahead the second text may skip in the first: enough for what one edit adds or takes away.
const LOOK_AHEAD: usize = 8;

/// The text is not JSON. Where, and why, is for whoever has the whole text to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

/// A place in a text that has not been read yet.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, still unread.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Fails where anything but white space is left.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        self.peek().map_or(Ok(()), |_| Err(NotJson))
    }

    /// Reads one value, whatever it is, and gives its text.
    pub(super) fn value(&mut self) -> Result<&'a str, NotJson> {
        self.skip_whitespace();
        let mut values = serde_json::Deserializer::from_slice(self.rest()).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(IgnoredAny)) => {}
            _ => return Err(NotJson),
        }
        let (value, _) = self.rest().split_at(values.byte_offset());
        self.at += value.len();
        // serde_json does not look into the strings it passes over.
        std::str::from_utf8(value).map_err(|_| NotJson)
    }

    /// Reads a map: `member` is called with each key's text, quotes included, and reads its value.
    pub(super) fn map(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Result<(), NotJson>,
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

    /// Reads a key and its colon. `expected` is a key's text that has been read before and may well come again.
    fn key(&mut self, expected: Option<&str>) -> Result<&'a str, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        let key = match expected {
            Some(expected) if self.rest().starts_with(expected.as_bytes()) => {
                let start = self.at;
                self.at += expected.len();
                std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| NotJson)?
            }
            _ => self.value()?,
        };
        if self.take(b':') { Ok(key) } else { Err(NotJson) }
    }

    /// Whether the next value is `known` to the byte; then it is passed over. `known` is the text of one value.
    fn take_same(&mut self, known: &[u8]) -> bool {
        let Some(after) = self.rest().strip_prefix(known) else { return false };
        // A string, list or map says itself where it ends; a number or a literal ends where something else begins.
        let ends = matches!(known.first(), Some(b'"' | b'[' | b'{'))
            || matches!(after.first(), None | Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
        self.at += if ends { known.len() } else { 0 };
        ends
    }

    /// Reads one value and gives its tree.
    pub(super) fn tree(&mut self) -> Result<Tree<'a>, NotJson> {
        let text = self.value()?;
        let mut nodes = Vec::with_capacity(text.len() / 12);
        index(text.as_bytes(), 0, &mut nodes)?;
        Ok(Tree { text, nodes })
    }

    /// Reads one value that is expected to be much like `twin`, and gives its tree.
    pub(super) fn tree_like(&mut self, twin: &Tree<'_>) -> Result<Tree<'a>, NotJson> {
        self.skip_whitespace();
        let start = self.at;
        let mut second = Second { twin, start, nodes: Vec::with_capacity(twin.nodes.len() + 16) };
        second.value(self, 0, 0)?;
        let text = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| NotJson)?;
        Ok(Tree { text, nodes: second.nodes })
    }
}

/// Reads the second of two texts against the tree of the first.
struct Second<'t, 'a> {
    twin: &'t Tree<'a>,
    /// Where the second text begins in the reader's bytes.
    start: usize,
    nodes: Vec<Node>,
}

impl Second<'_, '_> {
    /// Reads a value; `twin` is the node of the first tree that it is likely to equal.
    fn value(&mut self, reader: &mut Reader<'_>, twin: usize, depth: usize) -> Result<(), NotJson> {
        let byte = reader.peek().ok_or(NotJson)?;
        if self.take_same(reader, twin)? {
            return Ok(());
        }
        let node = self.twin.nodes[twin];
        match byte {
            b'{' | b'[' if depth < MAX_DEPTH && self.twin.byte(twin) == byte => {
                let open = self.nodes.len();
                self.nodes.push(Node { start: position(reader.at - self.start)?, end: 0, next: 0 });
                reader.at += 1;
                if byte == b'{' {
                    self.members(reader, twin + 1, node.next as usize, depth)?;
                } else {
                    self.elements(reader, twin + 1, node.next as usize, depth)?;
                }
                self.nodes[open].end = position(reader.at - self.start)?;
                self.nodes[open].next = position(self.nodes.len())?;
                Ok(())
            }
            _ => self.unlike(reader),
        }
    }

    /// Reads the members of a map up to and with its brace; the twin's are at `twin..end`.
    fn members(&mut self, reader: &mut Reader<'_>, mut twin: usize, end: usize, depth: usize) -> Result<(), NotJson> {
        if reader.take(b'}') {
            return Ok(());
        }
        loop {
            let expected = (twin < end).then(|| self.twin.node_text(twin));
            reader.skip_whitespace();
            let start = reader.at - self.start;
            let key = reader.key(expected)?;
            let next = position(self.nodes.len() + 1)?;
            self.nodes.push(Node { start: position(start)?, end: position(start + key.len())?, next });
            let ahead = self.twin.siblings(twin, end, 2).find(|&sibling| self.twin.node_text(sibling) == key);
            if let Some(same_key) = ahead {
                self.value(reader, same_key + 1, depth + 1)?;
                twin = self.twin.nodes[same_key + 1].next as usize;
            } else {
                reader.skip_whitespace();
                self.unlike(reader)?;
            }
            if reader.take(b'}') {
                return Ok(());
            }
            if !reader.take(b',') {
                return Err(NotJson);
            }
        }
    }

    /// Reads the elements of a list up to and with its bracket; the twin's are at `twin..end`.
    fn elements(&mut self, reader: &mut Reader<'_>, mut twin: usize, end: usize, depth: usize) -> Result<(), NotJson> {
        if reader.take(b']') {
            return Ok(());
        }
        loop {
            reader.skip_whitespace();
            let mut same = None;
            let likely = self.twin;
            for sibling in likely.siblings(twin, end, 1) {
                if self.take_same(reader, sibling)? {
                    same = Some(sibling);
                    break;
                }
            }
            // After an element that differs the next one is looked for from the same place on, so that one element
            // more or less on either side does not put the rest out of step.
            match same {
                Some(sibling) => twin = self.twin.nodes[sibling].next as usize,
                None if twin < end => self.value(reader, twin, depth + 1)?,
                None => self.unlike(reader)?,
            }
            if reader.take(b']') {
                return Ok(());
            }
            if !reader.take(b',') {
                return Err(NotJson);
            }
        }
    }

    /// Passes over the next value where its bytes are those of the twin's node, whose nodes then serve here too.
    fn take_same(&mut self, reader: &mut Reader<'_>, twin: usize) -> Result<bool, NotJson> {
        let start = position(reader.at - self.start)?;
        if !reader.take_same(self.twin.node_text(twin).as_bytes()) {
            return Ok(false);
        }
        let node = self.twin.nodes[twin];
        let (from, to) = (position(twin)?, position(self.nodes.len())?);
        self.nodes.extend(self.twin.nodes[twin..node.next as usize].iter().map(|same| Node {
            start: same.start - node.start + start,
            end: same.end - node.start + start,
            next: same.next - from + to,
        }));
        Ok(true)
    }

    /// Reads a value that has no twin.
    fn unlike(&mut self, reader: &mut Reader<'_>) -> Result<(), NotJson> {
        reader.skip_whitespace();
        let start = reader.at - self.start;
        let text = reader.value()?;
        index(text.as_bytes(), start, &mut self.nodes)
    }
}

/// One value of a text, or one key of a map.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The first byte of its text.
    start: u32,
    /// The byte behind its text.
    end: u32,
    /// The node behind it and all that is in it.
    next: u32,
}

/// A position in a text or among its nodes; texts of 4 GiB and more are not for us.
fn position(at: usize) -> Result<u32, NotJson> {
    u32::try_from(at).map_err(|_| NotJson)
}

/// Appends the nodes of `text`, one valid JSON value that begins at `offset` of the tree's text.
fn index(text: &[u8], offset: usize, nodes: &mut Vec<Node>) -> Result<(), NotJson> {
    position(offset + text.len())?;
    let offset = position(offset)?;
    // Both casts are safe: no position, and so no number of nodes, is past the one just tested.
    #[expect(clippy::cast_possible_truncation, reason = "tested above")]
    let narrow = |at: usize| at as u32;
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let end = match byte {
            b'{' | b'[' => {
                open.push(nodes.len());
                at + 1
            }
            b'}' | b']' => {
                if let Some(opened) = open.pop() {
                    nodes[opened].end = offset + narrow(at + 1);
                    nodes[opened].next = narrow(nodes.len());
                }
                at += 1;
                continue;
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            b'"' => string_end(text, at),
            _ => scalar_end(text, at),
        };
        let next = narrow(nodes.len() + 1);
        nodes.push(Node { start: offset + narrow(at), end: offset + narrow(end), next });
        at = end;
    }
    Ok(())
}

/// The byte behind the string that begins at `start` of a valid text.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The byte behind the number or literal that begins at `start` of a valid text.
fn scalar_end(text: &[u8], start: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
    text[start..].iter().position(ends).map_or(text.len(), |length| start + length)
}

/// One JSON value and where everything in it stands.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    pub(super) fn root(&self) -> Json<'_> {
        Json { tree: self, node: 0 }
    }

    fn node_text(&self, node: usize) -> &'a str {
        let Node { start, end, .. } = self.nodes[node];
        &self.text[start as usize..end as usize]
    }

    /// The next few siblings from node `first` on; `step` nodes make one (a key and its value, or an element).
    fn siblings(&self, first: usize, end: usize, step: usize) -> impl Iterator<Item = usize> {
        let sibling = move |at: usize| (at < end).then_some(at);
        std::iter::successors(sibling(first), move |&at| sibling(self.nodes[at + step - 1].next as usize))
            .take(LOOK_AHEAD)
    }

    fn byte(&self, node: usize) -> u8 {
        self.text.as_bytes()[self.nodes[node].start as usize]
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    List,
    Map,
}

impl Kind {
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Map)
    }
}

/// One value in a [`Tree`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'t> {
    tree: &'t Tree<'t>,
    node: usize,
}

impl<'t> Json<'t> {
    pub(super) fn text(self) -> &'t str {
        self.tree.node_text(self.node)
    }

    pub(super) fn kind(self) -> Kind {
        match self.tree.byte(self.node) {
            b'{' => Kind::Map,
            b'[' => Kind::List,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The elements of a list, or of a map its keys and values in turn.
    fn children(self) -> impl Iterator<Item = Self> {
        let end = self.tree.nodes[self.node].next as usize;
        let child = move |node| (node < end).then_some(Self { tree: self.tree, node });
        std::iter::successors(child(self.node + 1), move |at| child(self.tree.nodes[at.node].next as usize))
    }

    /// The elements of a list.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        self.children()
    }

    /// The members of a map, in their order: each key, decoded, and its value.
    pub(super) fn members(self) -> impl Iterator<Item = (Cow<'t, str>, Self)> {
        let mut children = self.children();
        std::iter::from_fn(move || Some((children.next()?.string(), children.next()?)))
    }

    /// The value of a map's member; as for Go, the last one of that key counts.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        if self.kind() != Kind::Map {
            return None;
        }
        self.members().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// What a string says. One that cannot be decoded (half a surrogate pair) stands for itself, quotes included.
    pub(super) fn string(self) -> Cow<'t, str> {
        unquote(self.text())
    }
}

/// What the text of a JSON string says.
pub(super) fn unquote(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut decoder = serde_json::Deserializer::from_str(text);
    String::deserialize(&mut decoder).map_or(Cow::Borrowed(text), Cow::Owned)
}
