//! The webhooks of a cluster, and the Deployments that answer them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::snapshot::{Kind, Snapshot, has_labels, text};

/// The end of the names of the guard's webhooks.
const GUARDS: &str = ".pytorchjob-guard.internal";
/// The group of Kueue's own kinds.
const KUEUE: &str = "kueue.x-k8s.io";

/// The webhooks of a configuration.
pub(super) fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// True if the configuration is the guard's.
pub(super) fn is_guards(configuration: &Value) -> bool {
    webhooks(configuration).any(|webhook| text(&webhook["name"]).ends_with(GUARDS))
}

/// True if one of the webhooks is about Kueue's own objects.
fn is_kueues(configuration: &Value) -> bool {
    webhooks(configuration).any(|webhook| any_rule(webhook, |rule| lists(&rule["apiGroups"], &[KUEUE])))
}

/// The names of the webhooks that are asked about updates of jobs: the mutating ones, and the validating ones but for the guard's.
pub(super) fn others(snapshot: &Snapshot, kind: Kind) -> Vec<String> {
    let configurations = snapshot.all(kind).iter().filter(|configuration| !is_guards(configuration));
    let asked = configurations.flat_map(webhooks).filter(|webhook| {
        any_rule(webhook, |rule| {
            lists(&rule["apiGroups"], &["kubeflow.org", "*"])
                && lists(&rule["operations"], &["UPDATE", "*"])
                && lists(&rule["resources"], &["pytorchjobs", "pytorchjobs/*", "*", "*/*"])
        })
    });
    asked.map(|webhook| text(&webhook["name"]).to_owned()).collect()
}

/// The namespaces of the Services to which webhooks of the guard and of Kueue lead.
pub(super) fn namespaces(snapshot: &Snapshot) -> BTreeSet<String> {
    let of = |kind| snapshot.all(kind).iter();
    let configurations = of(Kind::Validating).chain(of(Kind::Mutating));
    let ours = configurations.filter(|configuration| is_guards(configuration) || is_kueues(configuration));
    ours.flat_map(webhooks).filter_map(service).map(|(namespace, _)| namespace.to_owned()).collect()
}

/// The accounts that Kueue runs as: those of the Deployments behind its webhooks.
pub(super) fn kueues_accounts(snapshot: &Snapshot) -> BTreeSet<String> {
    let of = |kind| snapshot.all(kind).iter();
    let configurations = of(Kind::Validating).chain(of(Kind::Mutating));
    let services =
        configurations.filter(|configuration| is_kueues(configuration)).flat_map(webhooks).filter_map(service);
    let deployments = services.filter_map(|(namespace, name)| behind(snapshot, namespace, name));
    deployments
        .map(|deployment| {
            let account = deployment["spec"]["template"]["spec"]["serviceAccountName"].as_str().unwrap_or("default");
            format!("system:serviceaccount:{}:{account}", text(&deployment["metadata"]["namespace"]))
        })
        .collect()
}

/// The Deployment whose pods a Service selects.
pub(super) fn behind<'s>(snapshot: &'s Snapshot, namespace: &str, service: &str) -> Option<&'s Value> {
    let is_there = |object: &&Value| object["metadata"]["namespace"] == namespace;
    let services = snapshot.all(Kind::Service).iter().filter(is_there);
    let selector =
        services.into_iter().find(|one| one["metadata"]["name"] == service)?["spec"]["selector"].as_object()?;
    snapshot
        .all(Kind::Deployment)
        .iter()
        .filter(is_there)
        .find(|deployment| !selector.is_empty() && has_labels(&deployment["spec"]["template"], selector))
}

/// The Service to which a webhook leads: namespace and name.
fn service(webhook: &Value) -> Option<(&str, &str)> {
    let service = &webhook["clientConfig"]["service"];
    Some((service["namespace"].as_str()?, service["name"].as_str()?))
}

fn any_rule(webhook: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    webhook["rules"].as_array().into_iter().flatten().any(holds)
}

fn lists(list: &Value, wanted: &[&str]) -> bool {
    list.as_array().into_iter().flatten().any(|entry| wanted.contains(&text(entry)))
}
