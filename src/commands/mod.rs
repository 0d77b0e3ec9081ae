//! One file for each subcommand. Exit codes: 0 yes, 1 no, 2 bad input or usage.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

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

pub use self::policy::policy_as_json;

/// Runs the subcommand and maps what came of it to an exit code; what went wrong is on standard error.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Registration(args) => registration::registration(&args),
        Command::Certs(args) => certs::run(&args),
    }
}

/// Says something on standard error. That nobody is there to read it is no reason to fail.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says why a subcommand failed. Whoever closed the pipe that it wrote to knows.
fn failed(error: &(dyn Error + 'static)) -> ExitCode {
    let mut causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    let is_closed = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if !causes.any(is_closed) {
        say(format_args!("error: {error}"));
    }
    ExitCode::from(2)
}
