//! The fit of a policy and a definition: whether the objects have the fields that the policy is about.

use super::{
    Crd, Version,
    schema::{Fate, fate, places_of},
};
use crate::{
    field::Pattern,
    policy::{Condition, Exemption, Policy},
};

/// The definition that tells that Kueue is there.
pub(crate) const KUEUES: &str = "workloads.kueue.x-k8s.io";

/// The fit of a policy and one version of a definition.
pub(crate) struct Fit<'f> {
    policy: &'f Policy,
    crd: &'f Crd,
    version: &'f Version,
    /// A word that sums it up, and a text.
    pub(crate) lines: Vec<(&'static str, String)>,
    /// True if the policy does what it says.
    pub(crate) is_well: bool,
}

/// The lists of a policy's fields that stand in the object itself, and what they are called.
fn lists(policy: &Policy) -> Vec<(String, &[Pattern])> {
    let exempt = policy.exemptions.iter().filter(|exemption| exemption.subresources.is_empty());
    let exempt = exempt.map(|exemption| (format!("exemption {}", exemption.name), &exemption.fields[..]));
    let mut lists = vec![
        ("mutableFields".to_owned(), &policy.mutable_fields[..]),
        ("immutableFields".to_owned(), &policy.immutable_fields[..]),
    ];
    lists.extend(exempt);
    lists
}

impl<'f> Fit<'f> {
    /// Holds the policy against that version of the definition.
    pub(crate) fn of(policy: &'f Policy, crd: &'f Crd, version: &'f Version) -> Self {
        let mut fit = Self { policy, crd, version, lines: Vec::new(), is_well: true };
        fit.examine();
        fit
    }

    /// The worst fate of the fields that the policy lets everyone change; none where there is no schema.
    pub(crate) fn worst(&self) -> Option<Fate> {
        self.policy.mutable_fields.iter().filter_map(|field| self.fate(field)).min()
    }

    fn well(&mut self, word: &'static str, text: String) {
        self.lines.push((word, text));
    }

    fn ill(&mut self, word: &'static str, text: String) {
        self.lines.push((word, text));
        self.is_well = false;
    }

    fn examine(&mut self) {
        let policy = self.policy;
        for (list, fields) in lists(policy) {
            for field in fields {
                self.field(&list, field);
            }
        }
        for exemption in &policy.exemptions {
            self.exemption(exemption);
        }
        self.status();
        let pruned = policy.mutable_fields.iter().any(|field| self.fate(field) == Some(Fate::Pruned));
        if pruned && let Some(name) = self.better_policy() {
            self.ill("use", format!("the policy {name}: the schema knows every field of it"));
        }
        // A policy of one's own is not for one of two layouts.
        if self.worst() == Some(Fate::Kept) && Policy::builtin_names().any(|name| name == policy.name()) {
            let text = "the schema keeps every field, so cci and training-operator both fit: look where a job has \
                        ttlSecondsAfterFinished, or run doctor, which does";
            self.well("unclear", text.to_owned());
        }
    }

    /// None where there is no schema.
    fn fate(&self, field: &Pattern) -> Option<Fate> {
        let fate = fate(self.version.schema()?, field);
        Some(if self.crd.spec.preserve_unknown_fields { fate.max(Fate::Kept) } else { fate })
    }

    fn field(&mut self, list: &str, field: &Pattern) {
        match (self.fate(field), self.version.schema()) {
            (Some(Fate::Known), _) => self.well("known", format!("{list}: {field}")),
            (Some(Fate::Kept), _) => {
                self.well("kept", format!("{list}: {field} is not in the schema, which keeps what it does not know"));
            }
            (Some(Fate::Pruned), Some(schema)) => {
                let places = places_of(schema, field);
                let instead = match &places[..] {
                    [] => String::new(),
                    places => format!("; the schema has {}", places.join(", ")),
                };
                self.ill("pruned", format!("{list}: {field} is pruned before anyone sees it{instead}"));
            }
            _ => self.ill("unclear", format!("{list}: {field} may be there or not, as the version has no schema")),
        }
    }

    fn exemption(&mut self, exemption: &Exemption) {
        let name = &exemption.name;
        let when = match exemption.when {
            Some(Condition::SuspendChanged) => Some("SuspendChanged"),
            Some(Condition::Suspended) => Some("Suspended"),
            Some(Condition::Deleting) | None => None,
        };
        let suspend = &self.policy.suspend_field;
        if let Some(when) = when
            && suspend.pattern().is_some_and(|suspend| self.fate(&suspend) == Some(Fate::Pruned))
        {
            let text = format!("exemption {name}: {when} never holds, as {suspend} is pruned");
            self.ill("never", text);
        }
        if exemption.subresources.iter().any(|subresource| subresource == "scale") {
            match &self.version.subresources.scale {
                Some(scale) => {
                    let path = scale.spec_replicas_path.trim_start_matches('.');
                    self.well("known", format!("exemption {name}: spec.replicas of the scale is {path}"));
                }
                None => self.ill("never", format!("exemption {name}: the resource has no scale subresource")),
            }
        }
    }

    /// Without a status subresource an update of the status is an update like any other.
    fn status(&mut self) {
        if self.version.subresources.status.is_some() {
            return;
        }
        let holds_status = |field: &Pattern| Pattern::parse("status").is_ok_and(|status| field.covers(&status));
        let covered = lists(self.policy)
            .iter()
            .filter(|(list, _)| list != "immutableFields")
            .find_map(|(list, fields)| fields.iter().any(holds_status).then(|| list.clone()));
        match covered {
            Some(list) => self.well("open", format!("status: there is no status subresource, and {list} lets it change")),
            None => self.ill(
                "denied",
                "status: there is no status subresource, so that the controller's updates of status change a field that \
                 must not change; add status to mutableFields, or exempt the controller"
                    .to_owned(),
            ),
        }
    }

    /// A built-in policy of which the schema knows every field.
    fn better_policy(&self) -> Option<&'static str> {
        let resource = &self.crd.spec;
        let is_for = |policy: &Policy| {
            policy.resources.iter().any(|one| one.group == resource.group && one.resource == resource.names.plural)
        };
        let knows = |field: &Pattern| self.fate(field) == Some(Fate::Known);
        Policy::builtin_names().find(|name| {
            Policy::builtin(name).is_some_and(|policy| {
                is_for(&policy) && lists(&policy).iter().all(|(_, fields)| fields.iter().all(knows))
            })
        })
    }
}
