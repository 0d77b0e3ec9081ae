//! A line of the guard's log or of the API server's audit log.

use std::{borrow::Cow, collections::BTreeMap};

use memchr::memmem;
use serde::{Deserialize, Deserializer};

/// A line of a log.
#[derive(Debug, PartialEq)]
pub enum Line<'l> {
    /// Updates that were denied or tolerated: one for each policy that it violates.
    Denials(Vec<Denial<'l>>),
    /// A line of one of the two logs about something else.
    Other,
    /// No line of either log.
    Unknown,
}

/// An update that violates a policy; as it stands here, the guard's own log line `denied` or `tolerated`.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Denial<'l> {
    #[serde(borrow, rename = "timestamp")]
    pub(super) time: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) policy: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) user: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) namespace: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) subresource: Cow<'l, str>,
    /// The field paths, joined by commas.
    #[serde(borrow)]
    pub(super) fields: Cow<'l, str>,
    /// False if the policy's actions let the update through.
    #[serde(rename = "message", deserialize_with = "is_denied")]
    pub(super) is_denied: bool,
    #[serde(rename = "dry_run")]
    pub(super) is_dry_run: bool,
}

fn is_denied<'l, D: Deserializer<'l>>(message: D) -> Result<bool, D::Error> {
    Ok(Cow::<str>::deserialize(message)? == "denied")
}

/// An event of `audit.k8s.io/v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'l> {
    #[serde(borrow)]
    stage: Cow<'l, str>,
    #[serde(borrow, default, rename = "requestURI")]
    request_uri: Cow<'l, str>,
    #[serde(borrow)]
    user: User<'l>,
    #[serde(borrow)]
    impersonated_user: Option<User<'l>>,
    #[serde(borrow)]
    object_ref: Option<ObjectRef<'l>>,
    response_status: Option<ResponseStatus>,
    #[serde(borrow)]
    request_received_timestamp: Cow<'l, str>,
    #[serde(borrow, default)]
    annotations: BTreeMap<Cow<'l, str>, Cow<'l, str>>,
}

#[derive(Deserialize)]
struct User<'l> {
    #[serde(borrow, default)]
    username: Cow<'l, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef<'l> {
    #[serde(borrow)]
    namespace: Cow<'l, str>,
    #[serde(borrow)]
    name: Cow<'l, str>,
    #[serde(borrow)]
    subresource: Cow<'l, str>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// The suffix of the webhooks' names, with which an API server begins the key of an audit annotation.
const WEBHOOKS: &str = "pytorchjob-guard.internal";

impl<'l> Line<'l> {
    /// Reads a line. `kubectl logs --prefix` may have put the pod's name before it.
    #[must_use]
    pub fn read(line: &'l [u8]) -> Self {
        let has = |text: &str| memmem::find(line, text.as_bytes()).is_some();
        let Some(start) = memchr::memchr(b'{', line) else { return Self::Unknown };
        let json = &line[start..];
        let denials = if has("\"message\":\"denied\"") || has("\"message\":\"tolerated\"") {
            serde_json::from_slice(json).ok().map(|denial| vec![denial])
        } else if has("pytorchjob-guard.internal/violations\"") {
            serde_json::from_slice(json).ok().map(Event::denials)
        } else {
            let is_known = has("\"auditID\":") || (has("\"timestamp\":") && has("\"level\":"));
            return if is_known { Self::Other } else { Self::Unknown };
        };
        match denials {
            Some(denials) if denials.is_empty() => Self::Other,
            Some(denials) => Self::Denials(denials),
            None => Self::Unknown,
        }
    }
}

impl<'l> Event<'l> {
    /// The annotations of each webhook, once: a request has an event for each of its stages.
    fn denials(self) -> Vec<Denial<'l>> {
        if self.stage != "ResponseComplete" {
            return Vec::new();
        }
        let ObjectRef { namespace, name, subresource } = self.object_ref.unwrap_or_default();
        let user = self.impersonated_user.unwrap_or(self.user).username;
        let is_denied = self.response_status.is_some_and(|status| status.code >= 400);
        let is_dry_run = self.request_uri.contains("dryRun=All");
        let denial = |(key, fields): (&Cow<'l, str>, &Cow<'l, str>)| {
            let webhook = key.strip_suffix("/violations").filter(|webhook| webhook.ends_with(WEBHOOKS))?;
            let policy = self.annotations.get(format!("{webhook}/policy").as_str()).cloned();
            Some(Denial {
                time: self.request_received_timestamp.clone(),
                policy: policy.unwrap_or_default(),
                user: user.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                subresource: subresource.clone(),
                fields: fields.clone(),
                is_denied,
                is_dry_run,
            })
        };
        self.annotations.iter().filter_map(denial).collect()
    }
}
