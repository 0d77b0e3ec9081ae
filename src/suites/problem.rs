//! The problems of a suite, and their positions.

use std::fmt;

use crate::text::visible;
use crate::yaml::{Diagnostic, Position};

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

    /// A problem at a position in the file.
    pub(super) fn at(file: &str, at: Position, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: Some((at.line, at.column)), message: message.into() }
    }

    /// A problem that the reader found.
    pub(super) fn read(file: &str, diagnostic: Diagnostic) -> Self {
        Self::at(file, diagnostic.position, diagnostic.message)
    }
}
