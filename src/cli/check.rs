//! `check`'s arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ExemptArgs;

/// The arguments of `check`.
///
/// Two folders are what `KUBECTL_EXTERNAL_DIFF="pytorchjob-guard check" kubectl diff` gives.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The object as it is stored, JSON or YAML, or a folder of such files; - is standard input.
    #[arg(value_name = "OLD", required_unless_present = "review", requires = "new")]
    pub old: Option<PathBuf>,
    /// The object as it would become, or a folder with files of the same names; - is standard input.
    #[arg(value_name = "NEW")]
    pub new: Option<PathBuf>,
    /// A saved AdmissionReview, JSON or YAML, in place of OLD and NEW; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["old", "user", "group", "subresource"])]
    pub review: Option<PathBuf>,
    /// The user who updates.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A group of that user; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// The subresource that is updated: scale or status.
    #[arg(long, value_name = "NAME")]
    pub subresource: Option<String>,
    /// A built-in policy's name, or a policy file.
    #[arg(long, value_name = "NAME|FILE", env = "PYTORCHJOB_GUARD_POLICY", default_value = "cci")]
    pub policy: String,
    /// The users of exemptions.
    #[command(flatten)]
    pub exempt: ExemptArgs,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// The output of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The text that kubectl would print.
    Text,
    /// The AdmissionReview that the webhook would answer; of folders a list of them, each with its file's name as the uid.
    Json,
}
