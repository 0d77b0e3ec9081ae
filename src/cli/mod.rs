//! What the user typed: the command line and its environment variables. Parsing does no I/O.

mod certs;
mod check;
mod policy;
mod registration;
mod serve;
mod test;

use clap::{Parser, Subcommand};

pub use self::{
    certs::CertsArgs,
    check::{CheckArgs, Output},
    policy::{DoctorArgs, LintArgs, PolicyArgs, PolicyCommand, PolicyOutput, ShowArgs},
    registration::{ManifestOutput, MatchConditionsArgs, RegistrationArgs, VapArgs},
    serve::{LogFormat, ServeArgs},
    test::{Color, Report, TestArgs},
};

/// Keeps updates of Kubeflow PyTorchJobs to the fields a running training job may change.
#[derive(Debug, Parser)]
#[command(name = "pytorchjob-guard", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the webhook over TLS.
    Serve(ServeArgs),
    /// Decide one update offline, as the webhook would.
    Check(CheckArgs),
    /// Run the tests of a policy.
    Test(TestArgs),
    /// See, check and try policies.
    Policy(PolicyArgs),
    /// Print the ValidatingWebhookConfiguration that has an API server ask the guard.
    Registration(RegistrationArgs),
    /// Make a CA and a serving certificate.
    Certs(CertsArgs),
}
