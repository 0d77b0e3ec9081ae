//! Reading the policy file again when its contents change.

use std::{io, path::PathBuf, sync::Arc};

use tracing::{info, warn};

use super::{Files, Watched, read_up_to};
use crate::{
    admission::{Policy, PolicyError},
    server::state::State,
};

/// No policy that anyone wrote is larger; a log or a device named by mistake is.
const MAX_BYTES: u64 = 1 << 20;

/// Why a policy file cannot be used; the message names the file, and the place in it.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It could not be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be a policy.
    #[error("{}: is larger than 1 MiB; this is no policy", .0.display())]
    TooLarge(PathBuf),
    /// It is not text.
    #[error("{}: line {line}, column {column}: is not UTF-8; save it as UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that is not, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
    },
    /// It is no policy.
    #[error("{}: {source}", .path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: PolicyError,
    },
}

/// A policy file's name.
#[derive(Clone)]
struct PolicyFile(PathBuf);

impl Files for PolicyFile {
    type Contents = Vec<u8>;
    type Error = PolicyFileError;

    fn read(&self) -> Result<Vec<u8>, PolicyFileError> {
        read_up_to(MAX_BYTES, &self.0)
            .map_err(|source| PolicyFileError::Read { path: self.0.clone(), source })?
            .ok_or_else(|| PolicyFileError::TooLarge(self.0.clone()))
    }
}

impl PolicyFile {
    fn policy(&self, contents: &[u8]) -> Result<Policy, PolicyFileError> {
        let text = str::from_utf8(contents).map_err(|error| {
            let before = &contents[..error.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
            PolicyFileError::NotUtf8 { path: self.0.clone(), line, column }
        })?;
        // Editors on Windows put a byte order mark first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Policy::parse(text).map_err(|source| PolicyFileError::Policy { path: self.0.clone(), source })
    }
}

/// Watches the policy file.
pub(in crate::server) struct PolicyReloader(Watched<PolicyFile>);

impl PolicyReloader {
    /// Reads the file for the first time.
    pub(in crate::server) fn start(path: PathBuf) -> Result<(Self, Policy), PolicyFileError> {
        let file = PolicyFile(path);
        let contents = file.read()?;
        let policy = file.policy(&contents)?;
        Ok((Self(Watched::new(file, contents)), policy))
    }

    /// Looks at the file again and again.
    pub(in crate::server) async fn run(mut self, state: Arc<State>) {
        loop {
            let Some(look) = self.0.look().await else { continue };
            let file = &self.0.files;
            match look.and_then(|contents| file.policy(&contents).map_err(|error| error.to_string())) {
                Ok(policy) => {
                    let name = policy.name().to_owned();
                    state.set_policy(policy);
                    state.metrics.policy_reloaded(&name);
                    info!(policy = name, file = %file.0.display(), "the policy file changed and is in force");
                }
                Err(reason) => {
                    state.metrics.policy_refused();
                    let policy = state.policy();
                    let policy = policy.name();
                    warn!(
                        reason,
                        policy, "the policy file changed and cannot be used; the policy before stays in force"
                    );
                }
            }
        }
    }
}
