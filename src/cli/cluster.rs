//! The options for what `serve` reconciles in the cluster.

use std::time::Duration;

use clap::Args;

use super::{
    duration::{lifetime, settle_period},
    registration::WebhookArgs,
    service::{ServiceArg, without_port},
};

/// The arguments of `serve` about the cluster. Each is read from the environment as well.
#[derive(Debug, Args)]
#[command(next_help_heading = "In a cluster")]
pub struct ClusterArgs {
    /// The ValidatingWebhookConfiguration to watch: /readyz tells whether API servers can call us by it, and whether it
    /// fits the policy.
    #[arg(long, value_name = "NAME", env = "PYTORCHJOB_GUARD_REGISTRATION")]
    pub registration: Option<String>,
    /// Keep its matchConditions in step with the policy.
    #[arg(long, env = "PYTORCHJOB_GUARD_MANAGE_REGISTRATION", requires = "registration")]
    pub manage_registration: bool,
    /// The settle period: the conditions are loosened only after this time without a change. Make it longer than it takes
    /// until every replica has a new policy
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_REGISTRATION_SETTLE", default_value = "2m", value_parser = settle_period)]
    pub registration_settle: Duration,
    /// Keep a CA in a Secret and in the registration's caBundle, and sign the serving certificate with it.
    #[arg(long, env = "PYTORCHJOB_GUARD_MANAGE_CERTS", requires_all = ["registration", "service", "secret"])]
    pub manage_certs: bool,
    /// The Service that API servers call us by.
    #[arg(long, value_name = "NAMESPACE/NAME", env = "PYTORCHJOB_GUARD_SERVICE", value_parser = without_port)]
    pub service: Option<ServiceArg>,
    /// The Secret for the CA, in the namespace of the Service. It must be there; without data a CA is made.
    #[arg(long, value_name = "NAME", env = "PYTORCHJOB_GUARD_SECRET")]
    pub secret: Option<String>,
    /// The validity of a serving certificate. It is renewed after two thirds of this time
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_LEAF_LIFETIME", default_value = "1day", value_parser = lifetime)]
    pub leaf_lifetime: Duration,
    /// The validity of a CA. It is renewed after two thirds of this time
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_CA_LIFETIME", default_value = "365days", value_parser = lifetime)]
    pub ca_lifetime: Duration,
    /// The settings of the webhooks.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
}
