//! The errors of an invalid policy file.

use std::fmt::{self, Display};

use crate::yaml::Diagnostic;

/// The errors of an invalid policy, in the order of its text.
///
/// As text it is one line, for logs: the first of them, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Summary(.0))]
pub struct PolicyError(Vec<Diagnostic>);

impl PolicyError {
    /// All that is wrong.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }

    /// The diagnostics, of which there is at least one, in the order of the text.
    pub(crate) fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| diagnostic.position);
        Self(diagnostics)
    }
}

struct Summary<'r>(&'r [Diagnostic]);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Diagnostic { position, message, .. }) = self.0.first() else { return Ok(()) };
        write!(f, "line {}, column {}: {message}", position.line, position.column)?;
        match self.0.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}
