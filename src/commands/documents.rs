//! `completions` and `man`, from the command line's own description.

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use super::{Ended, Exit, say};
use crate::cli::{Cli, CompletionsArgs, ManArgs};

/// Exit 0: written, 2: it cannot be.
pub(super) fn completions(args: &CompletionsArgs) -> Ended {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut text);
    // In half of its script for bash clap takes the hyphen of our name for the end of a subcommand: clap-rs/clap#6421.
    let text = String::from_utf8(text)?.replace("__subcmd__guard", "__guard");
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Yes)
}

/// Exit 0: written, 2: it cannot be.
pub(super) fn man(args: &ManArgs) -> Ended {
    let folder = args.folder.display();
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(|error| format!("{folder}: {error}"))?;
    say(format_args!("wrote the pages into {folder}; read them with man -l"));
    Ok(Exit::Yes)
}
