//! Patterns: the field paths of a policy, which may stand for many.

use std::fmt::{self, Display};

use super::path::{Step, is_identifier};

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

    /// True if the pattern is one path of map keys.
    pub(crate) fn is_plain(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, PatternToken::Key(_)))
    }

    /// The pattern as its policy writes it.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// The specificity of the pattern: first its depth, then the number of its tokens that are no `*`.
    pub(crate) fn specificity(&self) -> (usize, usize) {
        (self.tokens.len(), self.tokens.iter().filter(|&token| *token != PatternToken::Any).count())
    }

    /// True if some path is at or below both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let tokens = self.tokens.iter().zip(&other.tokens);
        tokens.into_iter().all(|(one, other)| one == other || [one, other].contains(&&PatternToken::Any))
    }

    /// True if every path that `other` covers is covered by this pattern too.
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

impl Step<'_> {
    /// True if the token of a rule means this step. An element that has a name has a position as well.
    pub(crate) fn is_matched_by(self, token: &PatternToken) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn is_the_more_specific_the_deeper_and_the_plainer() -> Result<(), String> {
        assert!(Pattern::parse("a.b")?.specificity() > Pattern::parse("a.*")?.specificity());
        assert!(Pattern::parse("a.*.c")?.specificity() > Pattern::parse("a.b")?.specificity());
        Ok(())
    }
}
