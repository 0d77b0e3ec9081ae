//! What in a policy that can be used is hardly meant.

use super::{
    Condition, Equality, Policy, ValidationAction, elements,
    error::{PolicyError, Remark},
    exemption::{Effect, effect_of, needless},
    file::{ExemptionFile, PolicyFile},
    known, names, probe,
    reader::{Placed, all},
};
use crate::admission::field::{Pattern, PatternToken};

/// Reads a policy and says what in it is hardly meant, in the order of the text.
pub(super) fn lint(text: &str) -> Result<Vec<Remark>, PolicyError> {
    let file = PolicyFile::read(text)?;
    let mut remarks = Vec::new();
    whole(&file, &mut remarks);
    remarks.extend(file.resources.value.iter().filter_map(known::lint));
    protection(&file, &mut remarks);
    fields(&file, &mut remarks);
    for exemption in &file.exemptions.value {
        lint_exemption(exemption, &file, &mut remarks);
    }
    remarks.extend(elements::lint(&file));
    let (name, managed) = (file.name.place, file.server_managed_fields.place);
    let exemptions = file.exemptions.place;
    let policy = Policy::from(file);
    if Policy::builtin(policy.name()).is_some_and(|built_in| built_in != policy) {
        let message = format!(
            "name: the built-in policy {} is another, and logs and metrics tell only the name; rename it",
            policy.name()
        );
        remarks.push(Remark::warning(name, message));
    }
    let changes = probe::server_changes(&policy);
    if !changes.is_empty() {
        let message = format!(
            "serverManagedFields: the API server itself changes {} in ordinary updates, which then are violations; list it",
            all(&changes)
        );
        remarks.push(Remark::warning(managed, message));
    }
    if policy.takes(ValidationAction::Deny) {
        remarks.extend(probe::deletion(&policy, exemptions));
    }
    remarks.sort_by_key(|remark| remark.place);
    Ok(remarks)
}

fn whole(file: &PolicyFile, remarks: &mut Vec<Remark>) {
    if let Some(Placed { value: Equality::Strict, place }) = &file.equality {
        let message = "equality: Strict denies updates that change nothing: a typed client writes cpu: 2 as \"2\", and {} \
                       and null where there was nothing";
        remarks.push(Remark::warning(*place, message));
    }
    if let Some(Placed { value: actions, place }) = &file.actions
        && !actions.contains(&ValidationAction::Deny)
    {
        remarks.push(Remark::note(*place, "validationActions: nothing is denied; add Deny when you have seen enough"));
    }
    if file.mutable_fields.value.is_empty() && file.exemptions.value.is_empty() {
        let message = "mutableFields: nothing may ever change: no field is mutable, and nobody is exempt";
        remarks.push(Remark::warning(file.mutable_fields.place, message));
    }
}

/// Warns of fields with which everyone may change the whole spec, at any time.
fn protection(file: &PolicyFile, remarks: &mut Vec<Remark>) {
    let for_everyone = |exemption: &&ExemptionFile| {
        let ExemptionFile { users, groups, when, subresources, .. } = exemption;
        users.is_empty() && groups.is_empty() && when.is_none() && subresources.is_empty()
    };
    let exempt = file.exemptions.value.iter().filter(for_everyone).flat_map(|exemption| &exemption.fields);
    for Placed { value: field, place } in file.mutable_fields.value.iter().chain(exempt) {
        let is_spec =
            |token: &PatternToken| matches!(token, PatternToken::Any) || *token == PatternToken::Key("spec".to_owned());
        let is_all = match field.tokens() {
            [spec] | [spec, PatternToken::Any] => is_spec(spec),
            _ => false,
        };
        let protects = |immutable: &Placed<Pattern>| {
            immutable.value.overlaps(field) && immutable.value.specificity() >= field.specificity()
        };
        if is_all && !file.immutable_fields.iter().any(protects) {
            let message = format!(
                "this policy protects nothing of spec: everyone may change {field}; list only what may change, or list what may \
                 not under immutableFields"
            );
            remarks.push(Remark::warning(*place, message));
        }
    }
}

fn fields(file: &PolicyFile, remarks: &mut Vec<Remark>) {
    let (mutable, immutable) = (&file.mutable_fields.value, &file.immutable_fields);
    let exempt = || file.exemptions.value.iter().flat_map(|exemption| &exemption.fields);
    // Between equals the immutable field wins.
    redundant("mutableFields", mutable, immutable, true, remarks);
    let allowed: Vec<Placed<Pattern>> = mutable.iter().chain(exempt()).cloned().collect();
    redundant("immutableFields", immutable, &allowed, false, remarks);
    redundant("serverManagedFields", &file.server_managed_fields.value, &[], false, remarks);
    for Placed { value: field, place } in immutable {
        if mutable.iter().any(|mutable| mutable.value.tokens() == field.tokens()) {
            let message = format!(
                "immutableFields: {field} is one of mutableFields too, and between equals it wins; take it away from one"
            );
            remarks.push(Remark::warning(*place, message));
        }
        let takes = |allowed: &Placed<Pattern>| {
            allowed.value.overlaps(field) && allowed.value.specificity() <= field.specificity()
        };
        if !allowed.iter().any(takes) {
            let message = format!(
                "immutableFields: {field} is immutable anyway, as it is not inside any field that may change; take it away"
            );
            remarks.push(Remark::warning(*place, message));
        }
    }
    for Placed { value: field, place } in &file.server_managed_fields.value {
        let holds_more = match field.tokens() {
            [PatternToken::Key(key), below @ ..] => key == "spec" || (key == "metadata" && below.is_empty()),
            _ => true,
        };
        if holds_more {
            let message = format!("serverManagedFields: everyone may change {field}, as no change of it counts");
            remarks.push(Remark::warning(*place, message));
        }
    }
}

/// Warns of fields that another one of the list covers, where no opposite one comes between the two.
fn redundant(
    list: &str,
    fields: &[Placed<Pattern>],
    opposite: &[Placed<Pattern>],
    mutable: bool,
    remarks: &mut Vec<Remark>,
) {
    for Placed { value: special, place } in fields {
        let needless = |general: &&Placed<Pattern>| {
            let general = &general.value;
            let between = |opposite: &Placed<Pattern>| {
                let opposite = &opposite.value;
                let (low, middle, high) = (general.specificity(), opposite.specificity(), special.specificity());
                let comes_between =
                    if mutable { low <= middle && middle < high } else { low < middle && middle <= high };
                comes_between && opposite.overlaps(special)
            };
            general.tokens() != special.tokens() && general.covers(special) && !opposite.iter().any(between)
        };
        if let Some(Placed { value: general, .. }) = fields.iter().find(needless) {
            let message = format!("{list}: {special} is inside {general}, which is listed too; take it away");
            remarks.push(Remark::warning(*place, message));
        }
    }
}

fn lint_exemption(exemption: &ExemptionFile, file: &PolicyFile, remarks: &mut Vec<Remark>) {
    let Placed { value: name, place } = &exemption.name;
    let list = format!("exemption {name}: fields");
    let fields = &exemption.fields;
    redundant(&list, fields, &file.immutable_fields, true, remarks);
    if let Some((_, message)) = needless(exemption, file) {
        remarks.push(Remark::warning(*place, message));
    }
    for Placed { value: field, place } in fields {
        if effect_of(field, exemption, file) == Effect::Lost {
            let message =
                format!("{list}: {field} stays immutable, as immutableFields lists it too; take it away from one");
            remarks.push(Remark::warning(*place, message));
        }
    }
    let everyone = exemption.users.is_empty() && exemption.groups.is_empty();
    if everyone && exemption.when.is_none() && exemption.subresources.is_empty() {
        let message = format!(
            "exemption {name} is for everyone at any time; list its fields in mutableFields, or say for whom it is, or when"
        );
        remarks.push(Remark::warning(*place, message));
    }
    for Placed { value: subresource, place } in &exemption.subresources {
        if subresource != "scale" {
            let message = format!(
                "exemption {name}: subresources: custom resources have no {subresource}, only status and scale"
            );
            remarks.push(Remark::warning(*place, message));
        }
    }
    if let Some(Placed { value: Condition::SuspendChanged, place }) = &exemption.when
        && !may_suspend(file)
    {
        let message = format!(
            "exemption {name}: when: a change of spec.runPolicy.suspend is denied itself; add spec.runPolicy.suspend to fields"
        );
        remarks.push(Remark::warning(*place, message));
    }
    remarks.extend(names::lint(exemption));
}

/// Whether anybody may change what `SuspendChanged` is about.
fn may_suspend(file: &PolicyFile) -> bool {
    let Ok(suspend) = Pattern::parse("spec.runPolicy.suspend") else { return true };
    let exempt = file.exemptions.value.iter().flat_map(|exemption| &exemption.fields);
    file.mutable_fields.value.iter().chain(exempt).any(|field| field.value.covers(&suspend))
}
