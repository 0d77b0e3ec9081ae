//! The `matchConditions` that follow from a policy: with them the API server asks the guard only where something
//! outside the policy's mutable fields changed, and lets all other updates through by itself.

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{
    cel::{Expression, strings},
    same::Same,
};
use crate::admission::{Condition, Exemption, Pattern, Policy};

/// Which part of a job is updated.
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

/// When the guard is asked about an update of that part: where all of these hold. With none it is asked about all, and so
/// it is where a policy has more fields than an API server would compile a condition of.
#[must_use]
pub fn match_conditions(policy: &Policy, part: Part) -> Vec<MatchCondition> {
    let changes = match part {
        Part::Object => "changes-an-immutable-field",
        Part::Scale => "changes-the-scale",
    };
    let mut conditions: Vec<MatchCondition> = Vec::new();
    for Allowed { by, expression } in allowed(policy, part, Purpose::Ask) {
        let expression = Expression::Not(Box::new(expression)).to_string();
        // Without a condition the guard is asked more often, and says the same.
        if expression.chars().count() > MAX_EXPRESSION || conditions.len() == MAX_CONDITIONS {
            if by.is_none() {
                return Vec::new();
            }
            continue;
        }
        let taken = |name: &String| conditions.iter().any(|condition| condition.name == *name);
        let own = by.map_or_else(|| changes.to_owned(), |exemption| name(&exemption.name));
        let numbered = (conditions.len()..).map(|number| format!("not-exempt-{number}"));
        let name = std::iter::once(own).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        conditions.push(MatchCondition { name, expression });
    }
    conditions
}

/// A way for an update to be allowed.
pub(super) struct Allowed<'p> {
    /// None: for everyone at any time.
    pub(super) by: Option<&'p Exemption>,
    pub(super) expression: Expression,
}

/// What the expressions are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To ask the guard about the rest. What people have to read is kept short: an exemption with `*` in its fields is left
    /// to the guard, the others are for changes of their own fields alone.
    Ask,
    /// To deny the rest.
    Judge,
}

/// The ways for an update of that part to be allowed, as far as CEL can tell.
pub(super) fn allowed(policy: &Policy, part: Part, purpose: Purpose) -> Vec<Allowed<'_>> {
    let is_for_part = |exemption: &&Exemption| match part {
        Part::Object => exemption.subresources.is_empty(),
        Part::Scale => exemption.subresources.iter().any(|subresource| subresource == "scale"),
    };
    let (always, sometimes): (Vec<_>, Vec<_>) =
        policy.exemptions.iter().filter(is_for_part).partition(|exemption| holds(exemption).is_always_true());
    let mutable = match part {
        Part::Object => &policy.mutable_fields[..],
        Part::Scale => &[],
    };
    let same = |mutable: Vec<&'_ Pattern>| {
        let same = Same::new(mutable, &policy.immutable_fields, &policy.server_managed_fields, policy.equality);
        match part {
            Part::Object => same.object(),
            Part::Scale => same.spec(),
        }
    };
    let for_everyone: Vec<_> = mutable.iter().chain(always.iter().flat_map(|exemption| &exemption.fields)).collect();
    let everyone = Allowed { by: None, expression: same(for_everyone.clone()) };
    let is_said = |exemption: &&Exemption| purpose == Purpose::Judge || exemption.fields.iter().all(Pattern::is_plain);
    let exempt = sometimes.into_iter().filter(is_said).map(|exemption| {
        let fields = match purpose {
            Purpose::Ask => exemption.fields.iter().collect(),
            Purpose::Judge => for_everyone.iter().copied().chain(&exemption.fields).collect(),
        };
        Allowed { by: Some(exemption), expression: Expression::all([holds(exemption), same(fields)]) }
    });
    std::iter::once(everyone).chain(exempt).collect()
}

/// That the exemption is for this user, at this time.
fn holds(exemption: &Exemption) -> Expression {
    let user = (!exemption.users.is_empty()).then(|| {
        let users = strings(exemption.users.iter().map(String::as_str));
        Expression::plain(format!("request.userInfo.username in {users}"))
    });
    let group = (!exemption.groups.is_empty()).then(|| {
        let groups = strings(exemption.groups.iter().map(String::as_str));
        Expression::all([
            Expression::plain("has(request.userInfo.groups)"),
            Expression::plain(format!("request.userInfo.groups.exists(group, group in {groups})")),
        ])
    });
    let who = if user.is_none() && group.is_none() {
        Expression::all([])
    } else {
        Expression::any(user.into_iter().chain(group))
    };
    let when = exemption.when.map_or_else(|| Expression::all([]), condition);
    Expression::all([who, when])
}

fn condition(condition: Condition) -> Expression {
    match condition {
        Condition::Deleting => Expression::plain("oldObject.metadata.?deletionTimestamp.orValue(null) != null"),
        Condition::SuspendChanged => Expression::Differ(Box::new(["object", "oldObject"].map(suspended))),
    }
}

/// That `spec.runPolicy.suspend` is true. What is no map has no such member, and an error must not come of it.
fn suspended(object: &str) -> Expression {
    Expression::all([
        Expression::plain(format!("type({object}.?spec.orValue(null)) == map")),
        Expression::plain(format!("type({object}.spec.?runPolicy.orValue(null)) == map")),
        Expression::plain(format!("{object}.spec.runPolicy.?suspend.orValue(false) == true")),
    ])
}

/// An exemption's name as a condition's, which is a qualified name.
fn name(exemption: &str) -> String {
    let plain = exemption.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
    let name: String = "not-exempt-".chars().chain(plain).take(MAX_NAME).collect();
    name.trim_end_matches(['-', '_', '.']).to_owned()
}
