//! `policy`'s subcommands and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ExemptArgs, MatchConditionsArgs, VapArgs};

/// The arguments of `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// The subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// List the built-in policies.
    List(ListArgs),
    /// Print a policy.
    Show(ShowArgs),
    /// Report errors in policies, and warn of what is probably a mistake.
    Lint(LintArgs),
    /// Hold a policy against a CRD: which of its fields do the objects have?
    Doctor(PolicyDoctorArgs),
    /// Print the matchConditions with which an API server asks the guard only about what a policy could deny.
    MatchConditions(MatchConditionsArgs),
    /// Print the nearest ValidatingAdmissionPolicy and its binding, for clusters that cannot run a webhook.
    Vap(VapArgs),
}

/// The arguments of `policy list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ListOutput,
}

/// The output of `policy list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    /// A line for each policy.
    Text,
    /// For programs.
    Json,
}

/// The arguments of `policy show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(value_name = "NAME|FILE", default_value = "cci")]
    pub policy: String,
    /// The users of exemptions.
    #[command(flatten)]
    pub exempt: ExemptArgs,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: PolicyOutput,
}

/// The output of `policy show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyOutput {
    /// As it is written, comments and all.
    Yaml,
    /// As JSON, with every default written out.
    Json,
}

/// The arguments of `policy lint`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: the policies can be used. 1: they can, but with --strict a warning counts. 2: one cannot."
)]
pub struct LintArgs {
    /// Policy files, folders of them, or built-in policies' names. Of a folder it says which overlap.
    #[arg(value_name = "FILE|FOLDER", required = true)]
    pub policies: Vec<String>,
    /// Exit with code 1 where there is a warning.
    #[arg(long)]
    pub strict: bool,
}

/// The arguments of `policy doctor`.
#[derive(Debug, Args)]
#[command(after_help = "kubectl get crd pytorchjobs.kubeflow.org -o yaml | pytorchjob-guard policy doctor --crd -\n\n\
                  Exit code 0: the policy does what it says. 1: it does not, and the output says where. 2: bad input.")]
pub struct PolicyDoctorArgs {
    /// A built-in policy's name, or a policy file.
    #[arg(long, value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
    /// The CRD of the policy's resource, and others maybe, YAML or JSON; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub crd: PathBuf,
}
