//! The decision, pure: bytes, review, changes, verdict, response. No I/O, no clock.

use std::borrow::Cow;

/// What may change, and for whom.
#[derive(Debug, Clone)]
pub struct Policy {
    name: String,
}

/// Why a policy is refused: what is wrong and where (line, column).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(String);

impl Policy {
    /// The built-in policy of that name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        (name == "cci").then(|| Self { name: "cci".to_owned() })
    }

    /// Reads a policy from YAML or JSON text.
    pub fn parse(_text: &str) -> Result<Self, PolicyError> {
        Err(PolicyError("not yet".to_owned()))
    }

    /// The policy's name, as metrics, logs and audit annotations give it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The body is no AdmissionReview whose uid can be read: HTTP 400, with this as its one line of text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAReview(String);

/// What was decided for a review, and the bytes that say so.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The AdmissionReview to send, JSON, under 16 KiB.
    pub body: Vec<u8>,
    /// The decision, for logs and metrics.
    pub decision: Decision<'a>,
}

/// A decision, for logs and metrics. It holds no value of the objects, only field paths.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What came of it.
    pub outcome: Outcome,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`; empty where it could not be read.
    pub operation: Cow<'a, str>,
    /// Empty for the main resource.
    pub subresource: Cow<'a, str>,
    /// The request's uid.
    pub uid: Cow<'a, str>,
    /// The user's name.
    pub user: Cow<'a, str>,
    /// The object's namespace.
    pub namespace: Cow<'a, str>,
    /// The object's name.
    pub name: Cow<'a, str>,
    /// Whether the request is a server-side dry run.
    pub dry_run: bool,
    /// The paths of the fields that were changed and must not be, sorted, in the contract's notation.
    pub violations: Vec<String>,
}

/// What came of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing forbidden was changed.
    Allowed,
    /// A forbidden field was changed.
    Denied,
    /// The policy does not list the resource.
    NotApplicable,
    /// The request lacks something; answered with code 400 in the review.
    BadRequest,
}

/// Decides one AdmissionReview.
pub fn answer<'a>(_body: &'a [u8], _policy: &Policy) -> Result<Answer<'a>, NotAReview> {
    Err(NotAReview("not yet".to_owned()))
}
