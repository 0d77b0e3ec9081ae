//! The state that all connections share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};

use super::{
    body::BodyBudget,
    config::{Deadlines, Limits},
    decision_pool::DecisionPool,
    log_limiter::LogLimiter,
    metrics::Metrics,
    shutdown::Phase,
    slots::{ConnectionSlots, Evicted},
};
use crate::{controller::Status, policy::PolicySet};

const FAREWELLS: usize = 64;

/// The state that all connections share.
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
    /// None until there is a certificate that callers can trust.
    tls: watch::Sender<Option<Arc<ServerConfig>>>,
    policies: watch::Sender<Arc<PolicySet>>,
    status: watch::Receiver<Arc<Status>>,
}

impl State {
    pub(super) fn new(
        limits: Limits,
        deadlines: Deadlines,
        policies: PolicySet,
        tls: Option<Arc<ServerConfig>>,
        status: watch::Receiver<Arc<Status>>,
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
            tls: watch::Sender::new(tls),
            policies: watch::Sender::new(Arc::new(policies)),
            status,
        }
    }

    /// The status towards the API servers that ask the guard.
    pub(super) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// The reason why the guard is not ready. None if it is.
    pub(super) fn unready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("shutting down: no new connections, please".to_owned());
        }
        self.status().ready.clone().err()
    }

    pub(super) fn tell_ready(&self) {
        self.metrics.ready.set(i64::from(self.unready().is_none()));
    }

    /// The policies in effect. A review takes its own once: no decision is made under two.
    pub(super) fn policies(&self) -> Arc<PolicySet> {
        Arc::clone(&self.policies.borrow())
    }

    /// The policies in effect, from now on.
    pub(super) fn policies_from_now_on(&self) -> watch::Receiver<Arc<PolicySet>> {
        self.policies.subscribe()
    }

    /// The policies of every review that is read from now on.
    pub(super) fn set_policies(&self, policies: Arc<PolicySet>) {
        self.metrics.policies_are(&policies);
        self.policies.send_replace(policies);
    }

    /// TLS for the next connection, once there is a certificate that callers can trust.
    pub(super) async fn tls(&self) -> Arc<ServerConfig> {
        loop {
            let current = self.tls.borrow().clone();
            match current {
                Some(tls) => return tls,
                // The error would say that the state is gone, which is what this is called on.
                None => drop(self.tls.subscribe().wait_for(Option::is_some).await),
            }
        }
    }

    pub(super) fn set_tls(&self, config: Arc<ServerConfig>) {
        self.tls.send_replace(Some(config));
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
