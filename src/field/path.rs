//! Field paths: where in an object a value stands, as messages, logs, policies and the command line write it.
//!
//! The notation is that of apimachinery's `field.Path`, with server-side apply's `[name="x"]` for an element of a list
//! whose elements have names.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use crate::text::cut;

/// One step from a value to one inside it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// The value of a map's key.
    Key(&'a [u8]),
    /// The element of a list that has this `name`, and its position, where that is the same in the old list and in the new
    /// one, or where there is but one of them.
    Named { name: &'a [u8], position: Option<usize> },
    /// The element at this position of a list.
    Index(usize),
}

/// The longest path that is reported, in bytes. Kubernetes' own, label keys included, are shorter; one with keys that a
/// stranger made up need not be.
const MAX_PATH: usize = 512;

/// The path of a value from the object's root, written step by step.
#[derive(Debug, Default)]
pub(crate) struct FieldPath {
    /// Complete up to [`MAX_PATH`] bytes; the rest is never reported.
    text: String,
    depth: usize,
}

/// A path to come back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl FieldPath {
    /// The number of steps from the root.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Goes one step down; the mark leads back.
    pub(crate) fn push(&mut self, step: Step<'_>) -> Mark {
        let mark = Mark(self.text.len());
        self.depth += 1;
        if self.text.len() <= MAX_PATH {
            // Writing to a string does not fail.
            let _ = self.write(step);
        }
        mark
    }

    /// Goes back to where the path was before that step.
    pub(crate) fn pop(&mut self, mark: Mark) {
        self.text.truncate(mark.0);
        self.depth -= 1;
    }

    /// The path as messages, logs and policies write it, cut to a length that serves them.
    pub(crate) fn told(&self) -> Cow<'_, str> {
        if self.text.len() > MAX_PATH { Cow::Owned(cut(&self.text, MAX_PATH)) } else { Cow::Borrowed(&self.text) }
    }

    fn write(&mut self, step: Step<'_>) -> fmt::Result {
        let text = &mut self.text;
        match step {
            Step::Key(key) if is_identifier(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&beginning(key));
            }
            Step::Key(key) => {
                text.push('[');
                write_visible(&beginning(key), text)?;
                text.push(']');
            }
            Step::Named { name, .. } => {
                text.push_str("[name=");
                write_visible(&serde_json::Value::from(beginning(name)).to_string(), text)?;
                text.push(']');
            }
            Step::Index(index) => write!(text, "[{index}]")?,
        }
        Ok(())
    }
}

/// The beginning of a key: as much of it as can be reported.
fn beginning(key: &[u8]) -> Cow<'_, str> {
    // A character that is cut in two is behind what is reported.
    String::from_utf8_lossy(&key[..key.len().min(MAX_PATH + 4)])
}

/// True if a key stands in a path as it is, behind a dot: `[A-Za-z_][A-Za-z0-9_-]*`.
pub(super) fn is_identifier(key: &[u8]) -> bool {
    key.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && key.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Control characters are escaped: a key must not be able to begin a line of its own in a log or in an editor.
fn write_visible(text: &str, f: &mut String) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.push(c);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Step<'_> {
        Step::Key(key.as_bytes())
    }

    #[test]
    fn writes_paths_as_kubernetes_does() {
        let named = Step::Named { name: b"py\"torch", position: None };
        for (steps, text) in [
            (&[key("spec"), key("a-b_c")][..], "spec.a-b_c"),
            (
                &[key("metadata"), key("annotations"), key("example.com/owner")],
                "metadata.annotations[example.com/owner]",
            ),
            (&[key("0a"), key("b")], "[0a].b"),
            (&[key("a"), named, key("image")], "a[name=\"py\\\"torch\"].image"),
            (&[key("a"), Step::Index(3), key("")], "a[3][]"),
            (&[key("a"), key("b\nc\u{2028}")], "a[b\\nc\\u{2028}]"),
        ] {
            let mut path = FieldPath::default();
            let marks: Vec<_> = steps.iter().map(|step| path.push(*step)).collect();
            assert_eq!((&*path.told(), path.depth()), (text, steps.len()));
            marks.into_iter().rev().for_each(|mark| path.pop(mark));
            assert_eq!((&*path.told(), path.depth()), ("", 0));
        }
    }

    #[test]
    fn cuts_what_is_too_long_to_be_told() {
        let (long, mut path) = ("k".repeat(MAX_PATH * 3), FieldPath::default());
        let mark = path.push(key(&long));
        path.push(key(&long));
        assert_eq!(path.told().len(), MAX_PATH);
        assert!(path.told().ends_with("kkk...") && path.text.len() < MAX_PATH * 2);
        path.pop(mark);
        assert_eq!(path.told(), "");
    }
}
