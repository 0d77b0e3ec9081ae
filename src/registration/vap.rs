//! The nearest ValidatingAdmissionPolicy, for clusters that cannot run a webhook.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    cel::Expression,
    conditions::{MAX_EXPRESSION, Part, Purpose, allowed},
    webhook::rules,
};
use crate::admission::{DenialReason, Pattern, Policy, ValidationAction};

/// A message that kubectl's users still read.
const MAX_MESSAGE: usize = 512;

/// The ValidatingAdmissionPolicy that comes nearest to this policy, and its binding.
///
/// It lets through nothing that the guard would deny; it names no field, and refuses what is equal to the guard but not
/// to CEL. None where the policy has more fields than an API server would compile an expression of.
#[must_use]
pub fn admission_policy(policy: &Policy) -> Option<(ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding)> {
    let metadata = || ObjectMeta { name: Some(name(policy.name())), ..ObjectMeta::default() };
    let is_scale = Variable {
        name: "isScale".to_owned(),
        expression: "has(request.subResource) && request.subResource == 'scale'".to_owned(),
    };
    let validation = |part, other: &str, message: String| {
        let ways = allowed(policy, part, Purpose::Judge).into_iter().map(|way| way.expression);
        let expression = Expression::any([Expression::plain(other), Expression::any(ways)]);
        let reason = match policy.reason {
            DenialReason::Invalid => "Invalid",
            DenialReason::Forbidden => "Forbidden",
        };
        Validation {
            expression: expression.to_string(),
            message: Some(message),
            reason: Some(reason.to_owned()),
            ..Validation::default()
        }
    };
    let fields: Vec<_> = policy.mutable_fields.iter().map(Pattern::written).collect();
    let mut message = match &fields[..] {
        [] => "no field can be changed".to_owned(),
        fields => format!("only these fields can be changed: {}", fields.join(", ")),
    };
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    let validations = vec![
        validation(Part::Object, "variables.isScale", message),
        validation(Part::Scale, "!variables.isScale", "the scale cannot be changed".to_owned()),
    ];
    if validations.iter().any(|validation| validation.expression.chars().count() > MAX_EXPRESSION) {
        return None;
    }
    let resource_rules = [Part::Object, Part::Scale].into_iter().flat_map(|part| rules(&policy.resources, part));
    let policy_object = ValidatingAdmissionPolicy {
        metadata: metadata(),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                resource_rules: Some(resource_rules.map(named_rule).collect()),
                ..MatchResources::default()
            }),
            variables: Some(vec![is_scale]),
            validations: Some(validations),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        status: None,
    };
    let actions = policy.actions.iter().map(|action| match action {
        ValidationAction::Deny => "Deny",
        ValidationAction::Warn => "Warn",
        ValidationAction::Audit => "Audit",
    });
    let binding = ValidatingAdmissionPolicyBinding {
        metadata: metadata(),
        spec: ValidatingAdmissionPolicyBindingSpec {
            policy_name: name(policy.name()),
            validation_actions: actions.map(str::to_owned).collect(),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        },
    };
    Some((policy_object, binding))
}

fn named_rule(rule: k8s_openapi::api::admissionregistration::v1::RuleWithOperations) -> NamedRuleWithOperations {
    NamedRuleWithOperations {
        api_groups: rule.api_groups,
        api_versions: rule.api_versions,
        operations: rule.operations,
        resource_names: None,
        resources: rule.resources,
        scope: rule.scope,
    }
}

/// A policy's name as an object's, which is a DNS subdomain.
fn name(policy: &str) -> String {
    let plain =
        policy.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' });
    let name: String = "pytorchjob-guard-".chars().chain(plain).collect();
    name.trim_end_matches('-').to_owned()
}
