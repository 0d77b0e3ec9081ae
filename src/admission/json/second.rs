//! The second of two texts that are much alike, read beside the tree of the first.

use super::{
    reader::Reader,
    scan::{MAX_DEPTH, NotJson, Span, close, open, position},
    tree::{Json, Tree},
};

/// The number of siblings ahead that the second text may skip in the first: enough for what one edit adds or removes.
const LOOK_AHEAD: usize = 4;

impl<'a> Reader<'a> {
    /// Reads one value that is expected to be much like that of `first`, and gives its tree.
    pub(in super::super) fn tree_like(&mut self, first: &Tree<'_>) -> Result<Tree<'a>, NotJson> {
        self.peek();
        let start = self.at;
        let mut second = Second { first, start, index: Vec::with_capacity(first.index.len()) };
        second.value(self, first.root(), 0)?;
        Ok(Tree { text: &self.text[start..self.at], index: second.index })
    }
}

struct Second<'t> {
    first: &'t Tree<'t>,
    /// The position in the reader's text where the second one begins.
    start: usize,
    index: Vec<Span>,
}

impl<'t> Second<'t> {
    /// Reads a value, `depth` levels deep; `likely` is the value of the first text that it is likely to equal.
    fn value(&mut self, reader: &mut Reader<'_>, likely: Json<'t>, depth: usize) -> Result<(), NotJson> {
        let byte = reader.peek().ok_or(NotJson)?;
        if self.same(reader, likely)? {
            return Ok(());
        }
        // Where what is inside is not indexed, to pass over it again and again would cost too much.
        if !matches!(byte, b'{' | b'[') || depth + 1 >= MAX_DEPTH || likely.text()[0] != byte {
            return self.unlike(reader, depth);
        }
        let entry = open(&mut self.index, reader.at - self.start)?;
        reader.at += 1;
        if byte == b'{' {
            self.members(reader, likely, depth + 1)?;
        } else {
            self.elements(reader, likely, depth + 1)?;
        }
        close(&mut self.index, entry, reader.at - self.start)
    }

    /// Reads the members of a map up to and with its brace; `likely` is the map of the first text.
    fn members(&mut self, reader: &mut Reader<'_>, likely: Json<'t>, depth: usize) -> Result<(), NotJson> {
        if reader.take(b'}') {
            return Ok(());
        }
        let mut ahead = likely.members();
        loop {
            let mut siblings = ahead.clone();
            let next = siblings.next();
            let key = reader.key(next.map(|(key, _)| key.text()))?;
            let is_same = |(sibling, _): &(Json<'_>, Json<'_>)| sibling.text() == key;
            let same_key = next.filter(is_same).or_else(|| siblings.by_ref().take(LOOK_AHEAD - 1).find(is_same));
            if let Some((_, value)) = same_key {
                self.value(reader, value, depth)?;
                ahead = siblings;
            } else {
                self.unlike(reader, depth)?;
            }
            if reader.take(b'}') {
                return Ok(());
            }
            if !reader.take(b',') {
                return Err(NotJson);
            }
        }
    }

    /// Reads the elements of a list up to and with its bracket; `likely` is the list of the first text.
    fn elements(&mut self, reader: &mut Reader<'_>, likely: Json<'t>, depth: usize) -> Result<(), NotJson> {
        if reader.take(b']') {
            return Ok(());
        }
        let mut ahead = likely.elements();
        loop {
            reader.peek();
            let mut siblings = ahead.clone();
            let next = siblings.next();
            let mut same = false;
            for sibling in next.into_iter().chain(siblings.by_ref().take(LOOK_AHEAD - 1)) {
                if self.same(reader, sibling)? {
                    same = true;
                    break;
                }
            }
            // After an element that differs the next one is looked for from the same position on, so that one element
            // more or less on either side does not put the rest out of step.
            match next {
                _ if same => ahead = siblings,
                Some(next) => self.value(reader, next, depth)?,
                None => self.unlike(reader, depth)?,
            }
            if reader.take(b']') {
                return Ok(());
            }
            if !reader.take(b',') {
                return Err(NotJson);
            }
        }
    }

    /// Passes over the next value where its bytes are those of `known`, whose entries then serve here too.
    fn same(&mut self, reader: &mut Reader<'_>, known: Json<'t>) -> Result<bool, NotJson> {
        let start = position(reader.at - self.start)?;
        if !reader.take_same(known.text()) {
            return Ok(false);
        }
        let end = self.first.entry_from(known.entry, known.end);
        // Either may be the greater one: the difference wraps, and the sum wraps back.
        let shift = start.wrapping_sub(position(known.start)?);
        let shifted = |same: &Span| Span { start: same.start.wrapping_add(shift), end: same.end.wrapping_add(shift) };
        self.index.extend(self.first.index[known.entry..end].iter().map(shifted));
        Ok(true)
    }

    /// Reads a value that is like none of the first text.
    fn unlike(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), NotJson> {
        reader.peek();
        reader.at = reader.scanner.scan(reader.text, reader.at, self.start, depth, Some(&mut self.index))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::scan::INDEXED, *};

    fn tree(text: &str) -> Tree<'_> {
        Reader::new(text.as_bytes()).tree().expect("the text is JSON")
    }

    /// Texts that are long enough to be in an index.
    fn long(text: &str) -> String {
        text.replace('x', &"x".repeat(INDEXED))
    }

    #[test]
    fn a_tree_read_beside_another_is_the_tree_read_alone() {
        let texts = [
            r#"{"a":1,"b":[1,2,3],"c":{"d":"x","e":[{"n":1},{"n":2}]}}"#,
            r#"{"a":["x",["x",[["x"],["x"],1]]],"b":[["x"],{"x":["x"]}]}"#,
            r#"{"a":["x",["x",[["x"],["y"],1]]],"b":[["y"],["x"],{"x":["x"]}]}"#,
            r#"{"a":12,"b":[0,1,2,3],"c":{"e":[{"n":2}],"d":"x"}}"#,
            r#" { "a" : 1 , "b" : [ 1 , 2 , 3 ] , "c" : { "d" : "x" } } "#,
            r#"{"new":{"a":[]},"c":{"d":"xy","e":[{"n":1},{"n":1},{"n":2},3]},"b":[],"a":null}"#,
            r#"[1,"a",{}]"#,
            "\"a\"",
            "{}",
        ];
        let texts = texts.map(long);
        for first in &texts {
            for second in &texts {
                let mut reader = Reader::new(second.as_bytes());
                let alike = reader.tree_like(&tree(first)).expect("the text is JSON");
                assert_eq!(reader.end(), Ok(()), "{first} {second}");
                let alone = tree(second);
                assert_eq!((alike.text, alike.index), (alone.text, alone.index), "{first} {second}");
            }
        }
    }

    #[test]
    fn rejects_a_second_text_that_is_not_json_wherever_it_breaks() {
        let first = r#"{"a":1,"b":[1,{"c":"x"}],"d":"y"}"#;
        let first_tree = tree(first);
        for second in [
            r#"{"a":1x,"b":[1,{"c":"x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c":"x"}]"d":"y"}"#,
            r#"{"a":1,"b":[1{"c":"x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c" "x"}],"d":"y"}"#,
            r#"{"a":1,"b":[1,{"c":"x"],"d":"y"}"#,
            r#"{"a":1,"b":[2,],"d":"y"}"#,
            r#"{"a":2,}"#,
        ] {
            assert_eq!(Reader::new(second.as_bytes()).tree_like(&first_tree).err(), Some(NotJson), "{second}");
        }
        for cut in 0..first.len() {
            assert!(Reader::new(&first.as_bytes()[..cut]).tree_like(&first_tree).is_err(), "{cut}");
        }
    }
}
