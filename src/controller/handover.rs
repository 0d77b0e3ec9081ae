//! The handover from one set of policies to the next: it waits until API servers ask about everything that its policies deny.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::warn;

use crate::policy::PolicySet;

/// The longest wait. An API server that cannot be reached must not keep a stricter policy from taking effect.
const DEADLINE: Duration = Duration::from_secs(10);

/// The handover of one policy at a time.
pub(crate) struct PolicyHandover {
    waiting: watch::Sender<Option<Arc<PolicySet>>>,
    open_for: watch::Sender<Option<Arc<PolicySet>>>,
}

impl PolicyHandover {
    pub(crate) fn new() -> Self {
        Self { waiting: watch::Sender::new(None), open_for: watch::Sender::new(None) }
    }

    /// Waits until the registration asks about everything that this policy denies, and has the policy take effect.
    pub(crate) async fn hand_over(&self, policies: Arc<PolicySet>, take_effect: impl FnOnce(Arc<PolicySet>)) {
        let waiting = policies;
        self.waiting.send_replace(Some(Arc::clone(&waiting)));
        let mut open = self.open_for.subscribe();
        let is_ours = |open: &Option<Arc<PolicySet>>| open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &waiting));
        if timeout(DEADLINE, open.wait_for(is_ours)).await.is_err() {
            warn!("the conditions do not match the new policies yet; the policies take effect all the same");
        }
        take_effect(waiting);
        self.waiting.send_replace(None);
    }

    /// The policy that waits.
    pub(super) fn waiting(&self) -> Option<Arc<PolicySet>> {
        self.waiting.borrow().clone()
    }

    pub(super) fn open(&self, policies: Arc<PolicySet>) {
        self.open_for.send_replace(Some(policies));
    }

    /// Notifies of each change of the policy that waits.
    pub(super) fn changes(&self) -> watch::Receiver<Option<Arc<PolicySet>>> {
        self.waiting.subscribe()
    }
}
