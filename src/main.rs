//! The command `pytorchjob-guard`: parse, run, exit.

use std::{env, process::ExitCode};

use pytorchjob_guard::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::run(Cli::of(env::args_os()))
}
