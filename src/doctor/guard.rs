//! The guard as it is installed: its registration, its Deployment, and the policies that its pods are given.

use std::path::{Path, PathBuf};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use serde_json::Value;

use super::{
    snapshot::{Kind, Snapshot, has_labels, text},
    webhooks::{behind, is_guards},
};
use crate::{
    cli::ServeArgs,
    policy::{PolicySet, Sources},
    registration::ServiceName,
};

/// The guard as it is installed.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(super) configuration: ValidatingWebhookConfiguration,
    /// None where webhooks lead to a URL.
    pub(super) service: Option<ServiceName>,
    /// None where there is none behind the Service.
    pub(super) deployment: Option<Value>,
    /// The arguments of its container, or what is wrong with them.
    args: Result<Box<ServeArgs>, String>,
}

impl Guard {
    /// Finds it by its registration.
    pub(super) fn find(snapshot: &Snapshot) -> Option<Self> {
        let found = snapshot.all(Kind::Validating).iter().find(|configuration| is_guards(configuration))?;
        let configuration: ValidatingWebhookConfiguration = serde_json::from_value(found.clone()).ok()?;
        let mut services = configuration.webhooks.iter().flatten().filter_map(|webhook| {
            let service = webhook.client_config.service.as_ref()?;
            Some(ServiceName { namespace: service.namespace.clone(), name: service.name.clone() })
        });
        let service = services.next();
        let deployment =
            service.as_ref().and_then(|service| behind(snapshot, &service.namespace, &service.name)).cloned();
        let args = deployment.as_ref().map_or_else(|| Err("it has no Deployment".to_owned()), args);
        Some(Self { configuration, service, deployment, args })
    }

    /// The port of `/readyz`.
    pub(super) fn admin_port(&self) -> u16 {
        self.args.as_ref().map_or(8080, |args| args.admin_listen.port())
    }

    /// The port of the Service.
    pub(super) fn service_port(&self) -> i32 {
        let mut services = self.configuration.webhooks.iter().flatten();
        services.find_map(|webhook| webhook.client_config.service.as_ref()?.port).unwrap_or(443)
    }

    /// Its pods, but for those that are being deleted.
    pub(super) fn pods<'s>(&self, snapshot: &'s Snapshot) -> Vec<&'s Value> {
        let wanted = self.deployment.as_ref().and_then(|one| one["spec"]["selector"]["matchLabels"].as_object());
        let Some(wanted) = wanted else { return Vec::new() };
        let is_own = |pod: &&Value| has_labels(pod, wanted) && pod["metadata"]["deletionTimestamp"].is_null();
        snapshot.all(Kind::Pod).iter().filter(is_own).collect()
    }

    /// The `ConfigMaps` that its pods mount, for policies are among them.
    pub(super) fn config_maps(&self) -> Vec<String> {
        self.mounts().map(|(_, name)| name.to_owned()).collect()
    }

    /// The policies that its pods are given, or the reason why they are not known.
    pub(super) fn policies(&self, snapshot: &Snapshot) -> Result<PolicySet, String> {
        let args = self.args.as_ref().map_err(Clone::clone)?;
        let mut contents = Vec::new();
        for (folder, name) in self.mounts() {
            let maps = snapshot.all(Kind::ConfigMap).iter();
            let Some(map) = maps.into_iter().find(|map| map["metadata"]["name"] == name) else { continue };
            for (file, text) in map["data"].as_object().into_iter().flatten() {
                let text = text.as_str().unwrap_or_default().as_bytes().to_vec();
                contents.push((Path::new(folder).join(file), Ok(text)));
            }
        }
        contents.sort_by(|(one, _): &(PathBuf, _), (other, _)| one.cmp(other));
        Sources::of_contents(&args.policies, args.cluster.webhooks.clone().into(), &args.exempt.users, &contents)
            .map_err(|error| error.to_string())
    }

    /// The folders of its container that are `ConfigMaps`, with the names of these.
    fn mounts(&self) -> impl Iterator<Item = (&str, &str)> {
        let pod = self.deployment.as_ref().map(|deployment| &deployment["spec"]["template"]["spec"]);
        let volumes = move || pod.and_then(|pod| pod["volumes"].as_array()).into_iter().flatten();
        let containers = pod.and_then(|pod| pod["containers"].as_array()).into_iter().flatten();
        let mounts = containers.flat_map(|container| container["volumeMounts"].as_array().into_iter().flatten());
        mounts.filter_map(move |mount| {
            let volume = volumes().find(|volume| volume["name"] == mount["name"])?;
            Some((mount["mountPath"].as_str()?, volume["configMap"]["name"].as_str()?))
        })
    }
}

/// The arguments of the container that runs `serve`.
fn args(deployment: &Value) -> Result<Box<ServeArgs>, String> {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|one| text(one).to_owned()).collect()
    };
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let mut found = containers.into_iter().flatten().filter_map(|container| {
        let words = [strings(&container["command"]), strings(&container["args"])].concat();
        let serve = words.iter().position(|word| word == "serve")?;
        let env = container["env"].as_array().into_iter().flatten();
        let env: Vec<_> = env.map(|one| (text(&one["name"]).to_owned(), text(&one["value"]).to_owned())).collect();
        Some(ServeArgs::of_container(&words[serve..], &env))
    });
    found.next().unwrap_or_else(|| Err("no container of its Deployment runs serve".to_owned())).map(Box::new)
}
