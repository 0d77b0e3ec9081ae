//! The YAML or JSON of a policy file or a suite as a tree in which each value knows its position, so that an error can name a
//! value, and all errors are reported at once.

use std::{fmt, ops::Range};

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{Error, Location, Spanned};

use super::diagnostic::{Diagnostic, Position};

/// A policy is four levels deep.
const MAX_POLICY_DEPTH: usize = 16;
/// More than a job has with all its pod templates. The tree is read and dropped by recursion.
const MAX_SUITE_DEPTH: usize = 64;

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// It has no booleans: yes, on and y may be names.
    Policy,
    /// It holds objects, which it writes as kubectl reads them: YAML 1.1, where `0644` is octal and `yes` is true.
    Suite,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Suite => "suite",
        }
    }

    fn options(self) -> serde_saphyr::Options {
        let budget = match self {
            Self::Policy => serde_saphyr::budget! { max_depth: MAX_POLICY_DEPTH, max_documents: 2 },
            // Ten thousand cases are more than what the default allows, and so is one user whom all of them name by an anchor.
            // What aliases may grow to has a limit of its own.
            Self::Suite => serde_saphyr::budget! {
                max_depth: MAX_SUITE_DEPTH, max_nodes: 8_000_000, max_events: 16_000_000, max_aliases: 1_000_000,
                enforce_alias_anchor_ratio: false,
            },
        };
        serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: self == Self::Policy,
            legacy_octal_numbers: self == Self::Suite,
            // The reader reports a key that is written twice with all other errors.
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            budget: budget,
        }
    }
}

/// A value, and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) value: Value,
    /// The bytes of the text in which it stands, if it is a scalar.
    scalar: Range<usize>,
}

#[derive(Debug)]
pub(crate) enum Value {
    Nothing,
    Bool(bool),
    /// None: JSON readers do not hold it.
    Number(Option<Number>),
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
    pub(crate) fn read(text: &str, format: Format) -> Result<Self, Diagnostic> {
        let read = serde_saphyr::from_str_with_options::<Spanned<Value>>(text, format.options());
        read.map(Self::from).map_err(|error| {
            let position = error.location().filter(|location| *location != Location::UNKNOWN);
            Diagnostic::error(
                position.map_or(Position { line: 1, column: 1 }, Position::from),
                what(&error, format.name()),
            )
        })
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The value of that key of a map.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        let Value::Map(members) = &self.value else { return None };
        members.iter().find(|member| member.key == key).map(|member| &member.node)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The boolean or number as it is written in the text that was read.
    pub(crate) fn as_written<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.scalar.clone()).filter(|_| matches!(self.value, Value::Bool(_) | Value::Number(_)))
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
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// The problem of a text that is not YAML.
fn what(error: &Error, format: &str) -> String {
    match error {
        Error::MultipleDocuments { .. } => format!("a second document begins; write one {format} a file"),
        Error::Budget { .. } => format!("it is nested too deep, or uses too many anchors, for a {format}"),
        Error::UnknownAnchor { .. } => "an alias of no anchor; put a path that begins with * in quotes".to_owned(),
        Error::NonFiniteFloat { value, .. } => {
            format!("{value} is a number, of which a {format} has none; put it in quotes")
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
        let span = spanned.defined.span();
        let bytes = span.byte_offset().zip(span.byte_len()).unwrap_or_default();
        let [start, length] = [bytes.0, bytes.1].map(|number| usize::try_from(number).unwrap_or_default());
        Self { position: spanned.referenced.into(), value: spanned.value, scalar: start..start + length }
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

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(Some(number.into())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(Some(number.into())))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number(None))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(Number::from_f64(number)))
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
