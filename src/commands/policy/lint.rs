//! `policy lint`: errors and warnings about policies, in the form in which editors jump to them.

use std::{
    io::{self, Write as _},
    path::Path,
};

use super::{Exit, PolicyCommandError, say};
use crate::{
    cli::LintArgs,
    policy::{Policy, source::Source, sources::policy_files},
    yaml::{Diagnostic, Severity},
};

/// Exit 0: all can be used, 1: one has a warning and `--strict` was given, 2: one cannot be used.
pub(super) fn run(args: &LintArgs) -> Result<Exit, PolicyCommandError> {
    let (mut unusable, mut warned) = (false, false);
    let mut usable: Vec<(String, Policy)> = Vec::new();
    for name in with_files_of_folders(&args.policies)? {
        match Source::find(&name) {
            Ok(source) => {
                usable.extend(source.policy().ok().map(|policy| (source.name.clone(), policy)));
                let linted = Policy::lint(&source.text);
                let diagnostics = linted.as_deref().unwrap_or_else(|error| error.diagnostics());
                unusable |= linted.is_err();
                warned |= diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Warning);
                print(&source.name, diagnostics)?;
            }
            Err(error) => {
                unusable = true;
                say(format_args!("error: {error}"));
            }
        }
    }
    // Names and files may be alternatives; a folder is served as a whole.
    let is_served_together = args.policies.iter().any(|name| is_folder(name));
    let mut out = io::stdout().lock();
    for (index, (name, policy)) in usable.iter().enumerate().filter(|_| is_served_together) {
        for (other_name, other) in &usable[..index] {
            if let Some(overlap) = policy.overlap(other) {
                writeln!(out, "{name}: note: {overlap}, as by {other_name}: an update has to pass both")?;
            }
        }
    }
    Ok(match (unusable, warned && args.strict) {
        (true, _) => Exit::BadInput,
        (false, true) => Exit::No,
        (false, false) => Exit::Yes,
    })
}

/// The names, and in place of each folder its policy files.
fn with_files_of_folders(names: &[String]) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for name in names {
        if is_folder(name) {
            all.extend(policy_files(Path::new(name))?.iter().map(|file| file.display().to_string()));
        } else {
            all.push(name.clone());
        }
    }
    Ok(all)
}

fn is_folder(name: &str) -> bool {
    Policy::builtin_text(name).is_none() && Path::new(name).is_dir()
}

fn print(name: &str, diagnostics: &[Diagnostic]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Diagnostic { severity, position, message } in diagnostics {
        writeln!(out, "{name}:{}:{}: {severity}: {message}", position.line, position.column)?;
    }
    Ok(())
}
