//! Whether a registration asks the guard about everything that a policy would refuse, and what to change where it does
//! not.
//!
//! Conditions are compared as texts: they only ever hold back the asking, so a registration fits a policy if each condition of
//! it is one that follows from that policy, or if it has none. What somebody else wrote may be just as good; nobody can tell.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ValidatingWebhook, ValidatingWebhookConfiguration,
};

use super::conditions::{Part, match_conditions};
use crate::admission::{Policy, Resource};

const PARTS: [Part; 2] = [Part::Object, Part::Scale];

/// A Service, by which the webhooks that lead to it are told from others in the same configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ServiceName {
    /// The name that an API server expects in the certificate.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

/// The webhooks of the configuration that lead to that Service; all of them where none is named.
pub(crate) fn webhooks_of<'c>(
    configuration: &'c ValidatingWebhookConfiguration,
    service: Option<&'c ServiceName>,
) -> impl Iterator<Item = &'c ValidatingWebhook> {
    let leads_there = move |webhook: &&ValidatingWebhook| {
        service.is_none_or(|wanted| {
            let service = webhook.client_config.service.as_ref();
            service.is_some_and(|service| service.namespace == wanted.namespace && service.name == wanted.name)
        })
    };
    configuration.webhooks.iter().flatten().filter(leads_there)
}

/// By what updates get past the guard that this policy would refuse; nothing where the registration fits.
pub(crate) fn misfits(
    configuration: &ValidatingWebhookConfiguration,
    service: Option<&ServiceName>,
    policy: &Policy,
) -> Vec<String> {
    let webhooks: Vec<_> = webhooks_of(configuration, service).collect();
    let mut misfits = Vec::new();
    for resource in &policy.resources {
        for part in PARTS {
            let asked: Vec<_> = webhooks.iter().filter(|webhook| covers(webhook, resource, part)).collect();
            let what = name(resource, part);
            if asked.is_empty() {
                misfits.push(format!("nobody is asked about updates of {what}"));
            } else if asked.iter().all(|webhook| webhook.failure_policy.as_deref() == Some("Ignore")) {
                misfits.push(format!("failurePolicy Ignore lets updates of {what} through where no guard answers"));
            }
        }
    }
    for webhook in webhooks {
        if !is_asked(webhook, policy) {
            continue;
        }
        let own = conditions_of(webhook, policy);
        let foreign = conditions(webhook).iter().filter(|condition| !is_among(condition, &own));
        misfits.extend(foreign.map(|condition| {
            format!("condition {} of webhook {} does not follow from the policy", condition.name, webhook.name)
        }));
    }
    misfits
}

/// The conditions under which the webhook asks about whatever one of the policies would refuse, where those it has do not.
pub(crate) fn tightened(webhook: &ValidatingWebhook, policies: &[&Policy]) -> Option<Vec<MatchCondition>> {
    if !policies.iter().any(|policy| is_asked(webhook, policy)) {
        return None;
    }
    let own: Vec<_> = policies.iter().map(|policy| conditions_of(webhook, policy)).collect();
    let present = conditions(webhook);
    let kept: Vec<_> =
        present.iter().filter(|condition| own.iter().all(|own| is_among(condition, own))).cloned().collect();
    (kept.len() < present.len()).then_some(kept)
}

/// The conditions that follow from the policy, where the webhook has others.
pub(crate) fn exact(webhook: &ValidatingWebhook, policy: &Policy) -> Option<Vec<MatchCondition>> {
    if !is_asked(webhook, policy) {
        return None;
    }
    let own = conditions_of(webhook, policy);
    let present = conditions(webhook);
    let is_exact = own.len() == present.len() && own.iter().all(|condition| is_among(condition, present));
    (!is_exact).then_some(own)
}

/// Whether the webhook is about anything that the policy is about: in a configuration of several, some may be others'.
fn is_asked(webhook: &ValidatingWebhook, policy: &Policy) -> bool {
    policy.resources.iter().any(|resource| PARTS.iter().any(|part| covers(webhook, resource, *part)))
}

/// The conditions that follow from the policy for what this webhook is asked about. A webhook for objects and their scale
/// alike can have none, for they differ; nor can one for more than updates, for they compare two objects, and where there is
/// but one they would end in an error and refuse.
fn conditions_of(webhook: &ValidatingWebhook, policy: &Policy) -> Vec<MatchCondition> {
    let mut operations = webhook.rules.iter().flatten().flat_map(|rule| rule.operations.iter().flatten());
    if operations.any(|operation| operation != "UPDATE") {
        return Vec::new();
    }
    let covers = |part| policy.resources.iter().any(|resource| covers(webhook, resource, part));
    match (covers(Part::Object), covers(Part::Scale)) {
        (true, false) => match_conditions(policy, Part::Object),
        (false, true) => match_conditions(policy, Part::Scale),
        _ => Vec::new(),
    }
}

fn conditions(webhook: &ValidatingWebhook) -> &[MatchCondition] {
    webhook.match_conditions.as_deref().unwrap_or_default()
}

/// Their names are for people.
fn is_among(condition: &MatchCondition, conditions: &[MatchCondition]) -> bool {
    conditions.iter().any(|other| other.expression.trim() == condition.expression.trim())
}

/// Whether the webhook is asked about updates of that part of the resource, in whichever version.
fn covers(webhook: &ValidatingWebhook, resource: &Resource, part: Part) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &[&str]| {
        list.iter().flatten().any(|entry| wanted.contains(&entry.as_str()))
    };
    let resources: Vec<String> = match part {
        Part::Object => vec!["*".into(), "*/*".into(), resource.resource.clone()],
        Part::Scale => ["*/*", "*/scale"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{}/*", resource.resource), name_of_scale(resource)])
            .collect(),
    };
    let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
    let covered = |rule: &RuleWithOperations| {
        has(&rule.operations, &["*", "UPDATE"])
            && has(&rule.api_groups, &["*", &resource.group])
            && has(&rule.resources, &resources)
    };
    webhook.rules.iter().flatten().any(covered)
}

fn name_of_scale(resource: &Resource) -> String {
    format!("{}/scale", resource.resource)
}

/// As people write it: `pytorchjobs.kubeflow.org`, `pytorchjobs.kubeflow.org/scale`.
fn name(resource: &Resource, part: Part) -> String {
    let suffix = if part == Part::Scale { "/scale" } else { "" };
    format!("{}.{}{suffix}", resource.resource, resource.group)
}
