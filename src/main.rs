//! The command `pytorchjob-guard`: parse, run, exit.

use std::process::ExitCode;

use clap::Parser as _;
use pytorchjob_guard::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::run(Cli::parse())
}
