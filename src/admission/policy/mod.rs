//! The policy: which fields of which resources may change, and for whom. A value that is read from a file
//! ([`mod@file`]); the code knows no path of its own.

mod check;
mod elements;
mod error;
mod exemption;
mod file;
mod known;
mod lint;
mod names;
mod precedence;
mod probe;
mod reader;
mod tree;

use super::{field::Pattern, json::Json, review::User};
pub use error::{Place, PolicyError, Remark, Severity};
pub(crate) use precedence::{Effect, Precedence};

/// What may change in an update, and what becomes of an update that changes more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) resources: Vec<Resource>,
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

/// When two values count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) enum Equality {
    /// As Kubernetes has it: `null` and an empty list are absent, numbers and quantities compare by value.
    #[default]
    Semantic,
    /// As JSON values.
    Strict,
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

/// A state of the object, or a change of it, on which an exemption depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Condition {
    /// The old object has a deletion timestamp.
    Deleting,
    /// `spec.runPolicy.suspend` differs; absent is false.
    SuspendChanged,
}

/// What becomes of a violation, as in `ValidatingAdmissionPolicyBinding.spec.validationActions`.
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

/// A built-in policy.
struct BuiltIn {
    name: &'static str,
    /// What it is for, on one line.
    summary: &'static str,
    text: &'static str,
}

/// The built-in policies, the default first.
const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "cci",
        summary: "Cloud Container Instance's contract; deadline, TTL and clean-up policy stand under spec",
        text: include_str!("../../policies/cci.yaml"),
    },
    BuiltIn {
        name: "training-operator",
        summary: "the same contract for the training operator 1.3 and later, which keeps them under spec.runPolicy",
        text: include_str!("../../policies/training-operator.yaml"),
    },
    BuiltIn {
        name: "kueue",
        summary: "training-operator, for clusters where Kueue starts and stops the jobs",
        text: include_str!("../../policies/kueue.yaml"),
    },
];

impl BuiltIn {
    fn find(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|built_in| built_in.name == name)
    }
}

impl Policy {
    /// The `apiVersion` of policy files.
    pub const API_VERSION: &str = "pytorchjob-guard/v1";
    /// The `kind` of policy files.
    pub const KIND: &str = "UpdatePolicy";

    /// The built-in policy of that name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        Self::parse(Self::builtin_text(name)?).ok()
    }

    /// The text of the built-in policy of that name.
    #[must_use]
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        BuiltIn::find(name).map(|built_in| built_in.text)
    }

    /// What the built-in policy of that name is for, on one line.
    #[must_use]
    pub fn builtin_summary(name: &str) -> Option<&'static str> {
        BuiltIn::find(name).map(|built_in| built_in.summary)
    }

    /// The names of the built-in policies, the default first.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|built_in| built_in.name)
    }

    /// Reads a policy, YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(Self { digest: Digest::of(text), ..file::read(text)? })
    }

    /// Reads a policy and says what in it is hardly meant, in the order of the text.
    pub fn lint(text: &str) -> Result<Vec<Remark>, PolicyError> {
        lint::lint(text)
    }

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

    pub(super) fn lists(&self, group: &str, resource: &str) -> bool {
        self.resources.iter().any(|listed| listed.group == group && listed.resource == resource)
    }

    pub(super) fn takes(&self, action: ValidationAction) -> bool {
        self.actions.contains(&action)
    }
}

/// The beginning of the SHA-256 of a policy's text. Two texts that say the same are equal policies all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest(String);

impl Digest {
    const BYTES: usize = 6;

    fn of(text: &str) -> Self {
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

/// Who updates what: all that an exemption depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) user: &'a User<'a>,
    pub(super) subresource: &'a str,
    pub(super) old: Json<'a>,
    pub(super) new: Json<'a>,
}

impl Condition {
    fn holds(self, old: Json<'_>, new: Json<'_>) -> bool {
        let suspended = |object| text_at(object, &["spec", "runPolicy", "suspend"]) == Some(b"true");
        match self {
            Self::Deleting => text_at(old, &["metadata", "deletionTimestamp"]).is_some(),
            Self::SuspendChanged => suspended(old) != suspended(new),
        }
    }
}

/// The value at a path of keys; none where it is null.
fn text_at<'t>(object: Json<'t>, path: &[&str]) -> Option<&'t [u8]> {
    let value = path.iter().try_fold(object, |value, key| value.get(key))?;
    (value.text() != b"null").then(|| value.text())
}

impl Exemption {
    fn holds(&self, circumstances: &Circumstances<'_>) -> bool {
        let &Circumstances { user, subresource, old, new } = circumstances;
        let of_subresource = if self.subresources.is_empty() {
            subresource.is_empty()
        } else {
            self.subresources.iter().any(|listed| listed == subresource)
        };
        let everyone = self.users.is_empty() && self.groups.is_empty();
        of_subresource
            && (everyone
                || self.users.iter().any(|listed| *listed == user.name)
                || self.groups.iter().any(|group| user.is_in(group)))
            && self.when.is_none_or(|condition| condition.holds(old, new))
    }
}

impl Policy {
    /// The rules for one request. Of a subresource other than `status`, which nobody asks about, no field may change but
    /// by an exemption: the policy's mutable fields are the main resource's.
    pub(super) fn rules<'p>(&'p self, circumstances: &Circumstances<'_>) -> Rules<'p> {
        let mutable = if circumstances.subresource.is_empty() { &self.mutable_fields[..] } else { &[] };
        let exempt = self.exemptions.iter().filter(|exemption| exemption.holds(circumstances));
        let mutable: Vec<_> = mutable.iter().chain(exempt.flat_map(|exemption| &exemption.fields)).collect();
        let precedence = Precedence::new(
            mutable
                .iter()
                .map(|field| (*field, Effect::Mutable))
                .chain(self.immutable_fields.iter().map(|field| (field, Effect::Immutable)))
                .chain(self.server_managed_fields.iter().map(|field| (field, Effect::ServerManaged))),
        );
        Rules { precedence, mutable }
    }
}

/// The part of a policy that holds for one request.
#[derive(Debug)]
pub(super) struct Rules<'p> {
    pub(super) precedence: Precedence<'p>,
    /// The fields that may change.
    pub(super) mutable: Vec<&'p Pattern>,
}
