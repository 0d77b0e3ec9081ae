//! Random sequences of events, failures and delays, for two replicas of one cluster.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{MatchCondition, ValidatingWebhookConfiguration},
        core::v1::Secret,
    },
};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use tokio::time::Instant;

use super::scene::{HOUR, LIFETIMES, Replica, SETTLE, conditions_of, policy, refused, registration, secret, service};
use crate::{
    certificates::StoredCa,
    controller::{
        action::{Action, Done, RequestError},
        ca::NextCa,
        now::Now,
        patch::certificates,
        self_call::Outcome,
    },
};

/// An event of the cluster.
#[derive(Debug, Clone)]
enum Event {
    /// Some milliseconds pass.
    Moment(u64),
    /// Some hours pass. Watches are as far as the cluster before and after them.
    Hours(u32),
    /// The API server takes the oldest action of a replica.
    Answers(usize),
    /// It fails instead.
    Fails(usize),
    /// A watch of a replica is as far as the cluster.
    Watches(usize),
    /// A self-call of a replica ends.
    Called(usize, bool),
    /// A user takes the conditions away.
    TakesConditions,
    /// A user gives the registration the conditions of a looser policy.
    Loosens,
    /// A policy waits for a replica, or none any more.
    Waits(usize, bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let replica = || 0..2_usize;
    let event = prop_oneof![
        4 => (1..20_000_u64).prop_map(Event::Moment),
        1 => (1..300_u32).prop_map(Event::Hours),
        12 => replica().prop_map(Event::Answers),
        2 => replica().prop_map(Event::Fails),
        6 => replica().prop_map(Event::Watches),
        3 => (replica(), any::<bool>()).prop_map(|(replica, is_trusted)| Event::Called(replica, is_trusted)),
        1 => Just(Event::TakesConditions),
        1 => Just(Event::Loosens),
        1 => (replica(), any::<bool>()).prop_map(|(replica, waits)| Event::Waits(replica, waits)),
    ];
    vec(event, 1..60)
}

/// The cluster, as its API server has it.
struct Cluster {
    now: Now,
    version: u32,
    secret: Secret,
    stored: Option<StoredCa>,
    registration: ValidatingWebhookConfiguration,
    replicas: [Replica; 2],
    /// The last change that each replica has seen of conditions or policies.
    changed: [Instant; 2],
    seen: [String; 2],
    had_bundle: bool,
}

impl Cluster {
    fn new() -> Self {
        let (now, replicas) = (Now::read(), [true, true].map(Replica::new));
        let cci = Arc::clone(&replicas[0].policies.in_effect);
        let mut cluster = Self {
            now,
            version: 1,
            secret: secret(None),
            stored: None,
            registration: registration(&service("guard"), &cci, None, true),
            replicas,
            changed: [now.instant; 2],
            seen: [String::new(), String::new()],
            had_bundle: false,
        };
        cluster.secret.metadata.resource_version = Some("1".to_owned());
        cluster.registration.metadata.resource_version = Some("1".to_owned());
        cluster
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn bundle(&self) -> Vec<u8> {
        let webhook = self.registration.webhooks.as_ref().and_then(|webhooks| webhooks.first());
        let ByteString(bundle) =
            webhook.and_then(|webhook| webhook.client_config.ca_bundle.clone()).unwrap_or_default();
        bundle
    }

    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Moment(milliseconds) => self.now = self.now.after(Duration::from_millis(milliseconds)),
            Event::Hours(hours) => self.hours_pass(hours),
            Event::Answers(replica) => self.answer(replica),
            Event::Fails(replica) => self.fail(replica),
            Event::Watches(replica) => self.watch(replica),
            Event::Called(replica, is_trusted) => self.call_ends(replica, is_trusted),
            Event::TakesConditions => self.set_conditions(|_| None),
            Event::Loosens => {
                let loose = registration(&service("guard"), &policy("loose"), None, true);
                let conditions: Vec<_> =
                    loose.webhooks.into_iter().flatten().map(|webhook| webhook.match_conditions).collect();
                self.set_conditions(|at| conditions.get(at).cloned().flatten());
            }
            Event::Waits(replica, waits) => {
                self.replicas[replica].policies.waiting = waits.then(|| policy("strict"));
                self.replicas[replica].observed.policy_waits();
            }
        }
        for replica in 0..2 {
            self.reconcile(replica);
        }
    }

    /// In hours every replica catches up with what happened, and renews what is due.
    fn hours_pass(&mut self, hours: u32) {
        for _ in 0..hours.div_ceil(12) {
            self.now = self.now.after(HOUR * 12);
            for _ in 0..3 {
                for replica in 0..2 {
                    self.watch(replica);
                    self.reconcile(replica);
                    while !self.replicas[replica].under_way.is_empty() {
                        self.answer(replica);
                        self.reconcile(replica);
                    }
                }
                self.now = self.now.after(Duration::from_secs(3));
            }
        }
    }

    fn watch(&mut self, replica: usize) {
        let observed = &mut self.replicas[replica].observed;
        observed.watched_registration(Some(self.registration.clone()));
        observed.watched_secret(Some(self.secret.clone()));
    }

    fn call_ends(&mut self, replica: usize, is_trusted: bool) {
        let replica = &mut self.replicas[replica];
        if replica.under_way.iter().any(|(_, action)| matches!(action, Action::CallOurselves(_))) {
            let outcome = if is_trusted { Outcome::Verified } else { Outcome::Refused("no".to_owned()) };
            replica.called(&outcome, self.now);
        }
    }

    fn set_conditions(&mut self, conditions: impl Fn(usize) -> Option<Vec<MatchCondition>>) {
        for (at, webhook) in self.registration.webhooks.iter_mut().flatten().enumerate() {
            webhook.match_conditions = conditions(at);
        }
        self.registration.metadata.resource_version = Some(self.next_version());
    }

    fn reconcile(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        // What this replica can see of conditions and policies.
        let conditions = replica.observed.registration.there().map(|configuration| {
            configuration.webhooks.iter().flatten().map(|webhook| webhook.match_conditions.clone()).collect::<Vec<_>>()
        });
        let seen = format!("{conditions:?} {:?}", replica.policies.waiting.is_some());
        if seen != self.seen[at] {
            (self.seen[at], self.changed[at]) = (seen, self.now.instant);
        }
        let under_way = replica.under_way.len();
        replica.reconcile(self.now);
        for (_, action) in &replica.under_way[under_way..] {
            let Action::WriteConditions(patch) = action else { continue };
            let has_settled = self.now.instant.saturating_duration_since(self.changed[at]) >= SETTLE;
            assert!(
                has_settled || !loosens(patch, conditions.as_deref()),
                "loosened before the settle period: {patch}"
            );
        }
        self.check_served();
    }

    /// Once there was a bundle, API servers trust every certificate that is served, unless all that they trust has expired.
    fn check_served(&self) {
        if !self.had_bundle {
            return;
        }
        let trusted = certificates(&self.bundle());
        for served in self.replicas.iter().filter_map(Replica::served) {
            let ca = certificates(served.as_bytes());
            assert!(trusted.is_superset(&ca), "a certificate is served that API servers do not trust");
        }
    }

    fn fail(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if replica.under_way.is_empty() {
            return;
        }
        let (turn, action) = replica.under_way.remove(0);
        let error = refused(500);
        let done = match action {
            Action::ReadRegistration => Done::Read(turn, Err(error)),
            Action::ReadSecret => Done::ReadSecret(turn, Err(error)),
            Action::WriteConditions(_) => Done::WroteConditions(turn, Err(error)),
            Action::ReadSecretToWrite => Done::ReadToWrite(turn, Err(error)),
            Action::WriteSecret(..) => Done::WroteSecret(turn, Err(error)),
            Action::WriteBundle(_) => Done::WroteBundle(turn, Err(error)),
            Action::CallOurselves(callers) => Done::Called(turn, vec![Outcome::Unknown; callers.len()]),
        };
        replica.take(done, self.now);
    }

    fn answer(&mut self, at: usize) {
        if self.replicas[at].under_way.is_empty() {
            return;
        }
        let (turn, action) = self.replicas[at].under_way.remove(0);
        let done = match action {
            Action::ReadRegistration => Done::Read(turn, Ok(Some(self.registration.clone()))),
            Action::ReadSecret => Done::ReadSecret(turn, Ok(Some(self.secret.clone()))),
            Action::ReadSecretToWrite => Done::ReadToWrite(turn, Ok(Some(self.secret.clone()))),
            Action::WriteConditions(patch) => Done::WroteConditions(turn, self.write(&patch)),
            Action::WriteBundle(patch) => {
                let written = self.write(&patch);
                self.had_bundle |= written.is_ok();
                Done::WroteBundle(turn, written)
            }
            Action::WriteSecret(next, version) => Done::WroteSecret(turn, self.write_secret(&next, version.as_ref())),
            Action::CallOurselves(callers) => Done::Called(turn, vec![Outcome::Verified; callers.len()]),
        };
        self.replicas[at].take(done, self.now);
    }

    fn write_secret(
        &mut self,
        next: &NextCa,
        version: Option<&String>,
    ) -> Result<(Secret, Option<std::time::SystemTime>), RequestError> {
        if version != self.secret.metadata.resource_version.as_ref() {
            return Err(refused(409));
        }
        let made = |before: Option<&StoredCa>| StoredCa::new(before, LIFETIMES, self.now.wall).expect("a CA");
        let stored = match next {
            NextCa::First(before) => made(before.as_ref()),
            NextCa::After(before) => made(Some(before)),
            NextCa::Alone(stored) => stored.alone(),
        };
        let held = certificates(stored.bundle().as_bytes());
        for served in self.replicas.iter().filter_map(Replica::served) {
            assert!(held.is_superset(&certificates(served.as_bytes())), "dropped a CA that a served certificate needs");
        }
        self.secret = secret(Some(&stored));
        self.secret.metadata.resource_version = Some(self.next_version());
        self.stored = Some(stored);
        Ok((self.secret.clone(), None))
    }

    /// Applies a strategic merge patch, as far as the controller writes one.
    fn write(&mut self, patch: &Value) -> Result<ValidatingWebhookConfiguration, RequestError> {
        if patch["metadata"]["resourceVersion"].as_str() != self.registration.metadata.resource_version.as_deref() {
            return Err(refused(409));
        }
        let conditions = conditions_of(patch);
        for (change, conditions) in patch["webhooks"].as_array().into_iter().flatten().zip(conditions) {
            let named = |webhook: &&mut k8s_openapi::api::admissionregistration::v1::ValidatingWebhook| {
                change["name"].as_str() == Some(&webhook.name)
            };
            let webhook = self.registration.webhooks.iter_mut().flatten().find(named).expect("a webhook of that name");
            if let Some(bundle) = change.pointer("/clientConfig/caBundle") {
                webhook.client_config.ca_bundle = serde_json::from_value(bundle.clone()).expect("base64");
            }
            if let Some(conditions) = conditions {
                let conditions = conditions.into_iter().map(|one| serde_json::from_value(one).expect("a condition"));
                webhook.match_conditions = Some(conditions.collect::<Vec<_>>()).filter(|list| !list.is_empty());
            }
        }
        self.registration.metadata.resource_version = Some(self.next_version());
        Ok(self.registration.clone())
    }
}

/// True if a patch gives a webhook a condition that it does not have.
fn loosens(patch: &Value, before: Option<&[Option<Vec<MatchCondition>>]>) -> bool {
    let before: Vec<&String> =
        before.into_iter().flatten().flatten().flatten().map(|condition| &condition.expression).collect();
    let is_new = |condition: &Value| !before.iter().any(|before| condition["expression"].as_str() == Some(before));
    conditions_of(patch).into_iter().flatten().flatten().any(|condition| is_new(&condition))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// No sequence of observations and failures has a replica serve a certificate that API servers do not trust, drop a CA that
    /// a served certificate needs, or loosen conditions before the settle period.
    #[test]
    fn keeps_its_promises_whatever_happens(events in events()) {
        let mut cluster = Cluster::new();
        for event in &events {
            cluster.happens(event);
        }
    }
}
