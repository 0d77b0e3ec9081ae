//! The settle period: conditions are loosened only after nothing has changed for a while.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};
use tokio::time::Instant;

use super::{followed::Seen, now::Now};
use crate::policy::PolicySet;

/// The time since the conditions, or policies that they follow from, last changed.
#[derive(Debug, Default)]
pub(super) struct SettleTimer {
    pub(super) since: Option<Instant>,
    seen: Option<Settling>,
}

/// The state that settles.
#[derive(Debug, PartialEq)]
struct Settling {
    /// The expressions of each webhook.
    conditions: Vec<Vec<String>>,
    policies: Vec<Arc<PolicySet>>,
}

impl SettleTimer {
    /// Starts anew if the state is another one than before.
    pub(super) fn observe(
        &mut self,
        registration: &Seen<ValidatingWebhookConfiguration>,
        in_effect: &Arc<PolicySet>,
        waiting: Option<&Arc<PolicySet>>,
        now: Now,
    ) {
        let Some(registration) = registration.there() else {
            *self = Self::default();
            return;
        };
        let expressions = |webhook: &ValidatingWebhook| {
            let conditions = webhook.match_conditions.iter().flatten();
            conditions.map(|condition| condition.expression.clone()).collect()
        };
        let conditions = registration.webhooks.iter().flatten().map(expressions).collect();
        let policies = [Some(in_effect), waiting].into_iter().flatten().cloned().collect();
        let seen = Some(Settling { conditions, policies });
        if self.seen != seen {
            *self = Self { since: Some(now.instant), seen };
        }
    }
}
