//! The problems of a suite, and their positions.

use std::fmt;

use serde_saphyr::Location;

use super::report::visible;
use crate::documents::told;

/// The reason why a suite, or a file it names, cannot be used. It holds no value of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}{}", visible(file), Place(*at), visible(message))]
pub struct Problem {
    /// The suite's file.
    pub file: String,
    /// Line and column, from 1.
    pub at: Option<(u64, u64)>,
    /// The problem, and what to write instead.
    pub message: String,
}

/// Line and column before a message.
struct Place(Option<(u64, u64)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |(line, column)| write!(f, "line {line}, column {column}: "))
    }
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn of_file(file: &str, message: impl fmt::Display) -> Self {
        // What a reader says of a file begins with its name, and so does a problem.
        let message = message.to_string();
        let message = message.strip_prefix(&format!("{file}: ")).unwrap_or(&message).to_owned();
        Self { file: file.to_owned(), at: None, message }
    }

    /// A problem at a place in the file.
    pub(super) fn at(file: &str, at: Location, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: place(at), message: message.into() }
    }

    /// The problem that the YAML reader reports.
    pub(super) fn yaml(file: &str, error: &serde_saphyr::Error) -> Self {
        let text = told(error);
        let text = text.lines().next().unwrap_or_default();
        let message = text.rsplit_once(" at line ").map_or(text, |(message, _)| message).to_owned();
        Self { file: file.to_owned(), at: error.location().and_then(place), message }
    }
}

/// Line and column, where they are known.
pub(super) fn place(at: Location) -> Option<(u64, u64)> {
    (at.line() > 0).then(|| (at.line(), at.column()))
}
