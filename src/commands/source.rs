//! `--policy NAME|FILE`, for every subcommand that has it.

use std::{fs, io};

use crate::admission::{Policy, PolicyError};

/// Why `--policy` names no policy that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("--policy {name}: there is no built-in policy of that name, and the file cannot be read: {source}")]
    File { name: String, source: io::Error },
    #[error("--policy {name}: {source}")]
    Policy { name: String, source: PolicyError },
}

/// The built-in policy of that name, else the one in the file of that name.
pub(super) fn load(name_or_file: &str) -> Result<Policy, LoadError> {
    if let Some(policy) = Policy::builtin(name_or_file) {
        return Ok(policy);
    }
    let name = || name_or_file.to_owned();
    let text = fs::read_to_string(name_or_file).map_err(|source| LoadError::File { name: name(), source })?;
    Policy::parse(&text).map_err(|source| LoadError::Policy { name: name(), source })
}
