//! The words of a suite: what is done to an object, and what becomes of it.

use serde::Serialize;

/// The verdict that a case expects, or that the policy gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Expectation {
    /// Nothing was changed that may not be, or the policy is not about the resource.
    Allowed,
    /// Something was, and the update is denied.
    Denied,
    /// Something was, and the update is allowed with a warning for each field.
    Warned,
    /// Something was, and the update is allowed; only the audit log says so.
    Audited,
    /// There was no review that could be decided.
    BadRequest,
}

impl Expectation {
    pub(super) const ALL: [Self; 5] = [Self::Allowed, Self::Denied, Self::Warned, Self::Audited, Self::BadRequest];

    /// As suites write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Denied => "Denied",
            Self::Warned => "Warned",
            Self::Audited => "Audited",
            Self::BadRequest => "BadRequest",
        }
    }

    /// True if it comes with fields.
    pub(super) fn has_fields(self) -> bool {
        matches!(self, Self::Denied | Self::Warned | Self::Audited)
    }
}

/// The operation on the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Operation {
    Create,
    #[default]
    Update,
    Delete,
    Connect,
}

impl Operation {
    pub(super) const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Connect];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}
