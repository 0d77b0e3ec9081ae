//! The policy: which fields of which resources may change, and for whom.

use std::fmt;

use super::WebhookSettings;
use crate::field::{Pattern, Type};

/// An update policy: the fields that may change in an update, and the verdict on an update that changes others.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) resources: Vec<Resource>,
    pub(crate) webhooks: WebhookSettings,
    pub(crate) suspend_field: SuspendField,
    pub(crate) mutable_fields: Vec<Pattern>,
    pub(crate) immutable_fields: Vec<Pattern>,
    pub(crate) server_managed_fields: Vec<Pattern>,
    pub(crate) equality: Equality,
    pub(crate) exemptions: Vec<Exemption>,
    pub(crate) actions: Vec<ValidationAction>,
    pub(crate) reason: DenialReason,
}

/// A resource that a policy is for, in all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) resource: String,
}

/// The equality of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) enum Equality {
    /// As Kubernetes has it: `null` and an empty list are absent, numbers and quantities compare by value.
    #[default]
    Semantic,
    /// As JSON values.
    Strict,
}

impl Equality {
    /// True if a struct's member of that type, from which all is taken away, equals an absent one.
    pub(crate) fn is_absent_when_empty(self, of: Type, is_list: bool) -> bool {
        self == Self::Semantic && (is_list || of.is_absent_when_empty())
    }
}

/// Fields that some may change, or at some times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exemption {
    pub(crate) name: String,
    pub(crate) users: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) when: Option<Condition>,
    /// Empty: the main resource only.
    pub(crate) subresources: Vec<String>,
    pub(crate) fields: Vec<Pattern>,
}

/// The path of the field by which a job is suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SuspendField(Vec<String>);

impl Default for SuspendField {
    fn default() -> Self {
        Self(["spec", "runPolicy", "suspend"].map(str::to_owned).to_vec())
    }
}

impl SuspendField {
    /// The field of this path, if it has only names that are CEL identifiers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric())
        };
        let keys: Vec<_> = text.split('.').map(str::to_owned).collect();
        (keys.len() > 1 && keys[0] == "spec" && keys.iter().all(|key| is_name(key))).then_some(Self(keys))
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn pattern(&self) -> Option<Pattern> {
        Pattern::parse(&self.to_string()).ok()
    }
}

impl fmt::Display for SuspendField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A state of the object, or a change of it, on which an exemption depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Condition {
    /// The old object has a deletion timestamp.
    Deleting,
    /// The suspend field differs; absent is false.
    SuspendChanged,
    /// The suspend field of the old object is true: no pods run, as `batch/v1` takes it for a suspended Job.
    Suspended,
}

/// The treatment of a violation, as in `ValidatingAdmissionPolicyBinding.spec.validationActions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum ValidationAction {
    /// The update is denied.
    Deny,
    /// The update is allowed with a warning for each field.
    Warn,
    /// The violations are in the audit annotations.
    Audit,
}

/// The reason of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) enum DenialReason {
    /// 422: `kubectl edit` opens the editor again.
    #[default]
    Invalid,
    /// 403: for tools that delete and create anew what is invalid.
    Forbidden,
}

impl Policy {
    /// The `apiVersion` of policy files.
    pub const API_VERSION: &str = "pytorchjob-guard/v1";
    /// The `kind` of policy files.
    pub const KIND: &str = "UpdatePolicy";

    /// The policy's name, as metrics, logs and audit annotations give it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 12 hexadecimal digits of the SHA-256 of the policy's text, as `sha256sum` prints them: two files of one
    /// name differ in it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest.0
    }

    /// The name and the digest in one text: `/readyz` says so, and `doctor` compares it.
    pub(crate) fn name_and_digest(&self) -> String {
        format!("{}, digest {}", self.name(), self.digest())
    }

    pub(crate) fn has_object_selector(&self) -> bool {
        self.webhooks.objects.is_some()
    }

    pub(crate) fn lists(&self, group: &str, resource: &str) -> bool {
        self.resources.iter().any(|listed| listed.group == group && listed.resource == resource)
    }

    pub(crate) fn takes(&self, action: ValidationAction) -> bool {
        self.actions.contains(&action)
    }
}

/// The beginning of the SHA-256 of a policy's text. Two texts that say the same are equal policies all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest(String);

impl Digest {
    const BYTES: usize = 6;

    pub(super) fn of(text: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let nibbles = digest.as_ref().iter().take(Self::BYTES).flat_map(|byte| [byte >> 4, byte & 15]);
        Self(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect())
    }
}

impl PartialEq for Digest {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Digest {}
