//! `policy`: what one does with policies besides serving them.

use std::io;

use super::{Ended, Exit, registration, say};
use crate::{
    cli::{PolicyArgs, PolicyCommand},
    crd::CrdError,
    policy::SourceError,
};

mod doctor;
mod lint;
mod list;
mod show;

pub use self::show::policy_as_json;

pub(super) fn run(args: &PolicyArgs) -> Ended {
    Ok(match &args.command {
        PolicyCommand::List(args) => list::run(args)?,
        PolicyCommand::Show(args) => show::run(args)?,
        PolicyCommand::Lint(args) => lint::run(args)?,
        PolicyCommand::Doctor(args) => doctor::run(args)?,
        PolicyCommand::MatchConditions(args) => registration::conditions(args)?,
        PolicyCommand::Vap(args) => registration::vap(args)?,
    })
}

/// The reason why a subcommand of `policy` failed.
#[derive(Debug, thiserror::Error)]
enum PolicyCommandError {
    #[error(transparent)]
    Policy(#[from] SourceError),
    #[error("--policy {0}")]
    Option(SourceError),
    #[error(transparent)]
    Crd(#[from] CrdError),
    #[error("the policy cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}
