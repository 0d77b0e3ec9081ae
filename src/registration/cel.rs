//! CEL expressions, as the API server evaluates them, and how they are written so that people can read them.
//!
//! Language: <https://github.com/google/cel-spec>, with the optional values (`map.?key`, `map[?key]`, `orValue`) that API
//! servers know since 1.29; `matchConditions` are stable since 1.30.

use std::fmt::{self, Display, Write as _};

/// Longer lines are broken at their `&&` and `||`.
const WIDTH: usize = 110;

/// An expression that is true or false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Anything without a `&&` or `||` that is not in brackets.
    Plain(String),
    /// True where all are, and where there is none.
    All(Vec<Expression>),
    /// True where one is.
    Any(Vec<Expression>),
    Not(Box<Expression>),
    /// True where just one is.
    Differ(Box<[Expression; 2]>),
    /// True if the body holds for each key of a map.
    EachKey {
        map: String,
        key: String,
        /// The most keys that the map can have where this is evaluated.
        most: u64,
        body: Box<Expression>,
    },
}

impl Expression {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }

    /// True where all are. What is always true is left out.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::All(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        Self::one_or(flat, Self::All)
    }

    /// True where one is. Something always true makes it so.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Any(parts) => flat.extend(parts),
                part if part.is_always_true() => return part,
                part => flat.push(part),
            }
        }
        Self::one_or(flat, Self::Any)
    }

    fn one_or(mut parts: Vec<Self>, many: impl Fn(Vec<Self>) -> Self) -> Self {
        match parts.pop() {
            Some(one) if parts.is_empty() => one,
            Some(last) => {
                parts.push(last);
                many(parts)
            }
            None => many(parts),
        }
    }

    pub(super) fn is_always_true(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    fn write(&self, indent: usize, out: &mut String) {
        let flat = Flat(self).to_string();
        if indent + flat.len() <= WIDTH {
            out.push_str(&flat);
            return;
        }
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::Not(inner) => {
                out.push('!');
                bracketed(inner, indent, out);
            }
            Self::Differ(both) => {
                bracketed(&both[0], indent, out);
                out.push_str(" != ");
                bracketed(&both[1], indent, out);
            }
            Self::EachKey { map, key, body, .. } => {
                out.push_str(map);
                out.push_str(".all(");
                out.push_str(key);
                out.push(',');
                lines(body, indent, out);
                out.push(')');
            }
            Self::All(parts) | Self::Any(parts) => {
                let operator = if matches!(self, Self::All(_)) { "&& " } else { "|| " };
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        new_line(indent, out);
                        out.push_str(operator);
                    }
                    if matches!(part, Self::All(_) | Self::Any(_)) {
                        bracketed(part, indent, out);
                    } else {
                        part.write(indent, out);
                    }
                }
            }
        }
    }
}

fn new_line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

fn lines(inner: &Expression, indent: usize, out: &mut String) {
    new_line(indent + 2, out);
    inner.write(indent + 2, out);
    new_line(indent, out);
}

fn bracketed(inner: &Expression, indent: usize, out: &mut String) {
    let flat = Flat(inner).to_string();
    out.push('(');
    if indent + flat.len() <= WIDTH {
        out.push_str(&flat);
    } else {
        lines(inner, indent, out);
    }
    out.push(')');
}

impl Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(0, &mut text);
        f.write_str(&text)
    }
}

/// An expression on one line.
struct Flat<'e>(&'e Expression);

impl Display for Flat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Plain(text) => f.write_str(text),
            Expression::All(parts) if parts.is_empty() => f.write_str("true"),
            Expression::Any(parts) if parts.is_empty() => f.write_str("false"),
            Expression::All(parts) => joined(parts, " && ", f),
            Expression::Any(parts) => joined(parts, " || ", f),
            Expression::Not(inner) => write!(f, "!({})", Flat(inner)),
            Expression::Differ(both) => write!(f, "({}) != ({})", Flat(&both[0]), Flat(&both[1])),
            Expression::EachKey { map, key, body, .. } => write!(f, "{map}.all({key}, {})", Flat(body)),
        }
    }
}

fn joined(parts: &[Expression], operator: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(operator)?;
        }
        match part {
            Expression::All(inner) | Expression::Any(inner) if !inner.is_empty() => write!(f, "({})", Flat(part))?,
            part => write!(f, "{}", Flat(part))?,
        }
    }
    Ok(())
}

/// A map's value of a key, an error where the map has no such key.
pub(super) fn member(map: &str, key: &str) -> String {
    if is_identifier(key) { format!("{map}.{key}") } else { format!("{map}[{}]", string(key)) }
}

/// A map's value of a key as an optional value.
pub(super) fn optional_member(map: &str, key: &str) -> String {
    if is_identifier(key) { format!("{map}.?{key}") } else { format!("{map}[?{}]", string(key)) }
}

/// Names that CEL keeps for itself; with brackets they are keys like any other.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

fn is_identifier(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !RESERVED.contains(&key)
}

/// A string literal.
pub(super) fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => literal.extend(['\\', c]),
            c if c.is_control() || !c.is_ascii() => {
                // Writing to a string does not fail.
                let _ = write!(literal, "\\U{:08x}", u32::from(c));
            }
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

/// A list of string literals.
pub(super) fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let literals: Vec<_> = texts.into_iter().map(string).collect();
    format!("[{}]", literals.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Expression {
        Expression::plain(text)
    }

    #[test]
    fn writes_short_expressions_on_one_line() {
        let either = Expression::any([plain("a"), Expression::all([plain("b"), plain("c")])]);
        let each = Expression::EachKey { map: "m".to_owned(), key: "k".to_owned(), most: 9, body: Box::new(either) };
        let all = Expression::all([each, Expression::Not(Box::new(plain("d"))), Expression::all([])]);
        assert_eq!(all.to_string(), "m.all(k, a || (b && c)) && !(d)");
    }

    #[test]
    fn breaks_long_ones_at_their_operators() {
        let long = "x".repeat(60);
        let both = || Expression::all([plain(&long), plain(&long)]);
        let text = Expression::Not(Box::new(Expression::any([both(), plain("y")]))).to_string();
        assert_eq!(text, format!("!(\n  (\n    {long}\n    && {long}\n  )\n  || y\n)"));
    }

    #[test]
    fn nothing_to_ask_is_true_and_spreads() {
        let nothing = Expression::all([]);
        assert_eq!(nothing.to_string(), "true");
        assert!(Expression::any([plain("a"), nothing]).is_always_true());
        assert_eq!(Expression::any([]).to_string(), "false");
    }

    #[test]
    fn quotes_what_is_no_identifier() {
        assert_eq!(member("o", "a_1"), "o.a_1");
        assert_eq!(member("o", "x.io/y"), "o['x.io/y']");
        assert_eq!(optional_member("o", "a_1"), "o.?a_1");
        assert_eq!(optional_member("o", "namespace"), "o[?'namespace']");
        assert_eq!(string("it's \\ \n é"), r"'it\'s \\ \U0000000a \U000000e9'");
        assert_eq!(strings(["a", "b"]), "['a', 'b']");
    }
}
