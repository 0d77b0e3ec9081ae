//! The AdmissionReview that answers: what the API server passes on to the user, and what it writes to its audit log.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};
use serde::Serialize;

use super::{
    review::{Request, Version},
    violations::Violations,
};
use crate::{
    policy::{DenialReason, Policy, ValidationAction},
    text::{cut, joined},
};

/// The largest answer, in bytes.
pub const MAX_RESPONSE: usize = 16 * 1024;
/// The most causes; one more says how many there are beyond.
const MAX_CAUSES: usize = 32;
/// The longest warning, in bytes. (The API server cuts at 256 once all of them are over 4096.)
const MAX_WARNING: usize = 256;
/// The longest name, kind or group that is repeated, in bytes: what a DNS name may have.
const MAX_NAME: usize = 253;

/// `AdmissionReview`, as it is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnsweredReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: AnsweredResponse<'a>,
}

/// `AdmissionResponse`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

/// The response: what the API server passes on to the user and writes to its audit log.
#[derive(Debug)]
pub struct Response {
    /// True if the update is allowed.
    pub allowed: bool,
    /// The reason of a denial.
    pub status: Option<Status>,
    /// Lines that kubectl shows.
    pub warnings: Vec<String>,
    audit_annotations: BTreeMap<&'static str, String>,
}

impl Response {
    fn new(allowed: bool) -> Self {
        Self { allowed, status: None, audit_annotations: BTreeMap::new(), warnings: Vec::new() }
    }

    /// The review that answers the one with this uid.
    pub(super) fn review<'a>(&'a self, version: Version, uid: &'a str) -> AnsweredReview<'a> {
        let Self { allowed, status, warnings, audit_annotations } = self;
        let response =
            AnsweredResponse { uid, allowed: *allowed, status: status.as_ref(), audit_annotations, warnings };
        AnsweredReview { api_version: version.api_version(), kind: "AdmissionReview", response }
    }

    /// That review as bytes.
    fn bytes(&self, version: Version, uid: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(if self.status.is_some() { 2048 } else { 256 });
        // Serializing strings, numbers and maps with string keys into memory does not fail; if it did, a broken body
        // is an answer that the API server takes for none, and so rejects the update.
        let _ = serde_json::to_writer(&mut body, &self.review(version, uid));
        body
    }

    fn with_bytes(self, version: Version, request: &Request<'_>) -> (Self, Vec<u8>) {
        let bytes = self.bytes(version, &request.uid);
        (self, bytes)
    }
}

/// The answer that lets an update through.
pub(super) fn allowed(version: Version, request: &Request<'_>) -> (Response, Vec<u8>) {
    Response::new(true).with_bytes(version, request)
}

/// The answer to a request that lacks something.
pub(super) fn bad_request(version: Version, request: &Request<'_>, problem: &str) -> (Response, Vec<u8>) {
    let mut response = Response::new(false);
    response.status = Some(Status {
        status: Some("Failure".to_owned()),
        code: Some(400),
        reason: Some("BadRequest".to_owned()),
        message: Some(problem.to_owned()),
        ..Status::default()
    });
    response.with_bytes(version, request)
}

/// The answer to an update with violations, which by the policy's actions is denied or not.
pub(super) fn violated(
    version: Version,
    request: &Request<'_>,
    policy: &Policy,
    violations: &Violations,
    mutable: &[&str],
) -> (Response, Vec<u8>) {
    let mut shown = violations.first.len().min(MAX_CAUSES);
    loop {
        let answer = with_causes(request, policy, violations, shown, mutable).with_bytes(version, request);
        if answer.1.len() < MAX_RESPONSE || shown == 0 {
            return answer;
        }
        shown /= 2;
    }
}

fn with_causes(
    request: &Request<'_>,
    policy: &Policy,
    violations: &Violations,
    shown: usize,
    mutable: &[&str],
) -> Response {
    let denied = policy.takes(ValidationAction::Deny);
    let mut response = Response::new(!denied);
    response.audit_annotations.insert("policy", policy.name.clone());
    response.audit_annotations.insert("policy-digest", policy.digest().to_owned());
    response.audit_annotations.insert("violations", violations.paths());
    let causes = causes(policy.reason, violations, shown);
    if denied {
        response.status = Some(status(request, policy.reason, causes));
        response.warnings.push(changeable(&request.subresource, mutable));
    } else if policy.takes(ValidationAction::Warn) {
        response.warnings = causes.into_iter().map(|cause| cut(&written(&cause), MAX_WARNING)).collect();
    }
    response
}

fn causes(reason: DenialReason, violations: &Violations, shown: usize) -> Vec<StatusCause> {
    let cause = |field: &str, message: String| StatusCause {
        field: Some(field.to_owned()),
        message: Some(message),
        reason: Some("FieldValueForbidden".to_owned()),
    };
    let rule = match reason {
        DenialReason::Invalid => "field is immutable",
        // Tools that look for "immutable" in a message delete the object and create it anew.
        DenialReason::Forbidden => "field may not be changed",
    };
    let mut causes: Vec<_> = violations
        .first
        .iter()
        .take(shown)
        .map(|violation| cause(&violation.path, format!("Forbidden: {rule}{}", violation.what())))
        .collect();
    let more = violations.len() - shown;
    if more > 0 {
        let fields = if more == 1 { "field" } else { "fields" };
        causes.push(cause("(more)", format!("Forbidden: {more} more {fields} changed")));
    }
    causes
}

/// A cause as `apierrors.NewInvalid` writes it.
fn written(cause: &StatusCause) -> String {
    [cause.field.as_deref().unwrap_or_default(), cause.message.as_deref().unwrap_or_default()].join(": ")
}

fn status(request: &Request<'_>, reason: DenialReason, causes: Vec<StatusCause>) -> Status {
    let (group, kind) = object_kind(request);
    let (group, kind, name) = (cut(group, MAX_NAME), cut(kind, MAX_NAME), cut(&request.name, MAX_NAME));
    let written: Vec<_> = causes.iter().map(written).collect();
    let written = if let [one] = &written[..] { one.clone() } else { format!("[{}]", written.join(", ")) };
    let qualified = |name: &str| if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") };
    let (code, reason, message) = match reason {
        DenialReason::Invalid => (422, "Invalid", format!("{} \"{name}\" is invalid: {written}", qualified(&kind))),
        DenialReason::Forbidden => {
            let resource = qualified(&cut(&request.resource.resource, MAX_NAME));
            (403, "Forbidden", format!("{resource} \"{name}\" is forbidden: {written}"))
        }
    };
    Status {
        status: Some("Failure".to_owned()),
        code: Some(code),
        reason: Some(reason.to_owned()),
        message: Some(message),
        details: Some(StatusDetails {
            name: Some(name),
            group: Some(group),
            kind: Some(kind),
            causes: Some(causes),
            ..StatusDetails::default()
        }),
        ..Status::default()
    }
}

/// Group and kind of the object that the user knows: a `Scale` is but a view of it.
fn object_kind<'r>(request: &'r Request<'_>) -> (&'r str, &'r str) {
    if request.subresource != "scale" {
        return (&request.kind.group, &request.kind.kind);
    }
    // A review of a subresource names the kind of the view only. These are the resources Kubeflow's job kinds have.
    let kind = match request.resource.resource.as_ref() {
        "jaxjobs" => "JAXJob",
        "mpijobs" => "MPIJob",
        "mxjobs" => "MXJob",
        "paddlejobs" => "PaddleJob",
        "pytorchjobs" => "PyTorchJob",
        "tfjobs" => "TFJob",
        "xgboostjobs" => "XGBoostJob",
        _ => return (&request.kind.group, &request.kind.kind),
    };
    (&request.resource.group, kind)
}

/// The warning of a denial: kubectl shows it where it drops the status' message.
fn changeable(subresource: &str, mutable: &[&str]) -> String {
    if mutable.is_empty() {
        let here = if subresource.is_empty() { "" } else { " through this subresource" };
        return format!("no field can be changed{here}");
    }
    let intro = "only these fields can be changed: ";
    let fields = mutable.iter().copied();
    format!("{intro}{}", joined(fields, 0, ", ", MAX_WARNING - intro.len()))
}
