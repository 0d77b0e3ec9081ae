//! The second of two texts that are much alike, read against the tree of the first.

use super::{
    reader::Reader,
    scan::{Node, NotJson, position, scan},
    tree::Tree,
};

/// How deep two texts are compared; a value that differs further down is read whole. No recursion follows a stranger's
/// text deeper than this.
pub(in super::super) const MAX_DEPTH: usize = 100;

/// How many siblings ahead the second text may skip in the first: enough for what one edit adds or takes away.
const LOOK_AHEAD: usize = 8;

impl<'a> Reader<'a> {
    /// Reads one value that is expected to be much like `twin`, and gives its tree.
    pub(in super::super) fn tree_like(&mut self, twin: &Tree<'_>) -> Result<Tree<'a>, NotJson> {
        self.peek();
        let start = self.at;
        let mut second = Second { twin, start, nodes: Vec::with_capacity(twin.nodes.len() + 16) };
        second.value(self, 0, 0)?;
        Ok(Tree { text: &self.text[start..self.at], nodes: second.nodes })
    }
}

struct Second<'t, 'a> {
    twin: &'t Tree<'a>,
    /// Where the second text begins in the reader's.
    start: usize,
    nodes: Vec<Node>,
}

impl Second<'_, '_> {
    /// Reads a value; `twin` is the node of the first tree that it is likely to equal.
    fn value(&mut self, reader: &mut Reader<'_>, twin: usize, depth: usize) -> Result<(), NotJson> {
        let byte = reader.peek().ok_or(NotJson)?;
        if self.same(reader, twin)? {
            return Ok(());
        }
        match byte {
            b'{' | b'[' if depth < MAX_DEPTH && self.twin.text_of(twin)[0] == byte => {
                let end = self.twin.nodes[twin].next as usize;
                let open = self.nodes.len();
                self.nodes.push(Node { start: position(reader.at - self.start)?, end: 0, next: 0 });
                reader.at += 1;
                if byte == b'{' {
                    self.members(reader, twin + 1, end, depth + 1)?;
                } else {
                    self.elements(reader, twin + 1, end, depth + 1)?;
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
            reader.peek();
            let start = position(reader.at - self.start)?;
            let key = reader.key((twin < end).then(|| self.twin.text_of(twin)))?;
            let next = position(self.nodes.len() + 1)?;
            self.nodes.push(Node { start, end: start + position(key.len())?, next });
            let same_key = self.twin.siblings(twin, end, 2).find(|&sibling| self.twin.text_of(sibling) == key);
            if let Some(same_key) = same_key {
                self.value(reader, same_key + 1, depth)?;
                twin = self.twin.nodes[same_key + 1].next as usize;
            } else {
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
            reader.peek();
            let mut same = None;
            let likely = self.twin;
            for sibling in likely.siblings(twin, end, 1) {
                if self.same(reader, sibling)? {
                    same = Some(sibling);
                    break;
                }
            }
            // After an element that differs the next one is looked for from the same place on, so that one element
            // more or less on either side does not put the rest out of step.
            match same {
                Some(sibling) => twin = self.twin.nodes[sibling].next as usize,
                None if twin < end => self.value(reader, twin, depth)?,
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
    fn same(&mut self, reader: &mut Reader<'_>, twin: usize) -> Result<bool, NotJson> {
        let start = position(reader.at - self.start)?;
        if !reader.take_same(self.twin.text_of(twin)) {
            return Ok(false);
        }
        let node = self.twin.nodes[twin];
        let (from, to) = (position(twin)?, position(self.nodes.len())?);
        // Either may be the greater one: the differences wrap, and the sums wrap back.
        let (shift, skip) = (start.wrapping_sub(node.start), to.wrapping_sub(from));
        self.nodes.extend(self.twin.nodes[twin..node.next as usize].iter().map(|same| Node {
            start: same.start.wrapping_add(shift),
            end: same.end.wrapping_add(shift),
            next: same.next.wrapping_add(skip),
        }));
        Ok(true)
    }

    /// Reads a value that has no twin.
    fn unlike(&mut self, reader: &mut Reader<'_>) -> Result<(), NotJson> {
        reader.peek();
        reader.at = scan(reader.text, reader.at, self.start, &mut self.nodes)?;
        Ok(())
    }
}

impl Tree<'_> {
    /// The next few siblings from node `first` on; `step` nodes make one (a key and its value, or an element).
    fn siblings(&self, first: usize, end: usize, step: usize) -> impl Iterator<Item = usize> {
        let sibling = move |at: usize| (at < end).then_some(at);
        std::iter::successors(sibling(first), move |&at| sibling(self.nodes[at + step - 1].next as usize))
            .take(LOOK_AHEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree<'_> {
        Reader::new(text.as_bytes()).tree().expect("the text is JSON")
    }

    /// What a tree knows: each node's text and where its inside ends.
    fn known(tree: &Tree<'_>) -> Vec<(String, u32)> {
        (0..tree.nodes.len())
            .map(|node| (String::from_utf8_lossy(tree.text_of(node)).into_owned(), tree.nodes[node].next))
            .collect()
    }

    #[test]
    fn a_tree_read_against_a_twin_is_the_tree_read_alone() {
        let texts = [
            r#"{"a":1,"b":[1,2,3],"c":{"d":"x","e":[{"n":1},{"n":2}]}}"#,
            r#"{"a":12,"b":[0,1,2,3],"c":{"e":[{"n":2}],"d":"x"}}"#,
            r#" { "a" : 1 , "b" : [ 1 , 2 , 3 ] , "c" : { "d" : "x" } } "#,
            r#"{"new":{"a":[]},"c":{"d":"xy","e":[{"n":1},{"n":1},{"n":2},3]},"b":[],"a":null}"#,
            r#"[1,"a",{}]"#,
            "\"a\"",
            "{}",
        ];
        for first in texts {
            for second in texts {
                let twin = tree(first);
                let mut reader = Reader::new(second.as_bytes());
                let alike = reader.tree_like(&twin).expect("the text is JSON");
                assert_eq!(reader.end(), Ok(()), "{first} {second}");
                assert_eq!(known(&alike), known(&tree(second)), "{first} {second}");
            }
        }
    }

    #[test]
    fn rejects_a_second_text_that_is_not_json_wherever_it_breaks() {
        let first = r#"{"a":1,"b":[1,{"c":"x"}],"d":"y"}"#;
        let twin = tree(first);
        for second in [
            r#"{"a":1x,"b":[1,{"c":"x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c":"x"}]"d":"y"}"#,
            r#"{"a":1,"b":[1{"c":"x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c" "x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c":"x"],"d":"y"}"#,
            r#"{"a":1,"b":[2,],"d":"y"}"#,
            r#"{"a":2,}"#,
        ] {
            assert_eq!(Reader::new(second.as_bytes()).tree_like(&twin).err(), Some(NotJson), "{second}");
        }
        for cut in 0..first.len() {
            assert!(Reader::new(&first.as_bytes()[..cut]).tree_like(&twin).is_err(), "{cut}");
        }
    }
}
