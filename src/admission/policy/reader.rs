//! Reads maps, lists, strings and choices from a policy file's tree, and goes on after what is wrong, so that all of it
//! is told at once.

use super::{
    error::{Place, Remark},
    tree::{Member, Node, Value},
};

/// How alike two words are that one is a slip of the other: clap's measure for its own suggestions.
const ALIKE: f64 = 0.8;

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Gathers what is wrong. What it cannot read is none, so what is missing from a list or map may only not be readable.
#[derive(Debug, Default)]
pub(super) struct Reader {
    remarks: Vec<Remark>,
}

/// A map with its known keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map<'n> {
    pub(super) place: Place,
    members: &'n [Member],
    path: &'n str,
}

impl<'n> Map<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.members.iter().find(|member| member.key == key).map(|member| &member.node)
    }

    /// Where the key stands, or the map where it has no such key.
    pub(super) fn key_place(&self, key: &str) -> Place {
        self.members.iter().find(|member| member.key == key).map_or(self.place, |member| member.place)
    }

    /// What messages call the value of the key.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Reader {
    pub(super) fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.remarks.push(Remark::error(place, message));
    }

    pub(super) fn into_remarks(self) -> Vec<Remark> {
        self.remarks
    }

    fn mismatch(&mut self, node: &Node, path: &str, wanted: &str) {
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        self.wrong(node.place, format!("{path}{} stands here; write {wanted}", node.kind()));
    }

    /// A map that has no keys but these. `path` is what messages call it, empty for the whole file.
    pub(super) fn map<'n>(&mut self, node: &'n Node, path: &'n str, keys: &[&str]) -> Option<Map<'n>> {
        let Value::Map(members) = &node.value else {
            self.mismatch(node, path, &format!("a map with the keys {}", all(keys)));
            return None;
        };
        for (at, Member { key, place, .. }) in members.iter().enumerate() {
            if members[..at].iter().any(|member| member.key == *key) {
                self.wrong(*place, format!("{key} is written twice; take one away"));
            } else if !keys.contains(&key.as_str()) {
                let whose = if path.is_empty() { String::new() } else { format!("{path}: ") };
                let hint = did_you_mean(key, keys);
                self.wrong(*place, format!("{whose}there is no key {key}{hint}; the keys are {}", all(keys)));
            }
        }
        Some(Map { place: node.place, members, path })
    }

    /// The value of a key that must be there. `example` is what could be written.
    pub(super) fn required<'n>(&mut self, map: &Map<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let node = map.get(key);
        if node.is_none() {
            self.wrong(map.place, format!("{} is missing; write {key}: {example}", map.path(key)));
        }
        node
    }

    /// A string.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Option<Placed<String>> {
        match &node.value {
            Value::Text(text) => return Some(Placed { value: text.clone(), place: node.place }),
            Value::Bool | Value::Number => self.mismatch(node, path, "a string: put it in quotes"),
            _ => self.mismatch(node, path, "a string"),
        }
        None
    }

    /// A string with something in it.
    pub(super) fn name(&mut self, node: &Node, path: &str, what: &str) -> Option<Placed<String>> {
        let text = self.text(node, path)?;
        if text.value.is_empty() {
            self.wrong(node.place, format!("{path}: an empty string stands here; write {what}"));
            return None;
        }
        if text.value.contains(char::is_control) {
            // It is told on one line wherever it is told.
            self.wrong(node.place, format!("{path}: a control character stands here; write {what}"));
            return None;
        }
        Some(text)
    }

    /// The number of things that are wrong so far.
    pub(super) fn wrongs(&self) -> usize {
        self.remarks.len()
    }

    /// A list with something in it. `instead` is what to write for an empty one.
    pub(super) fn not_empty(&mut self, node: &Node, path: &str, instead: &str) {
        if node.is_empty_list() {
            self.wrong(node.place, format!("{path}: the list is empty; {instead}"));
        }
    }

    /// A list of what `element` reads. `what` says in the plural what it lists.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        path: &str,
        what: &str,
        mut element: impl FnMut(&mut Self, &Node, usize) -> Option<T>,
    ) -> Option<Placed<Vec<T>>> {
        let Value::List(nodes) = &node.value else {
            self.mismatch(node, path, &format!("a list of {what}"));
            return None;
        };
        let value = nodes.iter().enumerate().filter_map(|(index, node)| element(self, node, index)).collect();
        Some(Placed { value, place: node.place })
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, path: &str, choices: &[(&str, T)]) -> Option<Placed<T>> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, &any(&words));
            return None;
        };
        let choice = choices.iter().find(|(word, _)| word == text);
        if choice.is_none() {
            let hint = did_you_mean(text, &words);
            self.wrong(node.place, format!("{path}: there is no {text}{hint}; write {}", any(&words)));
        }
        choice.map(|(_, value)| Placed { value: *value, place: node.place })
    }
}

/// ` (did you mean WORD?)` where one of the words is close.
fn did_you_mean(text: &str, words: &[&str]) -> String {
    closest(text, words).map(|word| format!(" (did you mean {word}?)")).unwrap_or_default()
}

/// The word that the text is probably a slip of.
pub(super) fn closest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let alike = |word: &str| strsim::jaro(&text.to_lowercase(), &word.to_lowercase());
    let alike = words.iter().map(|word| (*word, alike(word))).filter(|(_, alike)| *alike > ALIKE);
    alike.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(word, _)| word)
}

/// `a, b and c`
pub(super) fn all(words: &[&str]) -> String {
    listed(words, "and")
}

/// `a, b or c`
pub(super) fn any(words: &[&str]) -> String {
    listed(words, "or")
}

fn listed(words: &[&str], last: &str) -> String {
    match words {
        [words @ .., word] if !words.is_empty() => format!("{} {last} {word}", words.join(", ")),
        words => words.concat(),
    }
}
