//! `policy list`: the built-in policies.

use std::io::{self, Write as _};

use super::{Exit, PolicyCommandError};
use crate::policy::Policy;

pub(super) fn run() -> Result<Exit, PolicyCommandError> {
    let mut out = io::stdout().lock();
    let width = Policy::builtin_names().map(str::len).max().unwrap_or_default();
    for (place, name) in Policy::builtin_names().enumerate() {
        let default = if place == 0 { " (the default)" } else { "" };
        writeln!(out, "{name:width$}  {}{default}", Policy::builtin_summary(name).unwrap_or_default())?;
    }
    Ok(Exit::Yes)
}
