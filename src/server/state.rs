//! What all connections share.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use super::{
    body::BodyBudget,
    cluster::Standing,
    config::{Deadlines, Limits},
    decision_pool::DecisionPool,
    log_limiter::LogLimiter,
    metrics::Metrics,
    shutdown::Phase,
    slots::{ConnectionSlots, Evicted},
};
use crate::policy::Policy;

const FAREWELLS: usize = 64;

/// What all connections share.
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) deadlines: Deadlines,
    pub(super) metrics: Metrics,
    /// A slot for each connection to the webhook.
    pub(super) connections: Arc<ConnectionSlots>,
    /// A permit for each connection that closes gracefully after it lost its slot.
    pub(super) farewells: Semaphore,
    pub(super) body_budget: Arc<BodyBudget>,
    pub(super) decision_pool: DecisionPool,
    pub(super) log_limiter: LogLimiter,
    pub(super) phase: watch::Sender<Phase>,
    /// The same as `phase` being past serving, for a look at every response.
    draining: AtomicBool,
    tls: Swap<ServerConfig>,
    /// Whether there is a certificate that callers can trust.
    has_certificate: watch::Sender<bool>,
    policy: Swap<Policy>,
    /// Why the policy file on disk cannot be used.
    policy_problem: Swap<Option<String>>,
    standing: Swap<Standing>,
}

impl State {
    pub(super) fn new(
        limits: Limits,
        deadlines: Deadlines,
        policy: Policy,
        tls: Arc<ServerConfig>,
        standing: Standing,
        metrics: Metrics,
    ) -> Self {
        Self {
            limits,
            deadlines,
            connections: Arc::new(ConnectionSlots::new(limits.connections as usize)),
            farewells: Semaphore::new(FAREWELLS),
            body_budget: Arc::new(BodyBudget::new(limits.buffered_bytes, metrics.buffered_bytes.clone())),
            decision_pool: DecisionPool::new(&limits),
            log_limiter: LogLimiter::default(),
            metrics,
            phase: watch::Sender::new(Phase::Serving),
            draining: AtomicBool::new(false),
            tls: Swap::new(tls),
            has_certificate: watch::Sender::new(true),
            policy: Swap::new(Arc::new(policy)),
            policy_problem: Swap::new(Arc::new(None)),
            standing: Swap::new(Arc::new(standing)),
        }
    }

    /// How we stand with the API server that asks us.
    pub(super) fn standing(&self) -> Arc<Standing> {
        self.standing.get()
    }

    /// Has probes and metrics tell how we stand, and says so where that is new.
    pub(super) fn set_standing(&self, standing: Standing) {
        let before = self.standing();
        if *before == standing {
            return;
        }
        match (&before.ready, &standing.ready) {
            (Err(_), Ok(())) => info!("ready: the API server trusts the certificate that is served"),
            (Ok(()), Err(reason)) => warn!(reason, "not ready any more"),
            (Err(before), Err(reason)) if before != reason => info!(reason, "not ready yet"),
            _ => {}
        }
        if let Some(misfits) = &standing.misfits
            && before.misfits != standing.misfits
        {
            self.metrics.cluster.registration_fits(misfits.is_empty());
            if misfits.is_empty() {
                info!("the registration fits the policy");
            } else {
                let misfits = misfits.join("; ");
                warn!(misfits, "the registration does not fit the policy: updates get past the guard");
            }
        }
        if before.problem != standing.problem {
            if let Some(problem) = &standing.problem {
                warn!(problem, "the CA is not kept; the one in memory goes on signing");
            } else {
                info!("the CA is kept again");
            }
        }
        self.standing.set(Arc::new(standing));
        self.tell_ready();
    }

    /// Why probes are told to send nobody here.
    pub(super) fn unready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("shutting down: no new connections, please".to_owned());
        }
        self.standing().ready.clone().err()
    }

    pub(super) fn tell_ready(&self) {
        self.metrics.ready.set(i64::from(self.unready().is_none()));
    }

    /// The policy in force. A review takes it once: no decision is made under two.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.get()
    }

    /// The policy of every review that is read from now on.
    pub(super) fn set_policy(&self, policy: Policy) {
        self.policy.set(Arc::new(policy));
    }

    /// Why the policy file on disk cannot be used, while the policy before it stays in force.
    pub(super) fn policy_problem(&self) -> Arc<Option<String>> {
        self.policy_problem.get()
    }

    pub(super) fn set_policy_problem(&self, problem: Option<String>) {
        self.policy_problem.set(Arc::new(problem));
    }

    /// TLS for the next connection.
    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        self.tls.get()
    }

    pub(super) fn set_tls(&self, config: Arc<ServerConfig>) {
        self.tls.set(config);
        self.has_certificate.send_replace(true);
    }

    /// Says that nobody trusts the certificate that is there: connections wait for the next one.
    pub(super) fn awaits_certificate(&self) {
        self.has_certificate.send_replace(false);
    }

    /// Waits until there is a certificate that callers can trust.
    pub(super) async fn certificate(&self) {
        // The error would say that the state is gone, which is what this is called on.
        let _ = self.has_certificate.subscribe().wait_for(|has| *has).await;
    }

    pub(super) fn advance(&self, phase: Phase) {
        self.draining.store(phase > Phase::Serving, Relaxed);
        self.tell_ready();
        self.phase.send_replace(phase);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Counts and logs a connection that was closed to make room.
    pub(super) fn evicted(&self, listener: &'static str, closed: &Evicted) {
        self.metrics.closed_to_make_room(listener, closed.waiting);
        self.log_limiter.closed_to_make_room(listener, closed.peer, closed.waiting);
    }
}

/// A value that is read all the time and replaced now and then.
struct Swap<T>(RwLock<Arc<T>>);

impl<T> Swap<T> {
    fn new(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    fn get(&self) -> Arc<T> {
        // Nothing can fail while the lock is held, so a poisoned one holds a good value all the same.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
