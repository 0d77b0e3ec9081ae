//! What there is to say of a policy file, and where in it.

use std::fmt::{self, Display};

/// A place in a file: line and column, from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One thing there is to say of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What it is, and what to write instead.
    pub message: String,
}

/// How bad a thing in a policy file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used, and does something that is hardly meant.
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

impl Remark {
    pub(super) fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, message: message.into() }
    }

    pub(super) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place, message: message.into() }
    }

    pub(super) fn note(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, place, message: message.into() }
    }
}

/// Why a policy is refused: everything that is wrong with it, in the order of its text.
///
/// As text it is one line, for logs: the first of them, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Summary(.0))]
pub struct PolicyError(Vec<Remark>);

impl PolicyError {
    /// All that is wrong.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.0
    }

    /// The remarks, of which there is at least one, in the order of the text.
    pub(super) fn new(mut remarks: Vec<Remark>) -> Self {
        remarks.sort_by_key(|remark| remark.place);
        Self(remarks)
    }
}

struct Summary<'r>(&'r [Remark]);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Remark { place, message, .. }) = self.0.first() else { return Ok(()) };
        write!(f, "line {}, column {}: {message}", place.line, place.column)?;
        match self.0.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}
