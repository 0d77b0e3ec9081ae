//! `policy show`: a policy as it is written, or as JSON with every default written out.

use std::io::{self, Write as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;

use super::{Exit, PolicyCommandError};
use crate::{
    cli::{PolicyOutput, ShowArgs},
    field::Pattern,
    policy::{
        Condition, DenialReason, Equality, Exemption, FailurePolicy, Policy, Resource, ValidationAction, source::Source,
    },
};

pub(super) fn run(args: &ShowArgs) -> Result<Exit, PolicyCommandError> {
    let source = Source::find(&args.policy)?.with_users(&args.exempt.users)?;
    let policy = source.policy()?;
    let mut out = io::stdout().lock();
    match args.output {
        PolicyOutput::Yaml => out.write_all(source.text.as_bytes())?,
        PolicyOutput::Json => writeln!(out, "{}", policy_as_json(&policy)?)?,
    }
    Ok(Exit::Yes)
}

/// A policy as JSON with every default written out, in the form that `--policy` reads.
pub fn policy_as_json(policy: &Policy) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Whole::from(policy))
}

/// A policy with every default.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'p> {
    api_version: &'static str,
    kind: &'static str,
    name: &'p str,
    resources: &'p [Resource],
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<&'p LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_selector: Option<&'p LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_policy: Option<FailurePolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<i32>,
    suspend_field: String,
    mutable_fields: Vec<&'p str>,
    immutable_fields: Vec<&'p str>,
    server_managed_fields: Vec<&'p str>,
    equality: Equality,
    exemptions: Vec<WholeExemption<'p>>,
    validation_actions: &'p [ValidationAction],
    denial: Denial,
}

/// An empty list means everyone, so it is left out.
#[derive(Serialize)]
struct WholeExemption<'p> {
    name: &'p str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    users: &'p [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'p [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<Condition>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    subresources: &'p [String],
    fields: Vec<&'p str>,
}

#[derive(Serialize)]
struct Denial {
    reason: DenialReason,
}

impl<'p> From<&'p Policy> for Whole<'p> {
    fn from(policy: &'p Policy) -> Self {
        Self {
            api_version: Policy::API_VERSION,
            kind: Policy::KIND,
            name: &policy.name,
            resources: &policy.resources,
            namespace_selector: policy.webhooks.namespaces.as_ref(),
            object_selector: policy.webhooks.objects.as_ref(),
            failure_policy: policy.webhooks.failure_policy,
            timeout_seconds: policy.webhooks.timeout_seconds,
            suspend_field: policy.suspend_field.to_string(),
            mutable_fields: written(&policy.mutable_fields),
            immutable_fields: written(&policy.immutable_fields),
            server_managed_fields: written(&policy.server_managed_fields),
            equality: policy.equality,
            exemptions: policy.exemptions.iter().map(WholeExemption::from).collect(),
            validation_actions: &policy.actions,
            denial: Denial { reason: policy.reason },
        }
    }
}

impl<'p> From<&'p Exemption> for WholeExemption<'p> {
    fn from(exemption: &'p Exemption) -> Self {
        Self {
            name: &exemption.name,
            users: &exemption.users,
            groups: &exemption.groups,
            when: exemption.when,
            subresources: &exemption.subresources,
            fields: written(&exemption.fields),
        }
    }
}

fn written(fields: &[Pattern]) -> Vec<&str> {
    fields.iter().map(Pattern::written).collect()
}
