//! Field paths: where in an object a value stands, as messages, logs, policies and the command line write it.
//!
//! The notation is that of apimachinery's `field.Path`, with server-side apply's `[name="x"]` for an element of a list
//! whose elements have names.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
};

use super::text::cut;

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

impl Step<'_> {
    /// True if the token of a rule means this step. An element that has a name has a position as well.
    pub(super) fn is_matched_by(self, token: &PatternToken) -> bool {
        match (token, self) {
            (PatternToken::Any, _) => true,
            (PatternToken::Key(token), Step::Key(key)) => token.as_bytes() == key,
            (PatternToken::Key(token), Step::Index(index)) => token.parse() == Ok(index),
            (PatternToken::Key(token), Step::Named { position, .. }) => {
                position.is_some() && token.parse().ok() == position
            }
            (PatternToken::Named(token), Step::Named { name, .. }) => token.as_bytes() == name,
            _ => false,
        }
    }
}

/// The longest path that is told, in bytes. Kubernetes' own, label keys included, are shorter; one with keys that a
/// stranger made up need not be.
const MAX_PATH: usize = 512;

/// Where a value stands, from the object's root, written down step by step.
#[derive(Debug, Default)]
pub(super) struct FieldPath {
    /// Complete up to [`MAX_PATH`] bytes; what is further than that is never told.
    text: String,
    depth: usize,
}

/// A path to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize);

impl FieldPath {
    /// The number of steps from the root.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Goes one step down; the mark leads back.
    pub(super) fn push(&mut self, step: Step<'_>) -> Mark {
        let mark = Mark(self.text.len());
        self.depth += 1;
        if self.text.len() <= MAX_PATH {
            // Writing to a string does not fail.
            let _ = self.write(step);
        }
        mark
    }

    /// Goes back to where the path was before that step.
    pub(super) fn pop(&mut self, mark: Mark) {
        self.text.truncate(mark.0);
        self.depth -= 1;
    }

    /// The path as messages, logs and policies write it, cut to a length that serves them.
    pub(super) fn told(&self) -> Cow<'_, str> {
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

/// The beginning of a key: as much of it as can be told.
fn beginning(key: &[u8]) -> Cow<'_, str> {
    // A character that is cut in two is behind what is told.
    String::from_utf8_lossy(&key[..key.len().min(MAX_PATH + 4)])
}

/// Whether a key stands in a path as it is, behind a dot: `[A-Za-z_][A-Za-z0-9_-]*`.
fn is_identifier(key: &[u8]) -> bool {
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

/// A token of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PatternToken {
    /// `*`: any one map key, or any element of a list.
    Any,
    /// `key`, `[key]` or `[0]`: that key of a map, or that place in a list.
    Key(String),
    /// `[name="x"]`
    Named(String),
}

/// A field path of a policy: one path, or with `*` many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// As the policy writes it.
    written: String,
    tokens: Vec<PatternToken>,
}

impl Pattern {
    /// Reads the notation; the message says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(char::is_control) {
            return Err("it holds a control character, which no key of Kubernetes does".to_owned());
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (token, after) = if let Some(bracket) = rest.strip_prefix('[') {
                PatternToken::in_brackets(bracket)?
            } else {
                let key = match (tokens.is_empty(), rest.strip_prefix('.')) {
                    (false, Some(key)) => key,
                    (true, None) => rest,
                    (true, Some(_)) => return Err("a path begins without a dot".to_owned()),
                    (false, None) => return Err(format!("expected '.' or '[' before \"{rest}\"")),
                };
                PatternToken::behind_dot(key)?
            };
            tokens.push(token);
            rest = after;
        }
        if tokens.is_empty() {
            return Err("the path is empty".to_owned());
        }
        Ok(Self { written: text.to_owned(), tokens })
    }

    /// The pattern's tokens; there is at least one.
    pub(crate) fn tokens(&self) -> &[PatternToken] {
        &self.tokens
    }

    /// Whether the pattern is one path of map keys.
    pub(crate) fn is_plain(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, PatternToken::Key(_)))
    }

    /// The pattern as its policy writes it.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// How exactly the pattern names a field: first by its depth, then by how few of its tokens are `*`.
    pub(crate) fn specificity(&self) -> (usize, usize) {
        (self.tokens.len(), self.tokens.iter().filter(|&token| *token != PatternToken::Any).count())
    }

    /// Whether some path is at or below both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let tokens = self.tokens.iter().zip(&other.tokens);
        tokens.into_iter().all(|(one, other)| one == other || [one, other].contains(&&PatternToken::Any))
    }

    /// Whether every path that `other` covers is covered by this pattern too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.tokens.len() <= other.tokens.len()
            && self.tokens.iter().zip(&other.tokens).all(|(one, other)| *one == PatternToken::Any || one == other)
    }
}

impl PatternToken {
    /// Reads the token at the start of `text`, which comes behind a dot; gives what comes after it.
    fn behind_dot(text: &str) -> Result<(Self, &str), String> {
        let (token, after) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
        match token {
            "*" => Ok((Self::Any, after)),
            "" => Err("a field's name is missing".to_owned()),
            key if is_identifier(key.as_bytes()) => Ok((Self::Key(key.to_owned()), after)),
            key => Err(format!(
                "\"{key}\" is no field's name; a key of other characters stands in brackets, [example.com/x]"
            )),
        }
    }

    /// Reads the token that `text`, which comes behind a bracket, begins with; gives what comes after its bracket.
    fn in_brackets(text: &str) -> Result<(Self, &str), String> {
        if let Some(quoted) = text.strip_prefix("name=") {
            let mut names = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
            let Some(Ok(name)) = names.next() else {
                return Err(format!("[name= is followed by a string in double quotes, not by \"{quoted}\""));
            };
            let after = quoted[names.byte_offset()..].strip_prefix(']').ok_or("a ']' is missing")?;
            return Ok((Self::Named(name), after));
        }
        let (key, after) = text.split_once(']').ok_or("a ']' is missing")?;
        match key {
            "" => Err("nothing is between the brackets".to_owned()),
            "*" => Ok((Self::Any, after)),
            key => Ok((Self::Key(key.to_owned()), after)),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|error| format!("\"{text}\" is no field path: {error}"))
    }
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
    fn reads_every_token() {
        let pattern = Pattern::parse("a.*[*][x.io/y][name=\"z]\\\"\"].b[0]").map(|pattern| pattern.tokens);
        let key = |key: &str| PatternToken::Key(key.to_owned());
        let named = PatternToken::Named("z]\"".to_owned());
        let tokens = vec![key("a"), PatternToken::Any, PatternToken::Any, key("x.io/y"), named, key("b"), key("0")];
        assert_eq!(pattern, Ok(tokens));
    }

    #[test]
    fn rejects_what_is_no_path_and_says_why() {
        for (text, error) in [
            ("", "the path is empty"),
            (".spec", "a path begins without a dot"),
            ("spec.", "a field's name is missing"),
            ("spec..a", "a field's name is missing"),
            ("spec[a", "a ']' is missing"),
            ("spec[]", "nothing is between the brackets"),
            ("spec[a]b", "expected '.' or '[' before \"b\""),
            (
                "metadata.labels.example/x",
                "\"example/x\" is no field's name; a key of other characters stands in brackets, [example.com/x]",
            ),
            ("a[name=x]", "[name= is followed by a string in double quotes, not by \"x]\""),
        ] {
            assert_eq!(Pattern::parse(text).map(|_| ()), Err(error.to_owned()), "{text}");
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

    #[test]
    fn is_the_more_specific_the_deeper_and_the_plainer() -> Result<(), String> {
        assert!(Pattern::parse("a.b")?.specificity() > Pattern::parse("a.*")?.specificity());
        assert!(Pattern::parse("a.*.c")?.specificity() > Pattern::parse("a.b")?.specificity());
        Ok(())
    }
}
