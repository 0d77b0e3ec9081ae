//! `policy lint`: what is wrong with policies, and what is hardly meant, in the form in which editors jump to it.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use super::{PolicyCommandError, say};
use crate::{
    admission::{Policy, Remark, Severity},
    cli::LintArgs,
    policy_source::Source,
};

/// Exit 0: all can be used, 1: one has a warning and `--strict` was given, 2: one cannot be used.
pub(super) fn run(args: &LintArgs) -> Result<ExitCode, PolicyCommandError> {
    let (mut unusable, mut warned) = (false, false);
    for name in &args.policies {
        match Source::find(name) {
            Ok(source) => {
                let linted = Policy::lint(&source.text);
                let remarks = linted.as_deref().unwrap_or_else(|error| error.remarks());
                unusable |= linted.is_err();
                warned |= remarks.iter().any(|remark| remark.severity == Severity::Warning);
                print(&source.name, remarks)?;
            }
            Err(error) => {
                unusable = true;
                say(format_args!("error: {error}"));
            }
        }
    }
    Ok(match (unusable, warned && args.strict) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::from(1),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn print(name: &str, remarks: &[Remark]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Remark { severity, place, message } in remarks {
        writeln!(out, "{name}:{}:{}: {severity}: {message}", place.line, place.column)?;
    }
    Ok(())
}
