//! The plan: what to do next, by what was observed. It is pure: it waits for nothing, and reads no clock.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    action::Action,
    ca::ObservedCa,
    callers::{self, Caller},
    followed::Seen,
    lane::Lane,
    now::Now,
    observed::{CALL_INTERVAL, CaUpdate, Observed},
    patch::{self, Conditions, Wanted},
    status::Status,
};
use crate::{
    certificates::StoredCa,
    policy::{Policy, PolicySet},
    registration::{Drift, drift, path_of, webhooks_of},
};

/// The time within which API servers act on what was written: they learn of it by watches of their own.
pub(super) const TAKES_EFFECT: Duration = Duration::from_secs(2);

/// The next steps.
pub(super) struct Plan {
    /// The CA to sign a serving certificate with, before all else: it takes no time, and waits for no API server.
    pub(super) sign: Option<StoredCa>,
    pub(super) actions: Vec<Action>,
    /// True if the update of Secret and bundle found nothing more to write.
    pub(super) ends_update: bool,
    /// The policies that wait, once API servers ask about everything that they deny.
    pub(super) hand_over: Option<Arc<PolicySet>>,
    pub(super) status: Status,
    /// The moment of the next look, if no event comes before it.
    pub(super) look_again_at: Instant,
}

/// The plan for what was observed.
pub(super) fn plan(observed: &Observed, now: Now) -> Plan {
    let callers = observed.callers();
    let sign = observed.ca.as_ref().and_then(|ca| ca.due_signer(&callers, now));
    let status = status(observed, &callers);
    let mut actions = Vec::new();
    let (update, ends_update) = update(observed, now);
    actions.extend(reads(observed, now));
    actions.extend(write_conditions(observed, now));
    actions.extend(update);
    if sign.is_none() {
        actions.extend(call_ourselves(observed, &callers, now));
    }
    let hand_over = hand_over(observed, now);
    let look_again_at = look_again_at(observed, now);
    Plan { sign, actions, ends_update, hand_over, status, look_again_at }
}

/// Reads of what a watch left in doubt. A watch that continues says nothing of the end of trouble, so the API server is asked.
fn reads(observed: &Observed, now: Now) -> impl Iterator<Item = Action> {
    let asks = observed.trouble.is_some() && observed.asked.is_none_or(|asked| now.since(asked) >= CALL_INTERVAL);
    let registration = (observed.is_doubted || asks) && observed.reads.is_free(now);
    let secret = observed.is_secret_doubted && observed.ca.is_some() && observed.secret_reads.is_free(now);
    let registration = registration.then_some(Action::ReadRegistration);
    registration.into_iter().chain(secret.then_some(Action::ReadSecret))
}

/// The moment from which on conditions may be loosened, if nothing changes before it.
fn loosened_at(observed: &Observed) -> Option<Instant> {
    Some(observed.settle.since? + observed.config.settle?)
}

/// The write of conditions that do not match the policies: tightened at once, loosened after the settle period.
fn write_conditions(observed: &Observed, now: Now) -> Option<Action> {
    observed.config.settle?;
    if !observed.conditions.is_free(now) {
        return None;
    }
    let (in_effect, waiting) = (&observed.policies.in_effect, observed.policies.waiting.as_ref());
    let is_settled = loosened_at(observed).is_some_and(|at| at <= now.instant) && waiting.is_none();
    let conditions = if is_settled {
        Conditions::Are(in_effect)
    } else {
        Conditions::Fit([Some(in_effect), waiting].into_iter().flatten().map(|policies| &**policies).collect())
    };
    let wanted = Wanted { service: observed.config.service.as_ref(), bundle: None, conditions: Some(conditions) };
    patch::registration(observed.registration.there()?, &wanted).map(Action::WriteConditions)
}

/// The next step of an update of Secret and bundle, and true if there is none left.
fn update(observed: &Observed, now: Now) -> (Option<Action>, bool) {
    let Some(ca) = &observed.ca else { return (None, false) };
    let (basis, may_write_secret) = match &observed.update {
        CaUpdate::Idle if observed.bundle.is_free(now) => {
            let is_bundle_due = || bundle_patch(observed, ca, observed.registration.there()?);
            let is_due = ca.next_ca(now).is_some() || is_bundle_due().is_some();
            return (is_due.then_some(Action::ReadSecretToWrite), false);
        }
        CaUpdate::Idle | CaUpdate::Reading(_) | CaUpdate::Writing(_) => return (None, false),
        CaUpdate::Read(basis) => (basis, true),
        CaUpdate::Written(basis) => (basis, false),
    };
    if may_write_secret && let Some((next, version)) = ca.next_ca(now) {
        return (Some(Action::WriteSecret(next, version)), false);
    }
    let write = basis.as_ref().and_then(|basis| bundle_patch(observed, ca, basis)).map(Action::WriteBundle);
    let ends = write.is_none();
    (write, ends)
}

/// The patch that puts the CAs of the Secret into the bundle of this registration, unless it holds them and no others.
fn bundle_patch(observed: &Observed, ca: &ObservedCa, registration: &ValidatingWebhookConfiguration) -> Option<Value> {
    let wanted = Wanted { service: observed.config.service.as_ref(), bundle: Some(ca.bundle()?), conditions: None };
    patch::registration(registration, &wanted)
}

/// The self-call that tells if API servers could call the guard with what the registration holds.
fn call_ourselves(observed: &Observed, callers: &[Caller], now: Now) -> Option<Action> {
    observed.registration.there()?;
    let is_calling = observed.calls.is_under_way() && observed.calling == callers;
    let is_fresh = |(at, with): &(Instant, Vec<Caller>)| *with == callers && now.since(*at) < observed.call_interval();
    // A guard that serves no certificate yet is called by no one.
    let waits = observed.ca.as_ref().is_some_and(|ca| ca.waits_for().is_some());
    if is_calling || observed.called.as_ref().is_some_and(is_fresh) || waits || callers.is_empty() {
        return None;
    }
    Some(Action::CallOurselves(callers.to_vec()))
}

/// The policies that wait, if API servers ask about everything that they deny.
fn hand_over(observed: &Observed, now: Now) -> Option<Arc<PolicySet>> {
    let waiting = observed.policies.waiting.as_ref()?;
    let may_take_effect = match observed.registration.seen() {
        Seen::There(registration) => {
            let conditions = Some(Conditions::Fit(vec![&**waiting]));
            let wanted = Wanted { service: observed.config.service.as_ref(), bundle: None, conditions };
            patch::registration(registration, &wanted).is_none()
                && observed.settle.since.is_some_and(|since| now.since(since) >= TAKES_EFFECT)
        }
        Seen::Gone => true,
        Seen::NotYet => false,
    };
    may_take_effect.then(|| Arc::clone(waiting))
}

fn status(observed: &Observed, callers: &[Caller]) -> Status {
    let name = &observed.config.registration;
    let ca = observed.ca.as_ref();
    let (policies, service) = (&observed.policies.in_effect, observed.config.service.as_ref());
    let drift = match observed.registration.seen() {
        Seen::There(registration) => {
            let mut drift = drift(registration, service, policies);
            drift.extend(observed.distrust.clone().map(|message| Drift { policy: None, message }));
            Some(drift)
        }
        Seen::Gone => {
            let message = format!("there is no ValidatingWebhookConfiguration {name}");
            let of = |policy: &Arc<Policy>| Drift { policy: Some(policy.name().to_owned()), message: message.clone() };
            Some(policies.policies().map(of).collect())
        }
        Seen::NotYet => None,
    };
    Status {
        ready: readiness(observed, callers),
        drift,
        policies: policies.policies().map(|policy| policy.name().to_owned()).collect(),
        paths: match observed.registration.seen() {
            Seen::There(registration) => {
                Some(webhooks_of(registration, service).map(|webhook| path_of(webhook).to_owned()).collect())
            }
            Seen::Gone => Some(BTreeSet::new()),
            Seen::NotYet => None,
        },
        ca_problem: ca.and_then(ObservedCa::problem).map(str::to_owned),
        is_ca_stored: ca.and_then(ObservedCa::is_stored),
        ca_validity: ca.map_or_else(|| callers::longest(callers), ObservedCa::validity),
    }
}

/// Readiness as the last self-call left it, but for what makes a self-call pointless.
fn readiness(observed: &Observed, callers: &[Caller]) -> Result<(), String> {
    let (before, name) = (observed.status.ready.clone(), &observed.config.registration);
    match (observed.registration.seen(), &observed.trouble) {
        (Seen::NotYet, Some(trouble)) => Err(format!("the API server was not reached yet: {trouble}")),
        (Seen::NotYet, None) => before,
        // A registration that was taken away may come back as it was. Until then no API server calls the guard.
        (Seen::Gone, _) => before.map_err(|_| format!("there is no ValidatingWebhookConfiguration {name}")),
        (Seen::There(_), _) => match observed.ca.as_ref().and_then(ObservedCa::waits_for) {
            Some(waits) => Err(waits),
            None if callers.is_empty() => before.map_err(|_| format!("no webhook of {name} leads here")),
            None => before,
        },
    }
}

fn look_again_at(observed: &Observed, now: Now) -> Instant {
    let interval = observed.call_interval();
    let lanes = [&observed.calls, &observed.reads, &observed.secret_reads, &observed.conditions, &observed.bundle];
    let moments = [
        observed.settle.since.map(|since| since + TAKES_EFFECT),
        loosened_at(observed),
        observed.called.as_ref().map(|(at, _)| *at + interval),
        observed.trouble.as_ref().and(observed.asked).map(|asked| asked + CALL_INTERVAL),
        observed.ca.as_ref().and_then(|ca| ca.next_due(now)),
    ];
    let moments = moments.into_iter().flatten().chain(lanes.into_iter().filter_map(Lane::again_at));
    moments.filter(|moment| *moment > now.instant).fold(now.instant + interval, Instant::min)
}
