//! Reads maps, lists, strings, choices and JSON from the tree of a file, and goes on after an error, so that all errors are
//! reported at once.

use std::ops::RangeInclusive;

use serde_json::Number;

use super::{
    diagnostic::{Diagnostic, Position},
    tree::{Member, Node, Value},
};

/// The similarity of two words from which one is taken for a typing error of the other: clap's measure for its own
/// suggestions.
const ALIKE: f64 = 0.8;

/// A value and its position in the file.
#[derive(Debug, Clone)]
pub(crate) struct Positioned<T> {
    pub(crate) value: T,
    pub(crate) position: Position,
}

/// Gathers what is wrong. What it cannot read is none, so what is missing from a list or map may only not be readable.
#[derive(Debug, Default)]
pub(crate) struct Reader<'t> {
    diagnostics: Vec<Diagnostic>,
    /// The text in which numbers and booleans may stand for strings.
    plain: Option<&'t str>,
}

/// A map with its known keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map<'n> {
    pub(crate) position: Position,
    members: &'n [Member],
    path: &'n str,
}

impl<'n> Map<'n> {
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.members.iter().find(|member| member.key == key).map(|member| &member.node)
    }

    /// The position of the key, or of the map if it has no such key.
    pub(crate) fn key_position(&self, key: &str) -> Position {
        self.members.iter().find(|member| member.key == key).map_or(self.position, |member| member.position)
    }

    /// The name of the key's value in messages.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'t> Reader<'t> {
    /// A reader that takes a number or a boolean of this text for a string, as it is written, where it wants one.
    pub(crate) fn lenient(text: &'t str) -> Self {
        Self { diagnostics: Vec::new(), plain: Some(text) }
    }
}

impl Reader<'_> {
    pub(crate) fn wrong(&mut self, position: Position, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(position, message));
    }

    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    fn mismatch(&mut self, node: &Node, path: &str, wanted: &str) {
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        self.wrong(node.position, format!("{path}{} stands here; write {wanted}", node.kind()));
    }

    /// A map that has no keys but these. `path` is what messages call it, empty for the whole file.
    pub(crate) fn map<'n>(&mut self, node: &'n Node, path: &'n str, keys: &[&str]) -> Option<Map<'n>> {
        let Value::Map(members) = &node.value else {
            self.mismatch(node, path, &format!("a map with the keys {}", all(keys)));
            return None;
        };
        for (at, Member { key, position, .. }) in members.iter().enumerate() {
            if members[..at].iter().any(|member| member.key == *key) {
                self.wrong(*position, format!("{key} is written twice; take one away"));
            } else if !keys.contains(&key.as_str()) {
                let whose = if path.is_empty() { String::new() } else { format!("{path}: ") };
                let hint = did_you_mean(key, keys);
                self.wrong(*position, format!("{whose}there is no key {key}{hint}; the keys are {}", all(keys)));
            }
        }
        Some(Map { position: node.position, members, path })
    }

    /// The members of a map that may have any keys. `what` says what it holds.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, path: &str, what: &str) -> Option<&'n [Member]> {
        let Value::Map(members) = &node.value else {
            self.mismatch(node, path, &format!("a map of {what}"));
            return None;
        };
        for (at, Member { key, position, .. }) in members.iter().enumerate() {
            if members[..at].iter().any(|member| member.key == *key) {
                self.wrong(*position, format!("{path}: {key} is written twice; take one away"));
            }
        }
        Some(members)
    }

    /// An integer within a range.
    pub(crate) fn integer(&mut self, node: &Node, path: &str, range: RangeInclusive<i64>) -> Option<Positioned<i64>> {
        let wanted = format!("an integer from {} to {}", range.start(), range.end());
        match &node.value {
            Value::Number(number) => {
                let value = number.as_ref().and_then(Number::as_i64).filter(|value| range.contains(value));
                if let Some(value) = value {
                    return Some(Positioned { value, position: node.position });
                }
                self.wrong(node.position, format!("{path}: write {wanted}"));
            }
            _ => self.mismatch(node, path, &wanted),
        }
        None
    }

    /// The value of a key that must be there. `example` is what could be written.
    pub(crate) fn required<'n>(&mut self, map: &Map<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let node = map.get(key);
        if node.is_none() {
            self.wrong(map.position, format!("{} is missing; write {key}: {example}", map.path(key)));
        }
        node
    }

    /// A string.
    pub(crate) fn text(&mut self, node: &Node, path: &str) -> Option<Positioned<String>> {
        match &node.value {
            Value::Text(text) => return Some(Positioned { value: text.clone(), position: node.position }),
            Value::Bool(_) | Value::Number(_) if let Some(text) = self.plain.and_then(|text| node.as_written(text)) => {
                return Some(Positioned { value: text.to_owned(), position: node.position });
            }
            Value::Bool(_) | Value::Number(_) => self.mismatch(node, path, "a string: put it in quotes"),
            _ => self.mismatch(node, path, "a string"),
        }
        None
    }

    /// A string with something in it.
    pub(crate) fn name(&mut self, node: &Node, path: &str, what: &str) -> Option<Positioned<String>> {
        let text = self.text(node, path)?;
        if text.value.is_empty() {
            self.wrong(node.position, format!("{path}: an empty string stands here; write {what}"));
            return None;
        }
        if text.value.contains(char::is_control) {
            // Reports have one line for it.
            self.wrong(node.position, format!("{path}: a control character stands here; write {what}"));
            return None;
        }
        Some(text)
    }

    /// The number of things that are wrong so far.
    pub(crate) fn wrongs(&self) -> usize {
        self.diagnostics.len()
    }

    /// A list with something in it. `instead` is what to write for an empty one.
    pub(crate) fn not_empty(&mut self, node: &Node, path: &str, instead: &str) {
        if node.is_empty_list() {
            self.wrong(node.position, format!("{path}: the list is empty; {instead}"));
        }
    }

    /// A list of what `element` reads. `what` says in the plural what it lists.
    pub(crate) fn list<T>(
        &mut self,
        node: &Node,
        path: &str,
        what: &str,
        mut element: impl FnMut(&mut Self, &Node, usize) -> Option<T>,
    ) -> Option<Positioned<Vec<T>>> {
        let Value::List(nodes) = &node.value else {
            self.mismatch(node, path, &format!("a list of {what}"));
            return None;
        };
        let value = nodes.iter().enumerate().filter_map(|(index, node)| element(self, node, index)).collect();
        Some(Positioned { value, position: node.position })
    }

    /// Any value, as JSON.
    pub(crate) fn json(&mut self, node: &Node, path: &str) -> Option<Positioned<serde_json::Value>> {
        let value = match &node.value {
            Value::Nothing => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(Some(number)) => number.clone().into(),
            Value::Number(None) => {
                self.wrong(node.position, format!("{path}: JSON readers do not hold this number"));
                return None;
            }
            Value::Text(text) => text.as_str().into(),
            Value::List(nodes) => {
                let list: Option<Vec<_>> = nodes.iter().map(|node| Some(self.json(node, path)?.value)).collect();
                list?.into()
            }
            Value::Map(members) => {
                let mut map = serde_json::Map::with_capacity(members.len());
                for Member { key, position, node } in members {
                    if map.insert(key.clone(), self.json(node, path)?.value).is_some() {
                        self.wrong(*position, format!("{path}: {key} is written twice; take one away"));
                    }
                }
                map.into()
            }
        };
        Some(Positioned { value, position: node.position })
    }

    /// A map of any keys, as JSON.
    pub(crate) fn json_map(&mut self, node: &Node, path: &str, what: &str) -> Option<Positioned<serde_json::Value>> {
        if matches!(node.value, Value::Map(_)) {
            return self.json(node, path);
        }
        self.mismatch(node, path, what);
        None
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, path: &str, choices: &[(&str, T)]) -> Option<Positioned<T>> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, &any(&words));
            return None;
        };
        let choice = choices.iter().find(|(word, _)| word == text);
        if choice.is_none() {
            let hint = did_you_mean(text, &words);
            self.wrong(node.position, format!("{path}: there is no {text}{hint}; write {}", any(&words)));
        }
        choice.map(|(_, value)| Positioned { value: *value, position: node.position })
    }
}

/// ` (did you mean WORD?)` where one of the words is close.
pub(crate) fn did_you_mean(text: &str, words: &[&str]) -> String {
    closest(text, words).map(|word| format!(" (did you mean {word}?)")).unwrap_or_default()
}

/// The word that the text is probably a slip of.
pub(crate) fn closest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let alike = |word: &str| strsim::jaro(&text.to_lowercase(), &word.to_lowercase());
    let alike = words.iter().map(|word| (*word, alike(word))).filter(|(_, alike)| *alike > ALIKE);
    alike.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(word, _)| word)
}

/// `a, b and c`
pub(crate) fn all(words: &[&str]) -> String {
    listed(words, "and")
}

/// `a, b or c`
pub(crate) fn any(words: &[&str]) -> String {
    listed(words, "or")
}

fn listed(words: &[&str], last: &str) -> String {
    match words {
        [words @ .., word] if !words.is_empty() => format!("{} {last} {word}", words.join(", ")),
        words => words.concat(),
    }
}
