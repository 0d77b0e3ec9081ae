//! The patches that are written to the cluster: only what differs, and only over what was read.
//!
//! All patches carry the resource version of what they were made from, so that the API server rejects one that comes too
//! late. Webhooks and conditions are addressed by name, as a strategic merge patch does it: what others keep in the
//! configuration stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{MatchCondition, ValidatingWebhook, ValidatingWebhookConfiguration},
};
use serde_json::{Map, Value, json};

use crate::{
    certificates::pem,
    policy::PolicySet,
    registration::{ServiceName, exact, path_of, tightened, webhooks_of},
};

/// The desired registration.
pub(super) struct Wanted<'p> {
    pub(super) service: Option<&'p ServiceName>,
    /// The CAs, PEM, where they are ours to keep.
    pub(super) bundle: Option<String>,
    /// The conditions, where they are ours to keep.
    pub(super) conditions: Option<Conditions<'p>>,
}

/// The desired conditions.
pub(super) enum Conditions<'p> {
    /// They may hold back no question that a policy of one of these sets has.
    Fit(Vec<&'p PolicySet>),
    /// They are those of these policies.
    Are(&'p PolicySet),
}

/// The strategic merge patch that makes the registration what it should be, where it is not.
pub(super) fn registration(configuration: &ValidatingWebhookConfiguration, wanted: &Wanted<'_>) -> Option<Value> {
    let mut webhooks = Vec::new();
    for webhook in webhooks_of(configuration, wanted.service) {
        let mut change = Map::new();
        if let Some(bundle) = wanted.bundle.as_ref().filter(|bundle| !is_trusted(webhook, bundle)) {
            change.insert("clientConfig".to_owned(), json!({"caBundle": STANDARD.encode(bundle)}));
        }
        if let Some(conditions) = wanted.conditions.as_ref().and_then(|wanted| wanted.of(webhook)) {
            change.insert("matchConditions".to_owned(), replaced(&conditions));
        }
        if !change.is_empty() {
            change.insert("name".to_owned(), json!(webhook.name));
            webhooks.push(Value::Object(change));
        }
    }
    let version = &configuration.metadata.resource_version;
    (!webhooks.is_empty()).then(|| json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks}))
}

impl Conditions<'_> {
    fn of(&self, webhook: &ValidatingWebhook) -> Option<Vec<MatchCondition>> {
        let path = path_of(webhook);
        match self {
            Self::Fit(sets) => {
                let policies: Vec<_> = sets.iter().filter_map(|set| set.at(path)).map(|policy| &**policy).collect();
                tightened(webhook, &policies)
            }
            Self::Are(set) => exact(webhook, set.at(path)?),
        }
    }
}

/// The list in place of the one that is there: without the directive the two would be merged.
fn replaced(conditions: &[MatchCondition]) -> Value {
    if conditions.is_empty() {
        return Value::Null;
    }
    let list = conditions.iter().map(|condition| json!(condition));
    Value::Array(std::iter::once(json!({"$patch": "replace"})).chain(list).collect())
}

/// True if the webhook trusts these CAs, and no others.
fn is_trusted(webhook: &ValidatingWebhook, bundle: &str) -> bool {
    let present = webhook.client_config.ca_bundle.as_ref();
    present.is_some_and(|ByteString(present)| certificates(present) == certificates(bundle.as_bytes()))
}

/// The certificates of this PEM text. A text that is no PEM counts as empty.
pub(super) fn certificates(pem: &[u8]) -> BTreeSet<Vec<u8>> {
    pem::certificates(pem).unwrap_or_default().into_iter().map(|certificate| certificate.to_vec()).collect()
}

/// The merge patch that puts this data into a Secret of that version.
pub(super) fn secret(version: Option<&str>, data: BTreeMap<&'static str, Option<&str>>) -> Value {
    let encoded: BTreeMap<_, _> =
        data.into_iter().map(|(key, value)| (key, value.map(|value| STANDARD.encode(value)))).collect();
    json!({"metadata": {"resourceVersion": version}, "data": encoded})
}
