//! One file for each subcommand.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{
    cli::{Cli, Command},
    server::Signal,
};

mod certs;
mod check;
mod doctor;
mod documents;
mod kubectl;
mod log;
mod policy;
mod progress;
mod registration;
mod report;
mod serve;
mod test;

pub use self::policy::policy_as_json;

/// The end of a subcommand that could do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Yes, or done.
    Yes,
    /// No: denied, different, failed.
    No,
    /// Bad input, which was said already.
    BadInput,
    /// A signal ended it.
    Signal(Signal),
}

/// The end of a subcommand, or why it could not do what it was asked.
type Ended = Result<Exit, Box<dyn Error>>;

impl Exit {
    fn yes_if(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::BadInput => 2,
            Exit::Signal(signal) => signal.exit_code(),
        })
    }
}

/// Runs the subcommand. An error is written to standard error and ends in exit code 2.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Registration(args) => registration::registration(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Completions(args) => documents::completions(&args),
        Command::Man(args) => documents::man(&args),
    };
    let exit = ended.unwrap_or_else(|error| {
        if !is_closed_pipe(&*error) {
            say(format_args!("error: {error}"));
        }
        Exit::BadInput
    });
    exit.into()
}

/// Writes a line to standard error. If nobody reads it, that is no reason to fail.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// True if the reader of standard output closed the pipe, and so knows.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
