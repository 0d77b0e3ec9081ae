//! The plan for each situation of a cluster.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;

use super::scene::{HOUR, LIFETIMES, Replica, SETTLE, policy, refused, registration, secret, service, versioned};
use crate::{
    certificates::StoredCa,
    controller::{
        action::{Action, Done},
        ca::OVERLAP,
        now::Now,
        observed::CALL_INTERVAL,
        plan::TAKES_EFFECT,
        self_call::Outcome,
    },
};

const MOMENT: Duration = Duration::from_millis(300);

fn ca(now: Now) -> StoredCa {
    StoredCa::new(None, LIFETIMES, now.wall).expect("a CA")
}

/// A replica that serves a certificate of the CA in the Secret, is trusted and ready.
pub(super) fn ready(now: Now) -> (Replica, StoredCa) {
    let (mut replica, stored) = (Replica::new(true), ca(now));
    let policy = Arc::clone(&replica.policies.in_effect);
    let configuration = registration(&service("guard"), &policy, Some(stored.bundle()), true);
    replica.observed.watched_registration(Some(versioned(configuration, 1)));
    replica.observed.watched_secret(Some(versioned(secret(Some(&stored)), 1)));
    assert_eq!(replica.reconcile(now), ["sign", "call ourselves"]);
    replica.called(&Outcome::Verified, now);
    assert!(replica.reconcile(now).is_empty());
    assert_eq!(replica.observed.status.ready, Ok(()));
    assert_eq!(replica.observed.status.drift, Some(Vec::new()));
    (replica, stored)
}

/// Has the API server answer the read of the Secret before a write.
fn read_to_write(replica: &mut Replica, answer: Secret, now: Now) {
    let (turn, _) = replica.remove("read the Secret to write");
    replica.take(Done::ReadToWrite(turn, Ok(Some(answer))), now);
}

/// Has the API server take the Secret that is written, with this CA.
fn wrote_secret(replica: &mut Replica, stored: &StoredCa, version: u32, now: Now) {
    let (turn, _) = replica.remove("write the Secret");
    let written = versioned(secret(Some(stored)), version);
    replica.take(Done::WroteSecret(turn, Ok((written, Some(stored.ends())))), now);
}

/// Has the API server take the bundle that is written.
fn wrote_bundle(replica: &mut Replica, stored: &StoredCa, version: u32, now: Now) {
    let (turn, _) = replica.remove("write the bundle");
    let policy = Arc::clone(&replica.policies.in_effect);
    let configuration = registration(&service("guard"), &policy, Some(stored.bundle()), true);
    replica.take(Done::WroteBundle(turn, Ok(versioned(configuration, version))), now);
}

#[test]
fn first_start_with_an_empty_secret() {
    let (mut replica, now) = (Replica::new(true), Now::read());
    assert!(replica.reconcile(now).is_empty(), "nothing was seen yet");
    assert_eq!(replica.observed.status.ready, Err("the API server was not reached yet".to_owned()));
    let policy = Arc::clone(&replica.policies.in_effect);
    replica.observed.watched_registration(Some(versioned(registration(&service("guard"), &policy, None, true), 1)));
    assert!(replica.reconcile(now).is_empty());
    assert_eq!(replica.observed.status.ready, Err("the CA in Secret ca was not read yet".to_owned()));
    replica.observed.watched_secret(Some(versioned(secret(None), 1)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write"]);
    read_to_write(&mut replica, versioned(secret(None), 1), now);
    assert_eq!(replica.reconcile(now), ["write the Secret"]);
    let first = ca(now);
    wrote_secret(&mut replica, &first, 2, now);
    // There is no certificate that API servers trust, so the next one need not wait for them.
    assert_eq!(replica.reconcile(now), ["sign", "write the bundle", "call ourselves"]);
    replica.called(&Outcome::Refused("it has no caBundle yet".to_owned()), now);
    wrote_bundle(&mut replica, &first, 2, now);
    assert_eq!(replica.reconcile(now), ["call ourselves"], "with the new bundle");
    replica.called(&Outcome::Verified, now);
    assert!(replica.reconcile(now).is_empty());
    assert_eq!((&replica.observed.status.ready, replica.served().as_deref()), (&Ok(()), Some(first.ca())));
}

#[test]
fn a_ca_is_made_before_there_is_a_registration() {
    let (mut replica, now) = (Replica::new(true), Now::read());
    replica.observed.watched_registration(None);
    replica.observed.watched_secret(Some(versioned(secret(None), 1)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write"]);
    read_to_write(&mut replica, versioned(secret(None), 1), now);
    assert_eq!(replica.reconcile(now), ["write the Secret"]);
    wrote_secret(&mut replica, &ca(now), 2, now);
    assert_eq!(replica.reconcile(now), ["sign"]);
    let missing = "there is no ValidatingWebhookConfiguration guard".to_owned();
    assert_eq!(replica.observed.status.ready, Err(missing.clone()));
    let drift = replica.observed.status.drift.iter().flatten();
    assert_eq!(drift.map(|drift| drift.message.clone()).collect::<Vec<_>>(), [missing]);
}

#[test]
fn of_several_replicas_one_makes_the_ca() {
    let (mut replica, now) = (Replica::new(true), Now::read());
    let policy = Arc::clone(&replica.policies.in_effect);
    replica.observed.watched_registration(Some(versioned(registration(&service("guard"), &policy, None, true), 1)));
    replica.observed.watched_secret(Some(versioned(secret(None), 1)));
    replica.reconcile(now);
    read_to_write(&mut replica, versioned(secret(None), 1), now);
    assert_eq!(replica.reconcile(now), ["write the Secret"]);
    let (turn, _) = replica.remove("write the Secret");
    replica.take(Done::WroteSecret(turn, Err(refused(409))), now);
    // It reads what the other wrote, after a pause, and writes no Secret over it.
    assert_eq!(replica.reconcile(now), ["read the registration"]);
    assert!(replica.observed.trouble.is_none(), "that another is faster is no trouble");
    let (later, others) = (now.after(MOMENT), ca(now));
    assert_eq!(replica.reconcile(later), ["read the Secret to write"]);
    read_to_write(&mut replica, versioned(secret(Some(&others)), 2), later);
    assert_eq!(replica.reconcile(later), ["sign", "write the bundle", "call ourselves"]);
    assert_eq!(replica.served().as_deref(), Some(others.ca()));
}

#[test]
fn the_bundle_is_gone() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let policy = Arc::clone(&replica.policies.in_effect);
    replica.observed.watched_registration(Some(versioned(registration(&service("guard"), &policy, None, true), 2)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write", "call ourselves"]);
    read_to_write(&mut replica, versioned(secret(Some(&stored)), 1), now);
    assert_eq!(replica.reconcile(now), ["write the bundle"]);
    wrote_bundle(&mut replica, &stored, 3, now);
    replica.called(&Outcome::Refused("it has no caBundle yet".to_owned()), now);
    assert_eq!(replica.reconcile(now), ["call ourselves"]);
}

#[test]
fn a_bundle_that_another_replica_put_back_is_not_written_again() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let policy = Arc::clone(&replica.policies.in_effect);
    let others = registration(&service("guard"), &policy, Some(ca(now).bundle()), true);
    replica.observed.watched_registration(Some(versioned(others, 2)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write", "call ourselves"]);
    let (turn, _) = replica.remove("read the Secret to write");
    replica.take(Done::ReadToWrite(turn, Err(refused(500))), now);
    assert!(replica.reconcile(now).contains(&"read the registration"), "there is trouble");
    assert!(replica.observed.trouble.is_some());
    let (turn, _) = replica.remove("read the registration");
    let mended = registration(&service("guard"), &policy, Some(stored.bundle()), true);
    replica.take(Done::Read(turn, Ok(Some(versioned(mended, 3)))), now);
    assert!(!replica.reconcile(now.after(MOMENT)).contains(&"read the Secret to write"));
    assert!(replica.observed.trouble.is_none());
}

#[test]
fn a_certificate_is_due() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    assert_eq!(replica.reconcile(now.after(HOUR * 15)), ["call ourselves"], "it saw the certificate before");
    let due = now.after(HOUR * 17);
    assert_eq!(replica.reconcile(due), ["sign", "call ourselves"]);
    assert_eq!(replica.served().as_deref(), Some(stored.ca()));
}

#[test]
fn a_ca_is_due_and_a_certificate_with_it() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let due = now.after(HOUR * 24 * 21);
    let begun = replica.reconcile(due);
    assert!(begun.contains(&"sign") && begun.contains(&"read the Secret to write"), "{begun:?}");
    assert_eq!(replica.served().as_deref(), Some(stored.ca()), "API servers know of no other yet");
    read_to_write(&mut replica, versioned(secret(Some(&stored)), 1), due);
    assert!(replica.reconcile(due).contains(&"write the Secret"));
    let next = StoredCa::new(Some(&stored), LIFETIMES, due.wall).expect("a CA");
    wrote_secret(&mut replica, &next, 2, due);
    assert!(replica.reconcile(due).contains(&"write the bundle"));
    assert_eq!(replica.served().as_deref(), Some(stored.ca()));
    wrote_bundle(&mut replica, &next, 2, due);
    replica.reconcile(due);
    assert_eq!(replica.served().as_deref(), Some(stored.ca()), "they may not have heard of the new one");
    let trusted = due.after(OVERLAP);
    assert!(replica.reconcile(trusted).contains(&"sign"));
    assert_eq!(replica.served().as_deref(), Some(next.ca()));
    // The old CA is dropped once no certificate in use can be from it.
    assert!(!replica.reconcile(trusted.after(HOUR * 40)).contains(&"read the Secret to write"));
    let begun = replica.reconcile(trusted.after(HOUR * 49));
    assert!(begun.contains(&"read the Secret to write"), "{begun:?}");
}

#[test]
fn a_new_ca_signs_at_once_where_the_one_before_has_expired() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let expired = now.after(HOUR * 24 * 31);
    assert!(!replica.reconcile(expired).contains(&"sign"), "a CA that has expired signs nothing");
    read_to_write(&mut replica, versioned(secret(Some(&stored)), 1), expired);
    replica.reconcile(expired);
    let next = StoredCa::new(Some(&stored), LIFETIMES, expired.wall).expect("a CA");
    wrote_secret(&mut replica, &next, 2, expired);
    assert!(replica.reconcile(expired).contains(&"sign"));
    assert_eq!(replica.served().as_deref(), Some(next.ca()));
}

#[test]
fn the_secret_was_emptied() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    replica.observed.watched_secret(Some(versioned(secret(None), 2)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write"]);
    read_to_write(&mut replica, versioned(secret(None), 2), now);
    assert_eq!(replica.reconcile(now), ["write the Secret"]);
    let (_, action) = replica.under_way.pop().expect("it is under way");
    let Action::WriteSecret(crate::controller::ca::NextCa::First(Some(before)), Some(version)) = action else {
        panic!("it is beside the one before")
    };
    assert_eq!((before.ca(), version.as_str()), (stored.ca(), "2"));
    assert_eq!(replica.observed.status.ca_problem, None);
    assert_eq!(replica.observed.status.ready, Ok(()), "the certificate that is served is still trusted");
}

#[test]
fn the_secret_is_broken_or_gone() {
    let now = Now::read();
    let broken = serde_json::from_value::<Secret>(serde_json::json!({"data": {"ca.crt": "eA=="}})).expect("a Secret");
    for (state, problem) in [
        (
            Some(versioned(broken, 2)),
            "Secret ca: ca.key is missing, but ca.crt is there; empty its data, and a new CA is made",
        ),
        (None, "there is no Secret ca; make one without data"),
    ] {
        let (mut replica, stored) = ready(now);
        replica.observed.watched_secret(state);
        assert!(replica.reconcile(now).is_empty(), "it is left as it is");
        assert_eq!(replica.observed.status.ca_problem.as_deref(), Some(problem));
        assert_eq!((replica.observed.status.is_ca_stored, &replica.observed.status.ready), (Some(false), &Ok(())));
        // Signing continues with the one in memory.
        assert!(replica.reconcile(now.after(HOUR * 17)).contains(&"sign"));
        assert_eq!(replica.served().as_deref(), Some(stored.ca()));
    }
}

#[test]
fn a_registration_of_another_service() {
    let (mut replica, now) = (Replica::new(true), Now::read());
    let policy = Arc::clone(&replica.policies.in_effect);
    let others = registration(&service("other"), &policy, None, false);
    replica.observed.watched_registration(Some(versioned(others, 1)));
    replica.observed.watched_secret(Some(versioned(secret(Some(&ca(now))), 1)));
    assert_eq!(replica.reconcile(now), ["sign"], "neither a write nor a call");
    assert_eq!(replica.observed.status.ready, Err("no webhook of guard leads here".to_owned()));
    assert!(replica.observed.status.drift.as_ref().is_some_and(|drift| !drift.is_empty()));
}

#[test]
fn the_registration_is_gone() {
    let now = Now::read();
    let (mut replica, _) = ready(now);
    replica.observed.watched_registration(None);
    assert!(replica.reconcile(now).is_empty());
    assert_eq!(replica.observed.status.ready, Ok(()), "it may come back as it was");
    let drift = replica.observed.status.drift.iter().flatten();
    let drift: Vec<_> = drift.map(|drift| drift.message.as_str()).collect();
    assert_eq!(drift, ["there is no ValidatingWebhookConfiguration guard"]);
}

#[test]
fn conditions_tighten_at_once_and_loosen_after_settling() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    // Conditions of another policy hold back questions that this one has.
    let drifted = registration(&service("guard"), &policy("loose"), Some(stored.bundle()), true);
    replica.observed.watched_registration(Some(versioned(drifted, 2)));
    assert_eq!(replica.reconcile(now), ["write the conditions"]);
    assert!(replica.observed.status.drift.as_ref().is_some_and(|drift| !drift.is_empty()));
    let (turn, _) = replica.remove("write the conditions");
    let in_effect = Arc::clone(&replica.policies.in_effect);
    let tight = registration(&service("guard"), &in_effect, Some(stored.bundle()), false);
    replica.take(Done::WroteConditions(turn, Ok(versioned(tight, 3))), now);
    assert!(replica.reconcile(now.after(MOMENT)).is_empty());
    assert_eq!(replica.observed.status.drift, Some(Vec::new()));
    let begun = replica.reconcile(now.after(SETTLE.saturating_sub(MOMENT)));
    assert!(!begun.contains(&"write the conditions"), "{begun:?}");
    assert!(replica.reconcile(now.after(SETTLE + MOMENT)).contains(&"write the conditions"));
}

#[test]
fn a_write_of_conditions_that_is_too_late_causes_a_read() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    let drifted = registration(&service("guard"), &policy("loose"), Some(stored.bundle()), true);
    replica.observed.watched_registration(Some(versioned(drifted, 2)));
    replica.reconcile(now);
    let (turn, _) = replica.remove("write the conditions");
    replica.take(Done::WroteConditions(turn, Err(refused(409))), now);
    assert_eq!(replica.reconcile(now), ["read the registration"]);
    assert!(replica.observed.trouble.is_none(), "that another is faster is no trouble");
    let later = now.after(MOMENT);
    assert_eq!(replica.reconcile(later), ["write the conditions"], "after a pause");
    let (turn, _) = replica.remove("write the conditions");
    replica.take(Done::WroteConditions(turn, Err(refused(500))), later);
    assert!(replica.observed.trouble.is_some());
}

#[test]
fn a_policy_that_waits_takes_effect_once_api_servers_ask_for_it() {
    let now = Now::read();
    let (mut replica, stored) = ready(now);
    replica.policies.waiting = Some(policy("strict"));
    replica.observed.policy_waits();
    assert_eq!(replica.reconcile(now), ["write the conditions"]);
    let (turn, _) = replica.remove("write the conditions");
    let in_effect = Arc::clone(&replica.policies.in_effect);
    let tight = registration(&service("guard"), &in_effect, Some(stored.bundle()), false);
    replica.take(Done::WroteConditions(turn, Ok(versioned(tight, 2))), now);
    replica.reconcile(now);
    assert!(!replica.handed_over, "API servers have not had the time to follow");
    replica.reconcile(now.after(TAKES_EFFECT));
    assert!(replica.handed_over);
}

#[test]
fn a_self_call_that_hangs_delays_no_policy() {
    let now = Now::read();
    let mut replica = Replica::new(false);
    let in_effect = Arc::clone(&replica.policies.in_effect);
    let always_asks = registration(&service("guard"), &in_effect, Some(ca(now).bundle()), false);
    replica.observed.config.settle = None;
    replica.observed.watched_registration(Some(versioned(always_asks, 1)));
    assert_eq!(replica.reconcile(now), ["call ourselves"]);
    replica.policies.waiting = Some(policy("strict"));
    replica.reconcile(now);
    assert!(!replica.handed_over);
    replica.reconcile(now.after(TAKES_EFFECT));
    assert!(replica.handed_over && replica.observed.calls.is_under_way());
}

#[test]
fn a_write_that_hangs_delays_no_stricter_conditions() {
    let (mut replica, now) = (Replica::new(true), Now::read());
    let loose = policy("loose");
    replica.observed.watched_registration(Some(versioned(
        registration(&service("guard"), &replica.policies.in_effect.clone(), None, true),
        1,
    )));
    replica.observed.watched_secret(Some(versioned(secret(None), 1)));
    assert_eq!(replica.reconcile(now), ["read the Secret to write"]);
    for turn in 1..=2 {
        replica.policies.waiting = Some(Arc::clone(&loose));
        replica.observed.policy_waits();
        // Where the write before hangs too, the next policy has its own begun all the same.
        assert_eq!(replica.reconcile(now), ["write the conditions"]);
        assert_eq!(replica.under_way.last().map(|(turn, _)| *turn), Some(turn));
    }
    let tight = registration(&service("guard"), &loose, None, false);
    replica.take(Done::WroteConditions(1, Ok(versioned(tight, 2))), now);
    assert!(replica.observed.conditions.is_under_way(), "the first write is forgotten");
    assert_eq!(replica.reconcile(now), ["read the registration"]);
}

#[test]
fn the_api_server_is_away() {
    let (mut replica, now) = (Replica::new(false), Now::read());
    replica.fails();
    assert_eq!(replica.reconcile(now), ["read the registration"]);
    let unreached = "the API server was not reached yet: connection refused".to_owned();
    assert_eq!(replica.observed.status.ready, Err(unreached));
    let (turn, _) = replica.remove("read the registration");
    replica.take(Done::Read(turn, Err(refused(500))), now);
    assert!(replica.reconcile(now).is_empty(), "after a pause");
    // A replica that was ready stays so.
    let (mut replica, _) = ready(now);
    replica.fails();
    assert_eq!(replica.reconcile(now), ["read the registration"]);
    assert_eq!(replica.observed.status.ready, Ok(()));
    let later = now.after(CALL_INTERVAL);
    assert!(replica.reconcile(later).contains(&"call ourselves"));
}

#[test]
fn a_certificate_that_api_servers_would_not_trust() {
    let now = Now::read();
    let (mut replica, _) = ready(now);
    let later = now.after(CALL_INTERVAL);
    assert_eq!(replica.reconcile(later), ["call ourselves"]);
    replica.called(&Outcome::Unknown, later);
    replica.reconcile(later);
    assert_eq!(replica.observed.status.ready, Ok(()), "the next call may tell");
    let later = later.after(CALL_INTERVAL);
    replica.reconcile(later);
    replica.called(&Outcome::Refused("expired".to_owned()), later);
    replica.reconcile(later);
    let untrusted = "API servers that go by guard would not trust us: expired".to_owned();
    assert_eq!(replica.observed.status.ready, Err(untrusted));
}
