//! The arguments of what prints manifests that follow from a policy.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `registration`.
#[derive(Debug, Args)]
pub struct RegistrationArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
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
    /// What to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: ManifestOutput,
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
    /// What to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: ManifestOutput,
}

/// The arguments of `policy vap`.
#[derive(Debug, Args)]
pub struct VapArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
}

/// How a manifest is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManifestOutput {
    /// For people, and for kubectl.
    Yaml,
    /// For programs.
    Json,
}
