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
    certificates::Validity,
    policy::Policy,
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

impl<K> Seen<K> {
    pub(super) fn there(&self) -> Option<&K> {
        match self {
            Self::There(object) => Some(object),
            Self::NotYet | Self::Gone => None,
        }
    }
}

/// An object that is followed by a watch, and read or written beside it.
///
/// A watch may lag behind what was read or written, and resource versions tell only whether two states are the same: Kubernetes
/// promises an order of them from 1.35 on. So once the object was read, a state that is not the one known is a reason to read it
/// again, until the watch has come as far.
#[derive(Debug)]
pub(super) struct Followed<K> {
    seen: Seen<K>,
    /// It was read or written, and the watch has not told of that state yet.
    ahead: bool,
    /// The last state that the watch told of and that was not taken.
    doubted: Option<Version>,
}

/// What two states of an object differ in; none of an object that is gone.
type Version = Option<(Option<String>, Option<String>)>;

impl<K: kube::Resource> Followed<K> {
    pub(super) fn new() -> Self {
        Self { seen: Seen::NotYet, ahead: false, doubted: None }
    }

    pub(super) fn seen(&self) -> &Seen<K> {
        &self.seen
    }

    pub(super) fn there(&self) -> Option<&K> {
        self.seen.there()
    }

    /// Takes what the watch says. False if that may be older than what is known: the object has to be read.
    pub(super) fn hear(&mut self, object: Option<K>) -> bool {
        let heard = version(object.as_ref());
        if self.ahead && heard != version(self.there()) {
            self.doubted = Some(heard);
            return false;
        }
        (self.ahead, self.doubted) = (false, None);
        self.seen = object.into();
        true
    }

    /// Takes what was read or written just now.
    pub(super) fn saw(&mut self, object: Option<K>) {
        let (before, now) = (version(self.there()), version(object.as_ref()));
        let is_new = matches!(self.seen, Seen::NotYet) || before != now;
        // The watch is as far where it told of this state while it was doubted.
        if self.doubted.as_ref() == Some(&now) {
            (self.ahead, self.doubted) = (false, None);
        } else if is_new {
            self.ahead = true;
        }
        self.seen = object.into();
    }
}

fn version<K: kube::Resource>(object: Option<&K>) -> Version {
    object.map(|object| (object.meta().uid.clone(), object.meta().resource_version.clone()))
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

    fn known(followed: &Followed<Secret>) -> String {
        followed.there().and_then(|secret| secret.metadata.resource_version.clone()).unwrap_or_default()
    }

    #[test]
    fn takes_what_a_watch_says_in_whatever_order_versions_are() {
        let mut followed = Followed::new();
        for version in ["9", "10", "4", "b7"] {
            assert!(followed.hear(Some(secret("a", version))));
            assert_eq!(known(&followed), version);
        }
        assert!(followed.hear(None));
        assert!(followed.there().is_none());
    }

    #[test]
    fn reads_again_what_may_be_older_than_what_it_wrote() {
        let mut followed = Followed::new();
        assert!(followed.hear(Some(secret("a", "9"))));
        followed.saw(Some(secret("a", "12")));
        // On its way from before the write, or from after it: nobody can tell, also where the number is higher.
        for version in ["10", "13"] {
            assert!(!followed.hear(Some(secret("a", version))));
            assert_eq!(known(&followed), "12");
        }
        assert!(!followed.hear(None), "nor whether it is gone");
        // What was written, and from then on what follows.
        assert!(followed.hear(Some(secret("a", "12"))));
        assert!(followed.hear(Some(secret("a", "11"))));
        assert_eq!(known(&followed), "11");
    }

    #[test]
    fn trusts_the_watch_again_once_what_it_said_was_read() {
        let mut followed = Followed::new();
        assert!(followed.hear(Some(secret("a", "1"))));
        followed.saw(Some(secret("a", "2")));
        assert!(!followed.hear(Some(secret("b", "3"))));
        followed.saw(Some(secret("b", "3")));
        assert!(followed.hear(Some(secret("b", "4"))));
        // To read what is known already changes nothing.
        followed.saw(Some(secret("b", "4")));
        assert!(followed.hear(None));
        followed.saw(None);
        assert!(followed.hear(Some(secret("c", "5"))));
    }
}
