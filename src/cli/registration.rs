//! The arguments of what prints manifests that follow from a policy.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::ExemptArgs;
use crate::policy::{self, WebhookSettings, parse_selector};

/// The arguments of `registration`.
#[derive(Debug, Args)]
pub struct RegistrationArgs {
    /// Built-in policies' names, policy files, and folders of policy files.
    #[arg(
        value_name = "NAME|FILE|FOLDER",
        env = "PYTORCHJOB_GUARD_POLICY",
        value_delimiter = ',',
        default_value = "cci"
    )]
    pub policies: Vec<String>,
    /// The guard's Service.
    #[arg(long, value_name = "NAMESPACE/NAME[:PORT]", default_value = "pytorchjob-guard/pytorchjob-guard")]
    pub service: String,
    /// The webhook's URL, in place of a Service: https://HOST:PORT/validate.
    #[arg(long, value_name = "URL", conflicts_with = "service")]
    pub url: Option<String>,
    /// The CA of the guard's certificate, PEM; without it caBundle is left out.
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Leave out the conditions: the API server asks the guard about every update.
    #[arg(long)]
    pub always_ask: bool,
    /// The name of the ValidatingWebhookConfiguration.
    #[arg(long, value_name = "NAME", default_value = "pytorchjob-guard")]
    pub name: String,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: ManifestOutput,
    /// The settings of the webhooks.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
}

/// The arguments of `policy match-conditions`.
#[derive(Debug, Args)]
pub struct MatchConditionsArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
    /// The subresource that the webhook is registered for: scale.
    #[arg(long, value_name = "NAME", value_parser = ["scale"])]
    pub subresource: Option<String>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: ManifestOutput,
}

/// The arguments of `policy vap`.
#[derive(Debug, Args)]
pub struct VapArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
    /// The users of exemptions.
    #[command(flatten)]
    pub exempt: ExemptArgs,
}

/// The settings of the webhooks of policies that do not give them: arguments of `registration`, and of `serve`, for which
/// they are no drift then.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// The namespaceSelector of policies without one, as in `kubectl get --selector`; without either, all namespaces.
    #[arg(long, value_name = "SELECTOR", env = "PYTORCHJOB_GUARD_NAMESPACE_SELECTOR", value_parser = parse_selector)]
    pub namespace_selector: Option<LabelSelector>,
    /// The objectSelector of policies without one; without either, all objects. It does not select updates of `scale`.
    #[arg(long, value_name = "SELECTOR", env = "PYTORCHJOB_GUARD_OBJECT_SELECTOR", value_parser = parse_selector)]
    pub object_selector: Option<LabelSelector>,
    /// The failurePolicy of policies without one.
    #[arg(long, value_name = "POLICY", env = "PYTORCHJOB_GUARD_FAILURE_POLICY", default_value = "Fail")]
    pub failure_policy: FailurePolicy,
}

impl From<WebhookArgs> for WebhookSettings {
    fn from(args: WebhookArgs) -> Self {
        let failure_policy = match args.failure_policy {
            FailurePolicy::Fail => policy::FailurePolicy::Fail,
            FailurePolicy::Ignore => policy::FailurePolicy::Ignore,
        };
        Self {
            namespaces: args.namespace_selector,
            objects: args.object_selector,
            failure_policy: Some(failure_policy),
            timeout_seconds: None,
        }
    }
}

/// The fate of an update if no guard answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum FailurePolicy {
    /// The API server rejects it.
    Fail,
    /// The API server lets it through.
    Ignore,
}

/// The output format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestOutput {
    /// For people, and for kubectl.
    Yaml,
    /// For programs.
    Json,
}
