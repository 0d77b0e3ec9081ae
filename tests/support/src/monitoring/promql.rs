//! Which series a query of `PromQL` asks for. Whether it is `PromQL` at all is promtool's to say.

use std::collections::BTreeSet;

/// A metric, and what its labels must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub matchers: Vec<Matcher>,
}

/// The value that one label must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: String,
    pub value: String,
}

/// The metrics of a query, and the labels that it groups by.
#[derive(Debug, Default)]
pub struct Query {
    pub selectors: Vec<Selector>,
    pub groupings: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// Operators and brackets, each character by itself.
    Sign(char),
}

/// Words that are followed by labels in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];

impl Query {
    /// Reads a query; panics where it is none that it knows.
    pub fn read(query: &str) -> Self {
        let mut found = Self::default();
        let mut tokens = tokens(query).into_iter().peekable();
        while let Some(token) = tokens.next() {
            let Token::Word(word) = token else { continue };
            if BEFORE_LABELS.contains(&word.as_str()) {
                let labels = tokens.by_ref().take_while(|token| *token != Token::Sign(')'));
                found.groupings.extend(labels.filter_map(|token| match token {
                    Token::Word(label) => Some(label),
                    _ => None,
                }));
                continue;
            }
            let is_number = word.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let is_function = tokens.peek() == Some(&Token::Sign('('));
            let is_aggregation = matches!(tokens.peek(), Some(Token::Word(next)) if next == "by" || next == "without");
            if is_number || is_function || is_aggregation || OPERATORS.contains(&word.as_str()) {
                continue;
            }
            let mut matchers = Vec::new();
            if tokens.peek() == Some(&Token::Sign('{')) {
                let braces: Vec<Token> = tokens.by_ref().take_while(|token| *token != Token::Sign('}')).collect();
                matchers = braces[1..].split(|token| *token == Token::Sign(',')).map(matcher).collect();
            }
            found.selectors.push(Selector { metric: word, matchers });
        }
        found
    }
}

fn matcher(tokens: &[Token]) -> Matcher {
    match tokens {
        [Token::Word(label), signs @ .., Token::Text(value)] => {
            let sign = |token: &Token| if let Token::Sign(sign) = token { *sign } else { panic!("{tokens:?}") };
            Matcher { label: label.clone(), operator: signs.iter().map(sign).collect(), value: value.clone() }
        }
        _ => panic!("{tokens:?} says nothing about a label"),
    }
}

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        let length = if first == '"' {
            let text = rest[1..].split('"').next().unwrap_or_default();
            assert!(!text.contains('\\'), "{query}: write a class in brackets instead of a backslash");
            tokens.push(Token::Text(text.to_owned()));
            text.len() + 2
        } else if first == '[' {
            // A range, or a range and a step: no metric in it.
            rest.find(']').unwrap_or_else(|| panic!("{query}: a bracket is open")) + 1
        } else if is_word(first) {
            let word = rest.split(|c| !is_word(c)).next().unwrap_or_default();
            tokens.push(Token::Word(word.to_owned()));
            word.len()
        } else {
            tokens.push(Token::Sign(first));
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    tokens
}
