//! Everything that was observed, as values. Events change it, and [`plan`](super::plan) reads it.

mod results;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    action::Action,
    ca::ObservedCa,
    callers::{self, Caller},
    config::{Config, ManagedCertificates},
    followed::Followed,
    lane::{FIRST_PAUSE, Lane, Turn},
    metrics::Metrics,
    now::Now,
    settle::SettleTimer,
    status::Status,
};
use crate::{policy::PolicySet, text::causes};

/// The intervals of self-calls: of a guard that is ready, and of one that is not.
pub(super) const CALL_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const RECALL_INTERVAL: Duration = Duration::from_millis(500);
/// The most failures that are logged of one outage.
const MOST_LOGGED: usize = 4;

/// The policies in effect, and the next ones, which wait for the conditions.
#[derive(Debug, Clone)]
pub(super) struct Policies {
    pub(super) in_effect: Arc<PolicySet>,
    pub(super) waiting: Option<Arc<PolicySet>>,
}

/// The registration that a bundle is written over, if there is one.
pub(super) type Basis = Option<Box<ValidatingWebhookConfiguration>>;

/// The step of an update of Secret and bundle, with the registration that the bundle is written over.
///
/// The registration is known before the Secret is read, and every CA is in the Secret before it is in a bundle: so a CA that is
/// in this bundle and not in that Secret is one that was dropped, and not one that is yet to be seen.
#[derive(Debug, Default)]
pub(super) enum CaUpdate {
    /// None is under way, or its last write is.
    #[default]
    Idle,
    /// The Secret is being read.
    Reading(Basis),
    /// The Secret was read: a new CA is due in it, or the bundle.
    Read(Basis),
    /// The Secret is being written.
    Writing(Basis),
    /// The Secret was written.
    Written(Basis),
}

/// Everything that was observed of the cluster, of the guard itself and of the actions under way.
pub(super) struct Observed {
    pub(super) config: Config,
    pub(super) policies: Policies,
    pub(super) registration: Followed<ValidatingWebhookConfiguration>,
    pub(super) ca: Option<ObservedCa>,
    pub(super) settle: SettleTimer,
    /// The last failure of the API server, until it answers again.
    pub(super) trouble: Option<String>,
    /// The failures that were logged since the API server last answered.
    logged: Vec<String>,
    /// The status that was published last.
    pub(super) status: Status,

    pub(super) calls: Lane,
    /// The callers as whom the guard calls itself now.
    pub(super) calling: Vec<Caller>,
    /// The end of the last self-call, and its callers.
    pub(super) called: Option<(Instant, Vec<Caller>)>,
    /// The reason why some of the callers would not trust the guard, while others do.
    pub(super) distrust: Option<String>,
    pub(super) reads: Lane,
    /// True if a watched registration may be older than the known one.
    pub(super) is_doubted: bool,
    /// The begin of the last read of the registration.
    pub(super) asked: Option<Instant>,
    pub(super) secret_reads: Lane,
    pub(super) is_secret_doubted: bool,
    pub(super) conditions: Lane,
    pub(super) bundle: Lane,
    pub(super) update: CaUpdate,
}

impl Observed {
    pub(super) fn new(config: Config, certificates: Option<ManagedCertificates>, policies: Arc<PolicySet>) -> Self {
        Self {
            config,
            policies: Policies { in_effect: policies, waiting: None },
            registration: Followed::new(),
            ca: certificates.map(ObservedCa::new),
            settle: SettleTimer::default(),
            trouble: None,
            logged: Vec::new(),
            status: Status::unknown(),
            calls: Lane::default(),
            calling: Vec::new(),
            called: None,
            distrust: None,
            reads: Lane::default(),
            is_doubted: false,
            asked: None,
            secret_reads: Lane::default(),
            is_secret_doubted: false,
            conditions: Lane::default(),
            bundle: Lane::default(),
            update: CaUpdate::Idle,
        }
    }

    /// The ways in which API servers call this guard.
    pub(super) fn callers(&self) -> Vec<Caller> {
        let callers = |registration| callers::callers(registration, self.config.service.as_ref());
        self.registration.there().map(callers).unwrap_or_default()
    }

    /// The interval of self-calls.
    pub(super) fn call_interval(&self) -> Duration {
        if self.status.ready.is_ok() { CALL_INTERVAL } else { RECALL_INTERVAL }
    }

    /// Takes the policies of this moment, and notes what has changed since.
    pub(super) fn refresh(&mut self, policies: Policies, now: Now) {
        self.policies = policies;
        let Policies { in_effect, waiting } = &self.policies;
        self.settle.observe(self.registration.seen(), in_effect, waiting.as_ref(), now);
        let callers = self.callers();
        if let Some(ca) = &mut self.ca {
            ca.note_trust(&callers, now);
        }
    }

    /// A policy that waits does not wait for a write of conditions that failed before, or hangs.
    pub(super) fn policy_waits(&mut self) {
        self.conditions.forget();
    }

    /// Takes a state of the registration from the watch.
    pub(super) fn watched_registration(&mut self, registration: Option<ValidatingWebhookConfiguration>) {
        self.is_doubted |= !self.registration.watched(registration);
        self.succeeded();
    }

    /// Takes a state of the Secret from the watch.
    pub(super) fn watched_secret(&mut self, secret: Option<Secret>) {
        if let Some(ca) = &mut self.ca {
            self.is_secret_doubted |= !ca.watched(secret);
        }
        self.succeeded();
    }

    /// Notes that another certificate is served: self-calls under way saw the one before.
    pub(super) fn serves_anew(&mut self) {
        self.calls.forget();
        self.called = None;
    }

    /// Notes that an action begins.
    pub(super) fn begin(&mut self, action: &Action, now: Now) -> Turn {
        match action {
            Action::ReadRegistration => {
                self.is_doubted = false;
                self.asked = Some(now.instant);
                self.reads.begin()
            }
            Action::ReadSecret => {
                self.is_secret_doubted = false;
                self.secret_reads.begin()
            }
            Action::WriteConditions(_) => self.conditions.begin(),
            Action::ReadSecretToWrite => {
                let basis = self.registration.there().cloned().map(Box::new);
                self.update = CaUpdate::Reading(basis);
                self.bundle.begin()
            }
            Action::WriteSecret(..) => {
                self.update = match std::mem::take(&mut self.update) {
                    CaUpdate::Read(basis) => CaUpdate::Writing(basis),
                    other => other,
                };
                self.bundle.begin()
            }
            Action::WriteBundle(_) => {
                self.update = CaUpdate::Idle;
                self.bundle.begin()
            }
            Action::CallOurselves(callers) => {
                self.calling.clone_from(callers);
                self.calls.begin()
            }
        }
    }

    /// Ends an update of Secret and bundle that found nothing more to write.
    pub(super) fn update_ends(&mut self, turn: Turn, now: Now) {
        self.bundle.end(turn);
        self.end_update(now);
    }

    /// The same where no action is under way.
    pub(super) fn end_update(&mut self, now: Now) {
        self.update = CaUpdate::Idle;
        self.bundle.succeeded(FIRST_PAUSE, now);
        self.succeeded();
    }

    fn succeeded(&mut self) {
        if self.trouble.take().is_some() {
            self.logged.clear();
            info!("reconciling with the API server again");
        }
    }

    /// Counts a failure, and logs it if this outage has not shown the same one before. One outage shows itself in many ways.
    pub(super) fn failed(&mut self, error: &dyn std::error::Error, metrics: &Metrics) {
        metrics.api_server_errors.inc();
        let trouble = causes(error);
        if !self.logged.contains(&trouble) && self.logged.len() < MOST_LOGGED {
            warn!(error = trouble, "cannot reconcile with the API server; serving continues with what is in memory");
            self.logged.push(trouble.clone());
        }
        self.trouble = Some(trouble);
    }
}
