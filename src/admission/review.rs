//! The AdmissionReview that the API server sends, read no further than a decision needs.
//!
//! The types of `k8s.io/api/admission/v1` are not among k8s-openapi's; these hold what the guard uses of them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::json::{Kind, NotJson, Reader, Tree, unquote};

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
    pub(super) user: User<'a>,
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

/// `UserInfo`, as far as exemptions depend on it.
#[derive(Debug, Default)]
pub(super) struct User<'a> {
    pub(super) name: Cow<'a, str>,
    /// The list as it is written: a stranger's may be long, and few policies ask for it.
    groups: Option<&'a str>,
}

impl<'a> User<'a> {
    /// True if the user is in that group.
    pub(super) fn is_in(&self, group: &str) -> bool {
        let Some(groups) = self.groups else { return false };
        let Ok(groups) = Reader::new(groups.as_bytes()).tree() else { return false };
        groups.root().elements().any(|listed| listed.is_string(group))
    }

    /// Reads a `UserInfo`. None where it is something else.
    fn read(text: &'a [u8]) -> Option<Self> {
        /// `k8s.io/api/authentication/v1`; what is null is missing, as for Go.
        #[derive(Deserialize)]
        struct UserInfo<'a> {
            #[serde(borrow, default)]
            username: Option<&'a RawValue>,
            #[serde(borrow, default)]
            groups: Option<&'a RawValue>,
            #[serde(borrow, default)]
            uid: Option<&'a RawValue>,
            #[serde(default, rename = "extra")]
            _extra: Option<Extra>,
        }
        let UserInfo { username, groups, uid, .. } = serde_json::from_slice(text).ok()?;
        let text = |value: Option<&'a RawValue>| match value {
            Some(value) => string(value.get().as_bytes()),
            None => Some(Cow::Borrowed("")),
        };
        text(uid)?;
        let groups = groups.map(RawValue::get);
        groups.map(serde_json::from_str::<Strings>).transpose().ok()?;
        Some(Self { name: text(username)?, groups })
    }
}

/// A list of strings, none of which is kept.
struct Strings;

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strings, A::Error> {
                while let Some(Text) = list.next_element()? {}
                Ok(Strings)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// A string that is not kept.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, _: &str) -> Result<Text, E> {
                Ok(Text)
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// A map of lists of strings, none of which is kept.
struct Extra;

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lists;
        impl<'de> Visitor<'de> for Lists {
            type Value = Extra;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of lists of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extra, A::Error> {
                while let Some((Text, _)) = map.next_entry::<Text, Option<Strings>>()? {}
                Ok(Extra)
            }
        }
        deserializer.deserialize_map(Lists)
    }
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
            reader.map(|reader, key| match unquote(key).as_ref() {
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
        reader.map(|reader, key| match unquote(key).as_ref() {
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
            Some(first) => reader.tree_like(first)?,
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
            b"userInfo" => set(&mut self.user, User::read(text)),
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
    let is_string = text.starts_with(b"\"");
    is_string.then(|| match unquote(text) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    })
}
