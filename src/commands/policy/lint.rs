//! `policy lint`: errors and warnings about policies, in the form in which editors jump to them.

use std::io::{self, Write as _};

use super::{Exit, PolicyCommandError, say};
use crate::{
    cli::LintArgs,
    policy::Policy,
    policy::source::Source,
    yaml::{Diagnostic, Severity},
};

/// Exit 0: all can be used, 1: one has a warning and `--strict` was given, 2: one cannot be used.
pub(super) fn run(args: &LintArgs) -> Result<Exit, PolicyCommandError> {
    let (mut unusable, mut warned) = (false, false);
    for name in &args.policies {
        match Source::find(name) {
            Ok(source) => {
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
    Ok(match (unusable, warned && args.strict) {
        (true, _) => Exit::BadInput,
        (false, true) => Exit::No,
        (false, false) => Exit::Yes,
    })
}

fn print(name: &str, diagnostics: &[Diagnostic]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Diagnostic { severity, position, message } in diagnostics {
        writeln!(out, "{name}:{}:{}: {severity}: {message}", position.line, position.column)?;
    }
    Ok(())
}
