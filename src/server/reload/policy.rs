//! Reading the policy files again when their contents change.

use std::{collections::HashMap, convert::Infallible, path::Path, sync::Arc};

use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use super::{Files, Watched};
use crate::{
    controller::PolicyHandover,
    policy::{PolicySet, Sources, sources::Contents},
    server::state::State,
};

/// The time within which API servers act on a registration that was written: they learn of it by watches of their own.
const NO_MORE_CALLS: Duration = Duration::from_secs(10);

impl Files for Sources {
    type Contents = Contents;
    type Error = Infallible;

    fn read(&self) -> Result<Contents, Infallible> {
        Ok(Self::read(self))
    }
}

/// Watches the policy files.
pub(in crate::server) struct PolicyReloader {
    watched: Watched<Sources>,
    /// The moments since when no webhook leads to a policy whose file is gone, by its name.
    unasked_since: HashMap<String, Instant>,
}

impl PolicyReloader {
    /// Watches these sources, which were read before.
    pub(in crate::server) fn new(sources: Sources) -> Self {
        // The first look finds what changed since then.
        Self { watched: Watched::new(sources, Contents::new()), unasked_since: HashMap::new() }
    }

    /// Looks at the files again and again.
    ///
    /// With a handover, policies wait until API servers ask about everything that they deny.
    pub(in crate::server) async fn run(mut self, state: Arc<State>, handover: Option<Arc<PolicyHandover>>) {
        loop {
            if let Some(Ok(contents)) = self.watched.look().await {
                let before = state.policies();
                let next = Arc::new(self.watched.files.policies(&contents, &before));
                if !next.is_the_same_as(&before) {
                    match &handover {
                        Some(handover) => handover.hand_over(next, |next| state.set_policies(next)).await,
                        None => state.set_policies(next),
                    }
                    tell(&before, &state.policies(), &state);
                }
            }
            self.take_away_retired(&state);
        }
    }

    /// Takes policies away whose files are gone, once no API server asks by them.
    fn take_away_retired(&mut self, state: &State) {
        let policies = state.policies();
        let paths = state.status().paths.clone();
        self.unasked_since.retain(|name, _| policies.retired().any(|policy| policy.name() == name));
        for policy in policies.retired() {
            let leads_there = |path: &String| policies.at(path).is_some_and(|there| Arc::ptr_eq(there, policy));
            if paths.as_ref().is_none_or(|paths| paths.iter().any(leads_there)) {
                self.unasked_since.remove(policy.name());
                continue;
            }
            let since = *self.unasked_since.entry(policy.name().to_owned()).or_insert_with(Instant::now);
            if since.elapsed() >= NO_MORE_CALLS {
                info!(
                    policy = policy.name(),
                    "the policy was taken away: its file is gone, and no webhook leads to it"
                );
                state.set_policies(Arc::new(policies.without(policy)));
                // The others at the next look.
                return;
            }
        }
    }
}

/// Logs and counts the differences between two sets of policies.
fn tell(before: &PolicySet, now: &PolicySet, state: &State) {
    for policy in now.policies() {
        let is_new = !before.policies().any(|before| Arc::ptr_eq(before, policy));
        let had_problem = |set: &PolicySet| {
            set.problems().any(|problem| problem.before.is_some_and(|before| before.name() == policy.name()))
        };
        if is_new || (had_problem(before) && !had_problem(now)) {
            state.metrics.policy_reloaded("success");
            let file = now.origin(policy).map(Path::display);
            let (policy, digest) = (policy.name(), policy.digest());
            info!(policy, digest, file = file.map(tracing::field::display), "the policy file changed and is in effect");
        }
    }
    for problem in now.problems() {
        if !before.problems().any(|before| before.reason == problem.reason) {
            state.metrics.policy_reloaded("refused");
            let reason = problem.reason;
            if let Some(before) = problem.before {
                let (policy, digest) = (before.name(), before.digest());
                warn!(
                    reason,
                    policy, digest, "the policy file changed and cannot be used; the policy before stays in effect"
                );
            } else {
                warn!(reason, "the policy file cannot be used");
            }
        }
    }
    for policy in now.retired() {
        if !before.retired().any(|before| Arc::ptr_eq(before, policy)) {
            let policy = policy.name();
            warn!(policy, "the policy's file is gone; the policy stays in effect while webhooks lead to it");
        }
    }
}
