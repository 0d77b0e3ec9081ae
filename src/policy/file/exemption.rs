//! The errors of exemptions, above all of those that never apply although their author expects it.

use std::collections::HashSet;

use super::{ExemptionFile, PolicyFile, findings::Findings};
use crate::{
    field::{Pattern, PatternToken},
    policy::Condition,
    yaml::Positioned,
};

/// Reports the errors of a policy's exemptions.
pub(super) fn check(check: &mut Findings<'_>) {
    let file = check.file;
    let mut names = HashSet::new();
    for exemption in &file.exemptions.value {
        let Positioned { value: name, position } = &exemption.name;
        if !names.insert(name) {
            check.wrong(*position, format!("exemptions: a second one is named {name}; rename it"));
        }
        let list = format!("exemption {name}: fields");
        check.fields(&list, &exemption.fields);
        no_name_twice(check, exemption);
        subresources(check, exemption);
        effect(check, exemption);
    }
}

fn no_name_twice(check: &mut Findings<'_>, exemption: &ExemptionFile) {
    let ExemptionFile { name, users, groups, subresources, .. } = exemption;
    for (list, texts) in [("users", users), ("groups", groups), ("subresources", subresources)] {
        let mut seen = HashSet::new();
        for Positioned { value, position } in texts {
            if !seen.insert(value) {
                let message = format!("exemption {}: {list}: {value} is listed twice; take one away", name.value);
                check.wrong(*position, message);
            }
        }
    }
}

fn subresources(check: &mut Findings<'_>, exemption: &ExemptionFile) {
    let name = &exemption.name.value;
    for Positioned { value: subresource, position } in &exemption.subresources {
        let list = format!("exemption {name}: subresources");
        if let Some((_, part)) = subresource.rsplit_once('/') {
            check.wrong(
                *position,
                format!("{list}: {subresource} is no subresource; write it without the resource: {part}"),
            );
        } else if subresource == "status" {
            let why = "is never judged, because the API server lets it change nothing but .status";
            check.wrong(*position, format!("{list}: status {why}; take it away"));
        } else if subresource == "scale" {
            scale(check, exemption);
        }
    }
}

/// A Scale has its name, its number of replicas and its status, and nothing else of the object behind it.
fn scale(check: &mut Findings<'_>, exemption: &ExemptionFile) {
    let name = &exemption.name.value;
    if let Some(Positioned { value: when, position }) = &exemption.when {
        let lacks = match when {
            Condition::Deleting => "no deletionTimestamp",
            Condition::SuspendChanged | Condition::Suspended => "no suspend field",
        };
        check.wrong(
            *position,
            format!("exemption {name}: when: a Scale has {lacks}, so this never holds; take it away"),
        );
    }
    if !exemption.whole || exemption.subresources.iter().any(|other| other.value != "scale") {
        return;
    }
    for Positioned { value: field, position } in &exemption.fields {
        if !holds_replicas(field) {
            let message = format!(
                "exemption {name}: fields: {field} is no field of a Scale that can change; write spec.replicas, whatever \
                 the object's own field is"
            );
            check.wrong(*position, message);
        }
    }
}

fn holds_replicas(field: &Pattern) -> bool {
    let replicas = ["spec", "replicas"];
    let is = |(token, key): (&PatternToken, &str)| match token {
        PatternToken::Any => true,
        PatternToken::Key(token) => token == key,
        PatternToken::Named(_) => false,
    };
    field.tokens().len() <= replicas.len() && field.tokens().iter().zip(replicas).all(is)
}

/// The effect of an exempt field on the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Contribution {
    /// Something.
    Some,
    /// Nothing: everyone may change it, with or without the exemption.
    Free,
    /// Nothing: the field is immutable, with or without the exemption.
    Lost,
}

pub(in crate::policy) fn contribution(field: &Pattern, exemption: &ExemptionFile, file: &PolicyFile) -> Contribution {
    let of_object = exemption.subresources.is_empty();
    if file.immutable_fields.iter().any(|immutable| immutable.value.tokens() == field.tokens()) {
        Contribution::Lost
    } else if of_object
        && file
            .mutable_fields
            .value
            .iter()
            .any(|mutable| mutable.value.covers(field) && !between(&mutable.value, field, &file.immutable_fields))
    {
        Contribution::Free
    } else {
        Contribution::Some
    }
}

/// True if one of `immutable` takes from the mutable `general` what the mutable `special`, which it covers, gives back.
fn between(general: &Pattern, special: &Pattern, immutable: &[Positioned<Pattern>]) -> bool {
    immutable.iter().map(|immutable| &immutable.value).any(|immutable| {
        immutable.overlaps(special)
            && general.specificity() <= immutable.specificity()
            && immutable.specificity() < special.specificity()
    })
}

fn effect(check: &mut Findings<'_>, exemption: &ExemptionFile) {
    if exemption.whole
        && let Some((Contribution::Lost, message)) = needless(exemption, check.file)
    {
        check.wrong(exemption.name.position, message);
    }
}

/// The reason why the exemption as a whole adds nothing to the policy: what is immutable is so for those it was written
/// for, which is a mistake; what is free is so without it.
pub(in crate::policy) fn needless(exemption: &ExemptionFile, file: &PolicyFile) -> Option<(Contribution, String)> {
    let fields = &exemption.fields;
    let effects: Vec<Contribution> = fields.iter().map(|field| contribution(&field.value, exemption, file)).collect();
    if effects.is_empty() || effects.contains(&Contribution::Some) {
        return None;
    }
    let (effect, why) = if !effects.contains(&Contribution::Lost) {
        (Contribution::Free, "everyone may change its fields by mutableFields")
    } else if !effects.contains(&Contribution::Free) {
        (Contribution::Lost, "its fields are immutable by immutableFields")
    } else {
        (Contribution::Free, "its fields are mutable for everyone by mutableFields, or immutable by immutableFields")
    };
    Some((effect, format!("exemption {} can never matter: {why}; take it away", exemption.name.value)))
}
