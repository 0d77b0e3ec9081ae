//! `policy doctor`: holds a policy against the definition of its resources. A policy for another layout of the same API
//! is valid, but the fields that it lets users change do not exist.

use std::io::{self, Write as _};

use super::{
    Exit, PolicyCommandError,
    crd::{Crd, CrdError, Version},
    schema::{Fate, fate, places_of},
};
use crate::{
    cli::DoctorArgs,
    documents,
    field::Pattern,
    policy::source::Source,
    policy::{Condition, Exemption, Policy},
};

/// Exit 0: the policy does what it says, 1: it does not.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, PolicyCommandError> {
    let policy = Source::find(&args.policy).and_then(|source| source.policy()).map_err(PolicyCommandError::Option)?;
    let crds = Crd::read(&args.crd)?;
    let wanted: Vec<String> = policy.resources.iter().map(|one| format!("{}.{}", one.resource, one.group)).collect();
    let of = |name: &String| crds.iter().find(|crd| crd.name() == *name);
    if !wanted.iter().any(|name| of(name).is_some()) {
        let held: Vec<String> = crds.iter().map(Crd::name).collect();
        return Err(PolicyCommandError::Crd(CrdError::Missing {
            name: documents::name(&args.crd),
            wanted: wanted.join(", "),
            policy: policy.name().to_owned(),
            held: if held.is_empty() { "none".to_owned() } else { held.join(", ") },
        }));
    }
    let mut out = io::stdout().lock();
    let mut is_well = true;
    for name in &wanted {
        let Some(crd) = of(name) else {
            writeln!(out, "{name}: not looked at, as {} holds no definition of it", documents::name(&args.crd))?;
            continue;
        };
        if !crd.spec.versions.iter().any(|version| version.served) {
            writeln!(out, "{name}: no version is served, so there are no such objects")?;
            is_well = false;
        }
        for version in crd.spec.versions.iter().filter(|version| version.served) {
            let mut report = Report { policy: &policy, crd, version, lines: Vec::new(), is_well: true };
            report.examine();
            writeln!(out, "{name}, version {}, under the policy {}:", version.name, policy.name())?;
            for (word, text) in &report.lines {
                writeln!(out, "  {word:8}{text}")?;
            }
            is_well &= report.is_well;
        }
    }
    Ok(Exit::yes_if(is_well))
}

/// The report about one version.
struct Report<'r> {
    policy: &'r Policy,
    crd: &'r Crd,
    version: &'r Version,
    /// A word that sums it up, and a text.
    lines: Vec<(&'static str, String)>,
    is_well: bool,
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

impl Report<'_> {
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
