//! The ways in which API servers call this guard, as the registration tells them.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration},
};

use crate::{
    certificates::Validity,
    registration::{ServiceName, webhooks_of},
};

/// The way in which an API server calls this guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The name that it expects in the certificate.
    pub(super) host: String,
    /// The CAs that it trusts, PEM.
    pub(super) bundle: Vec<u8>,
}

/// The ways in which API servers call this guard by a registration.
pub(super) fn callers(registration: &ValidatingWebhookConfiguration, service: Option<&ServiceName>) -> Vec<Caller> {
    let caller = |webhook: &ValidatingWebhook| {
        let config = &webhook.client_config;
        let service = config.service.as_ref().map(|service| {
            let (namespace, name) = (service.namespace.clone(), service.name.clone());
            ServiceName { namespace, name }.host()
        });
        let host = service.or_else(|| {
            let url: hyper::Uri = config.url.as_ref()?.parse().ok()?;
            url.host().map(|host| host.trim_matches(['[', ']']).to_owned())
        })?;
        let ByteString(bundle) = config.ca_bundle.clone().unwrap_or_default();
        Some(Caller { host, bundle })
    };
    let mut callers: Vec<_> = webhooks_of(registration, service).filter_map(caller).collect();
    callers.dedup();
    callers
}

/// The validity of the CA that expires last.
pub(super) fn longest(callers: &[Caller]) -> Option<Validity> {
    let validities = callers.iter().filter_map(|caller| Validity::of_bundle(&caller.bundle));
    validities.max_by_key(|validity| validity.not_after)
}
