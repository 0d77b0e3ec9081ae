//! Drift: the differences by which a registration does not ask the guard about everything that a policy denies, and the changes
//! that mend them.
//!
//! Conditions are compared as texts. They only ever hold back a question, so a registration matches a policy if it has no
//! conditions, or only those that follow from that policy. Conditions of another origin may be as good, but the guard cannot know.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ValidatingWebhook, ValidatingWebhookConfiguration,
};

use super::{
    conditions::{Part, match_conditions},
    service::{ServiceName, path_of, webhooks_of},
};
use crate::policy::{FailurePolicy, Policy, PolicySet, Resource, selector::selects};

/// The group of the training operator's jobs, of other projects' resources too.
const KUBEFLOW: &str = "kubeflow.org";
/// The training operator's jobs: all are namespaced and served as `v1`, the one version that there is.
const JOBS: [&str; 5] = ["pytorchjobs", "tfjobs", "xgboostjobs", "paddlejobs", "jaxjobs"];
const PARTS: [Part; 2] = [Part::Object, Part::Scale];

/// A difference between a registration and the policies that are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drift {
    /// The policy; none if the webhook leads to no policy.
    pub(crate) policy: Option<String>,
    pub(crate) message: String,
}

/// The differences by which updates get past the guard that a policy denies, and the webhooks that lead to no policy. Empty if
/// the registration matches the policies.
///
/// One webhook has to ask about all updates of a resource: what two that leave something out make together is not worked out.
pub(crate) fn drift(
    configuration: &ValidatingWebhookConfiguration,
    service: Option<&ServiceName>,
    policies: &PolicySet,
) -> Vec<Drift> {
    let mut drift = Vec::new();
    for policy in policies.policies() {
        let leads_to = |webhook: &&ValidatingWebhook| {
            policies.at(path_of(webhook)).is_some_and(|there| there.name() == policy.name())
        };
        let webhooks: Vec<_> = webhooks_of(configuration, service).filter(leads_to).collect();
        let of = |message| Drift { policy: Some(policy.name().to_owned()), message };
        drift.extend(of_policy(&webhooks, policy).into_iter().map(of));
    }
    for webhook in webhooks_of(configuration, service) {
        let path = path_of(webhook);
        if policies.at(path).is_none() {
            let message = format!("webhook {} leads to {path}, where no policy is served", webhook.name);
            drift.push(Drift { policy: None, message });
        }
    }
    drift
}

/// The differences by which updates get past the guard that this policy denies.
fn of_policy(webhooks: &[&ValidatingWebhook], policy: &Policy) -> Vec<String> {
    let mut drift = Vec::new();
    for resource in &policy.resources {
        for part in PARTS {
            let asked = webhooks.iter().filter(|webhook| covers(webhook, resource, part));
            let gaps = asked.map(|webhook| gaps(webhook, resource, part, policy)).min_by_key(Vec::len);
            drift
                .extend(gaps.unwrap_or_else(|| vec![format!("no webhook covers updates of {}", name(resource, part))]));
        }
    }
    for webhook in webhooks {
        if !is_asked(webhook, policy) {
            continue;
        }
        let own = conditions_of(webhook, policy);
        let foreign = conditions(webhook).iter().filter(|condition| !is_among(condition, &own));
        drift.extend(foreign.map(|condition| {
            format!("condition {} of webhook {} does not follow from the policy", condition.name, webhook.name)
        }));
    }
    drift
}

/// The updates of that part of the resource that the webhook leaves out, although its rules list it.
fn gaps(webhook: &ValidatingWebhook, resource: &Resource, part: Part, policy: &Policy) -> Vec<String> {
    let settings = &policy.webhooks;
    let (of, what) = (&webhook.name, name(resource, part));
    let is_exact = webhook.match_policy.as_deref() == Some("Exact");
    let rules = webhook.rules.iter().flatten().filter(|rule| rule_covers(rule, resource, part));
    // One rule without a gap is enough.
    let of_rules = rules.map(|rule| {
        let mut gaps = Vec::new();
        let versions = rule.api_versions.as_deref().unwrap_or_default();
        let written = versions.join(", ");
        if !versions.iter().any(|version| version == "*") {
            if is_exact {
                gaps.push(format!("matchPolicy Exact of webhook {of} leaves out versions of {what} other than {written}; write apiVersions *"));
            } else if !versions.iter().any(|version| is_served(resource, version)) {
                gaps.push(format!("apiVersions {written} of webhook {of} may be no served version of {what}; write *"));
            }
        }
        match rule.scope.as_deref() {
            None | Some("*") => {}
            Some("Namespaced") if is_namespaced(resource) => {}
            Some(scope) => gaps.push(format!("scope {scope} of webhook {of} leaves out updates of {what}; write *")),
        }
        gaps
    });
    let mut gaps = of_rules.min_by_key(Vec::len).unwrap_or_default();
    if webhook.failure_policy.as_deref() == Some("Ignore") && settings.failure_policy() == FailurePolicy::Fail {
        gaps.push(format!("failurePolicy Ignore lets updates of {what} through where no guard answers"));
    }
    if !selects(webhook.namespace_selector.as_ref(), settings.namespaces.as_ref()) {
        gaps.push(format!("the namespaceSelector of webhook {of} leaves out updates of {what}, unlike the policy"));
    }
    // A Scale has no labels: a selector would leave out those of all jobs.
    let objects = settings.objects.as_ref().filter(|_| part == Part::Object);
    if !selects(webhook.object_selector.as_ref(), objects) {
        gaps.push(format!("the objectSelector of webhook {of} leaves out updates of {what}, unlike the policy"));
    }
    gaps
}

/// True if API servers are known to serve this version. The guard may not read CRDs; the training operator's are known. With
/// `matchPolicy` `Equivalent` an API server converts every other version to one that is served.
fn is_served(resource: &Resource, version: &str) -> bool {
    is_known(resource) && version == "v1"
}

/// True if the resource is known to be namespaced.
fn is_namespaced(resource: &Resource) -> bool {
    is_known(resource)
}

fn is_known(resource: &Resource) -> bool {
    resource.group == KUBEFLOW && JOBS.contains(&resource.resource.as_str())
}

/// The conditions under which the webhook asks about every update that one of the policies denies, where those it has do not.
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

/// True if the webhook is about anything that the policy is about: in a configuration of several, some may be others'.
fn is_asked(webhook: &ValidatingWebhook, policy: &Policy) -> bool {
    policy.resources.iter().any(|resource| PARTS.iter().any(|part| covers(webhook, resource, *part)))
}

/// The conditions that follow from the policy for what this webhook is asked about. A webhook for objects and their scale
/// alike can have none, for they differ; nor can one for more than updates, for they compare two objects, and where there is
/// but one, they would end in an error, and the API server rejects the update.
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

/// True if rules of the webhook list updates of that part of the resource.
fn covers(webhook: &ValidatingWebhook, resource: &Resource, part: Part) -> bool {
    webhook.rules.iter().flatten().any(|rule| rule_covers(rule, resource, part))
}

/// True if the rule lists updates of that part of the resource, in whichever version and scope.
fn rule_covers(rule: &RuleWithOperations, resource: &Resource, part: Part) -> bool {
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
    has(&rule.operations, &["*", "UPDATE"])
        && has(&rule.api_groups, &["*", &resource.group])
        && has(&rule.resources, &resources)
}

fn name_of_scale(resource: &Resource) -> String {
    format!("{}/scale", resource.resource)
}

/// As people write it: `pytorchjobs.kubeflow.org`, `pytorchjobs.kubeflow.org/scale`.
fn name(resource: &Resource, part: Part) -> String {
    let suffix = if part == Part::Scale { "/scale" } else { "" };
    format!("{}.{}{suffix}", resource.resource, resource.group)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        policy::{FailurePolicy, WebhookSettings, parse_selector},
        registration::{Address, Registration},
    };

    fn cci() -> Policy {
        Policy::builtin("cci").expect("a policy")
    }

    fn guard() -> Registration {
        Registration {
            name: "guard".to_owned(),
            address: Address::Url("https://guard".to_owned()),
            ca_bundle: None,
            always_ask: false,
        }
    }

    /// The drift of what is printed for a policy, changed by this JSON merge into its first webhook.
    fn drift_with(policy: &Policy, change: &Value) -> Vec<String> {
        let policies = PolicySet::of(policy.clone());
        let everywhere = Policy { webhooks: WebhookSettings::default(), ..policy.clone() };
        let mut configuration = json!(guard().configuration(&PolicySet::of(everywhere)));
        let webhook = &mut configuration["webhooks"][0];
        for (key, value) in change.as_object().into_iter().flatten() {
            if key == "rule" {
                webhook["rules"][0].as_object_mut().expect("a rule").extend(value.as_object().expect("a rule").clone());
            } else {
                webhook[key] = value.clone();
            }
        }
        let configuration = serde_json::from_value(configuration).expect("a configuration");
        messages(&configuration, &policies)
    }

    fn messages(configuration: &ValidatingWebhookConfiguration, policies: &PolicySet) -> Vec<String> {
        drift(configuration, None, policies).into_iter().map(|drift| drift.message).collect()
    }

    #[test]
    fn names_all_that_leaves_updates_out() {
        assert_eq!(drift_with(&cci(), &json!({})), Vec::<String>::new());
        for (change, expected) in [
            (json!({"rule": {"scope": "Cluster"}}), "scope Cluster of webhook updates."),
            (json!({"rule": {"apiVersions": ["v2", "v1beta1"]}}), "apiVersions v2, v1beta1 of webhook updates."),
            (json!({"matchPolicy": "Exact", "rule": {"apiVersions": ["v1"]}}), "matchPolicy Exact of webhook updates."),
            (
                json!({"failurePolicy": "Ignore"}),
                "failurePolicy Ignore lets updates of pytorchjobs.kubeflow.org through",
            ),
            (json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}), "the namespaceSelector of webhook updates."),
            (
                json!({"objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}}),
                "the objectSelector of webhook updates.",
            ),
            (json!({"rule": {"operations": ["CREATE"]}}), "no webhook covers updates of pytorchjobs.kubeflow.org"),
        ] {
            let found = drift_with(&cci(), &change);
            assert!(matches!(&found[..], [one] if one.starts_with(expected)), "{change}: {found:?}");
        }
        // Their twins leave nothing out.
        for change in [
            json!({"rule": {"scope": "Namespaced"}}),
            json!({"rule": {"apiVersions": ["v1beta1", "v1"]}}),
            json!({"matchPolicy": "Exact"}),
            json!({"namespaceSelector": {}, "objectSelector": {"matchLabels": {}}}),
        ] {
            assert_eq!(drift_with(&cci(), &change), Vec::<String>::new(), "{change}");
        }
    }

    #[test]
    fn knows_the_training_operators_jobs_alone() {
        let drift_of = |group: &str, resource: &str, rule: Value| {
            let policy = Policy::parse(&format!(
                "{{apiVersion: pytorchjob-guard/v1, kind: UpdatePolicy, name: own, mutableFields: [metadata.labels], \
                 resources: [{{group: {group}, resource: {resource}}}]}}",
            ));
            drift_with(&policy.expect("a policy"), &json!({"rule": rule})).len()
        };
        // The MPI operator's jobs are v2beta1; a profile has no namespace.
        for (group, resource, gaps) in [
            ("kubeflow.org", "tfjobs", 0),
            ("kubeflow.org", "mpijobs", 1),
            ("kubeflow.org", "profiles", 1),
            ("example.com", "tfjobs", 1),
        ] {
            assert_eq!(drift_of(group, resource, json!({})), 0);
            for rule in [json!({"apiVersions": ["v1"]}), json!({"scope": "Namespaced"})] {
                assert_eq!(drift_of(group, resource, rule), gaps, "{resource}.{group}");
            }
        }
    }

    #[test]
    fn takes_the_settings_of_the_policy() {
        let selector = |text: &str| Some(parse_selector(text).expect("a selector"));
        let webhooks = WebhookSettings {
            namespaces: selector("team in (a,b)"),
            objects: selector("!skip"),
            failure_policy: Some(FailurePolicy::Ignore),
            timeout_seconds: None,
        };
        let policy = Policy { webhooks, ..cci() };
        let namespaces = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "a"]}]});
        let objects = json!({"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]});
        let change = json!({"failurePolicy": "Ignore", "namespaceSelector": namespaces, "objectSelector": objects});
        assert_eq!(drift_with(&policy, &change), Vec::<String>::new());
        // To ask about more is no drift, to ask about less is.
        assert_eq!(drift_with(&policy, &json!({})), Vec::<String>::new());
        let other = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
        assert_eq!(drift_with(&policy, &other).len(), 1);
    }

    #[test]
    fn wants_no_object_selector_for_scale() {
        let objects = parse_selector("guarded").ok();
        let webhooks = WebhookSettings { objects: objects.clone(), ..WebhookSettings::default() };
        let policies = PolicySet::of(Policy { webhooks, ..cci() });
        let mut configuration = guard().configuration(&policies);
        assert_eq!(messages(&configuration, &policies), Vec::<String>::new());
        let webhooks = configuration.webhooks.as_mut().expect("webhooks");
        assert_eq!((&webhooks[0].object_selector, &webhooks[1].object_selector), (&objects, &None));
        webhooks[1].object_selector = objects.clone();
        let found = messages(&configuration, &policies);
        assert!(matches!(&found[..], [one] if one.starts_with("the objectSelector of webhook scale.")), "{found:?}");
    }

    #[test]
    fn is_content_with_one_webhook_that_leaves_nothing_out() {
        let policies = PolicySet::of(cci());
        let mut configuration = guard().configuration(&policies);
        let webhooks = configuration.webhooks.as_mut().expect("webhooks");
        let mut partial = webhooks[0].clone();
        partial.namespace_selector = parse_selector("team=a").ok();
        webhooks.insert(0, partial);
        assert_eq!(messages(&configuration, &policies), Vec::<String>::new());
        configuration.webhooks.as_mut().expect("webhooks").remove(1);
        assert_eq!(messages(&configuration, &policies).len(), 1);
    }
}
