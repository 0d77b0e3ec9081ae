//! `policy list`: the built-in policies.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{Exit, PolicyCommandError};
use crate::{
    cli::{ListArgs, ListOutput},
    policy::Policy,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: &'static str,
    summary: &'static str,
    is_default: bool,
}

pub(super) fn run(args: &ListArgs) -> Result<Exit, PolicyCommandError> {
    let listed = Policy::builtin_names().enumerate().map(|(place, name)| {
        let summary = Policy::builtin_summary(name).unwrap_or_default();
        Listed { name, summary, is_default: place == 0 }
    });
    let listed: Vec<_> = listed.collect();
    let mut out = io::stdout().lock();
    if args.output == ListOutput::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?;
        return Ok(Exit::Yes);
    }
    let width = listed.iter().map(|policy| policy.name.len()).max().unwrap_or_default();
    for Listed { name, summary, is_default } in listed {
        let default = if is_default { " (the default)" } else { "" };
        writeln!(out, "{name:width$}  {summary}{default}")?;
    }
    Ok(Exit::Yes)
}
