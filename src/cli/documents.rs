//! The arguments of what documents the command line itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "source <(pytorchjob-guard completions bash)")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// The arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, which must be there: a page for each subcommand.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
