//! The AdmissionReview that the API server sends, read no further than a decision needs.
//!
//! The types of `k8s.io/api/admission/v1` are not among k8s-openapi's; these hold what the guard uses of them.

use std::borrow::Cow;

use k8s_openapi::api::authentication::v1::UserInfo;
use serde::{Deserialize, de::IgnoredAny};

use super::json::{Kind, NotJson, Reader, Tree, unquote, unquote_bytes};

/// The longest uid that is answered. Kubernetes' are 36 bytes long; the answer repeats it, and has a limit.
const MAX_UID: usize = 256;

/// The body is no AdmissionReview whose uid can be read, so there is no review to answer with: HTTP 400, and this as
/// its one line of text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAReview {
    /// The body is not JSON; what is wrong, with line and column.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is JSON, but no AdmissionReview of a known version.
    #[error("the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1: {0}")]
    NotAReview(&'static str),
    /// The review has no request.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// The request has no uid that an answer could carry.
    #[error("the AdmissionReview's request has no usable uid: {0}")]
    NoUid(&'static str),
}

/// The version of a review, which is its answer's too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1beta1,
}

impl Version {
    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

/// An AdmissionReview with a request that has a uid.
#[derive(Debug)]
pub(super) struct Review<'a> {
    pub(super) version: Version,
    pub(super) request: Request<'a>,
}

/// `AdmissionRequest`. What is missing is empty.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) uid: Cow<'a, str>,
    pub(super) operation: Cow<'a, str>,
    pub(super) kind: GroupKind<'a>,
    pub(super) resource: GroupResource<'a>,
    pub(super) subresource: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) namespace: Cow<'a, str>,
    pub(super) user: UserInfo,
    pub(super) dry_run: bool,
    pub(super) object: Option<Tree<'a>>,
    pub(super) old_object: Option<Tree<'a>>,
    /// The first thing that is wrong with the request.
    pub(super) problem: Option<String>,
}

/// `GroupVersionKind`, in any version.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GroupKind<'a> {
    #[serde(borrow, default)]
    pub(super) group: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) kind: Cow<'a, str>,
}

/// `GroupVersionResource`, in any version.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GroupResource<'a> {
    #[serde(borrow, default)]
    pub(super) group: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) resource: Cow<'a, str>,
}

impl<'a> Review<'a> {
    /// Reads the body, all of it: what is not JSON to its end is no review.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, NotAReview> {
        Envelope::read(body).map_err(|NotJson| not_json(body))?.review()
    }
}

/// The error of a body that is not JSON, as `serde_json` gives it for the whole body. What it reads and we do not is
/// text that is not UTF-8, or nested too deep.
fn not_json(body: &[u8]) -> NotAReview {
    let error = match (serde_json::from_slice::<IgnoredAny>(body), std::str::from_utf8(body)) {
        (Err(error), _) => error.to_string(),
        (Ok(IgnoredAny), Err(error)) => format!("it is not UTF-8: {error}"),
        (Ok(IgnoredAny), Ok(_)) => "it is nested too deep".to_owned(),
    };
    NotAReview::NotJson(error)
}

/// The members of the body's map.
#[derive(Default)]
struct Envelope<'a> {
    is_map: bool,
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    requests: usize,
    uids: usize,
    request: Option<Request<'a>>,
}

impl<'a> Envelope<'a> {
    fn read(body: &'a [u8]) -> Result<Self, NotJson> {
        let mut envelope = Self::default();
        let mut reader = Reader::new(body);
        if reader.peek() == Some(b'{') {
            envelope.is_map = true;
            reader.map(|reader, key| match unquote_bytes(key).as_ref() {
                b"apiVersion" => reader.value().map(|text| envelope.api_version = string(text).unwrap_or_default()),
                b"kind" => reader.value().map(|text| envelope.kind = string(text).unwrap_or_default()),
                b"request" => envelope.read_request(reader),
                _ => reader.value().map(|_| ()),
            })?;
        } else {
            reader.value()?;
        }
        reader.end()?;
        Ok(envelope)
    }

    fn read_request(&mut self, reader: &mut Reader<'a>) -> Result<(), NotJson> {
        self.requests += 1;
        if reader.peek() != Some(b'{') {
            return reader.value().map(|_| ());
        }
        let mut request = Request::default();
        reader.map(|reader, key| match unquote_bytes(key).as_ref() {
            b"object" => {
                request.object = request.read_object("object", reader, request.object.is_some())?;
                Ok(())
            }
            b"oldObject" => {
                request.old_object = request.read_object("oldObject", reader, request.old_object.is_some())?;
                Ok(())
            }
            key => {
                self.uids += usize::from(key == b"uid");
                request.read_member(key, reader.value()?);
                Ok(())
            }
        })?;
        self.request = Some(request);
        Ok(())
    }

    fn review(self) -> Result<Review<'a>, NotAReview> {
        if !self.is_map {
            return Err(NotAReview::NotAReview("it is no JSON object"));
        }
        if self.kind != "AdmissionReview" {
            return Err(NotAReview::NotAReview("its kind is another"));
        }
        let version = match self.api_version.as_ref() {
            "admission.k8s.io/v1" => Version::V1,
            "admission.k8s.io/v1beta1" => Version::V1beta1,
            _ => return Err(NotAReview::NotAReview("its apiVersion is another")),
        };
        if self.requests > 1 {
            return Err(NotAReview::NotAReview("it has more than one request"));
        }
        let request = self.request.ok_or(NotAReview::NoRequest)?;
        match (self.uids, request.uid.len()) {
            (0, _) => Err(NotAReview::NoUid("it is missing")),
            (1, 0) => Err(NotAReview::NoUid("it is not a string, or empty")),
            (1, 1..=MAX_UID) => Ok(Review { version, request }),
            (1, _) => Err(NotAReview::NoUid("it is too long")),
            _ => Err(NotAReview::NoUid("it is given more than once")),
        }
    }
}

impl<'a> Request<'a> {
    fn problem(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// Reads `object` or `oldObject`, whichever comes second against the first.
    fn read_object(
        &mut self,
        field: &str,
        reader: &mut Reader<'a>,
        is_second: bool,
    ) -> Result<Option<Tree<'a>>, NotJson> {
        if is_second {
            self.problem(format!("request.{field} is given more than once"));
        }
        let tree = match self.object.as_ref().or(self.old_object.as_ref()) {
            Some(twin) => reader.tree_like(twin)?,
            None => reader.tree()?,
        };
        match tree.root().kind() {
            Kind::Map => return Ok(Some(tree)),
            Kind::Null => {}
            _ => self.problem(format!("request.{field} is not an object")),
        }
        Ok(None)
    }

    fn read_member(&mut self, key: &[u8], text: &'a [u8]) {
        // What is null is missing, as for Go.
        if text == b"null" {
            return;
        }
        let understood = match key {
            b"uid" => set(&mut self.uid, string(text)),
            b"operation" => set(&mut self.operation, string(text)),
            b"subResource" => set(&mut self.subresource, string(text)),
            b"name" => set(&mut self.name, string(text)),
            b"namespace" => set(&mut self.namespace, string(text)),
            b"kind" => set(&mut self.kind, serde_json::from_slice(text).ok()),
            b"resource" => set(&mut self.resource, serde_json::from_slice(text).ok()),
            b"userInfo" => set(&mut self.user, serde_json::from_slice(text).ok()),
            b"dryRun" => set(&mut self.dry_run, serde_json::from_slice(text).ok()),
            _ => true,
        };
        if !understood {
            let expected = match key {
                b"kind" => "an object with the strings group and kind",
                b"resource" => "an object with the strings group and resource",
                b"userInfo" => "an authentication.k8s.io/v1 UserInfo",
                b"dryRun" => "true or false",
                _ => "a string",
            };
            self.problem(format!("request.{} is not {expected}", String::from_utf8_lossy(key)));
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) -> bool {
    let understood = value.is_some();
    if let Some(value) = value {
        *field = value;
    }
    understood
}

fn string(text: &[u8]) -> Option<Cow<'_, str>> {
    text.starts_with(b"\"").then(|| unquote(text))
}
