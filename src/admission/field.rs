//! Field paths: where in an object a value stands, as messages, logs, policies and the command line write it.
//!
//! The notation is that of apimachinery's `field.Path`, with server-side apply's `[name="x"]` for an element of a list
//! whose elements have names.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
};

/// One step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// The value of a map's key.
    Key(Cow<'a, str>),
    /// The element of a list that has this `name`.
    Named(Cow<'a, str>),
    /// The element at this place of a list.
    Index(usize),
}

/// Where a value stands, from the object's root.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldPath<'t>(pub(super) &'t [Token<'t>]);

impl Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, token) in self.0.iter().enumerate() {
            match token {
                Token::Key(key) if is_identifier(key) => {
                    f.write_str(if at == 0 { "" } else { "." })?;
                    f.write_str(key)?;
                }
                Token::Key(key) => {
                    f.write_char('[')?;
                    write_visible(key, f)?;
                    f.write_char(']')?;
                }
                Token::Named(name) => {
                    f.write_str("[name=")?;
                    write_visible(&serde_json::Value::from(name.as_ref()).to_string(), f)?;
                    f.write_char(']')?;
                }
                Token::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key stands in a path as it is, behind a dot: `[A-Za-z_][A-Za-z0-9_-]*`.
fn is_identifier(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Control characters are escaped: a key must not be able to begin a line of its own in a log or in an editor.
fn write_visible(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
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

/// How a [`Pattern`] lies to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The pattern is the path, or a field that the path is below of.
    Covers,
    /// The pattern is below the path.
    Below,
    /// Neither.
    Apart,
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

    /// How the pattern lies to `path`, compared token by token.
    pub(super) fn relation(&self, path: &[Token<'_>]) -> Relation {
        if !self.tokens.iter().zip(path).all(|(pattern, token)| pattern.matches(token)) {
            Relation::Apart
        } else if self.tokens.len() <= path.len() {
            Relation::Covers
        } else {
            Relation::Below
        }
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
    fn matches(&self, token: &Token<'_>) -> bool {
        match (self, token) {
            (Self::Any, _) => true,
            (Self::Key(pattern), Token::Key(key)) => pattern == key,
            (Self::Key(pattern), Token::Index(index)) => pattern.parse() == Ok(*index),
            (Self::Named(pattern), Token::Named(name)) => pattern == name,
            _ => false,
        }
    }

    /// Reads the token at the start of `text`, which comes behind a dot; gives what comes after it.
    fn behind_dot(text: &str) -> Result<(Self, &str), String> {
        let (token, after) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
        match token {
            "*" => Ok((Self::Any, after)),
            "" => Err("a field's name is missing".to_owned()),
            key if is_identifier(key) => Ok((Self::Key(key.to_owned()), after)),
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

    fn key(key: &str) -> Token<'_> {
        Token::Key(Cow::Borrowed(key))
    }

    #[test]
    fn writes_paths_as_kubernetes_does() {
        let named = Token::Named(Cow::Borrowed("py\"torch"));
        for (tokens, text) in [
            (&[key("spec"), key("a-b_c")][..], "spec.a-b_c"),
            (
                &[key("metadata"), key("annotations"), key("example.com/owner")],
                "metadata.annotations[example.com/owner]",
            ),
            (&[key("0a"), key("b")], "[0a].b"),
            (&[key("a"), named, key("image")], "a[name=\"py\\\"torch\"].image"),
            (&[key("a"), Token::Index(3), key("")], "a[3][]"),
            (&[key("a"), key("b\nc\u{2028}")], "a[b\\nc\\u{2028}]"),
        ] {
            assert_eq!(FieldPath(tokens).to_string(), text);
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
    fn compares_token_by_token() -> Result<(), String> {
        let ttl = Pattern::parse("spec.ttl")?;
        assert_eq!(ttl.relation(&[key("spec"), key("ttl")]), Relation::Covers);
        assert_eq!(ttl.relation(&[key("spec"), key("ttl"), key("x")]), Relation::Covers);
        assert_eq!(ttl.relation(&[key("spec"), key("ttlX")]), Relation::Apart);
        assert_eq!(ttl.relation(&[key("spec")]), Relation::Below);
        let any = Pattern::parse("spec.*[*].x")?;
        let path = [key("spec"), key("a"), Token::Index(0), key("x")];
        assert_eq!(any.relation(&path), Relation::Covers);
        assert!(Pattern::parse("a.b")?.specificity() > Pattern::parse("a.*")?.specificity());
        assert!(Pattern::parse("a.*.c")?.specificity() > Pattern::parse("a.b")?.specificity());
        Ok(())
    }
}
