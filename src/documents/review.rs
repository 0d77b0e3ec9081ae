//! The AdmissionReview that an API server would send for a change of an object.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Document, Identity};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a, Old: ?Sized, New: ?Sized> {
    api_version: &'a str,
    kind: &'a str,
    request: Request<'a, Old, New>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a, Old: ?Sized, New: ?Sized> {
    uid: &'a str,
    kind: Kind<'a>,
    resource: Resource<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub_resource: &'a str,
    name: &'a str,
    namespace: &'a str,
    operation: &'a str,
    user_info: UserInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a New>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_object: Option<&'a Old>,
    dry_run: bool,
}

#[derive(Serialize)]
struct Kind<'a> {
    group: &'a str,
    version: &'a str,
    #[serde(rename = "kind")]
    name: &'a str,
}

#[derive(Serialize)]
struct Resource<'a> {
    group: &'a str,
    version: &'a str,
    #[serde(rename = "resource")]
    name: &'a str,
}

#[derive(Serialize)]
struct UserInfo<'a> {
    username: &'a str,
    groups: &'a [String],
}

/// The user who asks, and the subresource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// Empty for the main resource.
    pub(crate) subresource: &'a str,
    pub(crate) user: &'a str,
    pub(crate) groups: &'a [String],
}

/// The parts of the request in a review.
#[derive(Debug)]
pub(crate) struct Asked<'a, Old: ?Sized, New: ?Sized> {
    pub(crate) uid: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) identity: &'a Identity,
    /// Group and resource.
    pub(crate) resource: (&'a str, &'a str),
    pub(crate) asker: Asker<'a>,
    pub(crate) old: Option<&'a Old>,
    pub(crate) new: Option<&'a New>,
}

impl<Old: Serialize + ?Sized, New: Serialize + ?Sized> Asked<'_, Old, New> {
    /// The review, as JSON.
    pub(crate) fn review(&self) -> Result<String, serde_json::Error> {
        let (group, version) = group_version(&self.identity.api_version);
        let (resource_group, resource) = self.resource;
        let Asker { subresource, user, groups } = self.asker;
        // A Scale does not say of what it is one; v1 is the version of what the guard is for.
        let resource_version = if subresource == "scale" { "v1" } else { version };
        serde_json::to_string(&Review {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            request: Request {
                uid: self.uid,
                kind: Kind { group, version, name: &self.identity.kind },
                resource: Resource { group: resource_group, version: resource_version, name: resource },
                sub_resource: subresource,
                name: &self.identity.name,
                namespace: self.identity.namespace.as_deref().unwrap_or_default(),
                operation: self.operation,
                user_info: UserInfo { username: user, groups },
                object: self.new,
                old_object: self.old,
                dry_run: true,
            },
        })
    }
}

/// The resource that a Scale is taken for one of: what the guard is for.
pub(crate) const SCALED: (&str, &str) = ("kubeflow.org", "pytorchjobs");

/// The review of an update, as JSON; without an old object that of a creation, without a new one that of a deletion.
pub(crate) fn of(
    uid: &str,
    old: Option<&Document>,
    new: Option<&Document>,
    identity: &Identity,
    asker: Asker<'_>,
) -> Result<String, serde_json::Error> {
    let operation = match (old, new) {
        (None, _) => "CREATE",
        (_, None) => "DELETE",
        _ => "UPDATE",
    };
    let (group, resource) = resource_of(identity);
    let resource = if asker.subresource == "scale" { SCALED } else { (group, resource.as_str()) };
    let [old, new] = [old, new].map(|document| document.map(|document| &*document.json));
    Asked::<RawValue, RawValue> { uid, operation, identity, resource, asker, old, new }.review()
}

fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Group and resource of an object: its kind's plural, guessed as Kubernetes' own tools do where they cannot ask a
/// server.
pub(crate) fn resource_of(identity: &Identity) -> (&str, String) {
    let singular = identity.kind.to_lowercase();
    let plural = if let Some(stem) = singular.strip_suffix('y') {
        format!("{stem}ies")
    } else if singular.ends_with('s') {
        format!("{singular}es")
    } else {
        format!("{singular}s")
    };
    (group_version(&identity.api_version).0, plural)
}

/// The subject of a review, as kubectl names it: `pytorchjob.kubeflow.org/mnist`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Subject {
    #[serde(default)]
    kind: Group,
    #[serde(default)]
    resource: Group,
    #[serde(default)]
    name: String,
}

/// A kind or a resource with its group.
#[derive(Debug, Default, Deserialize)]
struct Group {
    #[serde(default)]
    group: String,
    #[serde(default, alias = "kind", alias = "resource")]
    name: String,
}

impl Subject {
    /// Reads the subject from a review; empty where the review does not name it.
    pub(crate) fn of(review: &str) -> Self {
        #[derive(Deserialize)]
        struct Saved {
            request: Subject,
        }
        serde_json::from_str(review).map_or_else(|_| Self::default(), |saved: Saved| saved.request)
    }

    /// The resource with its group: `pytorchjobs.kubeflow.org`.
    pub(crate) fn resource(&self) -> String {
        self.resource.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.to_string().to_lowercase(), self.name)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        Ok(())
    }
}
