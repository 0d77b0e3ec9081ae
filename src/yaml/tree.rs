//! A policy file's YAML or JSON as a tree in which each value knows its position. What is wrong with a value can then be
//! said in words that name it, and of all that are wrong at once.

use std::fmt;

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, Spanned};

use super::diagnostic::{Diagnostic, Position};

/// A policy is four levels deep.
const MAX_DEPTH: usize = 16;

/// A value, and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Nothing,
    Bool,
    /// The number, if it is an integer that an `i64` holds.
    Number(Option<i64>),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of a map.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// The position of the key.
    pub(crate) position: Position,
    pub(crate) node: Node,
}

impl Node {
    /// Reads a text of one document.
    pub(crate) fn read(text: &str) -> Result<Self, Diagnostic> {
        let options = serde_saphyr::options! {
            with_snippet: false,
            // A policy has no booleans: yes, on and y may be names.
            strict_booleans: true,
            // The reader tells of a key that is written twice, with all else that is wrong.
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_documents: 2 },
        };
        let read = serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options);
        read.map(Self::from).map_err(|error| {
            let position = error.location().filter(|location| *location != Location::UNKNOWN);
            Diagnostic::error(position.map_or(Position { line: 1, column: 1 }, Position::from), what(&error))
        })
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.value, Value::Nothing)
    }

    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(elements) if elements.is_empty())
    }

    /// The kind of the value, as messages name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Nothing => "nothing",
            Value::Bool => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// The problem of a text that is not YAML.
fn what(error: &Error) -> String {
    match error {
        Error::MultipleDocuments { .. } => "a second document begins; write one policy a file".to_owned(),
        Error::Budget { .. } => "it is nested too deep, or uses too many anchors, for a policy".to_owned(),
        Error::UnknownAnchor { .. } => "an alias of no anchor; put a path that begins with * in quotes".to_owned(),
        Error::NonFiniteFloat { value, .. } => {
            format!("{value} is a number, of which a policy has none; put it in quotes")
        }
        error => {
            let text = error.without_snippet().to_string();
            let text = text.lines().next().unwrap_or_default();
            // The position stands before the message.
            text.rsplit_once(" at line ").map_or(text, |(message, _)| message).to_owned()
        }
    }
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { position: spanned.referenced.into(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(Some(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.try_into().ok()))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<Spanned<Value>>()? {
            list.push(element.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = members.next_entry::<Spanned<String>, Spanned<Value>>()? {
            map.push(Member { key: key.value, position: key.referenced.into(), node: value.into() });
        }
        Ok(Value::Map(map))
    }
}
