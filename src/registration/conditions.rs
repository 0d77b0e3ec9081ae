//! The `matchConditions` that follow from a policy: with them the API server asks the guard only where something
//! outside the policy's mutable fields changed, and lets all other updates through by itself.

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{
    cel::{Expression, strings},
    cost::{BOUNDS, CONDITIONS_LIMIT, EXPRESSION_LIMIT, cost},
    unchanged::Same,
};
use crate::{
    field::Pattern,
    policy::{Condition, Exemption, Policy, SuspendField},
};

/// The part of a job that is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The job itself.
    Object,
    /// Its `scale` subresource.
    Scale,
}

/// The longest name of a condition: a qualified name's.
const MAX_NAME: usize = 63;
/// The most conditions that a webhook may have.
const MAX_CONDITIONS: usize = 64;

/// The longest expression that an API server compiles, in characters.
pub(super) const MAX_EXPRESSION: usize = 100_000;

/// The conditions under which the API server calls the guard about an update of that part: all of them hold. Without any it
/// calls about every update, as where a policy has more fields than an API server would compile a condition of.
///
/// Their evaluation never ends in an error, whatever the objects hold: where a map has too many keys to be walked within
/// the API server's limits, they hold.
#[must_use]
pub fn match_conditions(policy: &Policy, part: Part) -> Vec<MatchCondition> {
    let changes = match part {
        Part::Object => "changes-an-immutable-field",
        Part::Scale => "changes-the-scale",
    };
    let mut conditions: Vec<MatchCondition> = Vec::new();
    let mut left = CONDITIONS_LIMIT;
    for Allowed { by, expression, cost, .. } in allowed(policy, part, Purpose::Ask) {
        let expression = Expression::Not(Box::new(expression)).to_string();
        // Without a condition the guard is asked more often, and says the same.
        let is_too_long = expression.chars().count() > MAX_EXPRESSION || conditions.len() == MAX_CONDITIONS;
        if is_too_long || cost > EXPRESSION_LIMIT.min(left) {
            if by.is_none() {
                return Vec::new();
            }
            continue;
        }
        left -= cost;
        let taken = |name: &String| conditions.iter().any(|condition| condition.name == *name);
        let own = by.map_or_else(|| changes.to_owned(), |exemption| name(&exemption.name));
        let numbered = (conditions.len()..).map(|number| format!("not-exempt-{number}"));
        let name = std::iter::once(own).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        conditions.push(MatchCondition { name, expression });
    }
    conditions
}

/// A way for an update to be allowed.
#[derive(Debug)]
pub(super) struct Allowed<'p> {
    /// None: for everyone at any time.
    pub(super) by: Option<&'p Exemption>,
    /// That it is for this user, at this time.
    pub(super) holds: Expression,
    pub(super) expression: Expression,
    /// The most that it costs.
    pub(super) cost: u64,
    /// The comparison in it.
    pub(super) same: Same<'p>,
}

/// The purpose of the expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To ask the guard about the rest. What people have to read is kept short: an exemption with `*` in its fields is left
    /// to the guard, the others are for changes of their own fields alone.
    Ask,
    /// To deny the rest. An exemption then holds for objects of any width, or their deletion could not end.
    Judge,
}

/// The ways for an update of that part to be allowed, as far as CEL can tell.
pub(super) fn allowed(policy: &Policy, part: Part, purpose: Purpose) -> Vec<Allowed<'_>> {
    let is_for_part = |exemption: &&Exemption| match part {
        Part::Object => exemption.subresources.is_empty(),
        Part::Scale => exemption.subresources.iter().any(|subresource| subresource == "scale"),
    };
    let (always, sometimes): (Vec<_>, Vec<_>) =
        policy.exemptions.iter().filter(is_for_part).partition(|exemption| holds(policy, exemption).is_always_true());
    let mutable = match part {
        Part::Object => &policy.mutable_fields[..],
        Part::Scale => &[],
    };
    let for_everyone: Vec<_> = mutable.iter().chain(always.iter().flat_map(|exemption| &exemption.fields)).collect();
    let everyone = Way { by: None, fields: for_everyone.clone() };
    let is_said = |exemption: &&Exemption| purpose == Purpose::Judge || exemption.fields.iter().all(Pattern::is_plain);
    let exempt = sometimes.into_iter().filter(is_said).map(|exemption| {
        let fields = match purpose {
            Purpose::Ask => exemption.fields.iter().collect(),
            Purpose::Judge => for_everyone.iter().copied().chain(&exemption.fields).collect(),
        };
        Way { by: Some(exemption), fields }
    });
    std::iter::once(everyone).chain(exempt).map(|way| way.allowed(policy, part, purpose)).collect()
}

/// The fields that may change, for everyone or by one exemption.
#[derive(Debug)]
struct Way<'p> {
    by: Option<&'p Exemption>,
    fields: Vec<&'p Pattern>,
}

impl<'p> Way<'p> {
    /// The expression with the first bound that keeps its cost within the limits, or else with the last.
    fn allowed(&self, policy: &'p Policy, part: Part, purpose: Purpose) -> Allowed<'p> {
        let limit = match purpose {
            // The usual policy has three conditions.
            Purpose::Ask => CONDITIONS_LIMIT / 4,
            Purpose::Judge => EXPRESSION_LIMIT,
        };
        let bounded = |bound| {
            let (immutable, server_managed) = (&policy.immutable_fields, &policy.server_managed_fields);
            let same = Same::new(
                self.fields.iter().copied(),
                immutable,
                server_managed,
                policy.equality,
                &policy.resources,
                bound,
            );
            let changes = match (part, purpose, self.by) {
                (Part::Scale, _, _) => same.spec(),
                (Part::Object, Purpose::Judge, Some(_)) => same.object_of_any_width(),
                (Part::Object, _, _) => same.object(),
            };
            let holds = self.by.map_or_else(|| Expression::all([]), |exemption| holds(policy, exemption));
            let expression = Expression::all([holds.clone(), changes]);
            Allowed { by: self.by, holds, cost: cost(&expression), expression, same }
        };
        let [usual, smaller @ ..] = BOUNDS;
        smaller.into_iter().fold(bounded(usual), |way, bound| if way.cost <= limit { way } else { bounded(bound) })
    }
}

/// That the exemption is for this user, at this time.
fn holds(policy: &Policy, exemption: &Exemption) -> Expression {
    let user = (!exemption.users.is_empty()).then(|| {
        let users = strings(exemption.users.iter().map(String::as_str));
        Expression::plain(format!("request.userInfo.username in {users}"))
    });
    let group = (!exemption.groups.is_empty()).then(|| {
        let groups = strings(exemption.groups.iter().map(String::as_str));
        Expression::all([
            Expression::plain("has(request.userInfo.groups)"),
            // Loops over the policy's groups, which are few, and not over the user's.
            Expression::plain(format!("{groups}.exists(group, group in request.userInfo.groups)")),
        ])
    });
    let who = if user.is_none() && group.is_none() {
        Expression::all([])
    } else {
        Expression::any(user.into_iter().chain(group))
    };
    let when = exemption.when.map_or_else(|| Expression::all([]), |when| condition(when, &policy.suspend_field));
    Expression::all([who, when])
}

fn condition(condition: Condition, suspend: &SuspendField) -> Expression {
    match condition {
        Condition::Deleting => Expression::plain("oldObject.metadata.?deletionTimestamp.orValue(null) != null"),
        Condition::SuspendChanged => {
            Expression::Differ(Box::new(["object", "oldObject"].map(|object| suspended(object, suspend))))
        }
        Condition::Suspended => suspended("oldObject", suspend),
    }
}

/// That the suspend field is true. What is no map has no such member, and an error must not come of it.
fn suspended(object: &str, suspend: &SuspendField) -> Expression {
    let Some((last, maps)) = suspend.keys().split_last() else { return Expression::all([]) };
    let mut path = object.to_owned();
    let mut all = Vec::new();
    for key in maps {
        all.push(Expression::plain(format!("type({path}.?{key}.orValue(null)) == map")));
        path = format!("{path}.{key}");
    }
    all.push(Expression::plain(format!("{path}.?{last}.orValue(false) == true")));
    Expression::all(all)
}

/// An exemption's name as a condition's, which is a qualified name.
fn name(exemption: &str) -> String {
    let plain = exemption.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
    let name: String = "not-exempt-".chars().chain(plain).take(MAX_NAME).collect();
    name.trim_end_matches(['-', '_', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(lines: &str) -> Policy {
        let head = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
                    resources: [{group: kubeflow.org, resource: pytorchjobs}]\n";
        Policy::parse(&format!("{head}{lines}")).expect("a policy")
    }

    #[test]
    fn the_bound_is_lower_where_wildcards_are_below_wildcards() {
        for (field, bound) in
            [("spec.a", 256), ("spec.*.a", 256), ("spec.*.a.*.b", 256), ("spec.*.*.*.a", 64), ("spec.*.*.*.*.*.a", 32)]
        {
            let policy = policy(&format!("mutableFields: [\"{field}\"]\n"));
            for purpose in [Purpose::Ask, Purpose::Judge] {
                let everyone = allowed(&policy, Part::Object, purpose).swap_remove(0);
                assert!(everyone.same.bound() <= bound && everyone.cost <= EXPRESSION_LIMIT, "{field}: {everyone:?}");
            }
            let conditions = match_conditions(&policy, Part::Object);
            assert_eq!(conditions.len(), 1, "{field}");
        }
    }

    #[test]
    fn conditions_that_would_exceed_the_limit_together_are_left_out() {
        let exemption = |number| format!("  - {{name: e{number}, when: Deleting, fields: [metadata.finalizers]}}\n");
        let exemptions: String = (0..20).map(exemption).collect();
        let policy = policy(&format!("mutableFields: [metadata.labels]\nexemptions:\n{exemptions}"));
        let ways = allowed(&policy, Part::Object, Purpose::Ask);
        let written = match_conditions(&policy, Part::Object).len();
        let cost = |ways: &[Allowed<'_>]| ways.iter().map(|way| way.cost).sum::<u64>();
        assert!(written > 3 && cost(&ways[..written]) <= CONDITIONS_LIMIT);
        assert!(cost(&ways[..=written]) > CONDITIONS_LIMIT);
    }
}
