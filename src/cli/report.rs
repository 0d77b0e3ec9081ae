//! `report`'s arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "kubectl -n pytorchjob-guard logs -l app.kubernetes.io/name=pytorchjob-guard --tail=-1 | pytorchjob-guard report -"
)]
pub struct ReportArgs {
    /// The guard's log with --log-format json, or the API server's audit log; gzip too. - is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print the exemption that lets this user's updates through, to paste into a policy.
    #[arg(long, value_name = "USER", conflicts_with = "output")]
    pub exemption: Option<String>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ReportOutput,
}

/// The output of `report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportOutput {
    /// Tables for a terminal, of the 20 most.
    Text,
    /// The same tables in Markdown.
    Markdown,
    /// Everything, for programs.
    Json,
}
