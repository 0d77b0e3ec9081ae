//! One file for each subcommand. Exit codes: 0 yes, 1 no, 2 bad input or usage.

use std::process::ExitCode;

use crate::cli::{Cli, Command};

mod certs;
mod check;
mod diff;
mod kubectl;
mod log;
mod policy;
mod registration;
mod serve;
mod test;

/// Runs the subcommand and maps what came of it to an exit code; what went wrong is on standard error.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Registration(args) => registration::registration(&args),
        Command::Certs(args) => certs::run(&args),
    }
}
