//! The decision, pure: it does no I/O, knows no clock and keeps nothing.
//!
//! ```text
//! bytes ──review──▶ Review ──compare──▶ Violations ──response──▶ bytes
//!           │                  │   └── policy, field
//!         json         equality, amount
//! ```

mod amount;
mod attributes;
mod compare;
mod equality;
mod json;
mod response;
mod review;
mod violations;

use std::borrow::Cow;

use serde::Serialize;

use self::{
    attributes::UpdateAttributes,
    json::Json,
    review::{Request, Review, Version},
};
pub use self::{
    response::{MAX_RESPONSE, Response},
    review::NotAReview,
    violations::{Violation, Violations},
};
use crate::{
    field::{Pattern, Type},
    policy::{Policy, ValidationAction},
};

/// The decision about a review, and the bytes of the answer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The AdmissionReview to send: JSON, shorter than [`MAX_RESPONSE`].
    pub body: Vec<u8>,
    /// The response in it.
    pub response: Response,
    version: Version,
    /// The decision, for logs and metrics.
    pub decision: Decision<'a>,
}

impl Answer<'_> {
    /// The AdmissionReview to send, for another form than [`Self::body`].
    #[must_use]
    pub fn review(&self) -> impl Serialize {
        self.response.review(self.version, &self.decision.uid)
    }
}

/// A decision, for logs and metrics. It holds field paths, but no value of the objects.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The outcome.
    pub outcome: Outcome,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`; empty where the request has none.
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
    /// True if the request is a server-side dry run.
    pub dry_run: bool,
    /// The fields that were changed and may not be.
    pub violations: Violations,
}

/// The outcome of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was changed that may not be.
    Allowed,
    /// Something was, and the update is denied.
    Denied,
    /// Something was, and by the policy's actions the update is allowed all the same, with warnings or without.
    Tolerated,
    /// The policy does not list the resource.
    NotApplicable,
    /// The request lacks something; the answer has code 400.
    BadRequest,
}

/// Decides one AdmissionReview.
///
/// An error means that there is nothing to answer a review to; it is for HTTP 400.
pub fn answer<'a>(body: &'a [u8], policy: &Policy) -> Result<Answer<'a>, NotAReview> {
    let Review { version, request } = Review::read(body)?;
    let mut violations = Violations::default();
    let (outcome, (response, body)) = match decide(&request, policy) {
        Verdict::BadRequest(problem) => (Outcome::BadRequest, response::bad_request(version, &request, &problem)),
        Verdict::NotApplicable => (Outcome::NotApplicable, response::allowed(version, &request)),
        Verdict::Allowed => (Outcome::Allowed, response::allowed(version, &request)),
        Verdict::Violated { found, mutable } => {
            let denied = policy.takes(ValidationAction::Deny);
            violations = found;
            let answer = response::violated(version, &request, policy, &violations, &mutable);
            (if denied { Outcome::Denied } else { Outcome::Tolerated }, answer)
        }
    };
    let decision = Decision {
        outcome,
        operation: request.operation,
        subresource: request.subresource,
        uid: request.uid,
        user: request.user.name,
        namespace: request.namespace,
        name: request.name,
        dry_run: request.dry_run,
        violations,
    };
    Ok(Answer { body, response, version, decision })
}

enum Verdict<'p> {
    BadRequest(String),
    NotApplicable,
    Allowed,
    Violated {
        found: Violations,
        /// The fields that this user could have changed.
        mutable: Vec<&'p str>,
    },
}

fn decide<'p>(request: &Request<'_>, policy: &'p Policy) -> Verdict<'p> {
    if let Some(problem) = &request.problem {
        return Verdict::BadRequest(problem.clone());
    }
    if request.resource.resource.is_empty() {
        return Verdict::BadRequest("request.resource is missing".to_owned());
    }
    if !policy.lists(&request.resource.group, &request.resource.resource) {
        return Verdict::NotApplicable;
    }
    match request.operation.as_ref() {
        "UPDATE" => {}
        "CREATE" | "DELETE" | "CONNECT" => return Verdict::Allowed,
        "" => return Verdict::BadRequest("request.operation is missing".to_owned()),
        _ => {
            let problem = "request.operation is none of CREATE, UPDATE, DELETE and CONNECT";
            return Verdict::BadRequest(problem.to_owned());
        }
    }
    if request.subresource == "status" {
        return Verdict::Allowed;
    }
    let (old, new) = match (&request.old_object, &request.object) {
        (Some(old), Some(new)) => (old.root(), new.root()),
        (None, _) => return Verdict::BadRequest("request.oldObject is missing: an UPDATE has one".to_owned()),
        (_, None) => return Verdict::BadRequest("request.object is missing: an UPDATE has one".to_owned()),
    };
    update(request, old, new, policy)
}

fn update<'p>(request: &Request<'_>, old: Json<'_>, new: Json<'_>, policy: &'p Policy) -> Verdict<'p> {
    let attributes = UpdateAttributes { user: &request.user, subresource: &request.subresource, old, new };
    let rules = policy.rules(&attributes);
    let of = Type::of(&request.resource.group, &request.resource.resource, &request.subresource);
    let violations = if request.subresource == "scale" { compare::violations_of_spec } else { compare::violations };
    let found = violations(old, new, of, rules.precedence, policy.equality);
    if found.is_empty() {
        return Verdict::Allowed;
    }
    Verdict::Violated { found, mutable: rules.mutable.into_iter().map(Pattern::written).collect() }
}
