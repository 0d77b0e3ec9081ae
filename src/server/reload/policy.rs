//! Reading the policy file again when its contents change.

use std::{path::PathBuf, sync::Arc};

use tracing::{info, warn};

use super::{Files, Watched};
use crate::{
    controller::PolicyHandover,
    policy::{Policy, SourceError, source},
    server::state::State,
};

/// A policy file's name.
#[derive(Clone)]
struct PolicyFile(PathBuf);

impl Files for PolicyFile {
    type Contents = Vec<u8>;
    type Error = SourceError;

    fn read(&self) -> Result<Vec<u8>, SourceError> {
        source::read(&self.0)
    }
}

/// Watches the policy file.
pub(in crate::server) struct PolicyReloader(Watched<PolicyFile>);

impl PolicyReloader {
    /// Reads the file for the first time.
    pub(in crate::server) fn start(path: PathBuf) -> Result<(Self, Policy), SourceError> {
        let file = PolicyFile(path);
        let contents = file.read()?;
        let policy = source::of_file(&file.0, &contents)?;
        Ok((Self(Watched::new(file, contents)), policy))
    }

    /// Looks at the file again and again.
    ///
    /// With a handover, a policy waits until API servers ask about everything that it denies.
    pub(in crate::server) async fn run(mut self, state: Arc<State>, handover: Option<Arc<PolicyHandover>>) {
        loop {
            let Some(look) = self.0.look().await else { continue };
            let file = &self.0.files;
            match look.and_then(|contents| source::of_file(&file.0, &contents).map_err(|error| error.to_string())) {
                Ok(policy) => {
                    match &handover {
                        Some(handover) => handover.hand_over(policy, |policy| state.set_policy(policy)).await,
                        None => state.set_policy(policy),
                    }
                    let policy = state.policy();
                    state.set_policy_problem(None);
                    state.metrics.policy_reloaded(&policy);
                    let (policy, digest) = (policy.name(), policy.digest());
                    info!(policy, digest, file = %file.0.display(), "the policy file changed and is in effect");
                }
                Err(reason) => {
                    state.metrics.policy_refused();
                    let policy = state.policy();
                    let (policy, digest) = (policy.name(), policy.digest());
                    warn!(
                        reason,
                        policy, digest, "the policy file changed and cannot be used; the policy before stays in effect"
                    );
                    state.set_policy_problem(Some(reason));
                }
            }
        }
    }
}
