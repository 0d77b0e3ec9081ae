//! Where a new policy waits until the registration asks about everything that it refuses: stricter first.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::warn;

use crate::policy::Policy;

/// How long a policy waits. An API server that cannot be reached must not keep a stricter policy from being in force.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gate that one policy at a time goes through.
pub(in crate::server) struct Gate {
    waiting: watch::Sender<Option<Arc<Policy>>>,
    open_for: watch::Sender<Option<Arc<Policy>>>,
}

impl Gate {
    pub(in crate::server) fn new() -> Self {
        Self { waiting: watch::Sender::new(None), open_for: watch::Sender::new(None) }
    }

    /// Waits until the registration fits this policy too, puts it in force, and lets the registration follow it alone.
    pub(in crate::server) async fn pass(&self, policy: Policy, put_in_force: impl FnOnce(Policy)) {
        let waiting = Arc::new(policy);
        self.waiting.send_replace(Some(Arc::clone(&waiting)));
        let mut open = self.open_for.subscribe();
        let is_ours = |open: &Option<Arc<Policy>>| open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &waiting));
        if timeout(PATIENCE, open.wait_for(is_ours)).await.is_err() {
            let policy = waiting.name();
            warn!(policy, "the registration does not follow the new policy yet; it is put in force all the same");
        }
        put_in_force((*waiting).clone());
        self.waiting.send_replace(None);
    }

    /// The policy that waits.
    pub(super) fn waiting(&self) -> Option<Arc<Policy>> {
        self.waiting.borrow().clone()
    }

    pub(super) fn open(&self, policy: Arc<Policy>) {
        self.open_for.send_replace(Some(policy));
    }

    /// Tells of every change of what waits.
    pub(super) fn changes(&self) -> watch::Receiver<Option<Arc<Policy>>> {
        self.waiting.subscribe()
    }
}
