//! Actions, and their results.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use serde_json::Value;

use super::{ca::NextCa, callers::Caller, lane::Turn, self_call::Outcome};
use crate::certificates::CertificateError;

/// The deadline of one read or write.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// An action that takes time. Actions run beside each other, each with its own deadline.
pub(super) enum Action {
    /// Reads the registration: a watched state may be old, or the end of trouble has to be found out.
    ReadRegistration,
    /// Reads the Secret: a watched state may be old.
    ReadSecret,
    /// Writes the conditions, by a strategic merge patch over the version that it was made from.
    WriteConditions(Value),
    /// Reads the Secret, to write it and the bundle.
    ReadSecretToWrite,
    /// Makes the next CA and writes it into the Secret, over this resource version.
    WriteSecret(NextCa, Option<String>),
    /// Writes the bundle, like the conditions.
    WriteBundle(Value),
    /// Calls the guard as each of these callers would.
    CallOurselves(Vec<Caller>),
}

/// The result of an action, with the number of its turn.
pub(super) enum Done {
    Called(Turn, Vec<Outcome>),
    Read(Turn, Result<Option<ValidatingWebhookConfiguration>, RequestError>),
    ReadSecret(Turn, Result<Option<Secret>, RequestError>),
    WroteConditions(Turn, Result<ValidatingWebhookConfiguration, RequestError>),
    ReadToWrite(Turn, Result<Option<Secret>, RequestError>),
    /// The Secret, and the end of its CA where that is a new one.
    WroteSecret(Turn, Result<(Secret, Option<SystemTime>), RequestError>),
    WroteBundle(Turn, Result<ValidatingWebhookConfiguration, RequestError>),
}

/// The reason why reading or writing failed this time.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the API server says: {0}")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the API server did not answer within {}", humantime::format_duration(DEADLINE))]
    TooSlow,
}

impl RequestError {
    /// True if another writer was first.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }
}
