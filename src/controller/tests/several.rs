//! The plan where a registration has webhooks of several policies, or several that lead to one guard.

use std::sync::Arc;

use super::{
    scene::{Replica, registration, service, versioned},
    situations::ready,
};
use crate::controller::{action::Done, now::Now, observed::CALL_INTERVAL, self_call::Outcome};

#[test]
fn a_webhook_without_its_ca_takes_the_guard_from_no_other() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let in_effect = Arc::clone(&replica.policies.in_effect);
    let mut configuration = registration(&service("guard"), &in_effect, Some(stored.bundle()), true);
    let webhooks = configuration.webhooks.as_mut().expect("webhooks");
    webhooks[1].client_config.ca_bundle = None;
    replica.observed.watched_registration(Some(versioned(configuration, 7)));
    let later = now.after(CALL_INTERVAL);
    assert!(replica.reconcile(later).contains(&"call ourselves"));
    let (turn, _) = replica.remove("call ourselves");
    let problem = "it has no caBundle yet".to_owned();
    replica.take(Done::Called(turn, vec![Outcome::Verified, Outcome::Refused(problem.clone())]), later);
    replica.reconcile(later);
    assert_eq!(replica.observed.status.ready, Ok(()));
    let warned = |replica: &Replica| {
        let drift = replica.observed.status.drift.iter().flatten();
        drift.filter(|drift| drift.policy.is_none() && drift.message.contains("it has no caBundle yet")).count()
    };
    assert_eq!(warned(&replica), 1);
    // Where none of them trusts it, it is not ready.
    let latest = later.after(CALL_INTERVAL);
    replica.reconcile(latest);
    let (turn, _) = replica.remove("call ourselves");
    replica.take(Done::Called(turn, vec![Outcome::Refused(problem.clone()), Outcome::Refused(problem)]), latest);
    replica.reconcile(latest);
    assert!(replica.observed.status.ready.is_err());
    assert_eq!(warned(&replica), 0);
}
