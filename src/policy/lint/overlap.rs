//! The reach of a policy: labels by which users can leave it, and other policies that it overlaps with.

use std::collections::BTreeSet;

use crate::{
    field::Pattern,
    policy::{Policy, file::PolicyFile, selector::are_disjoint},
    yaml::{Diagnostic, Positioned},
};

/// A warning about labels of the objectSelector that everyone may change: with them everyone can take a job out of the policy.
pub(super) fn changeable_labels(file: &PolicyFile) -> Option<Diagnostic> {
    let Positioned { value: selector, position } = file.object_selector.as_ref()?;
    let keys = selector.match_labels.iter().flatten().map(|(key, _)| key);
    let keys = keys.chain(selector.match_expressions.iter().flatten().map(|requirement| &requirement.key));
    let keys: BTreeSet<&str> = keys.map(String::as_str).filter(|key| may_change(file, key)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    (!keys.is_empty()).then(|| {
        let labels = keys.join(", ");
        let message = format!(
            "objectSelector: everyone may change the label {labels}, and so take a job out of this policy; list \
             metadata.labels[{}] under immutableFields",
            keys[0]
        );
        Diagnostic::warning(*position, message)
    })
}

fn may_change(file: &PolicyFile, key: &str) -> bool {
    let Ok(label) = Pattern::parse(&format!("metadata.labels[{key}]")) else { return true };
    let covers = |field: &&Positioned<Pattern>| field.value.covers(&label);
    let most =
        |fields: &[Positioned<Pattern>]| fields.iter().filter(covers).map(|field| field.value.specificity()).max();
    // Between equals the immutable field wins.
    most(&file.mutable_fields.value)
        .is_some_and(|mutable| most(&file.immutable_fields).is_none_or(|immutable| immutable < mutable))
}

impl Policy {
    /// The updates about which an API server asks by both policies, as far as their selectors tell.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Option<String> {
        let both = self.resources.iter().filter(|resource| other.lists(&resource.group, &resource.resource));
        let both: Vec<_> = both.map(|resource| format!("{}.{}", resource.resource, resource.group)).collect();
        let (own, others) = (&self.webhooks, &other.webhooks);
        if both.is_empty() || are_disjoint(own.namespaces.as_ref(), others.namespaces.as_ref()) {
            return None;
        }
        // An objectSelector does not select changes of scale.
        let suffix = if are_disjoint(own.objects.as_ref(), others.objects.as_ref()) { "/scale" } else { "" };
        let names = both.iter().map(|name| format!("{name}{suffix}")).collect::<Vec<_>>().join(", ");
        Some(format!("updates of {names} are decided by this policy too"))
    }
}
