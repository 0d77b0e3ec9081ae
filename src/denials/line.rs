//! A line of the guard's log or of the API server's audit log.

use std::{borrow::Cow, collections::BTreeMap};

use memchr::memmem;
use serde::Deserialize;

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

/// An update that violates a policy.
#[derive(Debug, PartialEq)]
pub struct Denial<'l> {
    pub(super) time: Cow<'l, str>,
    pub(super) policy: Cow<'l, str>,
    pub(super) user: Cow<'l, str>,
    pub(super) namespace: Cow<'l, str>,
    pub(super) name: Cow<'l, str>,
    pub(super) subresource: Cow<'l, str>,
    /// The field paths, joined by commas.
    pub(super) fields: Cow<'l, str>,
    /// False if the policy's actions let the update through.
    pub(super) is_denied: bool,
    pub(super) is_dry_run: bool,
}

/// The guard's own log line, `denied` or `tolerated`.
#[derive(Deserialize)]
struct Logged<'l> {
    #[serde(borrow)]
    timestamp: Cow<'l, str>,
    #[serde(borrow)]
    message: Cow<'l, str>,
    #[serde(borrow)]
    policy: Cow<'l, str>,
    #[serde(borrow)]
    user: Cow<'l, str>,
    #[serde(borrow)]
    namespace: Cow<'l, str>,
    #[serde(borrow)]
    name: Cow<'l, str>,
    #[serde(borrow)]
    subresource: Cow<'l, str>,
    dry_run: bool,
    #[serde(borrow)]
    fields: Cow<'l, str>,
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
            serde_json::from_slice(json).ok().map(Logged::denial)
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

impl<'l> Logged<'l> {
    fn denial(self) -> Vec<Denial<'l>> {
        vec![Denial {
            time: self.timestamp,
            policy: self.policy,
            user: self.user,
            namespace: self.namespace,
            name: self.name,
            subresource: self.subresource,
            fields: self.fields,
            is_denied: self.message == "denied",
            is_dry_run: self.dry_run,
        }]
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
