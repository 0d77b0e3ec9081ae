//! The handover from one policy to the next: a stricter one waits until API servers ask about everything that it denies.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::warn;

use crate::policy::Policy;

/// The longest wait. An API server that cannot be reached must not keep a stricter policy from taking effect.
const DEADLINE: Duration = Duration::from_secs(10);

/// The handover of one policy at a time.
pub(crate) struct PolicyHandover {
    waiting: watch::Sender<Option<Arc<Policy>>>,
    open_for: watch::Sender<Option<Arc<Policy>>>,
}

impl PolicyHandover {
    pub(crate) fn new() -> Self {
        Self { waiting: watch::Sender::new(None), open_for: watch::Sender::new(None) }
    }

    /// Waits until the registration asks about everything that this policy denies, and has the policy take effect.
    pub(crate) async fn hand_over(&self, policy: Policy, take_effect: impl FnOnce(Policy)) {
        let waiting = Arc::new(policy);
        self.waiting.send_replace(Some(Arc::clone(&waiting)));
        let mut open = self.open_for.subscribe();
        let is_ours = |open: &Option<Arc<Policy>>| open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &waiting));
        if timeout(DEADLINE, open.wait_for(is_ours)).await.is_err() {
            let policy = waiting.name();
            warn!(policy, "the conditions do not match the new policy yet; the policy takes effect all the same");
        }
        take_effect((*waiting).clone());
        self.waiting.send_replace(None);
    }

    /// The policy that waits.
    pub(super) fn waiting(&self) -> Option<Arc<Policy>> {
        self.waiting.borrow().clone()
    }

    pub(super) fn open(&self, policy: Arc<Policy>) {
        self.open_for.send_replace(Some(policy));
    }

    /// Notifies of each change of the policy that waits.
    pub(super) fn changes(&self) -> watch::Receiver<Option<Arc<Policy>>> {
        self.waiting.subscribe()
    }
}
