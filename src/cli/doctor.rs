//! `doctor`'s arguments.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::duration::duration;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Nothing is changed: it reads, and --proof sends dry runs.\n\n\
                  Exit code 0: nothing failed. 1: something did. 2: there is no cluster to look at.")]
pub struct DoctorArgs {
    /// The kubeconfig; without it the one that kubectl takes, or a pod's own account.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; without it the current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Look at the cluster only, before the guard is installed.
    #[arg(long)]
    pub before: bool,
    /// Print the policy to take as a file, and nothing else.
    #[arg(long, conflicts_with_all = ["proof", "wait", "output"])]
    pub print_policy: bool,
    /// Try two updates of a job as dry runs: one that must be allowed, one that must be denied.
    #[arg(long, conflicts_with = "before")]
    pub proof: bool,
    /// Look again until nothing fails, for this time at most.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: DoctorOutput,
}

/// The output of `doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorOutput {
    /// A line for each check.
    Text,
    /// For programs.
    Json,
}
