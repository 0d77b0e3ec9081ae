//! Lint: what in a valid policy is probably a mistake.

mod elements;
mod names;
mod overlap;
mod suspend;
mod updates;

pub(super) use self::names::user_problem;

use super::{
    Equality, Policy, PolicyError, ValidationAction,
    file::{self, Contribution, ExemptionFile, PolicyFile, contribution, lint_resource, needless},
};
use crate::{
    field::{Pattern, PatternToken},
    yaml::{Diagnostic, Positioned, all},
};

impl Policy {
    /// Reads a policy and reports what in it is probably a mistake, in the order of the text.
    pub fn lint(text: &str) -> Result<Vec<Diagnostic>, PolicyError> {
        file::read(text).map(lint)
    }
}

fn lint(file: PolicyFile) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    whole(&file, &mut diagnostics);
    diagnostics.extend(file.resources.value.iter().filter_map(lint_resource));
    protection(&file, &mut diagnostics);
    fields(&file, &mut diagnostics);
    for exemption in &file.exemptions.value {
        lint_exemption(exemption, &file, &mut diagnostics);
    }
    diagnostics.extend(elements::lint(&file));
    diagnostics.extend(overlap::changeable_labels(&file));
    let (name, managed) = (file.name.position, file.server_managed_fields.position);
    let exemptions = file.exemptions.position;
    let policy = Policy::from(file);
    if Policy::builtin(policy.name()).is_some_and(|built_in| built_in != policy) {
        let message = format!(
            "name: the built-in policy {} is another, and logs and metrics tell only the name; rename it",
            policy.name()
        );
        diagnostics.push(Diagnostic::warning(name, message));
    }
    let changes = updates::server_changes(&policy);
    if !changes.is_empty() {
        let message = format!(
            "serverManagedFields: the API server itself changes {} in ordinary updates, which then are violations; list it",
            all(&changes)
        );
        diagnostics.push(Diagnostic::warning(managed, message));
    }
    if policy.takes(ValidationAction::Deny) {
        diagnostics.extend(updates::deletion(&policy, exemptions));
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.position);
    diagnostics
}

fn whole(file: &PolicyFile, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(Positioned { value: Equality::Strict, position }) = &file.equality {
        let message = "equality: Strict denies updates that change nothing: a typed client writes cpu: 2 as \"2\", and {} \
                       and null where there was nothing";
        diagnostics.push(Diagnostic::warning(*position, message));
    }
    if let Some(Positioned { value: actions, position }) = &file.actions
        && !actions.contains(&ValidationAction::Deny)
    {
        diagnostics.push(Diagnostic::note(
            *position,
            "validationActions: nothing is denied; add Deny when you have seen enough",
        ));
    }
    if file.mutable_fields.value.is_empty() && file.exemptions.value.is_empty() {
        let message = "mutableFields: nothing may ever change: no field is mutable, and nobody is exempt";
        diagnostics.push(Diagnostic::warning(file.mutable_fields.position, message));
    }
}

/// Warns of fields with which everyone may change the whole spec, at any time.
fn protection(file: &PolicyFile, diagnostics: &mut Vec<Diagnostic>) {
    let for_everyone = |exemption: &&ExemptionFile| {
        let ExemptionFile { users, groups, when, subresources, .. } = exemption;
        users.is_empty() && groups.is_empty() && when.is_none() && subresources.is_empty()
    };
    let exempt = file.exemptions.value.iter().filter(for_everyone).flat_map(|exemption| &exemption.fields);
    for Positioned { value: field, position } in file.mutable_fields.value.iter().chain(exempt) {
        let is_spec =
            |token: &PatternToken| matches!(token, PatternToken::Any) || *token == PatternToken::Key("spec".to_owned());
        let is_all = match field.tokens() {
            [spec] | [spec, PatternToken::Any] => is_spec(spec),
            _ => false,
        };
        let protects = |immutable: &Positioned<Pattern>| {
            immutable.value.overlaps(field) && immutable.value.specificity() >= field.specificity()
        };
        if is_all && !file.immutable_fields.iter().any(protects) {
            let message = format!(
                "this policy protects nothing of spec: everyone may change {field}; list only what may change, or list what may \
                 not under immutableFields"
            );
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
}

fn fields(file: &PolicyFile, diagnostics: &mut Vec<Diagnostic>) {
    let (mutable, immutable) = (&file.mutable_fields.value, &file.immutable_fields);
    let exempt = || file.exemptions.value.iter().flat_map(|exemption| &exemption.fields);
    // Between equals the immutable field wins.
    redundant("mutableFields", mutable, immutable, true, diagnostics);
    let allowed: Vec<Positioned<Pattern>> = mutable.iter().chain(exempt()).cloned().collect();
    redundant("immutableFields", immutable, &allowed, false, diagnostics);
    redundant("serverManagedFields", &file.server_managed_fields.value, &[], false, diagnostics);
    for Positioned { value: field, position } in immutable {
        if mutable.iter().any(|mutable| mutable.value.tokens() == field.tokens()) {
            let message = format!(
                "immutableFields: {field} is one of mutableFields too, and between equals it wins; take it away from one"
            );
            diagnostics.push(Diagnostic::warning(*position, message));
        }
        let takes = |allowed: &Positioned<Pattern>| {
            allowed.value.overlaps(field) && allowed.value.specificity() <= field.specificity()
        };
        if !allowed.iter().any(takes) {
            let message = format!(
                "immutableFields: {field} is immutable anyway, as it is not inside any field that may change; take it away"
            );
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
    for Positioned { value: field, position } in &file.server_managed_fields.value {
        let holds_more = match field.tokens() {
            [PatternToken::Key(key), below @ ..] => key == "spec" || (key == "metadata" && below.is_empty()),
            _ => true,
        };
        if holds_more {
            let message = format!("serverManagedFields: everyone may change {field}, as no change of it counts");
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
}

/// Warns of fields that another one of the list covers, where no opposite one comes between the two.
fn redundant(
    list: &str,
    fields: &[Positioned<Pattern>],
    opposite: &[Positioned<Pattern>],
    mutable: bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for Positioned { value: special, position } in fields {
        let needless = |general: &&Positioned<Pattern>| {
            let general = &general.value;
            let between = |opposite: &Positioned<Pattern>| {
                let opposite = &opposite.value;
                let (low, middle, high) = (general.specificity(), opposite.specificity(), special.specificity());
                let comes_between =
                    if mutable { low <= middle && middle < high } else { low < middle && middle <= high };
                comes_between && opposite.overlaps(special)
            };
            general.tokens() != special.tokens() && general.covers(special) && !opposite.iter().any(between)
        };
        if let Some(Positioned { value: general, .. }) = fields.iter().find(needless) {
            let message = format!("{list}: {special} is inside {general}, which is listed too; take it away");
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
}

fn lint_exemption(exemption: &ExemptionFile, file: &PolicyFile, diagnostics: &mut Vec<Diagnostic>) {
    let Positioned { value: name, position } = &exemption.name;
    let list = format!("exemption {name}: fields");
    let fields = &exemption.fields;
    redundant(&list, fields, &file.immutable_fields, true, diagnostics);
    if let Some((_, message)) = needless(exemption, file) {
        diagnostics.push(Diagnostic::warning(*position, message));
    }
    for Positioned { value: field, position } in fields {
        if contribution(field, exemption, file) == Contribution::Lost {
            let message =
                format!("{list}: {field} stays immutable, as immutableFields lists it too; take it away from one");
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
    let everyone = exemption.users.is_empty() && exemption.groups.is_empty();
    if everyone && exemption.when.is_none() && exemption.subresources.is_empty() {
        let message = format!(
            "exemption {name} is for everyone at any time; list its fields in mutableFields, or say for whom it is, or when"
        );
        diagnostics.push(Diagnostic::warning(*position, message));
    }
    for Positioned { value: subresource, position } in &exemption.subresources {
        if subresource != "scale" {
            let message = format!(
                "exemption {name}: subresources: custom resources have no {subresource}, only status and scale"
            );
            diagnostics.push(Diagnostic::warning(*position, message));
        }
    }
    diagnostics.extend(suspend::lint(exemption, file));
    diagnostics.extend(names::lint(exemption));
}
