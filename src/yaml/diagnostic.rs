//! The diagnostics about a policy file, and their positions.

use std::fmt::{self, Display};

/// A position in a file: line and column, from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One thing there is to say of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The position.
    pub position: Position,
    /// The problem, and what to write instead.
    pub message: String,
}

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used, and probably has a mistake.
    Warning,
    /// Good to know.
    Note,
}

impl Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl Diagnostic {
    pub(crate) fn error(position: Position, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, position, message: message.into() }
    }

    pub(crate) fn warning(position: Position, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, position, message: message.into() }
    }

    pub(crate) fn note(position: Position, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, position, message: message.into() }
    }
}
