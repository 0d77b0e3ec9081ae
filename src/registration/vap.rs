//! The nearest ValidatingAdmissionPolicy, for clusters that cannot run a webhook.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    cel::{Expression, string},
    conditions::{Allowed, MAX_EXPRESSION, Part, Purpose, allowed},
    cost::{EXPRESSION_LIMIT, POLICY_LIMIT},
    unchanged::{Names, names},
    webhook::rules,
};
use crate::{
    field::Pattern,
    policy::{DenialReason, Policy, ValidationAction},
};

/// A message that kubectl's users still read.
const MAX_MESSAGE: usize = 512;
/// The most fields that a message names. To sort them costs by the third power.
const MAX_NAMES: usize = 16;

/// The ValidatingAdmissionPolicy that comes nearest to this policy, and its binding.
///
/// It lets through nothing that the guard would deny, but for what an exemption changes among more unknown fields at the
/// top than can be compared; it names fields only down to those of `metadata` and `spec.runPolicy`, and rejects what is equal
/// to the guard but not to CEL. None where the policy has more fields than an API server would compile an expression of.
#[must_use]
pub fn admission_policy(policy: &Policy) -> Option<(ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding)> {
    let metadata = || ObjectMeta { name: Some(name(policy.name())), ..ObjectMeta::default() };
    let (object, scale) = (allowed(policy, Part::Object, Purpose::Judge), allowed(policy, Part::Scale, Purpose::Judge));
    // To say what is too large costs less than to compare it.
    let total = object.iter().chain(&scale).fold(EXPRESSION_LIMIT, |sum, way| sum.saturating_add(way.cost));
    if object.iter().any(|way| way.cost > EXPRESSION_LIMIT) || total > POLICY_LIMIT {
        return None;
    }
    let (bound, nested_bound) =
        object.first().map_or((0, None), |everyone| (everyone.same.bound(), everyone.same.nested_bound()));
    let (message, most_keys) = match nested_bound {
        None => (message(policy), format!("{bound} keys")),
        Some(nested) => {
            let most_keys = format!("{bound} keys, or {nested} where the policy continues below a *");
            // `isTooLarge` does not look below a `*`.
            (format!("{}; maps with more than {most_keys} are not compared", message(policy)), most_keys)
        }
    };
    let too_large = format!("the change cannot be judged: the job has a map with more than {most_keys}");
    let mut names = names(&object);
    let fits = |names: &Names| names.cost <= EXPRESSION_LIMIT && names.expression.chars().count() <= MAX_EXPRESSION;
    let sum = names.iter().fold(total.saturating_add(EXPRESSION_LIMIT), |sum, names| sum.saturating_add(names.cost));
    if sum > POLICY_LIMIT || !names.iter().all(fits) {
        names.clear();
    }
    let message_expression = message_expression(&too_large, &message, names.last());
    let mut variables = variables(&object);
    let ways = variables[ATTRIBUTES..].iter().map(|way| Expression::plain(format!("variables.{}", way.name)));
    let judged = Expression::any(std::iter::once(Expression::plain("variables.isScale")).chain(ways));
    variables.extend(
        names.into_iter().map(|names| Variable { name: names.variable.to_owned(), expression: names.expression }),
    );
    let scaled = Expression::any(scale.into_iter().map(|way| way.expression));
    let validations = vec![
        Validation { message_expression: Some(message_expression), ..validation(policy, &judged, message) },
        validation(
            policy,
            &Expression::any([Expression::plain("!variables.isScale"), scaled]),
            "the scale cannot be changed".to_owned(),
        ),
    ];
    let expressions = variables.iter().map(|variable| &variable.expression);
    let mut expressions = expressions.chain(validations.iter().map(|validation| &validation.expression));
    if expressions.any(|expression| expression.chars().count() > MAX_EXPRESSION) {
        return None;
    }
    let resource_rules = [Part::Object, Part::Scale].into_iter().flat_map(|part| rules(&policy.resources, part));
    let policy_object = ValidatingAdmissionPolicy {
        metadata: metadata(),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some(policy.webhooks.failure_policy().word().to_owned()),
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                resource_rules: Some(resource_rules.map(named_rule).collect()),
                namespace_selector: policy.webhooks.namespaces.clone(),
                ..MatchResources::default()
            }),
            variables: Some(variables),
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

/// The message of a denial as CEL: it names the fields in the last list, sorted, since the keys of a map come in any order.
fn message_expression(too_large: &str, message: &str, changed: Option<&Names>) -> String {
    let (too_large, message) = (string(too_large), string(message));
    let Some(Names { variable, .. }) = changed else {
        return format!("variables.isTooLarge ? {too_large} : {message}");
    };
    let changed = format!("variables.{variable}");
    let ranks = (0..MAX_NAMES).map(|rank| rank.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        "variables.isTooLarge ? {too_large}\n: (\n  \
         {changed}.size() == 0 ? ''\n  \
         : {changed}.size() > {MAX_NAMES} ? string({changed}.size()) + ' fields cannot be changed; '\n  \
         : [{ranks}]\n    \
         .map(rank, {changed}.filter(name, {changed}.filter(other, other < name).size() == rank))\n    \
         .filter(names, names.size() > 0).map(names, names[0]).join(', ') + ' cannot be changed; '\n\
         ) + {message}"
    )
}

/// The number of variables that are no way for an update to be allowed.
const ATTRIBUTES: usize = 2;

/// A variable for each way: each is evaluated with a limit of its own for its cost, and only if none before it holds.
fn variables(object: &[Allowed<'_>]) -> Vec<Variable> {
    let variable = |name: String, expression: &Expression| Variable { name, expression: expression.to_string() };
    let is_scale = Expression::plain("has(request.subResource) && request.subResource == 'scale'");
    let too_large = object.iter().filter(|way| way.by.is_none()).map(|everyone| everyone.same.too_large());
    let is_too_large = Expression::all(std::iter::once(Expression::plain("!variables.isScale")).chain(too_large));
    let attributes = [variable("isScale".to_owned(), &is_scale), variable("isTooLarge".to_owned(), &is_too_large)];
    let ways = object.iter().enumerate().map(|(number, way)| {
        let name = way.by.map_or_else(|| "isAllowed".to_owned(), |exemption| exempt(number, &exemption.name));
        variable(name, &way.expression)
    });
    attributes.into_iter().chain(ways).collect()
}

/// The name of an exemption's variable: an identifier, and no other's because of the number.
fn exempt(number: usize, exemption: &str) -> String {
    let plain = exemption.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("isExempt{number}_").chars().chain(plain).collect()
}

fn message(policy: &Policy) -> String {
    let fields: Vec<_> = policy.mutable_fields.iter().map(Pattern::written).collect();
    let mut message = match &fields[..] {
        [] => "no field can be changed".to_owned(),
        fields => format!("only these fields can be changed: {}", fields.join(", ")),
    };
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    message
}

fn validation(policy: &Policy, expression: &Expression, message: String) -> Validation {
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
