//! `policy doctor`: holds a policy against the definition of its resources. A policy for another layout of the same API
//! is valid, but the fields that it lets users change do not exist.

use std::io::{self, Write as _};

use super::{Exit, PolicyCommandError};
use crate::{
    cli::PolicyDoctorArgs,
    crd::{self, Crd, CrdError, Fit},
    doctor::writers,
    documents,
    policy::source::Source,
};

/// Exit 0: the policy does what it says, 1: it does not.
pub(super) fn run(args: &PolicyDoctorArgs) -> Result<Exit, PolicyCommandError> {
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
    let needs_kueue =
        crds.iter().any(|crd| crd.name() == crd::KUEUES) && !writers::lets_kueue_work(&policy, writers::KUEUE);
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
            let fit = Fit::of(&policy, crd, version);
            writeln!(out, "{name}, version {}, under the policy {}:", version.name, policy.name())?;
            // Where Kueue is, it is not the policy to use.
            for (word, text) in fit.lines.iter().filter(|(word, _)| !needs_kueue || *word != "use") {
                writeln!(out, "  {word:8}{text}")?;
            }
            is_well &= fit.is_well;
        }
    }
    if needs_kueue {
        writeln!(out, "{}, under the policy {}:", crd::KUEUES, policy.name())?;
        writeln!(out, "  {:8}Kueue could start and stop no job; use the policy kueue", "denied")?;
        is_well = false;
    }
    Ok(Exit::yes_if(is_well))
}
