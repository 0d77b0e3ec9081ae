//! The Service and the paths to which webhooks lead.

use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};

/// A Service, which tells the webhooks that lead to it from others in the same configuration.
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

/// The path to which the webhook leads.
pub(crate) fn path_of(webhook: &ValidatingWebhook) -> &str {
    let config = &webhook.client_config;
    let of_url = |url: &str| {
        let after = url.find("://").map_or(0, |at| at + "://".len());
        url[after..].find('/').map(|at| after + at)
    };
    match (&config.service, &config.url) {
        (Some(service), _) => service.path.as_deref().unwrap_or("/"),
        (None, Some(url)) => of_url(url).map_or("/", |at| &url[at..]),
        (None, None) => "/",
    }
}
