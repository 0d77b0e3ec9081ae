//! The ValidatingWebhookConfiguration with which an API server asks the guard.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        RuleWithOperations, ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::conditions::{Part, match_conditions};
use crate::policy::{Policy, PolicySet, Resource, segment};

/// The registration of the guard with the API server.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The configuration's name.
    pub name: String,
    /// The guard's address.
    pub address: Address,
    /// The CAs of the guard's certificate, PEM; the API server's own where there are none.
    pub ca_bundle: Option<Vec<u8>>,
    /// True if the guard is asked about every update, and not only about those that change more than mutable fields.
    pub always_ask: bool,
}

/// The address at which an API server calls the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Service in the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port; 443 without.
        port: Option<u16>,
    },
    /// A URL without a path, from outside the cluster or beside the API server: `https://HOST:PORT`.
    Url(String),
}

impl Registration {
    /// The configuration for these policies: for each one entry for the objects and one for their `scale`.
    #[must_use]
    pub fn configuration(&self, policies: &PolicySet) -> ValidatingWebhookConfiguration {
        let webhooks = policies.policies().flat_map(|policy| {
            let infix = if policies.is_single() { String::new() } else { format!(".{}", segment(policy.name())) };
            let path = policies.path(policy);
            [("updates", Part::Object), ("scale", Part::Scale)].map(|(name, part)| {
                self.webhook(format!("{name}{infix}.pytorchjob-guard.internal"), &path, policy, part)
            })
        });
        ValidatingWebhookConfiguration {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            webhooks: Some(webhooks.collect()),
        }
    }

    fn webhook(&self, name: String, path: &str, policy: &Policy, part: Part) -> ValidatingWebhook {
        let settings = &policy.webhooks;
        ValidatingWebhook {
            name,
            admission_review_versions: vec!["v1".to_owned()],
            client_config: self.client_config(path),
            rules: Some(rules(&policy.resources, part)),
            match_policy: Some("Equivalent".to_owned()),
            match_conditions: (!self.always_ask)
                .then(|| match_conditions(policy, part))
                .filter(|conditions| !conditions.is_empty()),
            failure_policy: Some(settings.failure_policy().word().to_owned()),
            namespace_selector: settings.namespaces.clone(),
            // A Scale has no labels: a selector would leave out those of all jobs.
            object_selector: settings.objects.clone().filter(|_| part == Part::Object),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(settings.timeout_seconds()),
        }
    }

    fn client_config(&self, path: &str) -> WebhookClientConfig {
        let ca_bundle = self.ca_bundle.clone().map(ByteString);
        match &self.address {
            Address::Service { namespace, name, port } => WebhookClientConfig {
                ca_bundle,
                service: Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    path: Some(path.to_owned()),
                    port: port.map(i32::from),
                }),
                url: None,
            },
            Address::Url(url) => WebhookClientConfig { ca_bundle, service: None, url: Some(format!("{url}{path}")) },
        }
    }
}

/// Updates of these resources, in whichever version: one rule for each API group.
///
/// Controllers' updates of the status go to a subresource of its own: they are not asked about, and cannot be held up.
pub(super) fn rules(resources: &[Resource], part: Part) -> Vec<RuleWithOperations> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Resource { group, resource } in resources {
        let suffix = if part == Part::Scale { "/scale" } else { "" };
        groups.entry(group).or_default().push(format!("{resource}{suffix}"));
    }
    let rule = |(group, resources): (&str, Vec<String>)| RuleWithOperations {
        api_groups: Some(vec![group.to_owned()]),
        api_versions: Some(vec!["*".to_owned()]),
        operations: Some(vec!["UPDATE".to_owned()]),
        resources: Some(resources),
        // As the resource is.
        scope: Some("*".to_owned()),
    };
    groups.into_iter().map(rule).collect()
}
