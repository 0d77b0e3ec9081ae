//! What was seen of the cluster.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration},
        core::v1::Secret,
    },
};
use tokio::time::Instant;

use crate::{
    admission::Policy,
    certificates::Validity,
    registration::{ServiceName, webhooks_of},
};

/// What was last seen of an object.
#[derive(Debug)]
pub(super) enum Seen<K> {
    /// Nobody has answered yet.
    NotYet,
    /// That there is none.
    Gone,
    /// This.
    There(Box<K>),
}

impl<K> From<Option<K>> for Seen<K> {
    fn from(object: Option<K>) -> Self {
        object.map_or(Self::Gone, |object| Self::There(Box::new(object)))
    }
}

impl<K: kube::Resource> Seen<K> {
    /// Takes what a watch says, unless something later is known already: a watch may lag behind what was read or written.
    pub(super) fn hear(&mut self, object: Option<K>) {
        let (Some(known), Some(heard)) = (self.there(), &object) else {
            *self = object.into();
            return;
        };
        let version = |object: &K| object.meta().resource_version.as_ref()?.parse::<u64>().ok();
        let is_older = known.meta().uid == heard.meta().uid && version(heard) < version(known);
        if !is_older {
            *self = object.into();
        }
    }
}

impl<K> Seen<K> {
    pub(super) fn there(&self) -> Option<&K> {
        match self {
            Self::There(object) => Some(object),
            Self::NotYet | Self::Gone => None,
        }
    }
}

/// Since when nothing has happened to the conditions, nor to the policy they follow from.
#[derive(Default)]
pub(super) struct Quiet {
    pub(super) since: Option<Instant>,
    seen: Option<Scene>,
}

/// What nothing has happened to.
#[derive(PartialEq)]
struct Scene {
    /// The expressions of each webhook.
    conditions: Vec<Vec<String>>,
    policies: Vec<Arc<Policy>>,
}

impl Quiet {
    pub(super) fn look(
        &mut self,
        registration: &Seen<ValidatingWebhookConfiguration>,
        policy: &Arc<Policy>,
        waiting: Option<&Arc<Policy>>,
    ) {
        let Some(registration) = registration.there() else {
            *self = Self::default();
            return;
        };
        let expressions = |webhook: &ValidatingWebhook| {
            let conditions = webhook.match_conditions.iter().flatten();
            conditions.map(|condition| condition.expression.clone()).collect()
        };
        let conditions = registration.webhooks.iter().flatten().map(expressions).collect();
        let policies = [Some(policy), waiting].into_iter().flatten().cloned().collect();
        let seen = Some(Scene { conditions, policies });
        if self.seen != seen {
            *self = Self { since: Some(Instant::now()), seen };
        }
    }
}

/// How an API server calls us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The name that it expects in the certificate.
    pub(super) host: String,
    /// The CAs that it trusts, PEM.
    pub(super) bundle: Vec<u8>,
}

/// How API servers call us that go by this registration.
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

/// When the one of these CAs is good that ends last.
pub(super) fn longest(callers: &[Caller]) -> Option<Validity> {
    let certificates = callers.iter().flat_map(|caller| super::patch::certificates(&caller.bundle));
    let validity = |certificate: Vec<u8>| Validity::of_chain(&[certificate.into()]).ok();
    certificates.filter_map(validity).max_by_key(|validity| validity.not_after)
}

/// A Secret's data.
pub(super) fn data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.map(|(key, ByteString(value))| (key.clone(), value.clone())).filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn secret(uid: &str, version: &str) -> Secret {
        let (uid, resource_version) = (Some(uid.to_owned()), Some(version.to_owned()));
        Secret { metadata: ObjectMeta { uid, resource_version, ..ObjectMeta::default() }, ..Secret::default() }
    }

    #[test]
    fn hears_nothing_that_is_older_than_what_it_knows() {
        let mut seen = Seen::NotYet;
        let mut hears = |uid: &str, version: &str| {
            seen.hear(Some(secret(uid, version)));
            seen.there().and_then(|secret| secret.metadata.resource_version.clone()).unwrap_or_default()
        };
        assert_eq!(hears("a", "9"), "9");
        assert_eq!(hears("a", "10"), "10", "numbers, not texts");
        assert_eq!(hears("a", "9"), "10");
        assert_eq!(hears("b", "11"), "11");
        assert_eq!(hears("c", "5"), "5", "another object of the same name");
        seen.hear(None);
        assert!(seen.there().is_none());
    }
}
