//! The command line and its environment variables, as the user typed them. Parsing does no I/O.

mod certs;
mod check;
mod cluster;
mod duration;
mod exempt;
mod policy;
mod registration;
mod report;
mod serve;
mod service;
mod test;

use std::{ffi::OsString, path::Path};

use clap::{Parser, Subcommand};

pub use self::{
    certs::CertsArgs,
    check::{CheckArgs, Output},
    cluster::ClusterArgs,
    exempt::ExemptArgs,
    policy::{DoctorArgs, LintArgs, PolicyArgs, PolicyCommand, PolicyOutput, ShowArgs},
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
    /// Report who was, or would be, denied what, by the guard's log or the API server's audit log.
    Report(ReportArgs),
    /// Print the ValidatingWebhookConfiguration that has an API server ask the guard.
    Registration(RegistrationArgs),
    /// Make a CA and a serving certificate.
    Certs(CertsArgs),
}

impl Cli {
    /// Parses the command line, as a user typed it or as `kubectl diff` puts it together. Ends the process if it is invalid.
    pub fn of(args: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(in_order(args.into_iter().collect()))
    }
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
