//! One case, and the review that an API server would send of it.

use std::borrow::Cow;

use json_patch::PatchOperation;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::words::{Expectation, Operation};
use crate::{
    documents::{
        Identity,
        review::{Asked, Asker, SCALED, resource_of},
    },
    policy::Policy,
};

/// A case: a change of the base, and the expected outcome.
#[derive(Debug)]
pub struct Case {
    /// Its name, different from the others' in the suite.
    pub name: String,
    /// Line and column of the case in its file.
    pub at: Option<(u64, u64)>,
    /// The expected outcome.
    pub expected: Expectation,
    /// The fields that should be violated, sorted.
    pub fields: Vec<String>,
    pub(super) edit: Edit,
    pub(super) base_patch: Option<Value>,
    pub(super) operation: Operation,
    pub(super) subresource: String,
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

/// The change that makes the new object from the old one.
#[derive(Debug)]
pub(super) enum Edit {
    /// RFC 7396.
    Patch(Value),
    /// RFC 6902.
    JsonPatch(Vec<PatchOperation>),
    /// Another object in its place.
    Object(Value),
    /// There is no new object.
    Delete,
    /// A review that was saved: text, so that it reaches the webhook's code as it is.
    Review(String),
}

/// An object that cases begin with, in the forms that they need it in.
#[derive(Debug)]
pub(super) struct Base {
    value: Value,
    text: Box<RawValue>,
    identity: Identity,
    group: String,
    resource: String,
}

/// The reason why there is no review of a case.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    #[error("jsonPatch: {} of {path}: {kind}", ordinal(*operation))]
    JsonPatch { operation: usize, path: String, kind: json_patch::PatchErrorKind },
    #[error("subresource: scale takes a PyTorchJob or an autoscaling/v1 Scale for its base, not a {0}")]
    Kind(String),
    #[error("subresource: the base has no spec.pytorchReplicaSpecs.Worker.replicas, so it has no scale")]
    NoReplicas,
    #[error("base is missing: only a case with a review does without")]
    NoBase,
    #[error("the review cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An operation of a JSON Patch, counted as people count.
fn ordinal(operation: usize) -> String {
    format!("operation {}", operation + 1)
}

impl Base {
    /// The object as the main resource has it.
    pub(super) fn new(value: Value, identity: Identity) -> Result<Self, CaseError> {
        let (group, resource) = resource_of(&identity);
        let group = group.to_owned();
        Ok(Self { text: to_raw_value(&value)?, value, identity, group, resource })
    }

    fn is_scale(&self) -> bool {
        (self.identity.api_version.as_str(), self.identity.kind.as_str()) == ("autoscaling/v1", "Scale")
    }

    /// The object as its scale subresource shows it. A Scale does not say of what it is one: it is one of the only
    /// resource that the policy lists, else of PyTorchJobs.
    pub(super) fn scale(&self, policy: &Policy) -> Result<Self, CaseError> {
        if self.is_scale() {
            let (group, resource) = match &policy.resources[..] {
                [only] => (only.group.as_str(), only.resource.as_str()),
                _ => SCALED,
            };
            let (group, resource) = (group.to_owned(), resource.to_owned());
            let (text, value, identity) = (self.text.clone(), self.value.clone(), self.identity.clone());
            return Ok(Self { value, text, identity, group, resource });
        }
        if self.identity.kind != "PyTorchJob" {
            return Err(CaseError::Kind(self.identity.kind.clone()));
        }
        let replicas = self.value.pointer("/spec/pytorchReplicaSpecs/Worker/replicas");
        let replicas = replicas.filter(|replicas| replicas.is_number()).ok_or(CaseError::NoReplicas)?;
        let mut metadata = serde_json::Map::new();
        // What the API server copies into the view.
        for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = self.value.pointer(&format!("/metadata/{key}")) {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        let status = |key: &str| self.value.pointer(&format!("/status/replicaStatuses/Worker/{key}")).cloned();
        let value = json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": metadata,
            "spec": {"replicas": replicas},
            "status": {"replicas": status("active").unwrap_or(json!(0)), "selector": status("selector").unwrap_or(json!(""))},
        });
        let identity = Identity {
            api_version: "autoscaling/v1".to_owned(),
            kind: "Scale".to_owned(),
            name: self.identity.name.clone(),
            namespace: self.identity.namespace.clone(),
        };
        let (group, resource) = (self.group.clone(), self.resource.clone());
        Ok(Self { text: to_raw_value(&value)?, value, identity, group, resource })
    }

    fn patched(&self, patch: &Value) -> Result<Self, CaseError> {
        let mut value = self.value.clone();
        json_patch::merge(&mut value, patch);
        let (group, resource) = (self.group.clone(), self.resource.clone());
        Ok(Self { text: to_raw_value(&value)?, value, identity: self.identity.clone(), group, resource })
    }
}

impl Case {
    /// The review of the case, as JSON. Whether there is one does not depend on the policy's fields.
    pub(super) fn review(&self, base: Option<&Base>, policy: &Policy) -> Result<Cow<'_, str>, CaseError> {
        if let Edit::Review(review) = &self.edit {
            return Ok(Cow::Borrowed(review));
        }
        let base = base.ok_or(CaseError::NoBase)?;
        let patched = self.base_patch.as_ref().map(|patch| base.patched(patch)).transpose()?;
        let base = patched.as_ref().unwrap_or(base);
        let scale = if self.subresource == "scale" { Some(base.scale(policy)?) } else { None };
        let base = scale.as_ref().unwrap_or(base);
        let new = self.new_object(base)?;
        let review = Asked {
            uid: "test",
            operation: self.operation.name(),
            identity: &base.identity,
            resource: (&base.group, &base.resource),
            asker: Asker { subresource: &self.subresource, user: &self.user, groups: &self.groups },
            old: matches!(self.operation, Operation::Update | Operation::Delete).then_some(&*base.text),
            new: new.as_deref(),
        };
        Ok(Cow::Owned(review.review()?))
    }

    fn new_object(&self, base: &Base) -> Result<Option<Cow<'_, Value>>, CaseError> {
        Ok(match &self.edit {
            Edit::Patch(patch) => {
                let mut object = base.value.clone();
                json_patch::merge(&mut object, patch);
                Some(Cow::Owned(object))
            }
            Edit::JsonPatch(operations) => {
                let mut object = base.value.clone();
                json_patch::patch(&mut object, operations).map_err(|error| CaseError::JsonPatch {
                    operation: error.operation,
                    path: error.path.to_string(),
                    kind: error.kind,
                })?;
                Some(Cow::Owned(object))
            }
            Edit::Object(object) => Some(Cow::Borrowed(object)),
            Edit::Delete | Edit::Review(_) => None,
        })
    }

    /// True if the review of the case can fail: only then is it made once more while the suite is loaded.
    pub(super) fn can_fail(&self) -> bool {
        matches!(self.edit, Edit::JsonPatch(_)) || self.subresource == "scale"
    }
}
