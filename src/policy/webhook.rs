//! The settings of the webhooks by which an API server asks about a policy's updates.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The settings of a policy's webhooks, as in `ValidatingWebhook`. A policy file gives them, or `registration` and `serve` for
/// policies that do not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookSettings {
    /// The `namespaceSelector`; none selects all.
    pub namespaces: Option<LabelSelector>,
    /// The `objectSelector`; none selects all.
    pub objects: Option<LabelSelector>,
    /// The `failurePolicy`; `Fail` without.
    pub failure_policy: Option<FailurePolicy>,
    /// The `timeoutSeconds`, 1 to 30; 5 without.
    pub timeout_seconds: Option<i32>,
}

/// The fate of an update if no guard answers, as in `ValidatingWebhook.failurePolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum FailurePolicy {
    /// The API server rejects it.
    Fail,
    /// The API server lets it through.
    Ignore,
}

impl WebhookSettings {
    /// These settings, and the others where these have none.
    #[must_use]
    pub(crate) fn or(self, others: &Self) -> Self {
        Self {
            namespaces: self.namespaces.or_else(|| others.namespaces.clone()),
            objects: self.objects.or_else(|| others.objects.clone()),
            failure_policy: self.failure_policy.or(others.failure_policy),
            timeout_seconds: self.timeout_seconds.or(others.timeout_seconds),
        }
    }

    /// The `timeoutSeconds`, given or not; the guard takes microseconds.
    pub(crate) fn timeout_seconds(&self) -> i32 {
        self.timeout_seconds.unwrap_or(5)
    }

    /// The `failurePolicy`, given or not.
    pub(crate) fn failure_policy(&self) -> FailurePolicy {
        self.failure_policy.unwrap_or(FailurePolicy::Fail)
    }
}

impl FailurePolicy {
    /// The word for it in `ValidatingWebhook`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
}
