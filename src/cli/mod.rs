//! The command line and its environment variables, as the user typed them. Parsing does no I/O.

mod address;
mod certs;
mod check;
mod cluster;
mod doctor;
mod documents;
mod duration;
mod exempt;
mod policy;
mod registration;
mod report;
mod serve;
mod service;
mod test;

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::Path,
    process,
};

use clap::{
    Command as Clap, CommandFactory as _, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};

pub use self::{
    certs::CertsArgs,
    check::{CheckArgs, Output},
    cluster::ClusterArgs,
    doctor::{DoctorArgs, DoctorOutput},
    documents::{CompletionsArgs, ManArgs},
    exempt::ExemptArgs,
    policy::{LintArgs, ListArgs, ListOutput, PolicyArgs, PolicyCommand, PolicyDoctorArgs, PolicyOutput, ShowArgs},
    registration::{FailurePolicy, ManifestOutput, MatchConditionsArgs, RegistrationArgs, VapArgs, WebhookArgs},
    report::{ReportArgs, ReportOutput},
    serve::{LogFormat, ServeArgs},
    service::ServiceArg,
    test::{Color, Report, TestArgs},
};

/// Keeps updates of Kubeflow PyTorchJobs to the fields a running training job may change.
#[derive(Debug, Parser)]
// If an option is repeated, the last value wins: an option can be added to a manifest without taking out the one before.
#[command(name = "pytorchjob-guard", version, about, max_term_width = 100, args_override_self = true)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the webhook over TLS.
    Serve(Box<ServeArgs>),
    /// Decide one update offline, as the webhook would.
    Check(CheckArgs),
    /// Run the tests of a policy.
    Test(TestArgs),
    /// See, check and try policies.
    Policy(PolicyArgs),
    /// Look at a live cluster: does the guard fit it, and does it hold the rule there?
    Doctor(DoctorArgs),
    /// Report who was, or would be, denied what, by the guard's log or the API server's audit log.
    Report(ReportArgs),
    /// Print the ValidatingWebhookConfiguration that has an API server ask the guard.
    Registration(RegistrationArgs),
    /// Make a CA and a serving certificate.
    Certs(CertsArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Write manual pages.
    Man(ManArgs),
}

impl Cli {
    /// Parses the command line, as a user typed it or as `kubectl diff` puts it together. Ends the process if it is invalid.
    pub fn of(args: impl IntoIterator<Item = OsString>) -> Self {
        let args = in_order(args.into_iter().collect());
        Self::try_parse_from(&args).unwrap_or_else(|error| {
            // What is written is all that is left to do.
            let _ = error.print();
            let mut command = Self::command();
            // Without it clap does not know how an option is written.
            command.build();
            if let Some(variable) = variable(&error, &args, &command) {
                let _ = writeln!(io::stderr(), "\nThe value is the environment variable {variable}'s.");
            }
            process::exit(error.exit_code())
        })
    }
}

/// The environment variable that an invalid value is from, if it is from one. clap names only the option.
fn variable(error: &clap::Error, args: &[OsString], command: &Clap) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (option, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let of = |command: &Clap| {
        let option = command.get_arguments().find(|argument| argument.to_string() == option)?;
        let variable = option.get_env()?;
        let set = env::var_os(variable)?.to_string_lossy().into_owned();
        let is_set = set == *value || set.split(',').any(|set| set == value);
        is_set.then(|| variable.to_string_lossy().into_owned())
    };
    let is_given = args.iter().any(|arg| arg.to_string_lossy().split('=').any(|part| part == value));
    let nested = command.get_subcommands().flat_map(Clap::get_subcommands);
    command.get_subcommands().chain(nested).find_map(of).filter(|_| !is_given)
}

/// `kubectl diff` puts its two folders before the words of `KUBECTL_EXTERNAL_DIFF`: they belong behind `check`.
fn in_order(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_folder = |at: usize, prefix: &str| {
        let name = args.get(at).and_then(|arg| Path::new(arg).file_name());
        name.is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    if is_folder(1, "LIVE-") && is_folder(2, "MERGED-") && args.get(3).is_some_and(|word| word == "check") {
        args[1..4].rotate_right(1);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_the_folders_of_kubectl_diff_behind_check() {
        let ordered = |words: &str| {
            let args = in_order(words.split(' ').map(OsString::from).collect());
            args.into_iter().map(|arg| arg.into_string().expect("UTF-8")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ordered("guard /tmp/LIVE-1 /tmp/MERGED-2 check"), "guard check /tmp/LIVE-1 /tmp/MERGED-2");
        assert_eq!(
            ordered("guard /tmp/LIVE-1 /tmp/MERGED-2 check --policy kueue"),
            "guard check /tmp/LIVE-1 /tmp/MERGED-2 --policy kueue"
        );
        for as_typed in [
            "guard",
            "guard check LIVE-1 MERGED-2",
            "guard LIVE-1 MERGED-2",
            "guard LIVE-1 MERGED-2 serve",
            "guard old new check",
            "guard LIVE-1 check MERGED-2",
        ] {
            assert_eq!(ordered(as_typed), as_typed);
        }
    }
}
