//! Policies: which fields of which resources may change, and for whom.
//!
//! ```text
//! NAME|FILE ──source──▶ text ──file──▶ Policy ──attributes──▶ rules for one update ──▶ admission
//!                         └────lint──▶ diagnostics
//! ```
//!
//! The code knows no field path of its own but those that the API server itself changes: a policy is a file.

mod attributes;
mod built_in;
mod error;
mod exempt_users;
mod file;
mod lint;
mod model;
mod precedence;
pub(crate) mod selector;
mod set;
pub(crate) mod source;
pub(crate) mod sources;
mod webhook;

pub(crate) use self::{
    attributes::Attributes,
    model::{Condition, DenialReason, Digest, Equality, Exemption, Resource, SuspendField, ValidationAction},
    precedence::{Effect, Precedence},
    set::Problem,
};
pub use self::{
    error::PolicyError,
    exempt_users::{ExemptUser, parse_exempt_user},
    model::Policy,
    selector::parse_selector,
    set::{PATH, PolicySet, segment},
    source::SourceError,
    sources::Sources,
    webhook::{FailurePolicy, WebhookSettings},
};
