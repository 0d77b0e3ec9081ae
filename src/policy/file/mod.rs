//! Policy files: the format, and the checks that a policy must pass to be used.

mod check;
mod exemption;
mod findings;
mod format;
mod resources;
mod selector;

pub(super) use self::{
    exemption::{Contribution, contribution, needless},
    format::{ExemptionFile, PolicyFile},
    resources::lint as lint_resource,
};
use super::{Digest, Policy, PolicyError};
use crate::yaml::{Format, Node, Reader};

impl Policy {
    /// Reads a policy, YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(Self { digest: Digest::of(text), ..read(text)?.into() })
    }
}

/// Reads a policy file that can be used.
pub(super) fn read(text: &str) -> Result<PolicyFile, PolicyError> {
    let node = Node::read(text, Format::Policy).map_err(|diagnostic| PolicyError::new(vec![diagnostic]))?;
    let mut reader = Reader::default();
    let file = PolicyFile::from_node(&mut reader, &node);
    let mut diagnostics = reader.into_diagnostics();
    diagnostics.extend(file.iter().flat_map(check::check));
    file.filter(|_| diagnostics.is_empty()).ok_or_else(|| PolicyError::new(diagnostics))
}
