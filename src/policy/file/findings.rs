//! The errors of a policy file that is well-formed.

use std::collections::HashSet;

use super::PolicyFile;
use crate::{
    field::Pattern,
    yaml::{Diagnostic, Position, Positioned},
};

/// A policy file, and the errors found in it.
pub(super) struct Findings<'f> {
    pub(super) file: &'f PolicyFile,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'f> Findings<'f> {
    pub(super) fn new(file: &'f PolicyFile) -> Self {
        Self { file, diagnostics: Vec::new() }
    }

    pub(super) fn wrong(&mut self, position: Position, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(position, message));
    }

    /// No field twice, none inside a server-managed one.
    pub(super) fn fields(&mut self, list: &str, fields: &[Positioned<Pattern>]) {
        self.no_field_twice(list, fields);
        for Positioned { value: field, position } in fields {
            let managed = self.file.server_managed_fields.value.iter().find(|managed| managed.value.covers(field));
            if let Some(Positioned { value: managed, .. }) = managed {
                let message =
                    format!("{list}: {field} is server-managed ({managed}), so no change of it counts; take it away");
                self.wrong(*position, message);
            }
        }
    }

    pub(super) fn no_field_twice(&mut self, list: &str, fields: &[Positioned<Pattern>]) {
        let mut seen = HashSet::new();
        for Positioned { value: field, position } in fields {
            if !seen.insert(field.tokens()) {
                self.wrong(*position, format!("{list}: {field} is listed twice; take one away"));
            }
        }
    }
}
