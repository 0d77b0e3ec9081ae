//! The suspend field, where an exemption depends on it.

use crate::{
    policy::{
        Condition, Resource,
        file::{ExemptionFile, PolicyFile},
    },
    yaml::{Diagnostic, Positioned},
};

/// The field by which a resource is suspended, where that is known.
fn known_field(Resource { group, resource }: &Resource) -> Option<&'static str> {
    match (group.as_str(), resource.as_str()) {
        ("batch", "jobs")
        | ("jobset.x-k8s.io", "jobsets")
        | ("ray.io", "rayjobs")
        | ("trainer.kubeflow.org", "trainjobs") => Some("spec.suspend"),
        ("kubeflow.org", "jaxjobs" | "mpijobs" | "paddlejobs" | "pytorchjobs" | "tfjobs" | "xgboostjobs") => {
            Some("spec.runPolicy.suspend")
        }
        _ => None,
    }
}

/// Warns of a condition that never holds, as the resource is suspended by another field, and of one that nobody may meet.
pub(super) fn lint(exemption: &ExemptionFile, file: &PolicyFile) -> Vec<Diagnostic> {
    let Some(Positioned { value: condition, position }) = &exemption.when else { return Vec::new() };
    if *condition == Condition::Deleting {
        return Vec::new();
    }
    let (name, suspend) = (&exemption.name.value, file.suspend_field.to_string());
    let mut messages = Vec::new();
    for Positioned { value: resource, .. } in &file.resources.value {
        if let Some(known) = known_field(resource).filter(|known| *known != suspend) {
            let resource = &resource.resource;
            messages
                .push(format!("{resource} are suspended by {known}, not by {suspend}; write suspendField: {known}"));
        }
    }
    if *condition == Condition::SuspendChanged && !may_suspend(file) {
        messages.push(format!("a change of {suspend} is denied itself; add {suspend} to fields"));
    }
    let warning = |message| Diagnostic::warning(*position, format!("exemption {name}: when: {message}"));
    messages.into_iter().map(warning).collect()
}

/// True if anybody may change what `SuspendChanged` is about.
fn may_suspend(file: &PolicyFile) -> bool {
    let Some(suspend) = file.suspend_field.pattern() else { return true };
    let exempt = file.exemptions.value.iter().flat_map(|exemption| &exemption.fields);
    file.mutable_fields.value.iter().chain(exempt).any(|field| field.value.covers(&suspend))
}
