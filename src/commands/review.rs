//! The AdmissionReview that an API server would send for a change of one file's object to another's.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::documents::{Document, Identity};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'a str,
    kind: &'a str,
    request: Request<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
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
    object: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_object: Option<&'a RawValue>,
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

/// Who asks, and for which subresource.
pub(super) struct Asker<'a> {
    pub(super) subresource: &'a str,
    pub(super) user: &'a str,
    pub(super) groups: &'a [String],
}

/// The review of an update, as JSON; without an old object that of a creation, without a new one that of a deletion.
pub(super) fn of(
    uid: &str,
    old: Option<&Document>,
    new: Option<&Document>,
    identity: &Identity,
    asker: &Asker<'_>,
) -> Result<String, serde_json::Error> {
    let &Asker { subresource, user, groups } = asker;
    let operation = match (old, new) {
        (None, _) => "CREATE",
        (_, None) => "DELETE",
        _ => "UPDATE",
    };
    let (group, version) = identity.api_version.split_once('/').unwrap_or(("", &identity.api_version));
    let resource = plural(&identity.kind);
    let resource = if subresource == "scale" {
        // A Scale does not say of what it is one; here it is of what the guard is for.
        Resource { group: "kubeflow.org", version: "v1", name: "pytorchjobs" }
    } else {
        Resource { group, version, name: &resource }
    };
    serde_json::to_string(&Review {
        api_version: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: Request {
            uid,
            kind: Kind { group, version, name: &identity.kind },
            resource,
            sub_resource: subresource,
            name: &identity.name,
            namespace: identity.namespace.as_deref().unwrap_or_default(),
            operation,
            user_info: UserInfo { username: user, groups },
            object: new.map(|document| &*document.json),
            old_object: old.map(|document| &*document.json),
            dry_run: true,
        },
    })
}

/// A kind's resource, guessed as Kubernetes' own tools do where they cannot ask a server.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if let Some(stem) = singular.strip_suffix('y') {
        format!("{stem}ies")
    } else if singular.ends_with('s') {
        format!("{singular}es")
    } else {
        format!("{singular}s")
    }
}

/// What a review is about, as kubectl names it: `pytorchjob.kubeflow.org/mnist`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Subject {
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
    /// What the review says of it; nothing where it says nothing.
    pub(super) fn of(review: &str) -> Self {
        #[derive(Deserialize)]
        struct Saved {
            request: Subject,
        }
        serde_json::from_str(review).map_or_else(|_| Self::default(), |saved: Saved| saved.request)
    }

    /// The resource with its group: `pytorchjobs.kubeflow.org`.
    pub(super) fn resource(&self) -> String {
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
